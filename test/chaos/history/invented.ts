/** Small histories for the tests of the checker: written by hand, so that each can hold exactly one fault. */
import type {
  AcknowledgedLine,
  AnsweredLine,
  AskedLine,
  ForgedLine,
  Line,
  Outcome,
  Phase,
  ToldLine,
} from '../cosigner/record.js';
import type { AskFacts } from '../workload/errands.js';
import type { LimitFacts } from '../workload/limits.js';
import type { Evidence } from './check.js';
import type { Entry } from './entries.js';
import { historyOf } from './history.js';

/** A wall clock at the start of an hour. */
export const NOON_MS = Date.UTC(2026, 0, 1, 12);

export const LIMITS: readonly LimitFacts[] = [
  {
    name: 'lifetime',
    sum: 'native',
    max: 100n,
    per: 'source',
    lane: 'lifetime',
    window: { kind: 'lifetime' },
  },
  {
    name: 'rolling',
    sum: 'native',
    max: 100n,
    per: 'source',
    lane: 'rolling',
    window: { kind: 'rolling', lengthMs: 20_000 },
  },
  { name: 'count', sum: 'count', max: 2n, per: 'signer', lane: 'rolling', window: { kind: 'lifetime' } },
  {
    name: 'shared',
    sum: 'native',
    max: 100n,
    per: undefined,
    lane: 'shared',
    window: { kind: 'rolling', lengthMs: 20_000 },
  },
  {
    name: 'newcomers',
    sum: 'native',
    max: 100n,
    per: undefined,
    lane: 'newcomers',
    window: { kind: 'rolling', lengthMs: 20_000 },
    newForMs: 8_000,
  },
  { name: 'hour', sum: 'native', max: 100n, per: 'destination', lane: 'calendar', window: { kind: 'hour' } },
];

/** What a co-signer did and heard, in a few words. */
export interface Told {
  readonly id: string;
  readonly wei?: bigint;
  readonly askedMs: number;
  readonly answeredMs?: number;
  readonly outcome: Outcome;
  readonly reason?: string;
  readonly lane?: AskFacts['lane'];
  readonly stage?: AskFacts['stage'];
  readonly signer?: string;
  readonly destination?: string;
  /** `iofinnet`: a vote. */
  readonly protocol?: AskFacts['protocol'];
  readonly phase?: Phase;
  readonly delivery?: string;
  /** False: the answer never came. */
  readonly heard?: boolean;
}

export function linesOf(told: readonly Told[]): readonly Line[] {
  return told.flatMap((one, index): readonly Line[] => {
    const { askedMs, answeredMs = askedMs + 5, outcome, reason, heard = true } = one;
    const call = `call ${index}`;
    const { wei, ...ask } = askOf(one);
    const asked: AskedLine = {
      event: 'asked',
      call,
      atMs: askedMs,
      wallMs: NOON_MS + askedMs,
      phase: one.phase ?? 'run',
      cosigner: 'cosigner-a',
      delivery: one.delivery ?? call,
      ask: { ...ask, wei: wei.toString() },
    };
    const wallMs = NOON_MS + answeredMs;
    const answered: AnsweredLine = {
      event: 'answered',
      call,
      atMs: answeredMs,
      wallMs,
      outcome,
      ...(reason && { reason }),
    };
    return heard ? [asked, answered] : [asked];
  });
}

export function askOf({
  id,
  wei = 10n,
  lane = 'lifetime',
  stage = 'signing',
  signer = 'signer-1',
  protocol = 'fireblocks',
  destination = '8',
}: Told): AskFacts {
  const asked = stage === 'signing' ? `${id}/signing` : `${id}/approval/${signer}`;
  const key = protocol === 'iofinnet' ? `${id}/vote` : asked;
  const place = { source: '7', destination };
  return { key, protocol, variant: 'first', requestId: id, stage, signer, lane, ...place, wei };
}

/** The log of a ledger that kept what it told, in the order in which it told it. */
export function ledgerOf(told: readonly Told[]): readonly Entry[] {
  const entries = new Map<string, Entry>();
  for (const one of told) {
    const { outcome, askedMs } = one;
    if (outcome !== 'APPROVE' && outcome !== 'REJECT' && outcome !== 'IGNORE') continue;
    const { key, wei, requestId, stage } = askOf(one);
    if (entries.has(`${key} ${wei}`)) continue;
    const sequence = entries.size + 1;
    const entry = {
      key,
      wei,
      requestId,
      stage,
      sequence,
      atMs: NOON_MS + askedMs + 1,
      action: outcome,
      reason: one.reason,
    };
    entries.set(`${key} ${wei}`, entry);
  }
  return [...entries.values()];
}

export function evidenceOf(
  told: readonly Told[],
  more: Partial<Evidence> & {
    forged?: readonly ForgedLine[];
    notified?: readonly (ToldLine | AcknowledgedLine)[];
  } = {},
): Evidence {
  const { forged = [], notified = [], ...given } = more;
  const history = historyOf([...linesOf(told), ...forged, ...notified]);
  const settled = { reports: [], releases: [] };
  return { history, entries: ledgerOf(told), logged: [], limits: LIMITS, settled, ...given };
}
