/** What passes between the network and a protocol. */
import type { Outcome } from './decision.js';
import type { Request } from './request.js';

/** A message as it came over HTTP, before anybody looked at it. */
export interface InboundMessage {
  /** The path after the configured base, e.g. `/v2/tx_sign_request`. */
  readonly route: string;
  readonly body: Uint8Array;
  /** By lower-case name; what comes several times is joined by `, `. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** The address it comes from, past the proxies that are trusted. */
  readonly address: string;
  /** SHA-256 of the certificate its connection was opened with, lower-case hex; undefined: it was opened without. */
  certificateSha256(): string | undefined;
}

/**
 * What kind of stranger: no signed message at all (what scanners send); `alg: none` and the like; nothing that a configured
 * key or certificate vouches for; signed by a key whose time is over, or has not come; signed, but no request; not from
 * where, or not with the certificate, that it should.
 */
export type UnauthenticatedReason =
  | 'TOKEN'
  | 'HEADER'
  | 'SIGNATURE'
  | 'KEY_EXPIRED'
  | 'KEY_NOT_YET'
  | 'PAYLOAD'
  | 'CALLER';

export type Received =
  | {
      readonly kind: 'request';
      readonly request: Request;
      /** SHA-256 of the public key (SPKI) that vouched for it, hex; absent: nothing is signed, or no key is told apart. */
      readonly key?: string;
    }
  /** Any number of questions in one message, answered together; with none it is no question at all. */
  | {
      readonly kind: 'batch';
      readonly requests: readonly Request[];
      /** Parts of it that are no questions, for the log. */
      readonly problems: readonly string[];
      /** One outcome for each request, in order. */
      readonly answer: (outcomes: readonly Outcome[]) => OutboundMessage;
    }
  /** A stranger or a muddle: answered with this status, nothing is written. `problem` is safe to log. */
  | {
      readonly kind: 'refused';
      readonly status: 400 | 401 | 404 | 413;
      readonly code: 'UNAUTHENTICATED' | 'REQUEST_MALFORMED' | 'PATH_UNKNOWN' | 'BODY_TOO_LARGE';
      readonly reason?: UnauthenticatedReason;
      readonly problem: string;
    };

export type OutboundMessage = {
  readonly status: number;
  /** Sent as it stands: nothing is appended. */
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string | Uint8Array;
};

/** One wire format, for all co-signers that share a path: authenticate, parse, answer. */
export interface Protocol {
  readonly name: string;
  receive(message: InboundMessage): Promise<Received>;
  /** The decision, or "ask again", in the co-signer's words, signed. */
  answer(request: Request, outcome: Outcome): Promise<OutboundMessage>;
}

/** The keys that a vendor signs its notifications with. */
export interface NotificationKeys {
  /** What this key says of the signature. `unavailable`: the keys cannot be had, which is no fault of the sender. */
  verify(compactJws: string, kid: string): Promise<'valid' | 'invalid' | 'unknown-key' | 'unavailable'>;
  /** The vendor's former kind of signature, over the body alone; absent: not accepted. */
  verifyLegacy?(body: Uint8Array, signature: Uint8Array): Promise<boolean>;
}
