/** The scripts that decide, record and release, for one limit of amounts and one of destinations that hold for ever. */
import type { KnownFate } from '../../src/core/report.js';
import {
  CONFLICT,
  COOLING_STEPS,
  type Entry,
  FREEZE_REASON,
  type Question,
  RELEASED_BEFORE,
  type Verdict,
} from './events.js';
import { type LedgerState, variantOf } from './ledger-state.js';
import type {
  Caller,
  Change,
  ChangeReply,
  CommitReply,
  Decided,
  FateReply,
  Recorded,
  ReleaseReply,
  ReportReply,
  StateReply,
  Versions,
} from './replies.js';
import { ServerScripts } from './server-model.js';

/** Clocks that differ by more decide nothing. */
export const TOLERANCE_STEPS = 3;

export class LedgerScripts extends ServerScripts {
  commit(
    caller: Caller,
    versions: Versions,
    question: Question & { readonly isFrozen: boolean },
  ): CommitReply {
    const refusal = this.enter(caller);
    if (refusal !== undefined) return refusal;
    const { meta } = this.dataset;
    if (
      versions.ledger !== meta.identity ||
      versions.epoch !== meta.epoch ||
      versions.policy !== meta.policy ||
      versions.freezes !== meta.freezes
    ) {
      return { code: 'STALE' };
    }
    if (this.isSkewed(caller)) return { code: 'CLOCK_SKEW' };
    const { isFrozen, ...asked } = question;
    const { state } = this.look();
    return this.#standing(state, question) ?? this.#decide(state, asked, isFrozen);
  }

  change(caller: Caller, change: Change): ChangeReply {
    const refusal = this.enter(caller);
    if (refusal !== undefined) return refusal;
    const { sequence } = this.dataset.meta;
    if (change.type === 'policy') {
      if (change.expected !== sequence) return { code: 'CHANGED' };
      return this.#done('policy', this.append({ type: 'policy', version: change.version }));
    }
    const known = this.look().state.freezes.get(change.id);
    if (change.type === 'unfreeze') {
      return known === undefined ? { code: 'UNKNOWN' } : this.#done('freezes', this.append(change));
    }
    if (known === undefined) {
      const body = { ...change, type: 'freeze', reason: FREEZE_REASON } as const;
      return this.#done('freezes', this.append(body));
    }
    return { code: 'DONE', sequence: known, isRepeated: true, event: this.unconfirmed(known) };
  }

  state(caller: Caller): StateReply {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    const { identity = '', epoch, sequence, policy, freezes } = this.dataset.meta;
    const standing = [...this.look().state.freezes.values()];
    const inForce = new Set([policy, freezes, ...standing]);
    const unconfirmed = [...inForce].flatMap((each) => this.unconfirmed(each) ?? []);
    return {
      code: 'STATE',
      versions: { ledger: identity, epoch, policy, freezes },
      sequence,
      isFrozen: standing.length > 0,
      unconfirmed: this.removed.has('state-is-witnessed') ? [] : unconfirmed,
    };
  }

  fate(caller: Caller, money: string): FateReply {
    const refusal = this.open(caller);
    if (refusal !== undefined) return refusal;
    const { state } = this.look();
    const fate = state.fates.get(money);
    const { approved, rejected, released } = state.transaction(money);
    const isNeeded = fate !== undefined && !this.removed.has('report-is-witnessed');
    return {
      code: 'FOUND',
      fate,
      unconfirmed: isNeeded ? this.unconfirmed(fate.sequence) : undefined,
      approval: { approved, rejected, released: released !== undefined, batch: false },
    };
  }

  /** @param expected the event that the fate was found in; 0 when there was none */
  report(caller: Caller, money: string, expected: number, known: KnownFate): ReportReply {
    const refusal = this.enter(caller);
    if (refusal !== undefined) return refusal;
    if ((this.look().state.fates.get(money)?.sequence ?? 0) !== expected) return { code: 'CHANGED' };
    const event = this.append({ type: 'report', money, known });
    return { code: 'DONE', sequence: event.sequence, event };
  }

  /** Looking it up and giving back, which are two scripts and an attempt to do it again if anything changed in between. */
  release(caller: Caller, money: string): ReleaseReply {
    const refusal = this.enter(caller);
    if (refusal !== undefined) return refusal;
    const { state } = this.look();
    const { last, released, held } = state.transaction(money);
    if (last === 0 || state.isExpiring(last)) return { code: 'NONE' };
    if (released !== undefined) {
      const isNeeded = !this.removed.has('release-is-witnessed');
      const event = isNeeded ? this.unconfirmed(released) : undefined;
      return { code: 'DONE', sequence: released, repeated: true, event };
    }
    const isSigned = state.fates.get(money)?.known.signed === true;
    if (isSigned && !this.removed.has('report-forbids')) return { code: 'SIGNED' };
    const event = this.append({ type: 'release', money, amount: held });
    return { code: 'DONE', sequence: event.sequence, repeated: false, event };
  }

