/** The server that vendors' notifications come to, on a port of its own: strangers reach it, and never the one of co-signers. */
import { Server as TlsServer } from 'node:tls';
import type { DynamicModule } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import type { FastifyReply } from 'fastify';
import { listening, type RunningServer, refuseBrokenHttp } from './servers.js';
import type { ServerTls } from './tls.js';
import { WebhookFailureFilter } from './webhook.controller.js';

export interface WebhookServerSettings {
  readonly host: string;
  readonly port: number;
  readonly bodyLimitBytes: number;
  /** Absent: plain HTTP. */
  readonly tls?: ServerTls | undefined;
}

const RECEIVE_TIMEOUT_MS = 10_000;
const HTTP_TIMES = { headersTimeout: 5_000, connectionsCheckingInterval: 1_000 } as const;
const KEEP_ALIVE_TIMEOUT_MS = 75_000;

export async function startWebhookServer(
  module: DynamicModule,
  settings: WebhookServerSettings,
): Promise<RunningServer> {
  const adapter = new FastifyAdapter({
    bodyLimit: settings.bodyLimitBytes,
    requestTimeout: RECEIVE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: true,
    return503OnClosing: true,
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
  // The signature is over the bytes as they came, whatever the content type says.
  const fastify = adapter.getInstance();
  fastify.addHook('onRequest', async ({ raw }) => {
    delete raw.headers['content-type'];
  });
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.useGlobalFilters(app.get(WebhookFailureFilter));
  const server: unknown = adapter.getHttpServer();
  if (server instanceof TlsServer) settings.tls?.attach(server);
  return listening(app, adapter, settings);
}
