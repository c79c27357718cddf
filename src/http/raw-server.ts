/** What the two servers that strangers reach have in common: bodies are bytes, times are short, and faults tell nothing. */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { Server as TlsServer } from 'node:tls';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import type { ServerTls } from './tls.js';

export interface RawServerSettings {
  readonly host: string;
  readonly port: number;
  readonly bodyLimitBytes: number;
  /** Absent: plain HTTP. */
  readonly tls?: ServerTls | undefined;
}

/** In what the two differ. */
export interface RawServerManner {
  /** A body that trickles in for longer is not waited for. */
  readonly receiveTimeoutMs: number;
  readonly headersTimeoutMs: number;
  readonly trustProxy?: false | string[];
  readonly forceCloseConnections: true | 'idle';
  readonly return503OnClosing: boolean;
}

export interface RawServer {
  readonly app: NestFastifyApplication;
  readonly adapter: FastifyAdapter;
}

/**
 * Node looks after its times twice a minute unless told otherwise, and takes the longer one for the whole request: its
 * own 60 s for the headers would become the time of the body.
 */
const LOOK_EVERY_MS = 1_000;
/** Longer than balancers keep idle connections, so that they close first and never race a request into ours. */
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

/** Not listening yet. */
export async function rawServer(
  module: DynamicModule,
  { bodyLimitBytes, tls }: RawServerSettings,
  { receiveTimeoutMs, headersTimeoutMs, ...manner }: RawServerManner,
): Promise<RawServer> {
  const times = { headersTimeout: headersTimeoutMs, connectionsCheckingInterval: LOOK_EVERY_MS };
  const adapter = new FastifyAdapter({
    ...manner,
    bodyLimit: bodyLimitBytes,
    requestTimeout: receiveTimeoutMs,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    clientErrorHandler: refuseBrokenHttp,
    frameworkErrors: (_error: unknown, _request: unknown, reply: FastifyReply) => {
      reply.status(400).type('text/plain; charset=utf-8').send('bad request\n');
    },
    ...(tls === undefined ? { http: times } : { https: { ...times, ...tls.options() } }),
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
  fastify.addHook('onSend', async (request) => received(request.raw));
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  const server: unknown = adapter.getHttpServer();
  if (server instanceof TlsServer) tls?.attach(server);
  return { app, adapter };
}

/**
 * Resolves when the whole request has come, or its time is over; what comes is thrown away. A refusal that is sent while a
 * body still arrives is often lost: the connection is reset under whoever sends, and a balancer makes a 502 of it
 * (RFC 9112, section 9.6).
 */
async function received(request: IncomingMessage): Promise<void> {
  if (request.complete || request.destroyed) return;
  request.resume();
  await new Promise<void>((resolve) => {
    request.once('end', resolve).once('close', resolve);
  });
}

/** What is no HTTP, or arrives too slowly, is told as little as any stranger. */
function refuseBrokenHttp(error: NodeJS.ErrnoException, socket: Socket): void {
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
