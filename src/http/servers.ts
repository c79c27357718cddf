/** The two servers of a replica: one for co-signers, one for the platform. */
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { Answering } from './answering.js';
import { FailureFilter } from './failure.filter.js';
import { cannotListen } from './listening.js';
import type { ServerTls } from './tls.js';

export interface AskServerSettings {
  readonly host: string;
  readonly port: number;
  readonly bodyLimitBytes: number;
  /** CIDR: from these a forwarded address counts. */
  readonly trustedProxies: readonly string[];
  /** Absent: plain HTTP. */
  readonly tls?: ServerTls | undefined;
}

/** A body that trickles in for longer will not be answered within the co-signer's 30 s. */
const RECEIVE_TIMEOUT_MS = 15_000;
/**
 * Node looks after both times twice a minute unless told otherwise, and takes the longer one for the whole request: its
 * own 60 s for the headers would become the time of the body.
 */
const HTTP_TIMES = { headersTimeout: 10_000, connectionsCheckingInterval: 1_000 } as const;
/** When the door closes, what was received is answered; a body that is still on its way is not waited for longer than this. */
const CLOSING_TIME_MS = 1_000;
/** Longer than balancers keep idle connections, so that they close first and never race a request into ours. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

export interface RunningServer {
  readonly app: INestApplicationContext & { close(): Promise<void> };
  readonly port: number;
}

export async function startAskServer(
  module: DynamicModule,
  settings: AskServerSettings,
): Promise<RunningServer> {
  const adapter = new FastifyAdapter({
    bodyLimit: settings.bodyLimitBytes,
    trustProxy: settings.trustedProxies.length > 0 && [...settings.trustedProxies],
    requestTimeout: RECEIVE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    clientErrorHandler: refuseBrokenHttp,
    frameworkErrors: (_error: unknown, _request: unknown, reply: FastifyReply) => {
      reply.status(400).type('text/plain; charset=utf-8').send('bad request\n');
    },
    ...(settings.tls === undefined
      ? { http: HTTP_TIMES }
      : { https: { ...HTTP_TIMES, ...settings.tls.options() } }),
  });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    logger: false,
  });
  // Whatever the content type says, the body is bytes: the signature decides what it is.
  const fastify = adapter.getInstance();
  fastify.addHook('onRequest', async ({ raw }) => {
    delete raw.headers['content-type'];
  });
  const answering = app.get(Answering);
  fastify.addHook('preClose', async () => {
    const closing = setInterval(() => {
      if (answering.inFlight > 0) return;
      clearInterval(closing);
      fastify.server.closeAllConnections();
    }, CLOSING_TIME_MS).unref();
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.useGlobalFilters(app.get(FailureFilter));
  const server: unknown = adapter.getHttpServer();
  if (server instanceof TlsServer) settings.tls?.attach(server);
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

/** What is no HTTP, or arrives too slowly, is told as little as any stranger. */
export function refuseBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const status = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? '408 Request Timeout' : '400 Bad Request';
  const body = 'bad request\n';
  socket.end(
    `HTTP/1.1 ${status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
    () => socket.destroy(),
  );
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
