/** The scripts of the janitor, kept.lua, checkpoint.lua and forget.lua, and with them all that a server runs. */
import type { Checkpoint } from '../../src/ledger/journal-body.js';
import { type Entry, FREEZE_REASON } from './events.js';
import { LedgerScripts } from './ledger-model.js';
import type { LedgerState } from './ledger-state.js';
import type {
  Caller,
  CheckpointReply,
  Covering,
  ExportableReply,
  ForgetReply,
  KeptReply,
} from './replies.js';

const AMOUNTS = { counter: 'amounts', mode: 'enforce', window: { kind: 'lifetime' } } as const;
const DESTINATIONS = { ...AMOUNTS, counter: 'destinations' } as const;

export class Scripts extends LedgerScripts {
  kept(caller: Caller): KeptReply {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    const { identity = '', checkpoint, covered, trimmed } = this.dataset.meta;
    const { now } = this.here;
    const { journal } = this.look();
    const marks = { ledger: identity, now, checkpoint, covered, trimmed };
    return { code: 'KEPT', ...marks, journal, event: this.unconfirmed(checkpoint) };
  }

  /** What may be exported: nothing that stands behind an event that is not on enough witnesses. */
  exportable(caller: Caller): ExportableReply {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    const { meta } = this.dataset;
    const oldest = Math.min(...this.keys(meta.epoch).pending);
    const { journal } = this.look();
    return { code: 'EXPORTABLE', journal: journal.filter(({ sequence }) => sequence < oldest) };
  }

  checkpoint(caller: Caller, { from, to, retention }: Covering): CheckpointReply {
    const refusal = this.enter(caller);
    if (refusal !== undefined) return refusal;
    if (this.isSkewed(caller)) return { code: 'CLOCK_SKEW' };
    const { covered, trimmed } = this.dataset.meta;
    if (from !== covered || trimmed !== covered) return { code: 'CHANGED' };
    const { journal, state } = this.look();
    const range = journal.filter(({ sequence }) => sequence > from && sequence <= to);
    if (range.at(-1)?.sequence !== to) return { code: 'CHANGED' };
    const newestAt = Math.max(...range.map(({ at }) => at));
    const now = this.removed.has('two-clocks') ? this.here.now : Math.min(this.here.now, caller.now);
    if (newestAt + retention >= now) return { code: 'YOUNG' };
    const holders = holdersOf(range);
    if (this.#isUngrounded(state, holders, to)) return { code: 'PENDING' };
    const body = this.#checkpoint(state, { range, holders });
    const event = this.append({ type: 'checkpoint', ...body, from, to, atMs: newestAt });
    this.set({ checkpoint: event.sequence, covered: to });
    return { code: 'DONE', sequence: event.sequence, event };
  }

  forget(caller: Caller, to: number): ForgetReply {
    const refusal = this.enter(caller);
    if (refusal !== undefined) return refusal;
    const { epoch, checkpoint, covered, trimmed } = this.dataset.meta;
    if (to !== covered || trimmed === covered) return { code: 'CHANGED' };
    const { journal, pending } = this.keys(epoch);
    if (pending.has(checkpoint) && !this.removed.has('forget-is-witnessed')) return { code: 'PENDING' };
    this.setKeys(epoch, { journal: journal.filter(({ sequence }) => sequence > to), pending });
    this.set({ trimmed: to });
    return { code: 'DONE' };
  }

  /** Whether anything that the checkpoint would say may still be forgotten by a fail-over. */
  #isUngrounded(state: LedgerState, holders: readonly string[], to: number): boolean {
    const { epoch, policy, freezes } = this.dataset.meta;
    const carried = holders.map((money) => state.transaction(money).last);
    const restsOn = Math.max(to, policy, freezes, ...carried);
    return [...this.keys(epoch).pending].some((sequence) => sequence <= restsOn);
  }

  #checkpoint(
    state: LedgerState,
    { range, holders }: { readonly range: readonly Entry[]; readonly holders: readonly string[] },
  ): Omit<Checkpoint, 'from' | 'to' | 'atMs'> {
    const { identity = '', policy, freezes } = this.dataset.meta;
    const to = range.at(-1)?.sequence ?? 0;
    const isKept = (rule: Parameters<typeof this.removed.has>[0]) => !this.removed.has(rule);
    const isForgotten = (money: string) => state.transaction(money).last <= to;
    const earlier = range.flatMap(({ body }) => (body.type === 'checkpoint' ? [body] : []));
    const forgotten = holders.filter(isForgotten).map((money) => String(state.transaction(money).held));
    const before = earlier.flatMap(({ totals }) => totals.map(({ amount }) => amount));
    const amounts = [
      ...(isKept('checkpoint-has-totals') ? forgotten : []),
      ...(isKept('checkpoint-goes-on') ? before : []),
    ];
    const members = [...state.destinations].filter(([name]) => isNamedIn(range, name));
    const standing = [...state.freezes].filter(([, sequence]) => sequence <= to);
    const told = holders.filter((money) => !isForgotten(money) || state.transaction(money).isCarried);
    return {
      ledger: identity,
      versions: { policy, freezes },
      freezes: isKept('checkpoint-has-freezes')
        ? standing.map(([id, sequence]) => ({ sequence, freeze: { id, reason: FREEZE_REASON } }))
        : [],
      totals: amounts.map((amount) => ({ ...AMOUNTS, amount })),
      members: isKept('checkpoint-has-members') ? [{ ...DESTINATIONS, members }] : [],
      facts: [],
      transactions: isKept('checkpoint-carries')
        ? told.map((moneyKey) => statementOf(state, moneyKey, isForgotten(moneyKey)))
        : [],
    };
  }
}

/** Transactions that these events are about. */
function holdersOf(range: readonly Entry[]): readonly string[] {
  const named = range.flatMap(({ body }) =>
    body.type === 'decision' || body.type === 'release' ? [body.money] : [],
  );
  return [...new Set(named)];
}

function isNamedIn(range: readonly Entry[], destination: string): boolean {
  return range.some(({ body }) => {
    if (body.type === 'decision') return body.effect === 'approve' && body.to === destination;
    if (body.type !== 'checkpoint') return false;
    return body.members.some(({ members }) => members.some(([name]) => name === destination));
  });
}

function statementOf(
  state: LedgerState,
  moneyKey: string,
  isForgotten: boolean,
): Checkpoint['transactions'][number] {
  const { approved, rejected, released, held, last } = state.transaction(moneyKey);
  if (isForgotten) return { moneyKey, held: [{ ...AMOUNTS, amount: '0', atMs: 0 }] };
  const known = { approved, rejected, ...(released !== undefined && { released }), events: String(last) };
  return { moneyKey, known, held: [{ ...AMOUNTS, amount: String(held), atMs: 0 }] };
}
