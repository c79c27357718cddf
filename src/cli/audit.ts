/** `countersign audit`: the exported journal, for whoever asks for proof. */
import { Command } from 'commander';
import { auditFilesIn } from '../audit/file.js';
import { type Verified, verifyFiles } from '../audit/verify.js';
import { CountersignError } from '../core/errors.js';
import type { ExportMark } from '../core/export.js';
import { auditEvidenceCommand, isEvidence } from './audit-evidence.js';
import { auditFollowCommand } from './audit-follow.js';
import { checkpointKeys } from './audit-keys.js';
import { auditOpenCommand } from './audit-open.js';
import { auditShowCommand } from './audit-show.js';
import { type SignedEvent, StatementCheck } from './audit-statements.js';
import { type CheckedPolicy, EvidencePolicies } from './evidence-policies.js';
import { withLedger } from './ledger.js';
import { repeatable, wholeNumber } from './options.js';

interface VerifyOptions {
  readonly publicKey: readonly string[];
  readonly operator: readonly string[];
  readonly expect?: number;
  readonly partial?: true;
  readonly collected?: true;
  readonly config?: string;
  readonly workspace?: string;
  readonly json?: true;
}

export function auditCommand(): Command {
  const command = new Command('audit').description(
    'the exported journal: verify it, look into it, hand out a part as evidence; and originals, if they are kept',
  );
  command
    .command('verify')
    .description(
      'follow the chain of audit files line by line, without the ledger, and name the first line that is not as it was written',
    )
    .argument('<path...>', 'folders with audit files, or files; several when several machines exported')
    .option(
      '--public-key <file>',
      'whose checkpoints are believed (repeatable); otherwise the key beside the files',
      repeatable,
      [],
    )
    .option(
      '--operator <name=file>',
      "check the statements behind policies, liftings and activations with this operator's public key (repeatable)",
      repeatable,
      [],
    )
    .option(
      '--expect <number>',
      'the chain must reach this event: what is cut off at the end cannot be seen in the files',
      (text) => wholeNumber(text, 1, 1e15),
    )
    .option('--config <file>', 'take what to expect from the ledger of this configuration')
    .option('--workspace <name>', 'with --config, when the configuration has several')
    .option('--partial', 'accept that the chain begins after its first event: earlier files are elsewhere')
    .option(
      '--collected',
      'the files were collected from the standard output of countersign audit follow: one may hold several runs',
    )
    .option('--json', 'print one JSON object')
    .action(verify);
  return command
    .addCommand(auditShowCommand())
    .addCommand(auditEvidenceCommand())
    .addCommand(auditOpenCommand())
    .addCommand(auditFollowCommand());
}

async function verify(paths: readonly string[], options: VerifyOptions): Promise<void> {
  const files = auditFilesIn(paths);
  const { keys, trust } = checkpointKeys(options.publicKey, files);
  const isPart = paths.every(isEvidence);
  const isPartial = options.partial === true || isPart;
  const evidence = isPart ? paths.map((folder) => new EvidencePolicies(folder)) : [];
  const statements = new StatementCheck(evidence[0]?.first);
  const expected: Expected | undefined =
    (await expectation(options)) ?? evidence.map(({ last }) => ({ sequence: last }))[0];
  const startedAt = performance.now();
  const verification = await verifyFiles(files, keys, {
    watch(event) {
      for (const policies of evidence) policies.watch(event);
      return statements.watch(event);
    },
    collected: options.collected === true || isPart,
    ...(expected?.mark && { mark: expected.mark }),
  });
  if (!verification.ok) {
    const { file, line, problem } = verification;
    if (options.json === true) process.stdout.write(`${JSON.stringify(verification)}\n`);
    throw new CountersignError('CHECK_FAILED', `${file}:${line}: ${problem}`);
  }
  const seconds = (performance.now() - startedAt) / 1000;
  const { chains, lines, bytes } = verification;
  for (const chain of chains) checkEnds(chain, { expected, isPartial });
  const policies = (await Promise.all(evidence.map((folder) => folder.check(options.operator)))).flat();
  const signed =
    options.operator.length === 0 ? undefined : await statements.verify(options.operator, isPartial);
  const rate = Math.round(lines / seconds);
  if (options.json === true) {
    process.stdout.write(
      `${JSON.stringify({ ...verification, seconds, linesPerSecond: rate, trust, ...(signed && { signed }), ...(isPart && { policies }) })}\n`,
    );
    return;
  }
  const text = [
    ...chains.flatMap(chainText),
    `signatures  ${trust}`,
    ...policyText(policies),
    ...statementText(signed),
    `end         ${endText(expected)}`,
    `read        ${lines} lines, ${(bytes / 1e6).toFixed(1)} MB in ${seconds.toFixed(2)} s: ${rate} lines/s`,
    'Unbroken.',
  ];
  process.stdout.write(`${text.join('\n')}\n`);
}

