/** The two servers of a replica: one for co-signers, one for the platform. */
import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Answering } from './answering.js';
import { FailureFilter } from './failure.filter.js';
import { cannotListen } from './listening.js';
import { type RawServerSettings, rawServer } from './raw-server.js';

export interface AskServerSettings extends RawServerSettings {
  /** CIDR: from these a forwarded address counts. */
  readonly trustedProxies: readonly string[];
}

/** A body that trickles in for longer will not be answered within the co-signer's 30 s. */
const RECEIVE_TIMEOUT_MS = 15_000;
const HEADERS_TIMEOUT_MS = 10_000;
/** When the door closes, what was received is answered; a body that is still on its way is not waited for longer than this. */
const CLOSING_TIME_MS = 1_000;

export interface RunningServer {
  readonly app: INestApplicationContext & { close(): Promise<void> };
  readonly port: number;
}

export async function startAskServer(
  module: DynamicModule,
  settings: AskServerSettings,
): Promise<RunningServer> {
  const { app, adapter } = await rawServer(module, settings, {
    receiveTimeoutMs: RECEIVE_TIMEOUT_MS,
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    trustProxy: settings.trustedProxies.length > 0 && [...settings.trustedProxies],
    forceCloseConnections: 'idle',
    return503OnClosing: false,
  });
  const fastify = adapter.getInstance();
  const answering = app.get(Answering);
  fastify.addHook('preClose', async () => {
    const closing = setInterval(() => {
      if (answering.inFlight > 0) return;
      clearInterval(closing);
      fastify.server.closeAllConnections();
    }, CLOSING_TIME_MS).unref();
  });
  app.useGlobalFilters(app.get(FailureFilter));
  return listening(app, adapter, settings);
}

export async function startOpsServer(
  module: DynamicModule,
  address: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  const adapter = new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, { logger: false });
  return listening(app, adapter, address);
}

export async function listening(
  app: NestFastifyApplication,
  adapter: FastifyAdapter,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  try {
    await app.listen(port, host);
  } catch (error) {
    throw cannotListen(host, port, error);
  }
  return { app, port: portOf(adapter) };
}

function portOf(adapter: FastifyAdapter): number {
  const address: unknown = adapter.getHttpServer().address();
  return typeof address === 'object' &&
    address !== null &&
    'port' in address &&
    typeof address.port === 'number'
    ? address.port
    : 0;
}
