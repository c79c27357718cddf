/** A run in figures: what is kept as JSON, and what the page and the verdict are made from. */

import type { FatalName } from '../faults/catalogue.js';
import { CATALOGUE } from '../faults/catalogue.js';
import type { PlannedFault } from '../faults/plan.js';
import type { Evidence } from '../history/check.js';
import { decisionTimes, type Figures, figuresOf, longestGap } from '../history/figures.js';
import { questionKey } from '../history/history.js';
import { fullest, paymentsToNew } from '../history/totals.js';
import { CHECKS, type Check, type Violation } from '../history/violation.js';
import type { Options } from '../options.js';

/** A fault as it happened. */
export interface Struck extends PlannedFault {
  readonly target: string;
  readonly evidence: string;
  readonly beganMs: number;
  readonly healedMs: number;
  /** When all processes were up and of one mind again. */
  readonly wholeMs: number;
}

export interface FaultReport
  extends Pick<Struck, 'target' | 'evidence' | 'beganMs' | 'healedMs' | 'wholeMs'> {
  readonly name: PlannedFault['name'] | FatalName;
  readonly about: string;
  /** The longest time without any decision between this fault and the next. */
  readonly gapMs: number;
  /** From the fault to the first decision after that. */
  readonly recoveredMs: number;
}

export interface Report {
  readonly mode: Options['mode'];
  readonly seed: string;
  readonly seconds: number;
  readonly rate: number;
  readonly passed: boolean;
  readonly checks: readonly { readonly check: Check; readonly about: string; readonly violations: number }[];
  readonly violations: readonly Violation[];
  readonly figures: Figures;
  /** How full each limit was at most. */
  readonly limits: readonly { readonly limit: string; readonly percent: string }[];
  /** Approvals to destinations that are new to the limit for such, and to such as it knows. */
  readonly payments: { readonly toNew: number; readonly toKnown: number };
  readonly notifications: Notifications;
  readonly faults: readonly FaultReport[];
  readonly events: number;
  readonly forged: number;
  /** When the co-signers were told to take no new transactions. */
  readonly endMs: number;
}

export interface Notifications {
  readonly sent: number;
  readonly acknowledged: number;
  readonly transactions: number;
  /** What was new in them. */
  readonly events: number;
  /** Transactions whose charges were given back. */
  readonly releases: number;
}

export interface Outcome extends Evidence {
  readonly options: Options;
  readonly struck: readonly Struck[];
  readonly fatal: FaultReport | undefined;
  readonly endMs: number;
  readonly violations: readonly Violation[];
}

/** What the control says nothing of. */
const UNCONTROLLED: ReadonlySet<Check> = new Set(['charged', 'reports', 'releases']);

export function reportOf({ options, struck, fatal, endMs, violations, ...evidence }: Outcome): Report {
  const { history, entries, limits, settled } = evidence;
  const { mode, seed, seconds, rate } = options;
  const kept = { entries: new Map(entries.map((entry) => [questionKey(entry), entry])), settled };
  const names = Object.entries(CHECKS) as [Check, string][];
  return {
    mode,
    seed,
    seconds,
    rate,
    passed: violations.length === 0,
    checks: names
      .filter(([check]) => check !== 'end' || fatal !== undefined)
      .filter(([check]) => mode !== 'naive' || !UNCONTROLLED.has(check))
      .map(([check, about]) => ({
        check,
        about,
        violations: violations.filter((violation) => violation.check === check).length,
      })),
    violations,
    figures: figuresOf(history, endMs),
    limits: fullest(history, kept, limits),
    payments: paymentsToNew(history, kept, limits),
    notifications: {
      sent: history.tellings.length,
      acknowledged: history.tellings.filter(({ answer }) => answer?.status === 200).length,
      transactions: new Set(history.tellings.map(({ txId }) => txId)).size,
      events: settled.reports.length,
      releases: settled.releases.length,
    },
    faults: [...faultsOf(struck, decisionTimes(history), endMs), ...(fatal === undefined ? [] : [fatal])],
    events: entries.length,
    forged: history.forged.length,
    endMs,
  };
}

function faultsOf(
  struck: readonly Struck[],
  times: readonly number[],
  endMs: number,
): readonly FaultReport[] {
  return struck.map(({ name, target, evidence, beganMs, healedMs, wholeMs }, index) => {
    const next = struck[index + 1]?.beganMs;
    // What the next fault prolongs is that one's.
    const own = next === undefined ? times : times.filter((time) => time < next);
    const gap = longestGap(own, beganMs, next ?? endMs);
    return {
      name,
      about: CATALOGUE[name].about,
      target,
      evidence,
      beganMs: Math.round(beganMs),
      healedMs: Math.round(healedMs),
      wholeMs: Math.round(wholeMs),
      gapMs: Math.round(gap.lengthMs),
      recoveredMs: Math.round(gap.endsMs - beganMs),
    };
  });
}
