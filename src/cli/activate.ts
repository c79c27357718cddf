/** Making a policy document the active one: signed by an operator, switched for all replicas at one point of the log. */
import { readText } from '../config/load.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import { compilePolicy } from '../core/policy/compile.js';
import { entriesFor, planInstances } from '../core/policy/fill.js';
import type { Chains, JournalEvent, Ledger, LedgerState } from '../core/ports.js';
import {
  loadOperatorPrivateKey,
  loadOperators,
  type Statement,
  signStatement,
  verifyStatement,
} from '../keys/statements.js';
import { accept, chainsOf } from '../replica.js';

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
    startEmpty,
    accept: (policy) => accept({ policy }, config),
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
  /** New limits whose history the journal no longer holds, and that may start from zero. */
  readonly startEmpty: readonly string[];
  readonly accept: (policy: ReturnType<typeof compilePolicy>) => void;
}

export interface ActivationResult {
  readonly version: string;
  /** False: this very document was active already. */
  readonly changed: boolean;
  readonly sequence: number;
  /** Limits that were filled from the journal, with the number of entries. */
  readonly filled: Readonly<Record<string, number>>;
}

const PAGE = 1_000;
/** Decisions go on while the counters of new limits are filled; each round has fewer left to catch up with. */
const MAX_ROUNDS = 50;

export async function activatePolicy(request: ActivationRequest): Promise<ActivationResult> {
  const { ledger, chains, document } = request;
  const next = compilePolicy(document.text, document.source, chains);
  request.accept(next);
  let state = await ledger.state();
  if (state.policy?.version === next.version) {
    return { version: next.version, changed: false, sequence: state.policy.sequence, filled: {} };
  }
  const previous = state.policy;
  const plan = planInstances(
    previous === undefined
      ? undefined
      : {
          policy: compilePolicy(previous.document, 'the active policy', chains),
          instances: previous.instances,
        },
    next,
  );
  const statement = await request.sign({
    statement: 'policy-activate',
    ledger: state.identity,
    workspace: request.workspace,
    version: next.version,
    previous: previous?.version ?? null,
    issuedAt: new Date().toISOString(),
  });
  const filled: Record<string, number> = {};
  let covered = 0;
  for (let round = 0; round < MAX_ROUNDS; round += 1) {
    covered = await fillUpTo(request, state, { next, plan, filled, covered });
    try {
      const { sequence } = await ledger.activate({
        version: next.version,
        document: document.text,
        instances: plan.instances,
        statement,
        expectedSequence: covered,
      });
      return { version: next.version, changed: true, sequence, filled };
    } catch (error) {
      if (!(error instanceof CountersignError && error.code === 'CONCURRENT_CHANGE')) throw error;
      state = await ledger.state();
      if (state.policy?.sequence !== previous?.sequence) {
        throw new CountersignError(
          'CONCURRENT_CHANGE',
          'somebody else activated a policy at the same time: run the command again',
        );
      }
    }
  }
  throw new CountersignError(
    'CONCURRENT_CHANGE',
    `decisions came faster than new limits could be filled in ${MAX_ROUNDS} rounds`,
  );
}

interface Filling {
  readonly next: ReturnType<typeof compilePolicy>;
  readonly plan: ReturnType<typeof planInstances>;
  readonly filled: Record<string, number>;
  readonly covered: number;
}

/** Reads the journal from `covered` to its end into the counters of new limits; resolves to the last event read. */
async function fillUpTo(
  { ledger, startEmpty }: ActivationRequest,
  state: LedgerState,
  { next, plan, filled, covered }: Filling,
): Promise<number> {
  const limits = plan.fresh.filter((limit) => !startEmpty.includes(limit));
  if (limits.length === 0) return state.sequence;
  let after = covered;
  for (;;) {
    const events: readonly JournalEvent[] = await ledger.events(after, PAGE);
    const first = events[0];
    if (after === 0 && first !== undefined && first.type !== 'ledger') {
      throw new CountersignError(
        'LIMIT_HISTORY_SHORT',
        `the journal begins at event ${first.sequence}: too late to fill ${limits.join(', ')}; --start-empty LIMIT accepts that a limit starts from zero`,
      );
    }
    const entries = entriesFor(next, { instances: plan.instances, limits, events });
    await ledger.fill(entries);
    for (const { limit } of entries) filled[limit] = (filled[limit] ?? 0) + 1;
    const last = events.at(-1);
    if (last === undefined) return Math.max(after, covered);
    after = last.sequence;
    if (events.length < PAGE) return after;
  }
}
