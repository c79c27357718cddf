/** `countersign serve`: one replica, for production. */
import { Command } from 'commander';
import { AppModule, OpsModule, WebhookModule } from '../app.module.js';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { type RunningServer, startAskServer, startOpsServer } from '../http/servers.js';
import { ServerTls } from '../http/tls.js';
import { startWebhookServer } from '../http/webhook-server.js';
import { type ReloadedPart, Reloading } from '../replica/reloading.js';
import { openReplica, type Replica } from '../replica/replica.js';
import { createLogger, type Logger } from '../telemetry/logging.js';
import { openTracing, type Tracing } from '../telemetry/tracing.js';
import { VERSION } from '../version.js';
import { portOption } from './options.js';
import type { ReplicaReady } from './replica-process.js';

interface ServeOptions {
  readonly config: string;
  readonly replica?: string;
  readonly httpPort?: number;
  readonly opsPort?: number;
  readonly webhookPort?: number;
}

export function serveCommand(): Command {
  return new Command('serve')
    .description('run one replica')
    .requiredOption('--config <file>', 'configuration document')
    .option('--replica <name>', 'name of this replica in its log lines', process.env.HOSTNAME)
    .addOption(portOption('--http-port <port>', 'instead of http.port of the configuration'))
    .addOption(portOption('--ops-port <port>', 'instead of ops.port of the configuration'))
    .addOption(portOption('--webhook-port <port>', 'instead of webhooks.port of the configuration'))
    .action(serve);
}

async function serve(options: ServeOptions): Promise<void> {
  const config = loadConfig(options.config);
  const logger = createLogger(config.logging.level, options.replica);
  const reloadWhenTold = hangUps();
  const tracing = await tracingOf(config, logger, options.replica);
  const tls = config.http.tls === undefined ? undefined : new ServerTls('http.tls', config.http.tls);
  for (const warning of tls?.warnings ?? []) logger.warn(warning);
  const replica = openReplica(config, { logger, tracer: tracing?.tracer });
  if (tls !== undefined) show(tls, replica);
  const ops = await startOpsServer(OpsModule.of(replica), {
    host: config.ops.host,
    port: options.opsPort ?? config.ops.port,
  });
  const ask = await startAskServer(AppModule.of(replica), {
    host: config.http.host,
    port: options.httpPort ?? config.http.port,
    bodyLimitBytes: config.http.bodyLimit,
    trustedProxies: config.http.trustedProxies,
    tls,
  });
  const webhooks = await webhookServer(replica, options);
  const reloading = new Reloading({ logger, metrics: replica.metrics.reloads });
  reloading.add(replica.rekeying.part(options.config));
  for (const part of webhooks?.parts ?? []) reloading.add(part);
  if (tls !== undefined) reloading.add(tls);
  reloading.start();
  reloadWhenTold(() => reloading.now());
  const ports = { http: ask.port, ops: ops.port, ...(webhooks && { webhooks: webhooks.port }) };
  logger.info({ ...ports, ledger: config.ledger.kind }, 'replica listens');
  stopWhenTold(async () => {
    logger.info('draining');
    await reloading.stop();
    await ask.app.close();
    await webhooks?.app.close();
    await ops.app.close();
    await replica.close();
    await tracing?.close();
    logger.info('stopped');
  });
  const ready: ReplicaReady = { type: 'ready', httpPort: ask.port, opsPort: ops.port };
  if (process.connected) process.send?.(ready);
}

/** Undefined: the configuration has none. */
async function webhookServer(
  { config, webhooks, logger, metrics, readiness }: Replica,
  options: ServeOptions,
): Promise<(RunningServer & { readonly parts: readonly ReloadedPart[] }) | undefined> {
  if (config.webhooks === undefined || webhooks === undefined) return undefined;
  const { host, port, bodyLimit: bodyLimitBytes, tls: settings } = config.webhooks;
  // Nobody pins this one: the vendor believes public authorities.
  const tls =
    settings && new ServerTls('webhooks.tls', { ...settings, minVersion: 'TLSv1.2', keepKey: false });
  for (const warning of tls?.warnings ?? []) logger.warn(warning);
  if (tls !== undefined) show(tls, { logger, metrics });
  const module = WebhookModule.of({ readiness, logger }, webhooks.receiving);
  const server = await startWebhookServer(module, {
    host,
    port: options.webhookPort ?? port,
    bodyLimitBytes,
    tls,
  });
  return { ...server, parts: [...webhooks.parts, ...(tls === undefined ? [] : [tls])] };
}

/** What is served, and whoever cannot be served by it, in metrics and log. */
function show(tls: ServerTls, { logger, metrics }: Pick<Replica, 'logger' | 'metrics'>): void {
  metrics.files.serves(tls.name, () => tls.certificate);
  metrics.refusals.expectHandshakes(tls.name);
  tls.watch((failure) => {
    metrics.refusals.handshakeFailed(tls.name, failure.reason);
    const level = failure.reason === 'CLOSED' ? 'debug' : 'warn';
    logger[level]({ server: tls.name, ...failure }, 'TLS handshake failed');
  });
}

async function tracingOf(
  { tracing }: Pick<Config, 'tracing'>,
  logger: Logger,
  replica: string | undefined,
): Promise<Tracing | undefined> {
  if (tracing === undefined) return undefined;
  return openTracing({ endpoint: tracing.endpoint, version: VERSION, replica, logger });
}

/** SIGHUP takes changed files. One that comes while the replica starts does not end it, and is not lost. */
function hangUps(): (reload: () => Promise<void>) => void {
  let reload: (() => Promise<void>) | undefined;
  let asked = false;
  process.on('SIGHUP', () => {
    asked = true;
    void reload?.();
  });
  return (ready) => {
    reload = ready;
    if (asked) void ready();
  };
}

/** SIGTERM, SIGINT, or the end of the `up` that started us: finish what is in flight, exit 0. */
function stopWhenTold(stop: () => Promise<void>): void {
  let stopping = false;
  const once = (): void => {
    if (stopping) return;
    stopping = true;
    stop().then(
      () => process.exit(0),
      () => process.exit(1),
    );
  };
  process.on('SIGTERM', once);
  process.on('SIGINT', once);
  process.on('disconnect', once);
  // It may have ended while we were starting.
  if (process.send !== undefined && !process.connected) once();
}