  protected isSkewed({ now }: Caller): boolean {
    return Math.abs(this.here.now - now) > TOLERANCE_STEPS && !this.removed.has('two-clocks');
  }

  /** What is known of the same question already; undefined when it is to be decided. */
  #standing(
    state: LedgerState,
    { isFrozen, ...asked }: Question & { readonly isFrozen: boolean },
  ): CommitReply | undefined {
    const contradicted = state.conflicts.get(variantOf(asked));
    if (contradicted !== undefined && !this.removed.has('conflict-stands')) {
      return state.isExpiring(contradicted.sequence)
        ? { code: 'EXPIRING' }
        : this.#repeated('CONFLICT', contradicted, contradicted.body);
    }
    const { last, released } = state.transaction(asked.money);
    if (state.isExpiring(last)) return { code: 'EXPIRING' };
    const known = state.asks.get(asked.ask);
    if (known === undefined) return undefined;
    if (state.isExpiring(known.sequence)) return { code: 'EXPIRING' };
    if (known.body.content !== asked.content) return this.#conflict(state, asked, CONFLICT);
    const isApproved = known.body.effect === 'approve';
    if (isApproved && released !== undefined && !this.removed.has('release-is-final'))
      return this.#conflict(state, asked, RELEASED_BEFORE);
    if (isApproved && isFrozen) return { code: 'RETRY' };
    return this.#repeated('DECIDED', known, known.body);
  }

  #decide(state: LedgerState, asked: Question, isFrozen: boolean): CommitReply {
    const verdict = this.#verdict(state, asked);
    const isRefusedAnyhow = verdict.reason === 'REJECTED_BEFORE' || verdict.reason === 'RELEASED_BEFORE';
    if (isFrozen && !isRefusedAnyhow) return { code: 'RETRY' };
    const isWritten = verdict.effect === 'approve' && !this.removed.has('moments-are-written');
    const moments =
      isWritten && asked.whitelists !== undefined ? { [asked.whitelists]: this.here.now } : undefined;
    const body = { ...asked, ...verdict, ...(moments && { moments }) };
    const event = this.append({ type: 'decision', ...body });
    return { code: 'DECIDED', repeated: false, verdict, sequence: event.sequence, event };
  }

  #verdict(state: LedgerState, asked: Question): Verdict {
    const { rejected, released } = state.transaction(asked.money);
    if (released !== undefined && !this.removed.has('release-is-final')) return RELEASED_BEFORE;
    if (rejected) return { effect: 'reject', reason: 'REJECTED_BEFORE' };
    const moment = state.moments.get(asked.to);
    const since = moment === undefined || state.isExpiring(moment.sequence) ? undefined : moment.since;
    if (since !== undefined && since + COOLING_STEPS > this.here.now) {
      return { effect: 'reject', reason: 'COOLING_OFF' };
    }
    return state.fits(asked)
      ? { effect: 'approve', reason: 'APPROVED' }
      : { effect: 'reject', reason: 'LIMIT_EXCEEDED' };
  }

  #conflict(state: LedgerState, asked: Question, verdict: Verdict): Decided {
    const known = state.conflicts.get(variantOf(asked));
    if (known !== undefined) return this.#repeated('CONFLICT', known, known.body);
    const recorded = this.append({ type: 'conflict', ...asked, ...verdict });
    const event = this.removed.has('conflict-is-witnessed') ? undefined : recorded;
    return { code: 'CONFLICT', repeated: false, verdict, sequence: recorded.sequence, event };
  }

  #repeated(code: Decided['code'], entry: Entry, { effect, reason }: Verdict): Decided {
    const isUnneeded =
      this.removed.has('repeat-is-witnessed') ||
      (code === 'CONFLICT' && this.removed.has('conflict-is-witnessed'));
    const event = isUnneeded ? undefined : this.pendingOf(entry);
    return { code, repeated: true, verdict: { effect, reason }, sequence: entry.sequence, event };
  }

  #done(version: 'policy' | 'freezes', event: Recorded): ChangeReply {
    this.set({ [version]: event.sequence });
    return { code: 'DONE', sequence: event.sequence, isRepeated: false, event };
  }
}
