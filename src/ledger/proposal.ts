/** What both stores demand of a proposal before they look at it, and the words they answer with. */
import type { Charge, Decision } from '../core/decision.js';
import { MAX_CHARGES, REASONS, undecided } from '../core/decision.js';
import { assert, CountersignError } from '../core/errors.js';
import type { MomentEntry } from '../core/moments.js';
import type { CounterEntry, Proposal } from '../core/ports.js';
import type { Release } from '../core/release.js';
import type { Report } from '../core/report.js';

/** A replica whose clock differs more from the ledger's decides nothing. */
export const CLOCK_TOLERANCE_MS = 2000;

/** Bounds of one proposal and one read: no request may make one atomic step long. */
const MAX_MEMBERS = 1024;
const MAX_FACTS = 1024;
const MAX_KEY_CHARACTERS = 1024;
export const MAX_EVENTS = 10_000;

/**
 * Canonical decimal text: the stores compare and add digits, and would misread any other form. The longest comes
 * from a JSON number with the greatest exponent that amount.ts reads; it is refused by its limit, not here.
 */
const NATURAL = /^(0|[1-9]\d{0,1199})$/;

/** A workspace's name becomes part of keys, and stands between the braces of a Redis hash tag. */
export function checkWorkspace(workspace: string): void {
  if (/^[\w.-]{1,64}$/.test(workspace)) return;
  throw new CountersignError(
    'CONFIG_INVALID',
    `the workspace name ${JSON.stringify(workspace)} is not 1 to 64 letters, digits, dots, dashes and underscores`,
  );
}

/** Reasons that only the ledger finds. */
export type LedgerReason = Extract<Decision['reason'], `CONFLICT_${string}` | `${string}_BEFORE`>;

export function ledgerSentence(reason: LedgerReason): string {
  return `Rejected: ${REASONS[reason]}.`;
}

/** Under a freeze a standing approval is not repeated; the freeze says why, when it is the one that retries. */
export function freezeSentence({ opinion }: Proposal): string {
  return opinion.effect === 'retry' ? opinion.sentence : undecided('FREEZE_RETRIES').sentence;
}

export function coolingOffSentence({ coolingOff }: Proposal): string {
  return coolingOff?.sentence ?? undecided('COOLING_OFF_RETRIES').sentence;
}

/** What a new decision counts: limits in shadow whatever it is, the others by an approval only. */
export function countedCharges(
  { charges }: Proposal,
  { effect }: Pick<Decision, 'effect'>,
): readonly Charge[] {
  return effect === 'approve' ? charges : charges.filter(({ mode }) => mode === 'shadow');
}

/** A proposal is made by core, so what does not hold here is a defect of ours and never decided. */
export function checkProposal(proposal: Proposal): void {
  const { ask, charges, facts } = proposal;
  checkKey(ask.askKey, 'ask key');
  checkToken(ask.fingerprint, 'fingerprint');
  if (ask.moneyKey !== undefined) checkKey(ask.moneyKey, 'money key');
  if (ask.binding !== undefined) {
    checkKey(ask.binding.requestKey, 'request key');
    checkKey(ask.binding.txId, 'transaction id');
  }
  if (ask.coreFingerprint !== undefined) checkToken(ask.coreFingerprint, 'core fingerprint');
  if (ask.amount !== undefined) checkNatural(ask.amount);
  assert(Number.isSafeInteger(proposal.nowMs), 'the clock is whole milliseconds');
  assert(charges.length <= MAX_CHARGES, `a proposal has at most ${MAX_CHARGES} charges`);
  const counters = new Set(charges.map((charge) => `${charge.mode} ${charge.counter}`));
  assert(counters.size === charges.length, 'a counter is charged once by one proposal');
  for (const charge of charges) {
    checkCounter(charge);
    checkNatural(charge.max);
    checkNatural(charge.near);
  }
  assert(facts.length <= MAX_FACTS, `a proposal has at most ${MAX_FACTS} facts`);
  for (const fact of facts) checkKey(fact.key, 'fact');
  checkMoments(proposal);
  JSON.parse(proposal.journal);
}

function checkMoments({ moments, coolingOff, charges }: Proposal): void {
  assert(moments.length <= MAX_FACTS, `a proposal has at most ${MAX_FACTS} moments`);
  const keys = new Set(moments.map(({ key }) => key));
  assert(keys.size === moments.length, 'a moment is remembered once by one proposal');
  for (const key of [...keys, ...(coolingOff?.keys ?? [])]) checkKey(key, 'moment');
  assert((coolingOff?.keys.length ?? 0) <= MAX_FACTS, `a cooling-off looks at ${MAX_FACTS} moments at most`);
  if (coolingOff !== undefined) assert(isLength(coolingOff.periodMs), 'a cooling-off is whole milliseconds');
  for (const { need, newOnly } of charges) {
    if (newOnly === undefined) continue;
    assert(isLength(newOnly.forMs), 'a destination is new for whole milliseconds');
    assert(newOnly.parts.length <= MAX_MEMBERS, `a charge has at most ${MAX_MEMBERS} parts`);
    for (const part of newOnly.parts) {
      checkKey(part.moment, 'moment');
      if (need.kind === 'amount') checkNatural(part.need);
      else checkKey(part.need, 'member');
    }
  }
}

