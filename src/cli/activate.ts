/** Making a policy document the active one: signed by an operator, switched for all replicas at one point of the log. */
import { randomBytes } from 'node:crypto';
import { readText } from '../config/load.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import { type CompiledPolicy, compilePolicy } from '../core/policy/compile.js';
import { entriesFor, historyNeeded, type InstancePlan, planInstances } from '../core/policy/fill.js';
import { policyWarnings } from '../core/policy/warnings.js';
import type { ActivePolicy, Chains, JournalEvent, Ledger } from '../core/ports.js';
import {
  authenticateActivation,
  loadOperatorPrivateKey,
  loadOperators,
  type Statement,
  signStatement,
  verifyStatement,
} from '../keys/statements.js';
import { acceptPolicy, chainsOf } from '../replica/replica.js';

export interface PolicyFileActivation {
  readonly config: Config;
  readonly workspace: WorkspaceConfig;
  readonly ledger: Ledger;
  /** The operator's. */
  readonly privateKeyFile: string;
  readonly startEmpty: readonly string[];
}

/** Activates the workspace's policy file under the word of the operator whose key this is. */
export async function activatePolicyFile({
  config,
  workspace,
  ledger,
  privateKeyFile,
  startEmpty,
}: PolicyFileActivation): Promise<ActivationResult> {
  const source = workspace.policyFile;
  const privateKey = loadOperatorPrivateKey(privateKeyFile);
  const operators = loadOperators(config.operators);
  return activatePolicy({
    ledger,
    chains: chainsOf(workspace),
    workspace: workspace.name,
    document: { text: readText(source), source },
    async sign(claims) {
      const statement = await signStatement(privateKey, claims);
      // A key that no replica knows would leave the whole cluster undecided.
      await verifyStatement(operators, statement);
      return statement;
    },
    isTrusted: (policy, identity) =>
      authenticateActivation(operators, workspace.name)(policy, identity).then(
        () => true,
        () => false,
      ),
    startEmpty,
    accept: (policy) => acceptPolicy(policy, config),
  });
}

export interface ActivationRequest {
  readonly ledger: Ledger;
  readonly chains: Chains;
  readonly workspace: string;
  /** The document's text and what messages call it. */
  readonly document: { readonly text: string; readonly source: string };
  /** Signs the statement that this document is to be active. */
  readonly sign: (claims: Statement) => Promise<string>;
  /** Whether replicas trust a policy that is active; one whose signer has left is activated anew. */
  readonly isTrusted: (policy: ActivePolicy, ledgerIdentity: string) => Promise<boolean>;
  /** New limits whose history the journal no longer holds, and that may start from zero. */
  readonly startEmpty: readonly string[];
  /** Throws when the document cannot be served under the configuration. */
  readonly accept: (policy: CompiledPolicy) => void;
}

export interface ActivationResult {
  readonly version: string;
  /** False: this very document was active already. */
  readonly changed: boolean;
  readonly sequence: number;
  /** Limits that were filled from the journal, with the number of entries. */
  readonly filled: Readonly<Record<string, number>>;
  /** What `policy check` says of it too. */
  readonly warnings: readonly string[];
}

const PAGE = 1_000;
/** Decisions go on while the counters of new limits are filled; each round has fewer left to catch up with. */
const MAX_ROUNDS = 50;

async function activatePolicy(request: ActivationRequest): Promise<ActivationResult> {
  const { ledger, chains, document, workspace } = request;
  const next = compilePolicy(document.text, document.source, chains);
  request.accept(next);
  const warnings = policyWarnings(next);
  const { identity, policy: previous } = await ledger.state();
  if (previous?.version === next.version && (await request.isTrusted(previous, identity))) {
    return { version: next.version, changed: false, sequence: previous.sequence, filled: {}, warnings };
  }
  const plan = planInstances(previous, next, randomBytes(6).toString('hex'));
  const statement = await request.sign({
    statement: 'policy-activate',
    ledger: identity,
    workspace,
    version: next.version,
    previous: previous?.version ?? null,
    issuedAt: new Date().toISOString(),
  });
  const filling = new Filling(request, next, plan);
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    const expectedSequence = await filling.catchUp();
    try {
      const { sequence } = await ledger.activate({
        version: next.version,
        document: document.text,
        instances: plan.instances,
        statement,
        expectedSequence,
      });
      return { version: next.version, changed: true, sequence, filled: filling.counts, warnings };
    } catch (error) {
      if (!(error instanceof CountersignError && error.code === 'CONCURRENT_CHANGE')) throw error;
      if ((await ledger.state()).policy?.sequence !== previous?.sequence) throw overtaken(error);
    }
  }
  throw new CountersignError(
    'CONCURRENT_CHANGE',
    `decisions came faster than new limits could be filled in ${MAX_ROUNDS} rounds`,
  );
}

