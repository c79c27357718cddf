/** Messages: EIP-191 personal messages and EIP-712 typed data, shown in the request and signed by their digest. */
import { hashMessage, keccak256 } from 'ethers';
import { isObject, type JsonObject, objectIn } from '../../core/json.js';
import type { ContractCall, Decoded, Movement } from '../../core/ports.js';
import type { Json } from '../../core/request.js';
import { checkPath, hexDigits, MAX_RAW_BYTES, readDigest, readEntry } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import type { EvmContext } from './decoder.js';
import { meaningOfTyped } from './signed-calls.js';
import type { Meaning } from './transfer.js';
import { readTypedData } from './typed-data.js';

const MAX_MESSAGES = 8;

export function readMessages(context: EvmContext): Decoded {
  const { request, asset, chainId } = context;
  const messages = messagesOf(request.intent.extraParameters);
  if (messages.length === 0)
    return refuse(
      'TYPED_MESSAGE_MISSING',
      'the request shows no message, so nothing tells what the digest signs',
    );
  if (messages.length > MAX_MESSAGES)
    return refuse('TYPED_MALFORMED', `more than ${MAX_MESSAGES} messages are shown`);
  if (messages.length !== request.rawTransactions.length)
    return refuse(
      'RAWTX_COUNT',
      `${messages.length} messages, but ${request.rawTransactions.length} digests`,
    );
  const movements: Movement[] = [];
  const calls: ContractCall[] = [];
  const summary: Record<string, string> = { chain: `eip155:${chainId}`, asset: asset.id };
  for (const [index, message] of messages.entries()) {
    const read = readMessage(context, message, index);
    if (isRefusal(read)) return read;
    movements.push(...(read.meaning?.movements ?? []));
    calls.push(...(read.meaning?.calls ?? []));
    summary[`message${index + 1}`] = read.summary;
  }
  return {
    kind: 'effects',
    effects: { chain: `eip155:${chainId}`, movements, calls, maxFee: 0n, summary, facts: [] },
  };
}

function messagesOf(extraParameters: Json | undefined): readonly Json[] {
  const data = objectIn(extraParameters)?.rawMessageData;
  const messages = objectIn(data)?.messages;
  return Array.isArray(messages) ? messages : [];
}

interface Message {
  readonly summary: string;
  readonly meaning?: Meaning;
}

function readMessage(context: EvmContext, message: Json, index: number): Message | Refusal {
  const { request, asset } = context;
  const raw = request.rawTransactions[index];
  if (raw === undefined) return refuse('RAWTX_COUNT', 'a message has no digest');
  const digest = readDigest(raw);
  if (isRefusal(digest)) return digest;
  const path = checkPath(raw.keyDerivationPath, asset, request.intent.source);
  if (isRefusal(path)) return path;
  if (raw.bytes !== undefined && raw.bytes !== null && raw.bytes !== '') {
    // Not every message comes with its preimage; where there is one, it must be the preimage of this digest.
    const entry = readEntry(raw);
    if (isRefusal(entry)) return entry;
    if (keccak256(entry.bytes) !== `0x${digest}`)
      return refuse('HASH_MISMATCH', 'the digest to sign is not the keccak-256 of the bytes');
  }
  if (!isObject(message)) return refuse('TYPED_MALFORMED', 'a message is not an object');
  switch (message.type) {
    case 'ETH_MESSAGE':
      return readPersonal(context, message, digest);
    case 'EIP712':
      return readTyped(context, message, digest);
    default:
      return refuse('TYPED_TYPE_REFUSED', 'a message is neither EIP712 nor ETH_MESSAGE');
  }
}

function readPersonal({ settings }: EvmContext, { content }: JsonObject, digest: string): Message | Refusal {
  if (!settings.allowPersonalSign)
    return refuse('PERSONAL_SIGN_REFUSED', 'personal messages (EIP-191) are not allowed');
  if (typeof content !== 'string' || content.length > 2 * MAX_RAW_BYTES)
    return refuse('TYPED_MALFORMED', 'the content of a personal message is not hex');
  const hex = hexDigits(content);
  if (hex === undefined) return refuse('TYPED_MALFORMED', 'the content of a personal message is not hex');
  if (hashMessage(Buffer.from(hex, 'hex')) !== `0x${digest}`)
    return refuse('HASH_MISMATCH', 'the digest to sign is not the EIP-191 hash of the message shown');
  return { summary: `personal message of ${hex.length / 2} bytes` };
}

function readTyped(
  { settings, registry, chainId }: EvmContext,
  { content }: JsonObject,
  digest: string,
): Message | Refusal {
  const typed = readTypedData(content);
  if (isRefusal(typed)) return typed;
  if (typed.digest !== `0x${digest}`)
    return refuse('HASH_MISMATCH', 'the digest to sign is not the EIP-712 hash of the message shown');
  if (typed.chainId !== chainId)
    return refuse(
      'CHAIN_ID_MISMATCH',
      `the message is for chain ${typed.chainId}, the asset is on ${chainId}`,
    );
  const meaning = meaningOfTyped(typed, { settings, registry });
  if (isRefusal(meaning)) return meaning;
  return { summary: `${typed.primaryType} for ${typed.verifyingContract}`, meaning };
}
