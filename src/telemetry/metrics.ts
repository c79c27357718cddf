/**
 * What Prometheus sees. Label values come from the configuration, the policy document or closed sets of ours:
 * never from a request, so that a stranger cannot grow the number of series.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import { type Outcome, UNDECIDED } from '../core/decision.js';
import type { Freeze } from '../core/ports.js';
import type { Request } from '../core/request.js';
import type { RetrySchedule } from '../core/waiting.js';
import { AuditMetrics } from './audit-metrics.js';
import { ANSWER_BUCKETS, STEP_BUCKETS } from './buckets.js';
import { ChangeMetrics } from './change-metrics.js';
import { ChannelMetrics } from './channel-metrics.js';
import { FileMetrics } from './file-metrics.js';
import { KeyMetrics } from './key-metrics.js';
import { LedgerMetrics } from './ledger-metrics.js';
import { LimitMetrics } from './limit-metrics.js';
import { RefusalMetrics } from './refusal-metrics.js';
import { ReloadMetrics } from './reload-metrics.js';
import { ReportMetrics } from './report-metrics.js';
import { type Asker, RetryMetrics } from './retry-metrics.js';
import type { Step } from './trail.js';
import { VendorMetrics } from './vendor-metrics.js';

/** What is looked up for a scrape may take no longer: a scrape must succeed when the ledger is down. */
const REFRESH_MS = 1_500;

const CONFLICTS = [
  'CONFLICT_CONTENT',
  'CONFLICT_TRANSACTION',
  'CONFLICT_BINDING',
  'CONFLICT_AMOUNT',
] as const;

const POLICY_PROBLEMS = ['POLICY_MISSING', 'POLICY_UNTRUSTED', 'POLICY_INVALID'] as const;

/** How a request was answered, and in what time. */
export interface AnsweredRequest {
  readonly request: Request;
  readonly outcome: Outcome;
  /** The base path it came to. */
  readonly path: string;
  /** False: the connection was closed instead. */
  readonly answered: boolean;
  readonly askKey: string;
  readonly seconds: number;
}

export interface ExpectedAsker extends Asker {
  readonly path: string;
  /** How long it goes on asking; undefined: it does not know "ask again". */
  readonly retries: RetrySchedule | undefined;
}

export class Metrics {
  readonly registry = new Registry();
  readonly ledger = new LedgerMetrics(this.registry);
  readonly limits = new LimitMetrics(this.registry);
  readonly retries = new RetryMetrics(this.registry);
  readonly files = new FileMetrics(this.registry);
  readonly keys = new KeyMetrics(this.registry);
  readonly audit = new AuditMetrics(this.registry);
  readonly vendor = new VendorMetrics(this.registry);
  readonly reports = new ReportMetrics(this.registry);
  readonly channels = new ChannelMetrics(this.registry);
  readonly reloads = new ReloadMetrics(this.registry);
  readonly refusals = new RefusalMetrics(this.registry);
  readonly changes = new ChangeMetrics(this.registry);

