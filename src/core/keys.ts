/** What the decision's surroundings know of keys: who signed what was asked, and what signs what is answered. */

/**
 * One private key, wherever it is kept: in a file, in a hardware module, in a cloud's key service. Whoever adds a place for keys
 * implements this and nothing else.
 */
export interface Signer {
  /** By its name in JWS (RFC 7518, RFC 8037). */
  readonly algorithm: 'RS256' | 'ES256' | 'EdDSA';
  /** SHA-256 of the public half as DER SubjectPublicKeyInfo, hex. */
  readonly publicKeySha256: string;
  /**
   * The signature in the form of JWS: PKCS #1 v1.5 for RS256, R and S of 32 bytes each for ES256 (RFC 7518 section 3.4, not
   * DER), 64 bytes for EdDSA (RFC 8032). Must not hold up the event loop. Rejects when it cannot be made: then the co-signer
   * gets no answer, and never one that is signed by another key.
   */
  sign(bytes: Uint8Array): Promise<Uint8Array>;
}

/** Whose key signed a message, and what; or whose key would, if its time were now. */
export type Vouched =
  | {
      readonly kind: 'verified';
      /** More than one when one machine serves several workspaces: the signer inside the message then tells them apart. */
      readonly cosigners: readonly string[];
      /** As in {@link KnownKey}. */
      readonly key: string;
      readonly payload: Uint8Array;
    }
  | {
      readonly kind: 'outside-window';
      readonly reason: 'KEY_EXPIRED' | 'KEY_NOT_YET';
      /** For the log: which key, and when its time is. */
      readonly problem: string;
    };

/** A configured public key, and one of the co-signers that it is listed for. */
export interface KnownKey {
  readonly workspace: string;
  readonly cosigner: string;
  /** SHA-256 of the key as DER SubjectPublicKeyInfo, hex. */
  readonly key: string;
}

/** The public keys of the co-signers that share a path. Algorithms are pinned by the key, never by the message. */
export interface CosignerKeys {
  /** All of them, whatever their time. */
  readonly known: readonly KnownKey[];
  /** Undefined when no configured key verifies this compact JWS, whatever its time. */
  verify(compactJws: string): Promise<Vouched | undefined>;
}

/** The keys that answers are signed with. */
export interface AnswerKeys {
  /** A compact JWT with exactly these claims, by the key registered for this co-signer and signer. */
  sign(
    cosigner: string,
    signer: string | undefined,
    claims: Readonly<Record<string, string>>,
  ): Promise<string>;
}

/** The keys that votes are signed with, byte for byte, where answers are no tokens. */
export interface VoteKeys {
  /** Ed25519 (RFC 8032) over the text's bytes. */
  sign(cosigner: string, text: string): Promise<Uint8Array>;
  /** A digest of the public half: whoever trusts this key takes its votes for his own. */
  scopeOf(cosigner: string): string;
  /** Whether one of the keys that the co-signer signs requests with made this signature. */
  verify(cosigner: string, text: string, signature: Uint8Array): boolean;
}
