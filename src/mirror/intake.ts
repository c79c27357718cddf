/**
 * Where copies come in over HTTP: whole copies at `/copies`, and requests alone at the very paths of the co-signers, as nginx
 * and other proxies duplicate them. Whoever sends is told that it was taken, and nothing else: there is nothing to sign
 * here, and nothing that a co-signer could take for an answer.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { cannotListen } from '../http/listening.js';
import { type Copy, MAX_COPY_BYTES, readCopy } from './copy.js';

export interface IntakeSettings {
  readonly host: string;
  readonly port: number;
  /** Whether a co-signer of the configuration asks at this path. */
  readonly isAsked: (path: string) => boolean;
  /** False: there is no place. */
  readonly push: (copy: Copy) => boolean;
  readonly unreadable: (problem: string) => void;
}

export interface Intake {
  readonly port: number;
  close(): Promise<void>;
}

/** A copy that trickles in is not waited for longer. */
const RECEIVE_TIMEOUT_MS = 15_000;

/** Rejects with ENVIRONMENT when the port cannot be had. */
export async function startIntake(settings: IntakeSettings): Promise<Intake> {
  const server = createServer({ requestTimeout: RECEIVE_TIMEOUT_MS }, (request, response) => {
    take(request, settings).then(
      (reply) => send(response, reply),
      () => request.destroy(),
    );
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(settings.host, settings.port, error)));
    server.listen({ host: settings.host, port: settings.port }, resolve);
  });
  return { port: portOf(server), close: () => closed(server) };
}

interface Reply {
  readonly status: 202 | 204 | 400 | 404 | 413 | 503;
  /** For the person who sets the copying up. */
  readonly text?: string;
}

async function take(request: IncomingMessage, settings: IntakeSettings): Promise<Reply> {
  const path = (request.url ?? '/').split('?', 1)[0] ?? '/';
  const isCopies = path === '/copies';
  if (request.method !== 'POST' || !(isCopies || settings.isAsked(path))) return { status: 404 };
  const body = await bodyOf(request);
  if (body === undefined) return { status: 413 };
  if (isCopies) return takeCopies(body, settings);
  return settings.push({ at: new Date().toISOString(), request: { path, body: body.toString('utf8') } })
    ? { status: 204 }
    : { status: 503 };
}

/** One object, or several lines with one each. */
function takeCopies(body: Buffer, { push, unreadable }: IntakeSettings): Reply {
  const lines = isWhole(body) ? [body] : body.toString('utf8').split('\n');
  let reply: Reply = { status: 202 };
  for (const line of lines) {
    if (line.length === 0 || line.toString().trim() === '') continue;
    const read = readCopy(line);
    if (!read.ok) {
      unreadable(read.problem);
      reply = { status: 400, text: read.problem };
    } else if (!push({ at: new Date().toISOString(), ...read.copy })) return { status: 503 };
  }
  return reply;
}

/** JSON may be written over several lines. */
function isWhole(body: Buffer): boolean {
  return readCopy(body).ok;
}

/** Undefined when it is too long: whoever stops reading resets the connection, and the refusal with it. */
async function bodyOf(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length;
    if (length <= MAX_COPY_BYTES) chunks.push(chunk);
    else chunks.length = 0;
  }
  return length <= MAX_COPY_BYTES ? Buffer.concat(chunks) : undefined;
}

function send(response: ServerResponse, { status, text }: Reply): void {
  response.writeHead(status, { 'content-type': 'text/plain; charset=utf-8' });
  response.end(text === undefined ? undefined : `${text}\n`);
}

function portOf(server: Server): number {
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

function closed(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve());
    server.closeIdleConnections();
    setTimeout(() => server.closeAllConnections(), RECEIVE_TIMEOUT_MS).unref();
  });
}