function checkMomentEntry({ key, sinceMs }: MomentEntry): void {
  checkKey(key, 'moment');
  assert(Number.isSafeInteger(sinceMs) && sinceMs >= 0, 'a moment is at a whole millisecond');
}

/** Entries, and moments, that one step fills in. */
const FILL_CHUNK = 200;

export interface FillStep {
  readonly entries: readonly CounterEntry[];
  readonly moments: readonly MomentEntry[];
}

/** In steps that none of which is long. */
export function fillSteps(
  entries: readonly CounterEntry[],
  moments: readonly MomentEntry[],
): readonly FillStep[] {
  for (const entry of entries) checkEntry(entry);
  for (const moment of moments) checkMomentEntry(moment);
  const distinct = new Map<string, MomentEntry>();
  for (const moment of moments) {
    const known = distinct.get(moment.key);
    if (known === undefined || moment.sinceMs < known.sinceMs) distinct.set(moment.key, moment);
  }
  const begun = [...distinct.values()];
  const count = Math.ceil(Math.max(entries.length, begun.length) / FILL_CHUNK);
  return Array.from({ length: count }, (_, step) => ({
    entries: entries.slice(step * FILL_CHUNK, (step + 1) * FILL_CHUNK),
    moments: begun.slice(step * FILL_CHUNK, (step + 1) * FILL_CHUNK),
  }));
}

function checkEntry(entry: CounterEntry): void {
  checkCounter(entry);
  checkKey(entry.moneyKey, 'money key');
  assert(Number.isSafeInteger(entry.atMs), 'an entry is at a whole millisecond');
}

const MAX_NOTE_CHARACTERS = 1024;

export function checkRelease({ moneyKey, note = '' }: Release): void {
  checkKey(moneyKey, 'money key');
  assert(note.length <= MAX_NOTE_CHARACTERS, `a note has at most ${MAX_NOTE_CHARACTERS} characters`);
}

/** Only what was decided can be released, and only when every counter that it was charged to is known. */
export function checkKnown<Known extends { readonly isCut: boolean }>(
  moneyKey: string,
  known: Known | undefined,
): asserts known is Known {
  if (known === undefined) {
    throw new CountersignError('RELEASE_REFUSED', `nothing was decided about ${moneyKey}: it holds nothing`);
  }
  if (known.isCut) {
    throw new CountersignError(
      'RELEASE_REFUSED',
      `too many decisions are about ${moneyKey}: the counters that it was charged to are not known any more`,
    );
  }
}

/** Signed bytes may be mined at any time, so what they spend stays counted. */
export function maybeSigned(moneyKey: string): CountersignError {
  return new CountersignError(
    'RELEASE_REFUSED',
    `a report said that a signature of ${moneyKey} may exist: its charges stay`,
  );
}

const MAX_WORD_CHARACTERS = 256;

/** Reports are made by protocols from what was authenticated, within bounds; what does not hold here is a defect of ours. */
export function checkReport({
  moneyKey,
  txId,
  status,
  subStatus = '',
  txHash = '',
  ...report
}: Report): void {
  checkKey(moneyKey, 'money key');
  checkKey(txId, 'transaction id');
  for (const text of [status, subStatus, txHash, report.notification ?? ''])
    assert(
      text.length <= MAX_WORD_CHARACTERS,
      `a word of a report has at most ${MAX_WORD_CHARACTERS} characters`,
    );
  assert(
    Number.isSafeInteger(report.updatedAtMs) && Number.isSafeInteger(report.createdAtMs),
    'reports are of whole milliseconds',
  );
}

function checkCounter({ counter, window, need }: Pick<CounterEntry, 'counter' | 'window' | 'need'>): void {
  checkKey(counter, 'counter');
  if (window.kind === 'rolling') assert(isLength(window.lengthMs), 'a window is whole milliseconds long');
  if (window.kind === 'calendar') {
    assert(Number.isSafeInteger(window.startMs), 'a window starts at a whole millisecond');
    assert(isLength(window.endMs - window.startMs), 'a window ends after it starts');
  }
  if (need.kind === 'amount') checkNatural(need.amount);
  else {
    assert(need.members.length <= MAX_MEMBERS, `a charge has at most ${MAX_MEMBERS} members`);
    for (const member of need.members) checkKey(member, 'member');
  }
}

function isLength(ms: number): boolean {
  return Number.isSafeInteger(ms) && ms > 0;
}

function checkKey(text: string, what: string): void {
  assert(
    text.length > 0 && text.length <= MAX_KEY_CHARACTERS,
    `the ${what} has 1 to ${MAX_KEY_CHARACTERS} characters`,
  );
}

/** Stands in one line with others, separated by blanks. */
function checkToken(text: string, what: string): void {
  checkKey(text, what);
  assert(/^\S+$/.test(text) && text !== '-', `the ${what} has no blanks`);
}

function checkNatural(text: string): void {
  assert(NATURAL.test(text), 'an amount is canonical decimal text of at most 1200 digits');
}

export function otherLedger(identity: string): CountersignError {
  return new CountersignError('CONCURRENT_CHANGE', `the store does not hold the ledger ${identity} any more`);
}