  readonly #requests = new Counter({
    name: 'countersign_requests_total',
    help: 'Authenticated requests by what they ask for and how they were answered; none: the connection was closed.',
    labelNames: ['workspace', 'cosigner', 'path', 'kind', 'stage', 'answer'],
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
  readonly #duration = new Histogram({
    name: 'countersign_request_duration_seconds',
    help: 'From the whole body of a request to its signed answer.',
    labelNames: ['workspace', 'cosigner', 'path'],
    buckets: ANSWER_BUCKETS,
    registers: [this.registry],
  });
  readonly #steps = new Histogram({
    name: 'countersign_step_duration_seconds',
    help: 'The steps of answering a request, all attempts of one together.',
    labelNames: ['step'],
    buckets: STEP_BUCKETS,
    registers: [this.registry],
  });
  readonly #unexpected = new Counter({
    name: 'countersign_unexpected_faults_total',
    help: 'Messages that met a fault outside of deciding and were answered with HTTP 500.',
    registers: [this.registry],
  });
  readonly #faults = new Counter({
    name: 'countersign_faults_total',
    help: 'Faults met while deciding, including those that a later attempt within the deadline made good.',
    labelNames: ['workspace', 'reason'],
    registers: [this.registry],
  });
  readonly #inFlight = new Gauge({
    name: 'countersign_requests_in_flight',
    help: 'Requests that are being decided now.',
    registers: [this.registry],
  });
  readonly #ready = new Gauge({
    name: 'countersign_ready',
    help: '1 when this check of readiness is well; looked at for each scrape.',
    labelNames: ['check'],
    registers: [this.registry],
  });
  readonly #policy = new Gauge({
    name: 'countersign_policy_info',
    help: 'Always 1; the active policy by the start of its SHA-256, as this replica last knew it.',
    labelNames: ['workspace', 'version'],
    registers: [this.registry],
  });
  readonly #policyProblem = new Gauge({
    name: 'countersign_policy_problem',
    help: '1 while the active policy cannot be used for this reason, as this replica last saw it.',
    labelNames: ['workspace', 'code'],
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

  readonly #build = new Gauge({
    name: 'countersign_build_info',
    help: 'Always 1; the version of Countersign and of Node.',
    labelNames: ['version', 'node'],
    registers: [this.registry],
  });

  readonly #versions = new Map<string, string>();
  readonly #known = new Map<string, readonly Freeze[]>();
  readonly #beforeScrape: (() => Promise<unknown>)[] = [];
  #refreshing: Promise<unknown> | undefined;

  constructor() {
    collectDefaultMetrics({ register: this.registry });
  }

  /** Series that begin at zero, so that the first occurrence is an increase. */
  expect(askers: readonly ExpectedAsker[]): void {
    for (const { workspace, cosigner, path, retries } of askers) {
      if (retries !== undefined) this.retries.expect({ workspace, cosigner }, retries);
      this.changes.expect(workspace);
      this.#duration.zero({ workspace, cosigner, path });
      for (const reason of CONFLICTS) this.#conflicts.inc({ workspace, cosigner, reason }, 0);
      for (const reason of Object.keys(UNDECIDED)) {
        this.#undecided.inc({ workspace, cosigner, reason }, 0);
        this.#faults.inc({ workspace, reason }, 0);
      }
      this.refusals.expect(path);
    }
  }

  built(version: string): void {
    this.#build.set({ version, node: process.version }, 1);
  }

  /** What is looked at anew before figures are given; a failure of it keeps the figures as they were. */
  onScrape(look: () => Promise<unknown>): void {
    this.#beforeScrape.push(look);
  }

  /** All figures in the Prometheus text format. */
  async text(): Promise<string> {
    this.#refreshing ??= Promise.allSettled(this.#beforeScrape.map((look) => look())).finally(() => {
      this.#refreshing = undefined;
    });
    const late = new AbortController();
    await Promise.race([
      this.#refreshing,
      sleep(REFRESH_MS, undefined, { signal: late.signal }).catch(() => undefined),
    ]);
    late.abort();
    return this.registry.metrics();
  }

  started(): void {
    this.#inFlight.inc();
  }

  finished(): void {
    this.#inFlight.dec();
  }

  answered({ request, outcome, path, answered, askKey, seconds }: AnsweredRequest): void {
    const { workspace, cosigner, kind, stage } = request;
    this.#duration.observe({ workspace, cosigner, path }, seconds);
    const effect = outcome.kind === 'decided' ? outcome.decision.effect : 'retry';
    this.#requests.inc({ workspace, cosigner, path, kind, stage, answer: answered ? effect : 'none' });
    this.changes.answered(request, effect);
    if (request.unsigned !== undefined && request.unsigned.nonce === undefined)
      this.#unsignedVotes.inc({ workspace, cosigner, answer: effect });
    if (outcome.kind === 'undecided') {
      this.retries.askedAgain(request, askKey, outcome);
      this.#undecided.inc({ workspace, cosigner, reason: outcome.reason });
      return;
    }
    this.retries.decided(workspace, askKey);
    const { rule, reason, limit } = outcome.decision;
    if (outcome.conflict) {
      this.#conflicts.inc({ workspace, cosigner, reason });
    } else if (outcome.repeated) {
      this.#repeats.inc({ workspace, cosigner });
    } else {
      this.#decisions.inc({ workspace, effect, rule: rule ?? '', reason });
      if (limit !== undefined) this.limits.refused(workspace, limit);
    }
  }

  stepTaken(step: Step, seconds: number): void {
    this.#steps.observe({ step }, seconds);
  }

  faulted(workspace: string, reason: string): void {
    this.#faults.inc({ workspace, reason });
  }

  crashed(): void {
    this.#unexpected.inc();
  }

  checked(check: string, isWell: boolean): void {
    this.#ready.set({ check }, isWell ? 1 : 0);
  }

  policyActive(
    workspace: string,
    version: string,
    { unverifiedRules, limits }: { readonly unverifiedRules: number; readonly limits: readonly string[] },
  ): void {
    const known = this.#versions.get(workspace);
    const short = version.slice(0, 12);
    if (known !== short) this.limits.adopted(workspace, limits);
    if (known !== undefined) this.#policy.remove({ workspace, version: known });
    this.#versions.set(workspace, short);
    this.#policy.set({ workspace, version: short }, 1);
    this.#unverified.set({ workspace }, unverifiedRules);
  }

  /** Why the active policy cannot be used; undefined when it can. Other codes than those of policies say nothing. */
  policyChecked(workspace: string, problem: string | undefined): void {
    if (problem !== undefined && !POLICY_PROBLEMS.some((code) => code === problem)) return;
    for (const code of POLICY_PROBLEMS)
      this.#policyProblem.set({ workspace, code }, code === problem ? 1 : 0);
  }

  freezesKnown(workspace: string, freezes: readonly Freeze[]): void {
    this.#known.set(workspace, freezes);
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
