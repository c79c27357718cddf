/** One GET over HTTP, of bounded time and size, that follows no redirection: a token is for one address only. */
import http from 'node:http';
import https from 'node:https';
import { rootCertificates } from 'node:tls';

export interface HttpAnswer {
  readonly status: number;
  readonly body: Uint8Array;
  readonly retryAfter: string | undefined;
}

export interface GetOptions {
  readonly headers: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
  readonly timeoutMs: number;
  /** A longer answer is an error. */
  readonly maxBytes: number;
  /** An authority besides those that Node trusts, PEM. */
  readonly ca?: string;
}

/** Rejects when no whole answer came in time; the names of Node's errors say why. */
export function httpGet(url: string, options: GetOptions): Promise<HttpAnswer> {
  const signal = AbortSignal.any([options.signal, AbortSignal.timeout(options.timeoutMs)]);
  // Errors of an aborted request say only that it was aborted, and not by whom.
  return requested(url, { ...options, signal }).catch((error: unknown) => {
    signal.throwIfAborted();
    throw error;
  });
}

function requested(url: string, { headers, signal, maxBytes, ca }: GetOptions): Promise<HttpAnswer> {
  const { promise, resolve, reject } = Promise.withResolvers<HttpAnswer>();
  const received = (response: http.IncomingMessage): void => {
    const chunks: Uint8Array[] = [];
    let length = 0;
    response.on('data', (chunk: Uint8Array) => {
      length += chunk.length;
      if (length > maxBytes) response.destroy(new Error(`an answer of more than ${maxBytes} bytes`));
      else chunks.push(chunk);
    });
    response.once('error', reject);
    response.once('end', () =>
      resolve({
        status: response.statusCode ?? 0,
        body: Buffer.concat(chunks),
        retryAfter: response.headers['retry-after'],
      }),
    );
  };
  const request = url.startsWith('https:')
    ? https.get(url, { ...TLS, headers, signal, ...(ca && { ca: [...rootCertificates, ca] }) }, received)
    : http.get(url, { headers, signal }, received);
  request.once('error', reject);
  return promise;
}

/** Spelled out, because a variable of the environment could say otherwise. */
const TLS = { rejectUnauthorized: true, minVersion: 'TLSv1.2' } as const;
