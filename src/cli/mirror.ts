/** `countersign mirror`: what we would answer, beside a handler that answers. */
import { createReadStream } from 'node:fs';
import { resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { Command, InvalidArgumentError } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { CountersignError, messageOf } from '../core/errors.js';
import { type Copy, readCopy } from '../mirror/copy.js';
import { earsOf } from '../mirror/ears.js';
import { type Ear, Examiner } from '../mirror/examiner.js';
import { HandlerKeys } from '../mirror/handler-answer.js';
import { startIntake } from '../mirror/intake.js';
import { CopyQueue } from '../mirror/queue.js';
import { differenceLine, differenceOf, summaryText } from '../mirror/report.js';
import { Tally } from '../mirror/tally.js';
import { lockDirectory } from './directory-lock.js';
import { type MirrorWorkspace, mirrorFolder, openMirrorWorkspace } from './mirror-ledger.js';
import { repeatable, wholeNumber } from './options.js';

interface MirrorOptions {
  readonly config: string;
  readonly dir: string;
  readonly policy?: string;
  readonly answerKey: readonly string[];
  readonly copies?: string;
  readonly listen?: Address;
  readonly json?: true;
}

interface Address {
  readonly host: string;
  readonly port: number;
}

const PROGRESS_MS = 5_000;
/** A flood of complaints hides the differences. */
const MOST_COMPLAINTS = 1_000;

export function mirrorCommand(): Command {
  return new Command('mirror')
    .description(
      'beside an existing handler: decide copies of its requests on a ledger of its own, hold its answers against the decisions, and answer nobody; exit code 0 when all are the same, 1 when some differ, 2 when not everything could be compared',
    )
    .requiredOption(
      '--config <file>',
      'configuration document; its ledger and its answer keys are not touched',
    )
    .option('--dir <folder>', 'where the mirror keeps its own ledger', 'var/mirror')
    .option('--policy <file>', 'instead of the policy file of the only workspace')
    .option(
      '--answer-key <file>',
      'public key that the handler’s answers verify with (PEM); repeatable',
      repeatable,
      [],
    )
    .option('--copies <file>', 'copies as JSON lines; - is standard input')
    .option(
      '--listen <[host:]port>',
      'take copies over HTTP until told to stop; host is 127.0.0.1',
      addressOf,
    )
    .option('--json', 'print differences as JSON lines, and the summary as the last of them')
    .action(mirror);
}

async function mirror(options: MirrorOptions): Promise<void> {
  const config = withPolicy(loadConfig(options.config), options.policy);
  refuseMuddle(options, config);
  const folder = mirrorFolder(options.dir, config);
  const unlock = lockDirectory(options.dir, 'mirror');
  const tally = tallyFor(options);
  const workspaces: MirrorWorkspace[] = [];
  try {
    const handlerKeys = new HandlerKeys(options.answerKey);
    const ears = hear(config);
    const faulted = (problem: string) => tally.faulted(problem);
    for (const workspace of config.workspaces)
      workspaces.push(await openMirrorWorkspace(workspace, config, { folder, faulted }));
    describe(workspaces);
    const examiner = new Examiner({
      ears,
      handlerKeys,
      listener: tally,
      deadlineMs: config.deadline,
      workspaces: new Map(workspaces.map(({ name, ports }) => [name, ports])),
    });
    const progress = setInterval(() => say(tally.soFar), PROGRESS_MS);
    try {
      await takeAll(options, { ears, tally, examiner });
    } finally {
      clearInterval(progress);
    }
  } finally {
    await Promise.all(workspaces.map(({ ledger }) => ledger.close()));
    unlock();
  }
  const summary = tally.summary();
  const policies = workspaces.map(({ name, policyVersion }) => ({ workspace: name, version: policyVersion }));
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ type: 'summary', policies, ...summary })}\n`
      : `${summaryText(summary)}\n`,
  );
  process.exitCode = tally.exitCode;
}

function withPolicy(config: Config, policyFile: string | undefined): Config {
  if (policyFile === undefined) return config;
  if (config.workspaces.length > 1)
    throw new CountersignError('USAGE', '--policy is for a configuration with one workspace');
  const file = resolve(policyFile);
  return {
    ...config,
    workspaces: config.workspaces.map((workspace) => ({ ...workspace, policyFile: file })),
  };
}

function refuseMuddle({ copies, listen, answerKey }: MirrorOptions, { workspaces }: Config): void {
  if ((copies === undefined) === (listen === undefined))
    throw new CountersignError(
      'USAGE',
      'where do copies come from? --copies FILE or --listen PORT, one of them',
    );
  const speaksJwt = workspaces.some(({ cosigners }) =>
    cosigners.some((cosigner) => cosigner.protocol === 'fireblocks' && cosigner.mode === 'jwt'),
  );
  if (speaksJwt && answerKey.length === 0)
    throw new CountersignError('USAGE', 'whose answers? --answer-key HANDLER.pub.pem, its public half');
}

/** Virtual Signers are left out: nobody has another handler for them. */
function hear({ workspaces }: Config): readonly Ear[] {
  return earsOf(
    workspaces.flatMap(({ name: workspace, cosigners }) =>
      cosigners.flatMap((cosigner) => {
        if (cosigner.protocol !== 'fireblocks') {
          say(`${cosigner.name} is left out: it does not speak Fireblocks.`);
          return [];
        }
        const { name, path, signers } = cosigner;
        const heard = { name, workspace, path, ...(signers === undefined ? {} : { signers }) };
        return [cosigner.mode === 'json' ? heard : { ...heard, publicKeyFiles: cosigner.publicKeys }];
      }),
    ),
  );
}

function describe(workspaces: readonly MirrorWorkspace[]): void {
  for (const { name, policyVersion, isPolicyNew } of workspaces) {
    say(`${name}: policy ${policyVersion.slice(0, 12)}, on a ledger of its own; nobody is answered`);
    if (isPolicyNew)
      say(
        `${name}: another policy than before; requests that were decided keep their decisions (begin with an empty --dir to decide all anew)`,
      );
  }
}

function tallyFor({ json }: MirrorOptions): Tally {
  let complaints = 0;
  return new Tally(
    (difference) =>
      process.stdout.write(
        json === true ? `${JSON.stringify(differenceOf(difference))}\n` : `${differenceLine(difference)}\n`,
      ),
    (problem) => {
      complaints += 1;
      if (complaints <= MOST_COMPLAINTS) say(problem);
      if (complaints === MOST_COMPLAINTS) say('… and more, which the summary counts');
    },
  );
}

interface Taking {
  readonly ears: readonly Ear[];
  readonly tally: Tally;
  readonly examiner: Examiner;
}

async function takeAll({ copies, listen }: MirrorOptions, taking: Taking): Promise<void> {
  const { tally, examiner } = taking;
  const source = copies === undefined ? undefined : linesOf(copies, tally);
  for await (const copy of source ?? (await heard(listen ?? { host: '127.0.0.1', port: 0 }, taking))) {
    tally.taken();
    await examiner.take(copy);
  }
  examiner.end();
}

/** Rejects with FILE_UNREADABLE. */
async function* linesOf(file: string, tally: Tally): AsyncGenerator<Copy> {
  const input = file === '-' ? process.stdin : createReadStream(file);
  // Without a listener of its own the error would be nobody's.
  const failed = new Promise<never>((_, reject) => {
    input.once('error', (cause: Error) =>
      reject(new CountersignError('FILE_UNREADABLE', `cannot read ${file}: ${messageOf(cause)}`, { cause })),
    );
  });
  failed.catch(() => undefined);
  const lines = createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })[Symbol.asyncIterator]();
  for (let number = 1; ; number += 1) {
    const next = await Promise.race([lines.next(), failed]);
    if (next.done === true) return;
    if (next.value.trim() === '') continue;
    const read = readCopy(next.value);
    if (read.ok) yield read.copy;
    else tally.unreadable(`line ${number}: ${read.problem}`);
  }
}

/** Until the process is told to stop; what waits then is still decided. */
async function heard({ host, port }: Address, { ears, tally }: Taking): Promise<CopyQueue> {
  const queue = new CopyQueue();
  const intake = await startIntake({
    host,
    port,
    isAsked: (path) => ears.some((ear) => path.startsWith(`${ear.path}/`)),
    push: (copy) => {
      const isTaken = queue.push(copy);
      if (!isTaken) tally.dropped();
      return isTaken;
    },
    unreadable: (problem) => tally.unreadable(problem),
  });
  say(`listening on http://${host}:${intake.port}: POST /copies, or the co-signers’ own paths`);
  const stop = (): void => {
    process.off('SIGINT', stop).off('SIGTERM', stop);
    intake.close().then(
      () => queue.end(),
      () => queue.end(),
    );
  };
  process.on('SIGINT', stop).on('SIGTERM', stop);
  return queue;
}

function addressOf(text: string): Address {
  const [, host = '127.0.0.1', port = ''] = /^(?:(.+):)?(\d+)$/.exec(text) ?? [];
  if (port === '') throw new InvalidArgumentError('expected a port, or host:port.');
  return { host: host.replace(/^\[|\]$/g, ''), port: wholeNumber(port, 0, 65_535) };
}

function say(line: string): void {
  process.stderr.write(`mirror: ${line}\n`);
}
