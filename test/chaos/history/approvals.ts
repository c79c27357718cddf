/** The approvals that co-signers received, and by which of them a destination was paid first. */
import type { AskFacts } from '../workload/errands.js';
import { isNewTo, type LimitFacts } from '../workload/limits.js';
import type { Entry } from './entries.js';
import { type History, questionKey } from './history.js';
import type { Released, Settled } from './settled.js';

/**
 * The ledger decides only while its clock is within 2 s of the replica's, either way: a window may be shorter by
 * twice that in real time, when a clock is set.
 */
export const CLOCK_SLACK_MS = 4_500;

export const FORGOTTEN = Number.MAX_SAFE_INTEGER;

export interface Approval {
  readonly ask: AskFacts;
  readonly askedMs: number;
  readonly answeredMs: number;
  /** By the ledger's clock, or the co-signer's when the ledger has forgotten it. */
  readonly atMs: number;
  /** Of the entry; {@link FORGOTTEN} when the ledger has none any more. */
  readonly sequence: number;
  /** When its charges were given back. */
  readonly released: Pick<Released, 'atMs' | 'sequence'> | undefined;
}

/** What the ledger says, to look answers up in. */
export interface Kept {
  /** By {@link questionKey}. */
  readonly entries: ReadonlyMap<string, Entry>;
  readonly settled: Settled;
}

export function approvalsIn({ questions }: History, { entries, settled }: Kept): readonly Approval[] {
  const released = new Map(settled.releases.map((release) => [release.txId, release]));
  return [...questions.values()].flatMap(({ ask, finals, firstAskedMs }): readonly Approval[] => {
    const first = finals.find(({ action }) => action === 'APPROVE');
    if (first === undefined) return [];
    const entry = entries.get(questionKey(ask));
    return [
      {
        ask,
        askedMs: firstAskedMs,
        answeredMs: first.atMs,
        atMs: entry?.action === 'APPROVE' ? entry.atMs : first.wallMs,
        sequence: entry?.sequence ?? FORGOTTEN,
        released: released.get(ask.requestId),
      },
    ];
  });
}

interface Payment {
  /** By the ledger's clock. */
  readonly atMs: number;
  readonly sequence: number;
  /** By the co-signers' clock, before which no payment of it can have been approved. */
  readonly notBeforeMs: number;
}

/** Which approvals a limit counts, when some destinations are known to it. */
export class Payments {
  readonly #first = new Map<string, Payment>();

  constructor(approvals: readonly Approval[]) {
    for (const { ask, atMs, sequence, askedMs } of approvals) {
      const known = this.#first.get(ask.destination);
      const first = known === undefined || sequence < known.sequence ? { atMs, sequence } : known;
      const notBeforeMs = Math.min(askedMs, known?.notBeforeMs ?? askedMs);
      this.#first.set(ask.destination, { ...first, notBeforeMs });
    }
  }

  /** Its destination is new to the limit, by the ledger's clock. */
  isToNew(limit: LimitFacts, { ask, atMs }: Approval): boolean {
    return isNewTo(limit, this.#first.get(ask.destination)?.atMs, atMs);
  }

  /** It is new, whatever any other clock says. */
  isSurelyToNew({ newForMs }: LimitFacts, { ask, answeredMs }: Approval): boolean {
    const { notBeforeMs = answeredMs } = this.#first.get(ask.destination) ?? {};
    return newForMs === undefined || answeredMs - notBeforeMs < newForMs - CLOCK_SLACK_MS;
  }
}
