/**
 * Fireblocks' REST API as it is documented, over real HTTP: it checks every token as the vendor does, and has faults on
 * order. It shares no code with what it tests.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { payloadOf, verifies } from './cosigner.js';

export interface FakeUser {
  readonly id: string;
  readonly callbackHandler?: unknown;
}

export interface FakeCosigner {
  readonly id: string;
  readonly name?: string;
  readonly archived?: boolean;
  readonly users: readonly FakeUser[];
}

/** What is answered instead of the truth. */
export type Fault =
  | { readonly status: number; readonly headers?: Record<string, string>; readonly body?: string }
  | 'hang'
  | 'hang-in-body'
  | 'reset'
  | 'endless';

export interface FakeApiUser {
  readonly apiKey: string;
  readonly publicKey: KeyObject;
  /** May only read transactions. */
  readonly isViewer?: boolean;
}

export interface FakeFireblocksApi {
  readonly url: string;
  /** Every path that was asked for with a valid token, in order. */
  readonly calls: string[];
  /** Why tokens were refused. */
  readonly refused: string[];
  readonly transactions: Map<string, unknown>;
  cosigners: readonly FakeCosigner[];
  /** The next answer at a path that begins with this, or `always` of them. */
  fault(prefix: string, fault: Fault, always?: boolean): void;
  mend(): void;
  /** False: lists of API users do not show their handlers. */
  listsHandlers: boolean;
  close(): Promise<void>;
}

interface Ordered {
  readonly prefix: string;
  readonly fault: Fault;
  readonly always: boolean;
}

const PAGE = 2;

export async function startFakeFireblocksApi(
  users: readonly FakeApiUser[],
  tls?: { readonly cert: string; readonly key: string },
): Promise<FakeFireblocksApi> {
  const faults: Ordered[] = [];
  const nonces = new Set<string>();
  const state = {
    calls: [] as string[],
    refused: [] as string[],
    transactions: new Map<string, unknown>(),
    cosigners: [] as readonly FakeCosigner[],
    listsHandlers: true,
  };

  const answer = (request: IncomingMessage, response: ServerResponse): void => {
    const uri = request.url ?? '';
    const ordered = faults.findIndex(({ prefix }) => uri.startsWith(prefix));
    const fault = faults[ordered];
    if (fault !== undefined) {
      if (!fault.always) faults.splice(ordered, 1);
      state.calls.push(uri);
      misbehave(fault.fault, response);
      return;
    }
    const user = users.find(({ apiKey }) => apiKey === request.headers['x-api-key']);
    const problem = user === undefined ? 'unknown API key' : tokenProblem(request, user, nonces);
    if (user === undefined || problem !== undefined) {
      state.refused.push(problem ?? '');
      response.writeHead(401).end(JSON.stringify({ message: `Unauthorized: ${problem}`, code: -7 }));
      return;
    }
    state.calls.push(uri);
    respond(uri, { ...state, isViewer: user.isViewer === true }, response);
  };

  const server = tls === undefined ? createServer(answer) : createTlsServer(tls, answer);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return Object.assign(state, {
    url: tls === undefined ? `http://127.0.0.1:${port}` : `https://localhost:${port}`,
    fault: (prefix: string, fault: Fault, always = false) => void faults.push({ prefix, fault, always }),
    mend: () => void faults.splice(0),
    async close() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  });
}

/** As the vendor's manual says: signature, path, hash of the body, end, and a nonce that was not used before. */
function tokenProblem(
  { headers, url }: IncomingMessage,
  { apiKey, publicKey }: FakeApiUser,
  nonces: Set<string>,
): string | undefined {
  const [scheme, token = ''] = (headers.authorization ?? '').split(' ');
  if (scheme !== 'Bearer' || token.split('.').length !== 3) return 'no bearer token';
  if (!verifies(token, publicKey)) return 'signature';
  const claims = JSON.parse(payloadOf(token)) as Record<string, unknown>;
  const nowS = Date.now() / 1_000;
  const { iat, exp, nonce } = claims;
  if (claims.uri !== url) return 'uri';
  if (claims.sub !== apiKey) return 'sub';
  if (claims.bodyHash !== createHash('sha256').update('').digest('hex')) return 'bodyHash';
  if (typeof iat !== 'number' || typeof exp !== 'number') return 'iat or exp';
  if (iat > nowS + 5 || exp <= nowS || exp >= iat + 30) return 'time';
  if (typeof nonce !== 'string' || nonces.has(nonce)) return 'nonce';
  nonces.add(nonce);
  return undefined;
}

interface Truth {
  readonly transactions: ReadonlyMap<string, unknown>;
  readonly cosigners: readonly FakeCosigner[];
  readonly listsHandlers: boolean;
  readonly isViewer: boolean;
}

function respond(uri: string, truth: Truth, response: ServerResponse): void {
  const [status, body] = answerOf(new URL(uri, 'http://api'), truth);
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

const NOT_FOUND = [404, { message: 'not found', code: 1404 }] as const;

function answerOf({ pathname, searchParams }: URL, truth: Truth): readonly [number, unknown] {
  const [, version, kind, first = '', second, third] = pathname.split('/').map(decodeURIComponent);
  if (version === 'v1' && kind === 'transactions' && second === undefined) {
    const found = truth.transactions.get(first);
    return found === undefined ? NOT_FOUND : [200, found];
  }
  if (version !== 'v1' || kind !== 'cosigners') return NOT_FOUND;
  if (truth.isViewer) return [403, { message: 'insufficient permissions', code: -8 }];
  const cursor = searchParams.get('pageCursor');
  if (first === '') return [200, pageOf(truth.cosigners.map(shownCosigner), cursor)];
  const cosigner = truth.cosigners.find(({ id }) => id === first);
  if (cosigner === undefined || second !== 'api_keys') return NOT_FOUND;
  if (third === undefined) {
    const listed = cosigner.users.map((user) => (truth.listsHandlers ? user : { id: user.id }));
    return [200, pageOf(listed, cursor)];
  }
  const user = cosigner.users.find(({ id }) => id === third);
  return user === undefined ? NOT_FOUND : [200, user];
}

function shownCosigner({ users: _users, ...cosigner }: FakeCosigner): object {
  return { archived: false, type: 'SGX', ...cosigner };
}

function pageOf(entries: readonly unknown[], cursor: string | null): object {
  const from = cursor === null ? 0 : Number(cursor);
  const next = from + PAGE < entries.length ? { next: `${from + PAGE}` } : {};
  return { data: entries.slice(from, from + PAGE), ...next };
}

function misbehave(fault: Fault, response: ServerResponse): void {
  if (fault === 'hang') return;
  if (fault === 'reset') {
    response.socket?.destroy();
  } else if (fault === 'hang-in-body') {
    response.writeHead(200).write('{"id":');
  } else if (fault === 'endless') {
    response.writeHead(200);
    const more = (): void => {
      if (response.destroyed) return;
      response.write(' '.repeat(65_536));
      setTimeout(more, 1);
    };
    more();
  } else {
    response.writeHead(fault.status, fault.headers).end(fault.body ?? '');
  }
}
