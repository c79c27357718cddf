/** What every chain asks of an entry before looking at its meaning: strict hex, sizes and the derivation path. */
import type { Asset } from '../core/ports.js';
import { type Json, JsonNumber, type Party, type RawTransaction } from '../core/request.js';
import { isRefusal, type Refusal, refuse } from './refusal.js';

/** Far above any honest transaction; bounds the time of everything after it. */
export const MAX_RAW_BYTES = 128 * 1024;

/** `Buffer.from(text, 'hex')` drops an odd nibble and stops at the first bad character: the grammar comes first. */
const HEX = /^(?:0x)?((?:[0-9a-f]{2})+)$/i;
const HEX_PREFIX_LENGTH = 2;

const PATH_LENGTH = 5;
const PATH_INDEX = /^(0|[1-9]\d{0,9})$/;
const PATH_TEXT = /^\s{0,8}\[([\d\s,]{9,100})\]\s{0,8}$/;
const MAX_PATH_INDEX = 2 ** 31 - 1;
const PURPOSE = 44;

/** Lower-case hex without prefix; undefined when the text is anything else, or empty. */
export function hexDigits(text: string): string | undefined {
  return HEX.exec(text)?.[1]?.toLowerCase();
}

export interface RawEntry {
  readonly bytes: Uint8Array;
  /** The same bytes in lower-case hex without prefix. */
  readonly hex: string;
  /** 32 bytes in lower-case hex without prefix: what will be signed, by the co-signer's word. */
  readonly digest: string;
}

/** Bytes of a wire that carries nothing else: the co-signer hashes them by itself. */
export type BareEntry = Omit<RawEntry, 'digest'>;

/** Bytes and digest of one entry, in strict hex. */
export function readEntry(raw: RawTransaction): RawEntry | Refusal {
  const digest = readDigest(raw);
  if (isRefusal(digest)) return digest;
  const bytes = readBytes(raw);
  return isRefusal(bytes) ? bytes : { ...bytes, digest };
}

export function readBytes(raw: RawTransaction): BareEntry | Refusal {
  if (typeof raw.bytes !== 'string') return refuse('RAWTX_MALFORMED', 'a raw transaction is not text');
  const length = raw.bytes.length - (/^0x/i.test(raw.bytes) ? HEX_PREFIX_LENGTH : 0);
  if (length > 2 * MAX_RAW_BYTES)
    return refuse('RAWTX_TOO_LARGE', `a raw transaction is longer than ${MAX_RAW_BYTES} bytes`);
  const hex = hexDigits(raw.bytes);
  if (hex === undefined) return refuse('RAWTX_MALFORMED', 'a raw transaction is not hex of whole bytes');
  return { bytes: Buffer.from(hex, 'hex'), hex };
}

/** The digest alone: what messages carry beside their content. */
export function readDigest(raw: RawTransaction): string | Refusal {
  if (typeof raw.digest !== 'string' || raw.digest.length > 66)
    return refuse('RAWTX_MALFORMED', 'a digest to sign is not 32 bytes in hex');
  const digest = hexDigits(raw.digest);
  if (digest?.length !== 64) return refuse('RAWTX_MALFORMED', 'a digest to sign is not 32 bytes in hex');
  return digest;
}

/** purpose, coin, vault, change, index */
export type DerivationPath = readonly [number, number, number, number, number];

/**
 * The path of the key that will sign: a text such as `[ 44, 60, 0, 0, 0 ]` in the vendor's samples, or a list.
 * It must name the asset's coin, and the vault that the request names as its source.
 */
export function checkPath(value: Json | undefined, asset: Asset, source: Party): DerivationPath | Refusal {
  const path = readPath(value);
  if (path === undefined)
    return refuse('PATH_MALFORMED', 'the key derivation path is not five numbers in brackets');
  const [purpose, coin, vault] = path;
  if (purpose !== PURPOSE)
    return refuse('PATH_MISMATCH', `the key path has purpose ${purpose}, not ${PURPOSE}`);
  if (coin !== asset.coinType)
    return refuse('PATH_MISMATCH', `the key path has coin ${coin}, ${asset.id} has ${asset.coinType}`);
  // Only vault keys sign bytes; any other source type would leave the vault of the path unchecked.
  if (source.type !== 'VAULT')
    return refuse(
      'PATH_MISMATCH',
      `bytes are signed by vaults, the source is ${JSON.stringify(source.type)}`,
    );
  if (String(vault) !== source.id)
    return refuse(
      'PATH_MISMATCH',
      `the key path has vault ${vault}, the source is ${JSON.stringify(source.id)}`,
    );
  return path;
}

function readPath(value: Json | undefined): DerivationPath | undefined {
  const texts =
    typeof value === 'string' ? PATH_TEXT.exec(value)?.[1]?.split(',').map(trimmed) : listed(value);
  if (texts?.length !== PATH_LENGTH || !texts.every((text) => PATH_INDEX.test(text))) return undefined;
  const [purpose = NaN, coin = NaN, vault = NaN, change = NaN, index = NaN] = texts.map(Number);
  const path: DerivationPath = [purpose, coin, vault, change, index];
  return path.every((part) => part <= MAX_PATH_INDEX) ? path : undefined;
}

function trimmed(text: string): string {
  return text.trim();
}

function listed(value: Json | undefined): readonly string[] | undefined {
  if (!Array.isArray(value)) return undefined;
  return value.map((part: Json) => (part instanceof JsonNumber ? part.text : ''));
}
