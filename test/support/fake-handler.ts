/**
 * A small callback handler with a character, to test what plays against it. It decides nothing by policy and reads
 * tokens with jose, which neither the simulator nor its answer checker uses.
 */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { compactVerify, SignJWT } from 'jose';
import { parseJson } from '../../src/core/json.js';

export type Character =
  | 'honest'
  /** RETRY to the first delivery of each ask. */
  | 'hesitant'
  /** Cuts every third connection, sometimes after it has decided. */
  | 'resetting'
  /** Answers late. */
  | 'slow'
  /** Decides each delivery anew. */
  | 'forgetful'
  /** Approves other content under a known id. */
  | 'gullible'
  /** Does not look at signatures. */
  | 'trusting'
  /** Signs with a key nobody registered. */
  | 'impostor'
  /** Echoes another request's id. */
  | 'confused'
  /** Says more than it should. */
  | 'talkative'
  /** Says IGNORE where a signature is asked for. */
  | 'shy'
  /** Answers 500. */
  | 'broken';

export interface FakeHandler {
  /** Of signed messages; with `/plain` at its end, of plain JSON. */
  readonly url: string;
  readonly answerKey: KeyObject;
  /** Payloads of the tokens it verified, in order. */
  readonly heard: readonly Readonly<Record<string, unknown>>[];
  readonly approved: () => number;
  readonly close: () => Promise<void>;
}

interface Standing {
  readonly payload: string;
  readonly action: 'APPROVE' | 'REJECT' | 'IGNORE';
  readonly rejectionReason?: string;
}

const MAX_BODY_BYTES = 1_048_576;

export interface FakeHandlerOptions {
  readonly cosignerKeys: readonly KeyObject[];
  /** How many requests it approves before it refuses the rest. */
  readonly room?: number;
}

export async function startFakeHandler(
  character: Character,
  options: FakeHandlerOptions,
): Promise<FakeHandler> {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const signingKey =
    character === 'impostor' ? generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey : privateKey;
  const standing = new Map<string, Standing>();
  const hesitated = new Set<string>();
  const heard: Readonly<Record<string, unknown>>[] = [];
  let calls = 0;

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    calls += 1;
    const cut = character === 'resetting' && calls % 3 === 0;
    if (cut && calls % 2 === 0) return void request.socket.destroy();
    if (character === 'broken') return end(response, 500, 'sorry');
    const isPlain = /^\/plain\/(tx|config_change)_sign_request$/.test(request.url ?? '');
    if (!isPlain && !/^\/v2\/(tx|config_change)_sign_request$/.test(request.url ?? ''))
      return end(response, 404, '');
    const body = await readText(request);
    if (body === undefined) return end(response, 413, '');
    const text = isPlain ? unambiguous(body) : await authenticated(body.trim());
    if (text === undefined) return end(response, isPlain ? 400 : 401, '');
    const claims = parseObject(text);
    const requestId = claims?.requestId;
    if (claims === undefined || typeof requestId !== 'string') return end(response, 400, '');
    heard.push(claims);
    const answer = decide(claims, requestId);
    if (character === 'slow') await sleep(40);
    const said = character === 'talkative' ? { ...answer, txId: claims.txId } : answer;
    if (isPlain) {
      response.setHeader('content-type', character === 'trusting' ? 'text/html' : 'application/json');
      if (cut) return void request.socket.destroy();
      return end(response, 200, JSON.stringify(said));
    }
    const token = await new SignJWT(said).setProtectedHeader({ alg: 'RS256', typ: 'JWT' }).sign(signingKey);
    if (cut) return void request.socket.destroy();
    return end(response, 200, token);
  }

  async function authenticated(token: string): Promise<string | undefined> {
    if (character === 'trusting') return Buffer.from(token.split('.')[1] ?? '', 'base64url').toString();
    for (const key of options.cosignerKeys) {
      const verified = await compactVerify(token, key, { algorithms: ['RS256'] }).catch(() => undefined);
      if (verified !== undefined) return Buffer.from(verified.payload).toString();
    }
    return undefined;
  }

  function decide(claims: Readonly<Record<string, unknown>>, requestId: string) {
    const signing = 'rawTx' in claims;
    const echoed = character === 'confused' ? `${requestId}-1` : requestId;
    const ask = JSON.stringify([signing, requestId, signing ? '' : claims.signerId]);
    if (character === 'hesitant' && !hesitated.has(ask)) {
      hesitated.add(ask);
      return { action: 'RETRY', requestId: echoed, rejectionReason: 'Undecided: it hesitates. Ask again.' };
    }
    const { signerId: _signer, players: _players, ...content } = claims;
    const payload = JSON.stringify(content);
    const known = standing.get(ask);
    if (known !== undefined && known.payload !== payload && character !== 'gullible') {
      return {
        action: 'REJECT',
        requestId: echoed,
        rejectionReason: 'the same request id came with other content',
      };
    }
    const stands = character === 'forgetful' || known === undefined ? fresh(payload, signing) : known;
    standing.set(ask, stands);
    const { action, rejectionReason } = stands;
    return { action, requestId: echoed, ...(rejectionReason === undefined ? {} : { rejectionReason }) };
  }

  function fresh(payload: string, signing: boolean): Standing {
    if (character === 'shy' && signing) return { payload, action: 'IGNORE' };
    if (character === 'forgetful' && calls % 2 === 0) {
      return { payload, action: 'REJECT', rejectionReason: 'it does not remember' };
    }
    if (approved() < (options.room ?? Number.POSITIVE_INFINITY)) return { payload, action: 'APPROVE' };
    return {
      payload,
      action: 'REJECT',
      rejectionReason: `limit room is full: ${options.room} of ${options.room}`,
    };
  }

  const approved = () => [...standing.values()].filter(({ action }) => action === 'APPROVE').length;

  const server = createServer((request, response) => {
    serve(request, response).catch(() => request.socket.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    answerKey: publicKey,
    heard,
    approved,
    close: () => closed(server),
  };
}

/** JSON in which no member is written twice. */
function unambiguous(text: string): string | undefined {
  return parseJson(Buffer.from(text)).ok ? text : undefined;
}

async function readText(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of request) {
    bytes += chunk.length;
    // The rest is read too: a refusal in the middle of a body resets the connection.
    if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
  }
  return bytes <= MAX_BODY_BYTES ? Buffer.concat(chunks).toString('utf8') : undefined;
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
  } catch {
    return undefined;
  }
}

function end(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status).end(body);
}

function closed(server: Server): Promise<void> {
  server.closeAllConnections();
  return new Promise((resolve) => {
    server.close(() => resolve());
  });
}
