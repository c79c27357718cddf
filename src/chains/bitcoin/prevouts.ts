/** Previous outputs from a source that is not the co-signer: a file, or an own Bitcoin Core node. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import { toBaseUnits } from '../../core/amount.js';
import { CountersignError } from '../../core/errors.js';
import { isList, isObject, parseJson } from '../../core/json.js';
import { type Json, JsonNumber } from '../../core/request.js';

export interface Prevout {
  /** Satoshi. */
  readonly value: bigint;
  /** The output script, lower-case hex; absent: not known. */
  readonly script?: string;
}

/**
 * Outpoints are `txid:vout`. One that is not known is left out of the answer. A rejection makes the request
 * undecided, never refused.
 */
export type PrevoutSource = (
  chain: string,
  outpoints: readonly string[],
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, Prevout>>;

const MAX_FILE_BYTES = 64 * 1024 * 1024;
const MAX_ANSWER_BYTES = 8 * 1024 * 1024;
const BITCOIN_DECIMALS = 8;
const SCRIPT = /^([0-9a-f]{2})*$/;

const fileSchema = z.record(
  z.string().regex(/^[0-9a-f]{64}:(0|[1-9]\d{0,9})$/),
  z.strictObject({
    value: z.string().regex(/^(0|[1-9]\d{0,15})$/),
    script: z.string().regex(SCRIPT).optional(),
  }),
);

/** `{"txid:vout": {"value": "<satoshi>", "script": "<hex>"}}`, read again for every request. */
export function filePrevouts(file: string): PrevoutSource {
  return async (_chain, outpoints, signal) => {
    const text = await readFile(file, { encoding: 'utf8', signal });
    if (text.length > MAX_FILE_BYTES) throw new CountersignError('FILE_UNREADABLE', `${file} is too large`);
    const known = fileSchema.parse(JSON.parse(text));
    return new Map(
      outpoints.flatMap((outpoint): [string, Prevout][] => {
        const found = Object.hasOwn(known, outpoint) ? known[outpoint] : undefined;
        return found === undefined ? [] : [[outpoint, prevoutOf(BigInt(found.value), found.script)]];
      }),
    );
  };
}

function prevoutOf(value: bigint, script: string | undefined): Prevout {
  return script === undefined ? { value } : { value, script };
}

export interface RpcOptions {
  /** For instance `http://127.0.0.1:8332/`. */
  readonly url: string;
  /** CAIP-2 chain of the node; other chains are not known to it. */
  readonly chain: string;
  /** Reads `user:password` (Bitcoin Core's cookie file) for each call, because the node renews it. */
  readonly credentials?: () => Promise<string>;
  readonly timeoutMs: number;
}

/**
 * Bitcoin Core's `gettxout`: outputs with the memory pool considered, and, for inputs that a pending transaction
 * spends already (a replacement), without.
 */
export function rpcPrevouts(options: RpcOptions): PrevoutSource {
  return async (chain, outpoints, signal) => {
    if (chain !== options.chain || outpoints.length === 0) return new Map();
    const calls = outpoints.flatMap((outpoint, index) => {
      const [txid, vout] = outpoint.split(':');
      return [true, false].map((withPool) => ({
        jsonrpc: '1.0',
        id: `${index}`,
        method: 'gettxout',
        params: [txid, Number(vout), withPool],
      }));
    });
    const answers = await post(options, JSON.stringify(calls), signal);
    const found = new Map<string, Prevout>();
    for (const answer of answers) {
      const read = readAnswer(answer);
      const outpoint = read === undefined ? undefined : outpoints[read.index];
      if (read !== undefined && outpoint !== undefined) found.set(outpoint, read.prevout);
    }
    return found;
  };
}

async function post(options: RpcOptions, body: string, signal: AbortSignal): Promise<readonly Json[]> {
  const credentials = await options.credentials?.();
  const response = await fetch(options.url, {
    method: 'POST',
    redirect: 'error',
    headers: {
      'content-type': 'application/json',
      ...(credentials === undefined
        ? {}
        : { authorization: `Basic ${Buffer.from(credentials.trim()).toString('base64')}` }),
    },
    body,
    signal: AbortSignal.any([signal, AbortSignal.timeout(options.timeoutMs)]),
  });
  if (!response.ok) throw new Error(`the node answers ${response.status}`);
  const parsed = parseJson(await textOf(response));
  if (!parsed.ok || !isList(parsed.value)) throw new Error('the node does not answer with a list');
  return parsed.value;
}

async function textOf({ body }: Response): Promise<string> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body ?? []) {
    length += chunk.length;
    if (length > MAX_ANSWER_BYTES) throw new Error('the node answers at too great length');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** Undefined: the node does not know the output, or it is spent. An error of the node is no answer. */
function readAnswer(answer: Json): { readonly index: number; readonly prevout: Prevout } | undefined {
  if (
    !isObject(answer) ||
    (answer.error !== null && answer.error !== undefined) ||
    typeof answer.id !== 'string'
  )
    throw new Error('the node answers with an error');
  if (!isObject(answer.result)) return undefined;
  const { value, scriptPubKey } = answer.result;
  const script = isObject(scriptPubKey) ? scriptPubKey.hex : undefined;
  const units = value instanceof JsonNumber ? toBaseUnits(value.text, BITCOIN_DECIMALS) : undefined;
  if (units?.ok !== true || typeof script !== 'string' || !SCRIPT.test(script))
    throw new Error('the node answers with an output that cannot be read');
  return { index: Number(answer.id), prevout: { value: units.units, script } };
}
