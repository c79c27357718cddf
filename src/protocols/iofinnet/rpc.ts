/**
 * The contract mode without a chain: the few methods of an Ethereum node with which a Virtual Signer asks a contract for
 * its vote. Answers carry no signature, only what TLS gives them, and nothing ties them to a request but the connection:
 * weaker than votes over HTTP, and there only where a configuration has it.
 *
 * Source: JSON-RPC 2.0; Ethereum execution API; the vendor's `Approval.sol` (APPROVE 0, REJECT 1, ABSTAIN 2).
 */
import type { Outcome } from '../../core/decision.js';
import { isList, isObject, parseJson } from '../../core/json.js';
import type { OutboundMessage, Received } from '../../core/ports.js';
import { canonicalJson, type Json, JsonNumber, type Request } from '../../core/request.js';
import { MalformedBody } from './body.js';
import { type Revision, readCall } from './contract.js';
import type { Operation, OperationSettings } from './operation.js';
import { type Vote, voteOf } from './vote.js';

/** Calls in one batch: each is a decision. */
const MAX_CALLS = 20;

const WORDS: Readonly<Record<Vote, number>> = { approved: 0, rejected: 1, abstain: 2 };

const ERRORS = {
  parse: -32700,
  request: -32600,
  method: -32601,
  parameters: -32602,
  /** Of a node whose call failed: no vote. */
  noVote: -32000,
} as const;

export interface ContractSettings {
  readonly revision: Revision;
  readonly address: string;
  /** Decimal text. */
  readonly chainId: string;
}

export interface RpcOptions {
  readonly contract: ContractSettings;
  readonly settings: OperationSettings;
  readonly requestOf: (operation: Operation) => Request;
}

/** What is answered to one call: at once, or when it is decided. */
type Answering =
  | { readonly id: Json; readonly result: string }
  | { readonly id: Json; readonly error: number; readonly message: string }
  | { readonly id: Json; readonly request: Request };

export function receiveRpc(body: Uint8Array, options: RpcOptions): Received {
  const parsed = parseJson(body);
  if (!parsed.ok) return answered([failure(null, 'parse', 'not JSON')], false);
  const { value } = parsed;
  if (!isList(value)) return answered([answerOf(value, options)], false);
  if (value.length === 0 || value.length > MAX_CALLS)
    return answered([failure(null, 'request', `a batch has 1 to ${MAX_CALLS} calls`)], false);
  return answered(
    value.map((call) => answerOf(call, options)),
    true,
  );
}

function answerOf(call: Json, options: RpcOptions): Answering {
  if (!isObject(call) || call.jsonrpc !== '2.0' || typeof call.method !== 'string' || !isId(call.id))
    return failure(null, 'request', 'no JSON-RPC 2.0 request with an id');
  const { id, method, params } = call;
  const { chainId, address } = options.contract;
  const list = isList(params) ? params : [];
  switch (method) {
    case 'eth_call':
      return callOf(id, list, options);
    case 'eth_chainId':
      return { id, result: `0x${BigInt(chainId).toString(16)}` };
    case 'net_version':
      return { id, result: chainId };
    case 'eth_blockNumber':
      return { id, result: '0x1' };
    case 'eth_getCode':
      // Not empty, which is all that callers look at.
      return { id, result: isAddress(list[0], address) ? '0x00' : '0x' };
    default:
      return failure(id, 'method', `the method ${/^\w{1,40}$/.test(method) ? method : ''} is not available`);
  }
}

function callOf(id: Json, [call]: readonly Json[], { contract, settings, requestOf }: RpcOptions): Answering {
  if (!isObject(call)) return failure(id, 'parameters', 'the first parameter is no call');
  if (!isAddress(call.to, contract.address)) return failure(id, 'noVote', 'there is no such contract here');
  // Clients of two generations name it differently; one that sends both must mean the same.
  const { data, input = data } = call;
  if (typeof input !== 'string' || (data !== undefined && data !== input))
    return failure(id, 'parameters', 'the call has no call data');
  try {
    return { id, request: requestOf(readCall(input, contract.revision, settings)) };
  } catch (error) {
    if (!(error instanceof MalformedBody)) throw error;
    return failure(id, 'noVote', error.message);
  }
}

function answered(answers: readonly Answering[], isBatch: boolean): Received {
  const requests = answers.flatMap((answer) => ('request' in answer ? [answer.request] : []));
  return {
    kind: 'batch',
    requests,
    problems: answers.flatMap((answer) => ('message' in answer ? [answer.message] : [])),
    answer(outcomes) {
      const left = [...outcomes];
      const texts = answers.map((answer) =>
        textOf('request' in answer ? voted(answer.id, left.shift()) : answer),
      );
      return json(isBatch ? `[${texts.join(',')}]` : texts.join(''));
    },
  };
}

function voted(id: Json, outcome: Outcome | undefined): Exclude<Answering, { request: Request }> {
  const vote = outcome === undefined ? undefined : voteOf(outcome);
  if (vote === undefined) return { id, error: ERRORS.noVote, message: 'no vote' };
  return { id, result: `0x${WORDS[vote].toString(16).padStart(64, '0')}` };
}

function textOf(answer: Exclude<Answering, { request: Request }>): string {
  const id = canonicalJson(answer.id);
  if ('result' in answer) return `{"jsonrpc":"2.0","id":${id},"result":${JSON.stringify(answer.result)}}`;
  const error = JSON.stringify({ code: answer.error, message: answer.message });
  return `{"jsonrpc":"2.0","id":${id},"error":${error}}`;
}

function json(body: string): OutboundMessage {
  return { status: 200, contentType: 'application/json', body };
}

function failure(id: Json, code: keyof typeof ERRORS, message: string) {
  return { id, error: ERRORS[code], message };
}

/** Echoed, so bounded. */
function isId(id: Json | undefined): id is Json {
  return id === null || (typeof id === 'string' && id.length <= 256) || id instanceof JsonNumber;
}

function isAddress(value: Json | undefined, address: string): boolean {
  return typeof value === 'string' && value.toLowerCase() === address.toLowerCase();
}
