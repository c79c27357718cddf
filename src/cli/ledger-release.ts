/** `countersign ledger release`: an operator's word that no signature of a transaction can exist gives its charges back. */
import { Command, Option } from 'commander';
import type { WorkspaceConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import { approvedContentKey, contentMoneyKeyOf, moneyKeyOf } from '../core/fingerprint.js';
import type { Ledger } from '../core/ports.js';
import { type Holding, type KnownTransaction, RELEASE_REASONS, type ReleaseReason } from '../core/release.js';
import type { KnownFate } from '../core/report.js';
import {
  loadOperatorPrivateKey,
  loadOperators,
  type Operator,
  signStatement,
  verifyStatement,
} from '../keys/statements.js';
import { withLedger } from './ledger.js';

interface ReleaseOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly tx: string;
  readonly key: string;
  readonly reason: ReleaseReason;
  readonly note?: string;
  readonly dryRun?: boolean;
  readonly json?: boolean;
}

const WHEN = `
Right only when no signature of the transaction can exist: the vendor says that it was cancelled, rejected or blocked, or that
it failed before it was signed, there is no transaction hash, and it was never being broadcast. Look there first.
Wrong for a transaction that was dropped, reverted, replaced or timed out: its signed bytes may still be mined, and would
then not be counted. Those keep what they were charged until it leaves its windows.

The transaction is refused from then on, whoever asks for it; this cannot be undone. Limits that count different
members (sum: distinct) keep them: another transaction may have named the same ones.`;

export function releaseCommand(): Command {
  return new Command('release')
    .description('give back what a transaction was charged, when no signature of it can exist')
    .requiredOption('--config <file>', 'configuration document')
    .requiredOption(
      '--tx <id>',
      'the id of the transaction; of a member of a batch, its request id; at io.finnet that of the operation',
    )
    .requiredOption(
      '--key <file>',
      "an operator's private key; its public half stands under operators: of the configuration",
    )
    .addOption(
      new Option('--reason <reason>', 'what became of it').choices(RELEASE_REASONS).makeOptionMandatory(),
    )
    .option('--note <text>', 'kept in the journal')
    .option('--workspace <name>', 'when the configuration has several')
    .option('--dry-run', 'show what would be given back, and change nothing')
    .option('--json', 'print one JSON object')
    .addHelpText('after', WHEN)
    .action(release);
}

