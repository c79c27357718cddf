/** Carries one HTTP call the way co-signers do: the token is the whole body, and a reset is no answer. */
import { Agent, type ClientRequest, request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as pause } from 'node:timers/promises';
import { messageOf } from '../core/errors.js';
import { agentThat, type Trust } from './trust.js';

/** An answer is about a kilobyte. What is longer is not one. */
const MAX_REPLY_BYTES = 65_536;

/** How a slow body is cut, and how long the sender sleeps between the pieces. */
const SLOW_PIECES = 10;
const SLOW_PAUSE_MS = 60;

export type Manner =
  | 'plain'
  /** The body arrives in pieces. */
  | 'slow-body'
  /** The connection is cut in the middle of the body. */
  | 'cut-body'
  /** The whole body is sent and nobody waits for the answer. */
  | 'hang-up';

export type Reply =
  | {
      readonly kind: 'reply';
      readonly status: number;
      readonly headers: Readonly<Record<string, string | undefined>>;
      readonly body: string;
      readonly elapsedMs: number;
    }
  | { readonly kind: 'none'; readonly problem: string; readonly elapsedMs: number };

export interface Call {
  readonly url: string;
  readonly body: string | Buffer;
  readonly timeoutMs: number;
  /** Beside those that every call has, or instead of them. */
  readonly headers?: Readonly<Record<string, string>>;
  readonly manner?: Manner;
  /** On a connection of its own: one whose body a server refused to read serves nobody after it. */
  readonly alone?: boolean;
}

interface Exchanged {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly text: string;
}

export class Courier {
  readonly #agent = new Agent({ keepAlive: true });
  readonly #secureAgent: ReturnType<typeof agentThat>;
  readonly #calls = new Set<ClientRequest>();

  constructor(private readonly trust: Trust = { kind: 'public' }) {
    this.#secureAgent = agentThat(trust);
  }

  /** Never rejects: what is no reply says why. */
  async post({ url, body, timeoutMs, headers = {}, manner = 'plain', alone = false }: Call): Promise<Reply> {
    const started = performance.now();
    const elapsedMs = () => performance.now() - started;
    const bytes = Buffer.from(body);
    try {
      const how = { manner, timeoutMs, alone, headers };
      const { text, ...reply } = await this.#exchange(new URL(url), bytes, how);
      return { kind: 'reply', ...reply, body: text, elapsedMs: elapsedMs() };
    } catch (error) {
      return { kind: 'none', problem: messageOf(error), elapsedMs: elapsedMs() };
    }
  }

  /** Cuts every call in flight. */
  close(): void {
    for (const call of this.#calls) call.destroy(new Error('the simulator stops'));
    this.#agent.destroy();
    this.#secureAgent.destroy();
  }

  #exchange(
    url: URL,
    body: Buffer,
    { manner, timeoutMs, alone, headers }: Required<Pick<Call, 'manner' | 'timeoutMs' | 'alone' | 'headers'>>,
  ) {
    return new Promise<Exchanged>((resolve, reject) => {
      const secure = url.protocol === 'https:';
      const shared = secure ? this.#secureAgent : this.#agent;
      const own = alone && secure ? agentThat(this.trust) : undefined;
      const call = (secure ? httpsRequest : httpRequest)(url, {
        method: 'POST',
        headers: {
          'content-type': 'application/jwt',
          'content-length': body.length,
          'user-agent': 'countersign-simulator',
          ...headers,
        },
        agent: alone ? (own ?? false) : shared,
      });
      const timer = setTimeout(() => call.destroy(new Error(`no answer within ${timeoutMs} ms`)), timeoutMs);
      this.#calls.add(call);
      call.once('close', () => {
        clearTimeout(timer);
        own?.destroy();
        this.#calls.delete(call);
      });
      call.on('error', reject);
      call.once('response', (response) => {
        readBody(response).then(
          (text) => resolve({ status: response.statusCode ?? 0, headers: headersOf(response), text }),
          reject,
        );
      });
      send(call, body, manner).catch(reject);
    });
  }
}

async function send(call: ClientRequest, body: Buffer, manner: Manner): Promise<void> {
  switch (manner) {
    case 'plain':
      call.end(body);
      return;
    case 'slow-body': {
      const size = Math.ceil(body.length / SLOW_PIECES);
      for (let at = 0; at < body.length; at += size) {
        if (call.destroyed) return;
        call.write(body.subarray(at, at + size));
        await pause(SLOW_PAUSE_MS);
      }
      call.end();
      return;
    }
    case 'cut-body':
      call.write(body.subarray(0, body.length >> 1));
      await pause(SLOW_PAUSE_MS);
      call.destroy(new Error('cut by the simulator'));
      return;
    case 'hang-up':
      call.end(body);
      await pause(5);
      call.destroy(new Error('hung up by the simulator'));
      return;
  }
}

function headersOf({ headers }: IncomingMessage): Exchanged['headers'] {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(', ') : value]),
  );
}

async function readBody(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of response) {
    const piece = Buffer.from(chunk);
    bytes += piece.length;
    if (bytes > MAX_REPLY_BYTES) throw new Error(`the reply is longer than ${MAX_REPLY_BYTES} bytes`);
    chunks.push(piece);
  }
  return Buffer.concat(chunks).toString('utf8');
}
