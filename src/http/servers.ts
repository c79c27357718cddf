/** The two servers of a replica: one for co-signers, one for the platform. */
import { readFileSync } from 'node:fs';
import type { DynamicModule, INestApplicationContext } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { FailureFilter } from './failure.filter.js';

export interface AskServerSettings {
  readonly host: string;
  readonly port: number;
  readonly bodyLimitBytes: number;
  readonly tls?:
    | {
        readonly certificateFile: string;
        readonly keyFile: string;
        readonly clientCaFile?: string | undefined;
      }
    | undefined;
}

/** A body that trickles in for longer will not be answered within the co-signer's 30 s. */
const RECEIVE_TIMEOUT_MS = 15_000;
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
    requestTimeout: RECEIVE_TIMEOUT_MS,
    keepAliveTimeout: KEEP_ALIVE_TIMEOUT_MS,
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    ...(settings.tls === undefined ? {} : { https: tlsOptions(settings.tls) }),
  });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, {
    bodyParser: false,
    logger: false,
  });
  // Whatever the content type says, the body is bytes: the signature decides what it is.
  const fastify = adapter.getInstance();
  fastify.removeAllContentTypeParsers();
  fastify.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body));
  app.useGlobalFilters(app.get(FailureFilter));
  await app.listen(settings.port, settings.host);
  return { app, port: portOf(adapter) };
}

export async function startOpsServer(
  module: DynamicModule,
  { host, port }: { readonly host: string; readonly port: number },
): Promise<RunningServer> {
  const adapter = new FastifyAdapter({ forceCloseConnections: true });
  const app = await NestFactory.create<NestFastifyApplication>(module, adapter, { logger: false });
  await app.listen(port, host);
  return { app, port: portOf(adapter) };
}

function tlsOptions({ certificateFile, keyFile, clientCaFile }: NonNullable<AskServerSettings['tls']>) {
  return {
    cert: readFileSync(certificateFile),
    key: readFileSync(keyFile),
    minVersion: 'TLSv1.2' as const,
    ...(clientCaFile === undefined
      ? {}
      : { ca: readFileSync(clientCaFile), requestCert: true, rejectUnauthorized: true }),
  };
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
