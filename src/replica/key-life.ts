/** The keys that a configuration names for its co-signers, and how long they last. */
import type { Config, CosignerConfig, UnsignedFireblocksConfig } from '../config/schema.js';
import { coveredUntil, type ForSigners, inOrderFor, type KeyWindow, stateAt } from '../core/key-window.js';

type NamedKey<Kind> = Kind & { readonly file: string };

/** The keys of one co-signer: those that its messages are signed with, and those that ours are. */
export interface KeySet {
  readonly workspace: string;
  readonly cosigner: string;
  readonly asking: readonly NamedKey<KeyWindow>[];
  /** What signs where no other key does; it has no end. */
  readonly otherwise: NamedKey<unknown>;
  readonly answering: readonly NamedKey<ForSigners>[];
}

export function keySetsOf({ workspaces }: Pick<Config, 'workspaces'>): readonly KeySet[] {
  return workspaces.flatMap(({ name, cosigners }) =>
    cosigners.filter(hasKeys).map((cosigner) => keySetOf(name, cosigner)),
  );
}

/** In plain JSON nothing is signed. */
export type KeyedCosigner = Exclude<CosignerConfig, UnsignedFireblocksConfig>;

export function hasKeys(cosigner: CosignerConfig): cosigner is KeyedCosigner {
  return cosigner.protocol === 'iofinnet' || cosigner.mode === 'jwt';
}

export function keySetOf(workspace: string, cosigner: KeyedCosigner): KeySet {
  const of = { workspace, cosigner: cosigner.name, otherwise: cosigner.answerKey };
  if (cosigner.protocol === 'iofinnet') return { ...of, asking: cosigner.requestKeys ?? [], answering: [] };
  return { ...of, asking: cosigner.publicKeys, answering: cosigner.answerKeys };
}

/** Unix milliseconds, in the past when no key verifies requests now; Infinity: one has no end, or requests are not signed. */
export function verifiesUntil({ asking }: KeySet, nowMs: number): number {
  if (asking.length === 0) return Number.POSITIVE_INFINITY;
  const ended = asking.map(({ notAfter = 0 }) => notAfter).filter((end) => end <= nowMs);
  return coveredUntil(asking, nowMs) ?? Math.max(0, ...ended);
}

/**
 * When, for the first of the signers, none of the keys for it or for a time is left and `answerKey` signs again: Unix
 * milliseconds, Infinity where it does already, or never will.
 */
export function answersUntil({ answering }: KeySet, nowMs: number): number {
  const signers = [...new Set(answering.flatMap(({ signers: listed = [] }) => listed)), undefined];
  const ends = signers.map((signer) => coveredUntil(inOrderFor(answering, signer), nowMs));
  return Math.min(...ends.map((end = Number.POSITIVE_INFINITY) => end));
}

/** Sentences for the operator: co-signers that nobody would be able to ask through. */
export function lifeWarnings(sets: readonly KeySet[], nowMs: number): readonly string[] {
  return sets
    .filter(({ asking }) => asking.length > 0 && !asking.some((key) => stateAt(key, nowMs) === 'valid'))
    .map(({ cosigner, asking }) => {
      const next = Math.min(...asking.map(({ notBefore = 0 }) => notBefore).filter((at) => at > nowMs));
      const until = Number.isFinite(next)
        ? `until ${new Date(next).toISOString()}`
        : 'until another is configured';
      return `co-signer ${JSON.stringify(cosigner)}: none of its public keys is valid now, and its requests are refused ${until}`;
    });
}
