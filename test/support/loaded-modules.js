/** With `node --import`: says on standard error which modules of OpenTelemetry's SDK are loaded, or those that `?of=` matches. */
import { registerHooks } from 'node:module';

// The API of OpenTelemetry is what prom-client asks whether there are exemplars.
const wanted = new RegExp(new URL(import.meta.url).searchParams.get('of') ?? '@opentelemetry/(?!api/)');

registerHooks({
  load(url, context, nextLoad) {
    if (wanted.test(url)) process.stderr.write(`loaded ${url}\n`);
    return nextLoad(url, context);
  },
});
