/**
 * Which API users a workspace has paired with which co-signers, and whom each of them asks, by the vendor's word.
 * Source: Fireblocks' published clients, CosignersBetaApi and its models (beta: shapes may change).
 */
import { isList, isObject, type JsonObject } from '../../core/json.js';
import type { Json } from '../../core/request.js';

export interface VendorCosigner {
  readonly id: string;
  readonly name?: string;
  readonly archived: boolean;
}

export interface VendorUser {
  /** What `signerId` names. */
  readonly id: string;
  /** Undefined: nobody is asked, and everything is signed. */
  readonly handler: VendorHandler | undefined;
}

export interface VendorHandler {
  readonly url: string;
  /** The key that our answers must be signed with, as the vendor shows it. */
  readonly publicKey?: string;
  /** The pin on our TLS key, as the vendor shows it. */
  readonly certPublicKeyHash?: string;
}

const MAX_TEXT = 16_384;

/** Undefined: it is no page, or an entry of it cannot be read. */
export function readPage<T>(
  page: Json,
  read: (entry: JsonObject) => T | undefined,
): { readonly entries: readonly T[]; readonly next: string | undefined } | undefined {
  if (!isObject(page) || !isList(page.data)) return undefined;
  const entries = page.data.flatMap((entry) => (isObject(entry) ? (read(entry) ?? []) : []));
  if (entries.length < page.data.length) return undefined;
  return { entries, next: textOf(page.next) };
}

export function readCosigner(entry: JsonObject): VendorCosigner | undefined {
  const id = textOf(entry.id);
  const name = textOf(entry.name);
  if (id === undefined) return undefined;
  return { id, ...(name === undefined ? {} : { name }), archived: entry.archived === true };
}

/** A handler that cannot be read is not taken for none. */
export function readUser({ id, callbackHandler }: JsonObject): VendorUser | undefined {
  const user = textOf(id);
  if (user === undefined) return undefined;
  if (callbackHandler === undefined || callbackHandler === null) return { id: user, handler: undefined };
  if (!isObject(callbackHandler)) return undefined;
  const { url, publicKey, certPublicKeyHash } = callbackHandler;
  if (url === undefined || url === null || url === '') return { id: user, handler: undefined };
  const at = textOf(url);
  if (at === undefined) return undefined;
  const key = textOf(publicKey);
  const pin = textOf(certPublicKeyHash);
  return {
    id: user,
    handler: {
      url: at,
      ...(key === undefined ? {} : { publicKey: key }),
      ...(pin === undefined ? {} : { certPublicKeyHash: pin }),
    },
  };
}

function textOf(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= MAX_TEXT ? value : undefined;
}