interface Expected {
  readonly sequence: number;
  readonly ledger?: string;
  readonly mark?: ExportMark;
}

/** What cannot be seen in files: how far the chain must reach at least. */
async function expectation({ expect, config, workspace }: VerifyOptions): Promise<Expected | undefined> {
  if (config === undefined) return expect === undefined ? undefined : { sequence: expect };
  return withLedger({ config, ...(workspace === undefined ? {} : { workspace }) }, async (ledger) => {
    const { identity, mark } = await ledger.exports.state();
    if (mark === undefined)
      throw new CountersignError('CHECK_FAILED', `nothing of ledger ${identity} was exported`);
    return { sequence: Math.max(mark.sequence, expect ?? 0), ledger: identity, mark };
  });
}

function checkEnds(
  { ledger, after, sequence }: Verified,
  { expected, isPartial }: { readonly expected: Expected | undefined; readonly isPartial: boolean },
): void {
  if (after > 0 && !isPartial)
    throw failed(
      `the chain begins after event ${after}: the files before are missing (--partial accepts that)`,
    );
  if (expected === undefined) return;
  if (expected.ledger !== undefined && expected.ledger !== ledger)
    throw failed(`the files are of ledger ${ledger}, and the configuration's is ${expected.ledger}`);
  if (sequence < expected.sequence)
    throw failed(
      `the chain ends at event ${sequence}, and event ${expected.sequence} was exported: the end is missing`,
    );
}

function chainText({
  ledger,
  workspace,
  after,
  sequence,
  hash,
  events,
  at,
  files,
  gaps,
  gapCount,
}: Verified): readonly string[] {
  const named = gaps.map(([before, next]) => `${before} → ${next}`).join(', ');
  return [
    `workspace   ${workspace}, ledger ${ledger}`,
    `chain       ${events} events, the last is ${sequence}${after > 0 ? `; it begins after event ${after}` : ''}, in ${files} ${files === 1 ? 'file' : 'files'}`,
    `head        ${hash}`,
    `newest      checkpoint of ${at}`,
    ...(gapCount === 0
      ? []
      : [
          `gaps        ${gapCount}: numbers that no event ever had (${named}${gapCount > gaps.length ? ', …' : ''})`,
        ]),
  ];
}

function policyText(policies: readonly CheckedPolicy[]): readonly string[] {
  return policies.map(({ version, sequence, operator }, index) => {
    const by =
      operator === undefined ? 'whose word is not checked (--operator NAME=FILE)' : `the word of ${operator}`;
    return `${(index === 0 ? 'policies' : '').padEnd(12)}${version.slice(0, 12)} of event ${sequence}: its document, and ${by}`;
  });
}

function statementText(signed: readonly SignedEvent[] | undefined): readonly string[] {
  if (signed === undefined) return ['statements  not checked (--operator NAME=FILE)'];
  return signed.map(
    ({ sequence, what, operators }, index) =>
      `${index === 0 ? 'statements' : ''}`.padEnd(12) +
      `event ${sequence}, ${what}: ${operators.join(' and ')}`,
  );
}

function endText(expected: Expected | undefined): string {
  if (expected === undefined)
    return 'not compared with anything: lines cut off at the end would not be seen (--expect, --config)';
  return expected.ledger === undefined
    ? `event ${expected.sequence} is there`
    : `what the ledger knows to be exported, event ${expected.sequence}, is there`;
}

function failed(message: string): CountersignError {
  return new CountersignError('CHECK_FAILED', message);
}