async function release(options: ReleaseOptions): Promise<void> {
  await withLedger(options, async (ledger, workspace, config) => {
    const privateKey = loadOperatorPrivateKey(options.key);
    const operators = loadOperators(config.operators);
    const { identity } = await ledger.state();
    const found = await find(ledger, workspace, options.tx);
    const statement = await signStatement(privateKey, {
      statement: 'release',
      ledger: identity,
      workspace: workspace.name,
      transaction: options.tx,
      reason: options.reason,
      issuedAt: new Date().toISOString(),
    });
    const operator = await operatorOf({ operators, identity, workspace: workspace.name, options }, statement);
    const released =
      options.dryRun === true
        ? undefined
        : await ledger.release({
            moneyKey: found.moneyKey,
            reason: options.reason,
            ...(options.note === undefined ? {} : { note: options.note }),
            authority: { kind: 'operator', statement },
          });
    const given = released?.given ?? found.known.holdings;
    if (options.json === true) {
      const { approved, rejected } = found.known;
      const sequence = released?.sequence ?? found.known.released ?? null;
      const repeated = released?.repeated ?? found.known.released !== undefined;
      const done = {
        workspace: workspace.name,
        transaction: options.tx,
        operator,
        dryRun: released === undefined,
      };
      const reported = found.fate ?? null;
      process.stdout.write(
        `${JSON.stringify({ ...done, approved, rejected, reported, sequence, repeated, given })}\n`,
      );
      return;
    }
    const lines = [
      `transaction ${options.tx}: ${stateText(found.known)}`,
      `reported    ${fateText(found.fate)}`,
      `statement   ${operator} states that it was ${options.reason} and that no signature of it can exist`,
      ...given.map(holdingText),
      endText(found.known, released),
    ];
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}

/** Under the one protocol of the workspace in which something was decided about it. */
async function find(
  ledger: Ledger,
  workspace: WorkspaceConfig,
  txId: string,
): Promise<{
  readonly moneyKey: string;
  readonly known: KnownTransaction;
  readonly fate: KnownFate | undefined;
}> {
  const keys = await moneyKeysOf(ledger, workspace, txId);
  const found = await Promise.all(
    keys.map(async (moneyKey) => ({ moneyKey, known: await ledger.transaction(moneyKey) })),
  );
  const [first, second] = found.flatMap(({ moneyKey, known }) =>
    known === undefined ? [] : [{ moneyKey, known }],
  );
  if (first === undefined || second !== undefined) {
    throw new CountersignError(
      'RELEASE_REFUSED',
      first === undefined
        ? `nothing was decided about transaction ${txId} in this workspace, no operation of that id was approved, or it was trimmed since: it holds nothing that could be given back`
        : `transaction ${txId} is known under two protocols`,
    );
  }
  return { ...first, fate: await ledger.fateOf(first.moneyKey) };
}

/**
 * What money is counted under: the transaction; or, where nobody vouches for who asks, the content that was approved under
 * the id. Such an id may be given with or without its organisation.
 */
async function moneyKeysOf(
  ledger: Ledger,
  { cosigners }: WorkspaceConfig,
  txId: string,
): Promise<readonly string[]> {
  const found = await Promise.all(
    cosigners.map(async (cosigner) => {
      const { protocol } = cosigner;
      if (!('organisation' in cosigner)) return [moneyKeyOf(protocol, txId)];
      const ids = [txId, `${cosigner.organisation}.${txId}`];
      const contents = await Promise.all(
        ids.map((id) => ledger.remembered(approvedContentKey(protocol, id))),
      );
      return ids.flatMap((id, index) => {
        const content = contents[index];
        return content === undefined ? [] : [contentMoneyKeyOf(protocol, id, content)];
      });
    }),
  );
  return [...new Set(found.flat())];
}

/** Who signed; STATEMENT_INVALID when it is nobody's, or not about this. */
async function operatorOf(
  expected: {
    readonly operators: readonly Operator[];
    readonly identity: string;
    readonly workspace: string;
    readonly options: ReleaseOptions;
  },
  jws: string,
): Promise<string> {
  const { operator, statement } = await verifyStatement(expected.operators, jws);
  const { identity, workspace, options } = expected;
  const isAboutIt =
    statement.statement === 'release' &&
    statement.ledger === identity &&
    statement.workspace === workspace &&
    statement.transaction === options.tx &&
    statement.reason === options.reason;
  if (isAboutIt) return operator;
  throw new CountersignError(
    'STATEMENT_INVALID',
    'the signed statement is not accepted: it is about something else',
  );
}

function stateText({ approved, rejected, released }: KnownTransaction): string {
  if (released !== undefined) return `its charges were released by event ${released}`;
  if (approved) return rejected ? 'approved, and rejected at another stage' : 'approved';
  return rejected ? 'rejected' : 'neither approved nor rejected';
}

/** What the vendor has said of it so far. */
function fateText(fate: KnownFate | undefined): string {
  if (fate === undefined) return 'nothing by the vendor';
  const { status, subStatus, hash, signed, updatedAtMs } = fate;
  const words = [status, subStatus, hash && `hash ${hash.txHash}`].filter((word) => word !== undefined);
  const signature = signed ? 'a signature may exist' : 'no signature can exist';
  return `${words.join(' ')} at ${new Date(updatedAtMs).toISOString()}: ${signature}`;
}

function holdingText({ limit, counter, mode, amount }: Holding): string {
  return `gives back  ${amount} to ${limit === undefined ? '' : `limit ${limit}, `}counter ${counter}${mode === 'shadow' ? ' (shadow)' : ''}`;
}

function endText(
  known: KnownTransaction,
  released: { readonly sequence: number; readonly repeated: boolean } | undefined,
): string {
  if (released?.repeated ?? known.released !== undefined)
    return 'It was released before: nothing was changed.';
  return released === undefined
    ? 'Nothing was changed (--dry-run).'
    : `Released: event ${released.sequence}. The transaction is refused from now on.`;
}
