/**
 * What a co-signer asks, in our words. A protocol turns its wire format into one of these and nothing else of
 * the wire goes further. All text comes from outside and is untrusted; only its shape has been checked.
 */

/** What a yes would be: one vote for the transaction to go ahead, or the signature itself. */
export type Stage = 'approval' | 'signing';

/** Why nothing can be decided about a request, known from the wire and the configuration alone. */
export type Doubt = 'STAGE_UNCLEAR' | 'SIGNER_NOT_LISTED' | 'NOT_VOTING';

/** JSON with numbers kept as the text they had on the wire, so that nothing passes through a double. */
export type Json = string | boolean | null | JsonNumber | readonly Json[] | { readonly [key: string]: Json };

export class JsonNumber {
  constructor(readonly text: string) {}
}

interface RequestIdentity {
  /** The wire format, e.g. `fireblocks`. */
  readonly protocol: string;
  readonly workspace: string;
  /** The configured name of the machine that asks. */
  readonly cosigner: string;
  /** The identity inside the request that asks (Fireblocks: the API user). */
  readonly signer: string | undefined;
  /** The id of this ask; echoed in the answer. */
  readonly requestId: string;
  readonly doubt?: Doubt;
  /** Present where nobody vouches for who asks. */
  readonly unsigned?: Unsigned;
  /**
   * Nobody vouches for who asks, about something that others ask about too, under the same ids (Fireblocks in plain JSON).
   * A refusal then binds its own content only; an approval binds the ids for all. See commitAnonymous in decide.ts.
   */
  readonly anonymous?: true;
}

/**
 * A request that anybody who reaches us may have written (io.finnet). A refusal then binds its own content only, or a
 * stranger could burn an id; an approval binds the id. No later question brings bytes, so a rule that accepts a request
 * without them must say so.
 */
export interface Unsigned {
  /** What alone ties a signed answer to its question; undefined where answers are not signed. */
  readonly nonce: Nonce | undefined;
  /** Unix milliseconds from which on it is not approved. Undefined: not known, and then it never is. */
  readonly expiresAtMs: number | undefined;
}

export interface Nonce {
  /** As it stood: it may be larger than a double can hold. */
  readonly digits: string;
  /** Whose nonces: a digest of the answer key, because whoever trusts that key takes the answer for his own. */
  readonly scope: string;
}

/** A place value comes from or goes to. `type` is normalised (VAULT, EXCHANGE, ONE_TIME, …) and open-ended. */
export interface Party {
  readonly type: string;
  readonly subType?: string;
  readonly id: string;
}

export interface Destination extends Party {
  readonly name?: string;
  /** The address the co-signer names as the one that will be paid; absent where the stage does not carry it. */
  readonly address?: string;
  /** Further addresses the request gives for this destination; each must agree with the bytes too. */
  readonly otherAddresses: readonly string[];
  /** WHITELISTED, ONE_TIME, … */
  readonly addressType?: string;
  /** Decimal text in the asset's own unit. */
  readonly amount?: string;
  /** The text of a JSON number: what this destination's amount is worth in US dollars, by the co-signer's word. */
  readonly usd?: string;
}

/** What the co-signer *says* the transaction does. Never a source of truth where bytes exist. */
export interface Intent {
  readonly operation: string;
  readonly asset: string;
  readonly source: Party;
  readonly destinations: readonly Destination[];
  /** The top-level address, where the wire has one besides those of the destinations. */
  readonly destinationAddress?: string;
  /** Decimal text. */
  readonly amount?: string;
  readonly requestedAmount?: string;
  /** Decimal text in the fee asset; only the signing stage carries it. */
  readonly fee?: string;
  readonly externalTxId?: string;
  readonly note?: string;
  readonly extraParameters?: Json;
}

/** Bytes presented for signing, as the wire gave them: unchecked text. */
export interface RawTransaction {
  /** The wire carries the bytes alone: which key signs, and what digest of them, the co-signer works out by itself. */
  readonly bytesOnly?: true;
  readonly keyDerivationPath: Json | undefined;
  /** Hex of the bytes that are hashed for signing. */
  readonly bytes: Json | undefined;
  /** Hex of the digest that will be signed, by the co-signer's word. */
  readonly digest: Json | undefined;
}

export interface TransactionRequest extends RequestIdentity {
  readonly kind: 'transaction';
  readonly stage: Stage;
  readonly txId: string;
  readonly intent: Intent;
  readonly rawTransactions: readonly RawTransaction[];
  /** For the journal and an alarm: no decision rests on it, and it is no part of what a request is recognised by. */
  readonly vendorRules?: VendorRules;
}

/** Under which rules of the vendor's own a request came, where the wire shows it. */
export interface VendorRules {
  /** Which version of all rules. */
  readonly snapshot?: string;
  /** The rule that captured it: its place, and the start of the SHA-256 of its text. */
  readonly rule?: string;
  readonly ruleSha256?: string;
}

/** A change of the workspace's own set-up: whitelisting an address, adding a user, changing a policy. */
export interface ConfigChangeRequest extends RequestIdentity {
  readonly kind: 'config-change';
  readonly stage: 'approval';
  readonly type: string;
  /** Secrets of third parties are already replaced by a digest of themselves. */
  readonly extraInfo: { readonly [key: string]: Json };
}

/** A vault is to be made (`keygen`), or its signers or threshold changed (`reshare`). */
export interface VaultRequest extends RequestIdentity {
  readonly kind: 'keygen' | 'reshare';
  readonly stage: 'approval';
  /** Empty: not known. */
  readonly vault: { readonly id: string; readonly name: string };
  /** The weight that signs from then on, in decimal text; undefined: not known. */
  readonly threshold: string | undefined;
  /** Everybody who signs from then on; undefined: not known. */
  readonly devices: readonly Device[] | undefined;
}

export interface Device {
  /** What the vendor knows it by; empty: not known. */
  readonly id: string;
  readonly uuid: string;
  /** Decimal text; undefined: not known. */
  readonly weight: string | undefined;
}

/** Data to be signed that is no transaction. The signer hashes it by itself, so there is no digest to compare. */
export interface SignRequest extends RequestIdentity {
  readonly kind: 'sign';
  readonly stage: 'approval';
  readonly source: Party;
  /** What the data is, by the co-signer's word; empty: not known. */
  readonly contentType: string;
  /** COSE name of the signature algorithm; empty: not known. */
  readonly algorithm: string;
  /** Undefined: the request shows none. */
  readonly data: string | undefined;
}

export type Request = TransactionRequest | ConfigChangeRequest | VaultRequest | SignRequest;

/** JSON text with sorted keys and numbers as they stood: one text for one value, for hashing and the journal. */
export function canonicalJson(value: Json | undefined): string {
  if (value === undefined) return 'null';
  if (value instanceof JsonNumber) return value.text;
  if (value === null || typeof value !== 'object') return JSON.stringify(value);
  if (isList(value)) return `[${value.map(canonicalJson).join(',')}]`;
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${canonicalJson(member)}`).join(',')}}`;
}

function isList(value: object): value is readonly Json[] {
  return Array.isArray(value);
}
