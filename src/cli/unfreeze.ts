/** `countersign unfreeze`: operators' signed word that a freeze is over. */
import { Command } from 'commander';
import { readText } from '../config/load.js';
import { CountersignError } from '../core/errors.js';
import { parsePolicy } from '../core/policy/document.js';
import type { Freeze, LedgerState } from '../core/ports.js';
import {
  authenticateActivation,
  liftersOf,
  loadOperatorPrivateKey,
  loadOperators,
  type Operator,
  signStatement,
} from '../keys/statements.js';
import { withLedger } from './ledger.js';

interface UnfreezeOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly key?: string;
  readonly statement: readonly string[];
  readonly print?: true;
  readonly json?: true;
}

const MAX_STATEMENTS = 10;

export function unfreezeCommand(): Command {
  return new Command('unfreeze')
    .description(
      'lift a freeze: takes the signed statement of an operator, or of two where the active policy says unfreeze: two-person. The first of two prints a statement (--print), the second adds it to an own one (--statement)',
    )
    .argument('<id>', "the freeze's id, as countersign status shows it")
    .requiredOption('--config <file>', 'configuration document')
    .option(
      '--key <file>',
      "an operator's private key; its public half stands under operators: of the configuration",
    )
    .option(
      '--statement <file>',
      'a statement that another operator printed: a file that holds it, or the statement itself (repeatable)',
      (text: string, all: readonly string[]) => [...all, text],
      [],
    )
    .option('--print', 'print the statement for another operator to add, and change nothing')
    .option('--workspace <name>', 'when the configuration has several')
    .option('--json', 'print one JSON object')
    .action(unfreeze);
}

async function unfreeze(id: string, options: UnfreezeOptions): Promise<void> {
  await withLedger(options, async (ledger, { name: workspace }, config) => {
    const operators = loadOperators(config.operators);
    const state = await ledger.state();
    const found = freezeNamed(id, state);
    const lifted = { ledger: state.identity, workspace, freeze: id, sequence: found.sequence };
    const statements = statementsOf(options);
    if (options.key !== undefined) {
      const claims = { statement: 'unfreeze', ...lifted, issuedAt: new Date().toISOString() } as const;
      statements.push(await signStatement(loadOperatorPrivateKey(options.key), claims));
    }
    if (statements.length === 0) throw usage('whose word is it? --key OPERATOR.pem, or --statement FILE');
    const lifters = await liftersOf(operators, lifted, statements);
    if (options.print === true) {
      printStatement(statements.at(-1) ?? '', { id, operator: lifters.at(-1) ?? '', options });
      return;
    }
    await checkEnough(lifters, { state, operators, workspace });
    const { sequence } = await ledger.unfreeze(id, statements);
    process.stdout.write(
      options.json === true
        ? `${JSON.stringify({ workspace, id, operators: lifters, sequence })}\n`
        : `Freeze ${id} was lifted by ${lifters.join(' and ')}: event ${sequence}.\n`,
    );
  });
}

function freezeNamed(id: string, { freezes }: LedgerState): Freeze {
  const found = freezes.find((freeze) => freeze.id === id);
  if (found !== undefined) return found;
  const ids = freezes.map((freeze) => freeze.id);
  throw usage(
    `there is no freeze ${JSON.stringify(id)}; the ledger has ${ids.length === 0 ? 'none' : ids.join(', ')}`,
  );
}

function statementsOf({ statement, key, print }: UnfreezeOptions): string[] {
  if (print === true && key === undefined) throw usage('--print signs a statement, so it needs --key');
  if (statement.length > MAX_STATEMENTS) throw usage(`at most ${MAX_STATEMENTS} statements are looked at`);
  // A compact JWS begins with the base64url form of `{"`.
  return statement.map((text) => (text.startsWith('eyJ') ? text : readText(text)).trim());
}

/**
 * The policy that is active says how many. Checked here and not by replicas: whoever can write to the store without
 * this command could as well remove the freeze from it. The journal keeps the statements, for whoever audits it.
 */
async function checkEnough(
  lifters: readonly string[],
  {
    state,
    operators,
    workspace,
  }: { readonly state: LedgerState; readonly operators: readonly Operator[]; readonly workspace: string },
): Promise<void> {
  const { policy, identity } = state;
  if (policy === undefined) return;
  await authenticateActivation(operators, workspace)(policy, identity);
  const { unfreeze: demand } = parsePolicy(policy.document, 'the active policy');
  if (demand === 'one-person' || lifters.length > 1) return;
  throw usage(
    `the active policy says unfreeze: two-person, and so far it is the word of ${lifters.join()} alone. One operator runs this command with --print; another hands over what it printed with --statement`,
  );
}

function printStatement(
  statement: string,
  {
    id,
    operator,
    options,
  }: { readonly id: string; readonly operator: string; readonly options: UnfreezeOptions },
): void {
  if (options.json === true) {
    process.stdout.write(`${JSON.stringify({ id, operator, statement })}\n`);
    return;
  }
  process.stdout.write(`${statement}\n`);
  process.stderr.write(
    `This is the word of ${operator}; nothing was changed. The other operator runs:\ncountersign unfreeze ${id} --config FILE --key OPERATOR.pem --statement FILE-WITH-THE-LINE-ABOVE\n`,
  );
}

function usage(message: string): CountersignError {
  return new CountersignError('USAGE', message);
}