function overtaken(cause: unknown): CountersignError {
  return new CountersignError(
    'CONCURRENT_CHANGE',
    'somebody else activated a policy at the same time: run the command again',
    { cause },
  );
}

/** Fills the counters of new limits from the journal, from where the last round ended. */
class Filling {
  readonly counts: Record<string, number> = {};
  readonly #paid = new Map<string, number>();
  #covered = 0;

  constructor(
    private readonly request: ActivationRequest,
    private readonly policy: CompiledPolicy,
    private readonly plan: InstancePlan,
  ) {}

  /** Resolves to the last event that the counters take account of. */
  async catchUp(): Promise<number> {
    const { ledger, startEmpty } = this.request;
    const fresh = this.plan.fresh.filter((limit) => !startEmpty.includes(limit));
    if (fresh.length === 0 && !this.#remembersPayments()) return (await ledger.state()).sequence;
    for (;;) {
      const events = await ledger.events(this.#covered, PAGE);
      await this.#refuseForgotten(fresh);
      const filled = await this.#fill(events, fresh);
      this.#covered = events.at(-1)?.sequence ?? this.#covered;
      // Filling is an event too, and others may have come before it.
      if (filled === 0 && events.length < PAGE) return this.#covered;
    }
  }

  /** A limit of new destinations needs to know the others, also where it starts empty itself. */
  #remembersPayments(): boolean {
    return this.plan.fresh.some((name) => this.policy.limits.get(name)?.limit.newDestinations !== undefined);
  }

  /**
   * What was forgotten by now, before it was read, cannot be counted: a limit that looks back further must be told to
   * start empty.
   */
  async #refuseForgotten(fresh: readonly string[]): Promise<void> {
    const { nowMs, trimmed } = await this.request.ledger.upkeep.kept();
    if (trimmed === undefined || trimmed.sequence <= this.#covered) return;
    const limit = fresh.find((name) => {
      const from = historyNeeded(this.policy, [name], nowMs);
      return from === 'beginning' || (from !== undefined && from <= trimmed.atMs);
    });
    if (limit === undefined) return;
    throw new CountersignError(
      'LIMIT_HISTORY_SHORT',
      `limit ${limit} cannot be filled: the events up to ${trimmed.sequence} were forgotten (ledger.retention); --start-empty ${limit} accepts that it counts from the next one`,
    );
  }

  /** Resolves to the number of entries. */
  async #fill(events: readonly JournalEvent[], fresh: readonly string[]): Promise<number> {
    const { entries, moments, gaps } = entriesFor(
      { policy: this.policy, plan: { ...this.plan, fresh }, nowMs: Date.now(), paid: this.#paid },
      events,
    );
    const [gap] = gaps;
    if (gap !== undefined) {
      throw new CountersignError(
        'LIMIT_HISTORY_SHORT',
        `limit ${gap.limit} cannot be filled: of the decision at event ${gap.sequence} ${gap.unknown}; --start-empty ${gap.limit} accepts that it starts from zero`,
      );
    }
    const remembered = this.#remembersPayments() ? moments : [];
    if (entries.length + remembered.length > 0) await this.request.ledger.fill(entries, remembered);
    for (const { counter } of entries) {
      const limit = fresh.find((name) => counter.startsWith(`${this.plan.instances[name]}|`)) ?? '';
      this.counts[limit] = (this.counts[limit] ?? 0) + 1;
    }
    return entries.length + remembered.length;
  }
}
