/** `countersign ledger activate`: an operator's word that the store, as it is now, may go on deciding. */
import { Command } from 'commander';
import { CountersignError } from '../core/errors.js';
import type { Fence, FenceState } from '../core/fence.js';
import type { Ledger } from '../core/ports.js';
import {
  loadOperatorPrivateKey,
  loadOperators,
  type Operator,
  signStatement,
  verifyStatement,
} from '../keys/statements.js';
import { withLedger } from './ledger.js';
import { activateWitnessed } from './ledger-salvage.js';
import { repeatable, wholeNumber } from './options.js';

export interface ActivateOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly key: string;
  readonly above: number;
  readonly audit: readonly string[];
  readonly publicKey: readonly string[];
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

/** Sequence numbers must stay exact where scripts keep them as doubles. */
const MAX_ABOVE = 1e15;

const WHAT = `
Without witnesses: after a restart or fail-over of which it is not certain that nothing was lost. The store is taken as it is;
what an audit trail has more, \`countersign ledger import\` adds before.

With witnesses (ledger.durability) replicas recover the ledger by themselves, as long as a majority of the witnesses has its
disks. When most have lost them, the ledger becomes everything that is still known: by the server, by the witnesses that are
left, and by the audit trail. Every witness must answer: start an empty one in place of each that is lost for good. It is
refused while a majority may hold the log: a disk that comes back is worth more than this. --dry-run shows what is there and what may
be lost. If the command dies, repeat it.`;

export function activateLedgerCommand(): Command {
  return new Command('activate')
    .description(
      'state that the old primary is stopped and that the store, as it is now, may go on deciding: after a restart or fail-over, or when most witnesses have lost their disks',
    )
    .requiredOption('--config <file>', 'configuration document')
    .requiredOption(
      '--key <file>',
      "an operator's private key; its public half stands under operators: of the configuration",
    )
    .option('--workspace <name>', 'when the configuration has several')
    .option(
      '--above <number>',
      'the log goes on above this event, when a replica reports one that the store does not know',
      (text) => wholeNumber(text, 0, MAX_ABOVE),
      0,
    )
    .option(
      '--audit <path>',
      'with witnesses: a folder with audit files, or a file (repeatable); otherwise audit.directory of the configuration',
      repeatable,
      [],
    )
    .option(
      '--public-key <file>',
      'whose checkpoints are believed (repeatable); otherwise audit.checkpointKey of the configuration',
      repeatable,
      [],
    )
    .option('--dry-run', 'show what would be stated, and change nothing')
    .option('--json', 'print one JSON object')
    .addHelpText('after', WHAT)
    .action(activate);
}

async function activate(options: ActivateOptions): Promise<void> {
  await withLedger(options, async (ledger, configured, config) => {
    const { witnesses } = ledger;
    if (witnesses !== undefined) {
      await activateWitnessed(options, { witnesses, workspace: configured, config });
      return;
    }
    const { name: workspace } = configured;
    if (options.audit.length > 0) {
      throw new CountersignError(
        'USAGE',
        '--audit is for witnesses: here `countersign ledger import` adds what the store lacks',
      );
    }
    const fence = fenceOf(ledger);
    const privateKey = loadOperatorPrivateKey(options.key);
    const operators = loadOperators(config.operators);
    const { identity, policy, freezes } = await ledger.state();
    const before = await fence.state();
    const sequence = Math.max(before.sequence, before.seen, options.above) + 1;
    const statement = await signStatement(privateKey, {
      statement: 'ledger-activate',
      ledger: identity,
      workspace,
      history: before.history,
      sequence,
      oldPrimary: 'stopped',
      issuedAt: new Date().toISOString(),
    });
    const request = { ledger, operators, workspace, statement };
    const operator =
      options.dryRun === true ? (await readActivation(request)).operator : await applyActivation(request);
    if (options.json === true) {
      const done = { workspace, identity, operator, sequence, dryRun: options.dryRun === true, before };
      process.stdout.write(`${JSON.stringify(done)}\n`);
      return;
    }
    const lines = [
      `ledger      ${identity}, workspace ${workspace}`,
      `before      ${before.problem ?? 'decisions were made'}`,
      `events      the store ends at event ${before.sequence}${lost(before, options.above)}`,
      `policy      ${policy === undefined ? 'none is active' : `${policy.version} since event ${policy.sequence}`}`,
      `freezes     ${freezes.length === 0 ? 'none' : freezes.map(({ id, reason }) => `${id} (${reason})`).join(', ')}`,
      `statement   ${operator} states that the old primary is stopped, and that the ledger goes on at event ${sequence}`,
      options.dryRun === true ? 'Nothing was changed (--dry-run).' : 'Activated: the ledger decides.',
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}

function fenceOf(ledger: Ledger): Fence {
  if (ledger.fence !== undefined) return ledger.fence;
  throw new CountersignError(
    'USAGE',
    `the ${ledger.kind} ledger has no fail-over: there is nothing to activate`,
  );
}

/** Policy activations and freezes may be among what is missing, so the operator is shown what is in force. */
function lost({ sequence, seen }: FenceState, above: number): string {
  const highest = Math.max(seen, above);
  if (highest <= sequence) return '';
  return `, event ${highest} was seen: up to ${highest - sequence} decisions, freezes or policies are missing and may be decided anew`;
}

export interface LedgerActivation {
  readonly ledger: Ledger;
  readonly operators: readonly Operator[];
  readonly workspace: string;
  /** Compact JWS. */
  readonly statement: string;
}

/** Resolves to the operator. STATEMENT_INVALID when it is nobody's, or about another ledger or another thing. */
export async function applyActivation(request: LedgerActivation): Promise<string> {
  const { operator, statement } = await readActivation(request);
  await fenceOf(request.ledger).activate({
    identity: statement.ledger,
    history: statement.history,
    sequence: statement.sequence,
    statement: request.statement,
  });
  return operator;
}

async function readActivation({ ledger, operators, workspace, statement: jws }: LedgerActivation) {
  const { operator, statement } = await verifyStatement(operators, jws);
  if (statement.statement !== 'ledger-activate') throw untrue('it is about something else');
  if (statement.workspace !== workspace) throw untrue('it is for another workspace');
  const { identity } = await ledger.state();
  if (statement.ledger !== identity) throw untrue('it is for another ledger');
  return { operator, statement };
}

function untrue(problem: string): CountersignError {
  return new CountersignError('STATEMENT_INVALID', `the signed statement is not accepted: ${problem}`);
}
