/**
 * What Prometheus sees. Label values come from the configuration, the policy document or closed sets of ours:
 * never from a request, so that a stranger cannot grow the number of series.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Outcome } from '../core/decision.js';
import type { LedgerProblem } from '../core/fence.js';
import type { CounterUse, Freeze } from '../core/ports.js';
import type { Request } from '../core/request.js';

/** Up to the 30 s at which co-signers give up. */
const DURATION_BUCKETS_SECONDS = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 25, 30];

export class Metrics {
  readonly registry = new Registry();

  readonly #requests = new Counter({
    name: 'countersign_requests_total',
    help: 'Authenticated requests by what they ask for and how they were answered.',
    labelNames: ['workspace', 'cosigner', 'kind', 'stage', 'answer'],
    registers: [this.registry],
  });
  readonly #decisions = new Counter({
    name: 'countersign_decisions_total',
    help: 'Decisions recorded by this replica (repeats not counted), by effect, rule and reason.',
    labelNames: ['workspace', 'effect', 'rule', 'reason'],
    registers: [this.registry],
  });
  readonly #repeats = new Counter({
    name: 'countersign_repeated_answers_total',
    help: 'Deliveries that were answered with a decision that stood already.',
    labelNames: ['workspace', 'cosigner'],
    registers: [this.registry],
  });
  readonly #conflicts = new Counter({
    name: 'countersign_conflicts_total',
    help: 'Requests whose content differs from what their id or transaction is known by.',
    labelNames: ['workspace', 'cosigner', 'reason'],
    registers: [this.registry],
  });
  readonly #undecided = new Counter({
    name: 'countersign_undecided_total',
    help: 'Requests answered with "ask again", by reason.',
    labelNames: ['workspace', 'cosigner', 'reason'],
    registers: [this.registry],
  });
  readonly #unsignedVotes = new Counter({
    name: 'countersign_unsigned_votes_total',
    help: 'Votes that left without a signature: the contract mode of io.finnet has none, so nothing but TLS vouches for them.',
    labelNames: ['workspace', 'cosigner', 'answer'],
    registers: [this.registry],
  });
  readonly #refused = new Counter({
    name: 'countersign_refused_messages_total',
    help: 'Messages that never became a request: bad signatures, malformed or oversized bodies.',
    labelNames: ['path', 'code'],
    registers: [this.registry],
  });
  readonly #unknownPaths = new Counter({
    name: 'countersign_unknown_paths_total',
    help: 'Requests to a path that no co-signer is configured for.',
    registers: [this.registry],
  });
  readonly #duration = new Histogram({
    name: 'countersign_request_duration_seconds',
    help: 'From the whole body of a request to its signed answer.',
    labelNames: ['workspace', 'cosigner'],
    buckets: DURATION_BUCKETS_SECONDS,
    registers: [this.registry],
  });
  readonly #faults = new Counter({
    name: 'countersign_faults_total',
    help: 'Faults met while deciding, including those that a later attempt within the deadline made good.',
    labelNames: ['workspace', 'reason'],
    registers: [this.registry],
  });
  readonly #limitUse = new Gauge({
    name: 'countersign_limit_used_ratio',
    help: 'How full the counter of a limit was after its newest charge: 1 is full.',
    labelNames: ['workspace', 'limit', 'mode'],
    registers: [this.registry],
  });
  readonly #limitNear = new Counter({
    name: 'countersign_limit_near_total',
    help: 'Charges that left a counter at or above the limit’s nearLimit fraction.',
    labelNames: ['workspace', 'limit', 'mode'],
    registers: [this.registry],
  });
  readonly #shadowExceeded = new Counter({
    name: 'countersign_shadow_limit_exceeded_total',
    help: 'Charges of rules in shadow mode that their limit would have refused, had the rule been enforced.',
    labelNames: ['workspace', 'limit'],
    registers: [this.registry],
  });
  readonly #inFlight = new Gauge({
    name: 'countersign_requests_in_flight',
    help: 'Requests that are being decided now.',
    registers: [this.registry],
  });
  readonly #ledgerProblem = new Gauge({
    name: 'countersign_ledger_problem',
    help: '1 while the ledger has this problem, as readiness last saw it; FENCED: nothing is decided until an operator activates it.',
    labelNames: ['workspace', 'problem'],
    registers: [this.registry],
  });
  readonly #policy = new Gauge({
    name: 'countersign_policy_info',
    help: 'Always 1; the active policy by the start of its SHA-256, as this replica last knew it.',
    labelNames: ['workspace', 'version'],
    registers: [this.registry],
  });
  readonly #freezes = new Gauge({
    name: 'countersign_freezes',
    help: 'Freezes in force by what they answer, as this replica last knew them; those that expired are not counted.',
    labelNames: ['workspace', 'answers'],
    registers: [this.registry],
    collect: () => this.#countFreezes(),
  });
  readonly #unverified = new Gauge({
    name: 'countersign_policy_unverified_rules',
    help: 'Rules of the active policy that approve without verifying raw bytes (verify: off).',
    labelNames: ['workspace'],
    registers: [this.registry],
  });

  readonly #exportLines = new Counter({
    name: 'countersign_audit_lines_total',
    help: 'Events of the journal that this replica exported.',
    labelNames: ['workspace'],
    registers: [this.registry],
  });
  readonly #exportBehind = new Gauge({
    name: 'countersign_audit_behind_events',
    help: 'How many events the ledger was ahead of the export, when this replica last exported.',
    labelNames: ['workspace'],
    registers: [this.registry],
  });
  readonly #exportAt = new Gauge({
    name: 'countersign_audit_last_success_timestamp_seconds',
    help: 'When this replica last exported, or found that there was nothing new; only the one that exports has it.',
    labelNames: ['workspace'],
    registers: [this.registry],
  });
  readonly #exportErrors = new Counter({
    name: 'countersign_audit_errors_total',
    help: 'Attempts to export that failed, and files that are damaged.',
    labelNames: ['workspace'],
    registers: [this.registry],
  });

  readonly #versions = new Map<string, string>();
  readonly #known = new Map<string, readonly Freeze[]>();
  readonly #ledgerProblems = new Map<string, ReadonlySet<LedgerProblem['code']>>();

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  started(): void {
    this.#inFlight.inc();
  }

  finished(): void {
    this.#inFlight.dec();
  }

  answered(request: Request, outcome: Outcome, seconds: number): void {
    const { workspace, cosigner } = request;
    this.#duration.observe({ workspace, cosigner }, seconds);
    const answer = outcome.kind === 'decided' ? outcome.decision.effect : 'retry';
    this.#requests.inc({ workspace, cosigner, kind: request.kind, stage: request.stage, answer });
    if (request.unsigned !== undefined && request.unsigned.nonce === undefined)
      this.#unsignedVotes.inc({ workspace, cosigner, answer });
    if (outcome.kind === 'undecided') {
      this.#undecided.inc({ workspace, cosigner, reason: outcome.reason });
    } else if (outcome.conflict) {
      this.#conflicts.inc({ workspace, cosigner, reason: outcome.decision.reason });
    } else if (outcome.repeated) {
      this.#repeats.inc({ workspace, cosigner });
    } else {
      const { effect, rule, reason } = outcome.decision;
      this.#decisions.inc({ workspace, effect, rule: rule ?? '', reason });
    }
  }

  refused(path: string, code: string): void {
    this.#refused.inc({ path, code });
  }

  pathUnknown(): void {
    this.#unknownPaths.inc();
  }

  faulted(workspace: string, reason: string): void {
    this.#faults.inc({ workspace, reason });
  }

  limitsCharged(workspace: string, use: readonly CounterUse[]): void {
    for (const { limit, mode, used, max, near, exceeded } of use) {
      this.#limitUse.set({ workspace, limit, mode }, ratio(BigInt(used), BigInt(max)));
      if (near) this.#limitNear.inc({ workspace, limit, mode });
      if (exceeded) this.#shadowExceeded.inc({ workspace, limit });
    }
  }

  ledgerChecked(workspace: string, problems: readonly LedgerProblem[]): void {
    const codes = new Set(problems.map(({ code }) => code));
    for (const problem of this.#ledgerProblems.get(workspace) ?? [])
      if (!codes.has(problem)) this.#ledgerProblem.remove({ workspace, problem });
    for (const problem of codes) this.#ledgerProblem.set({ workspace, problem }, 1);
    this.#ledgerProblems.set(workspace, codes);
  }

  policyActive(workspace: string, version: string, unverifiedRules: number): void {
    const known = this.#versions.get(workspace);
    if (known !== undefined) this.#policy.remove({ workspace, version: known });
    this.#versions.set(workspace, version.slice(0, 12));
    this.#policy.set({ workspace, version: version.slice(0, 12) }, 1);
    this.#unverified.set({ workspace }, unverifiedRules);
  }

  freezesKnown(workspace: string, freezes: readonly Freeze[]): void {
    this.#known.set(workspace, freezes);
  }

  exported(workspace: string, { lines, behind }: { readonly lines: number; readonly behind: number }): void {
    this.#exportLines.inc({ workspace }, lines);
    this.#exportBehind.set({ workspace }, behind);
    this.#exportAt.setToCurrentTime({ workspace });
  }

  exportFailed(workspace: string): void {
    this.#exportErrors.inc({ workspace });
  }

  /** Counted when somebody looks: a freeze expires without anything else happening. */
  #countFreezes(): void {
    const nowMs = Date.now();
    for (const [workspace, freezes] of this.#known) {
      const standing = freezes.filter(({ expiresAtMs = Number.POSITIVE_INFINITY }) => expiresAtMs > nowMs);
      for (const answers of ['retry', 'reject'] as const)
        this.#freezes.set(
          { workspace, answers },
          standing.filter((freeze) => freeze.answers === answers).length,
        );
    }
  }
}

/** For people and alerts only: four decimals of an exact quotient. */
function ratio(used: bigint, max: bigint): number {
  return max === 0n ? 1 : Number((used * 10_000n) / max) / 10_000;
}
