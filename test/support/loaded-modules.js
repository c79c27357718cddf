/** With `node --import`: says on standard error which modules of OpenTelemetry's SDK are loaded. */
import { registerHooks } from 'node:module';

registerHooks({
  load(url, context, nextLoad) {
    // The API is what prom-client asks whether there are exemplars.
    if (/@opentelemetry\/(?!api\/)/.test(url)) process.stderr.write(`loaded ${url}\n`);
    return nextLoad(url, context);
  },
});
