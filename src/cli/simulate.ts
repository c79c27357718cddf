/** `countersign simulate`: plays co-signers against a running cluster and checks every answer. */
import { randomInt } from 'node:crypto';
import { Command, InvalidArgumentError, Option } from 'commander';
import { CountersignError } from '../core/errors.js';
import { Progress } from '../simulator/progress.js';
import { reportText } from '../simulator/report.js';
import { run, unplayable } from '../simulator/run.js';
import { SCENARIOS, type Scenario, type ScenarioName, scenariosOf } from '../simulator/scenarios.js';
import { type Target, targetByHand, targetOfDirectory } from '../simulator/target.js';

interface SimulateOptions {
  readonly dir: string;
  readonly url?: string;
  readonly key: readonly string[];
  readonly signer: readonly string[];
  readonly answerKey: readonly string[];
  readonly mode?: 'jwt' | 'json';
  readonly pin?: string;
  readonly ca?: string;
  readonly protocol: (typeof PROTOCOLS)[number];
  readonly scenario?: readonly ScenarioName[];
  readonly requests: number;
  readonly rate?: number;
  readonly concurrency: number;
  readonly seed?: string;
  readonly retryAfter: number;
  readonly patience: number;
  readonly json?: boolean;
}

export function simulateCommand(): Command {
  return new Command('simulate')
    .description('play co-signers against a running cluster and check every signed answer')
    .option('--dir <dir>', 'directory of a cluster started by `countersign up`', 'var')
    .option('--url <url>', 'callback URL of a cluster started otherwise (without the /v2/… suffix)')
    .option('--key <file>', 'private key of a co-signer (PEM); repeat for several co-signers', gather, [])
    .option('--signer <id[=stages]>', 'signer, such as ID or ID=approval,signing; repeatable', gather, [])
    .option('--answer-key <file>', 'public key that answers must verify with (PEM); repeatable', gather, [])
    .addOption(
      new Option('--mode <mode>', 'of --url: json plays a co-signer that was given no key').choices([
        'jwt',
        'json',
      ]),
    )
    .option('--pin <sha256//…>', 'of an https --url: the pinned key, as countersign keys pin prints it')
    .option('--ca <file>', 'of an https --url: the only authority that counts (PEM)')
    .addOption(
      new Option('--protocol <protocol>', 'whom to play; mixed: all that the cluster has')
        .choices(PROTOCOLS)
        .default('mixed'),
    )
    .option(
      '--scenario <names>',
      'scenarios, separated by commas (default: all of the protocol)',
      parseScenarios,
    )
    .option('--requests <n>', 'how many different requests', wholeNumber(1, 10_000_000), 200)
    .option('--rate <per second>', 'requests a second; without it as fast as answers come', parseRate)
    .option('--concurrency <n>', 'scenarios played at a time', wholeNumber(1, 1_024), 8)
    .option('--seed <text>', 'makes a run repeatable: the same seed asks the same, under the same ids')
    .option('--retry-after <seconds>', 'pause before a RETRY is asked again', parseSeconds, 1)
    .option('--patience <seconds>', 'how long one delivery is pursued', parseSeconds, 30)
    .option('--json', 'print the summary as JSON')
    .addHelpText('after', () => scenarioHelp())
    .action(simulate);
}

const PROTOCOLS = ['fireblocks', 'iofinnet', 'mixed'] as const;

const ALL = Object.keys(SCENARIOS) as ScenarioName[];

/** Named ones, or all of the protocol; of a mixture those that somebody can play, without a word about the others. */
function wanted({ protocol, scenario }: SimulateOptions, { virtualSigners = [], cosigners }: Target) {
  if (scenario !== undefined) return scenario;
  const ofCosigners = scenariosOf('fireblocks').filter((name) => {
    const { by }: Scenario = SCENARIOS[name];
    // Without a word about it when nobody is of the other kind: most clusters have one kind only.
    return (
      by === undefined ||
      cosigners.length === 0 ||
      cosigners.some(({ key }) => (by === 'key') === (key !== undefined))
    );
  });
  if (protocol !== 'mixed') return protocol === 'fireblocks' ? ofCosigners : scenariosOf(protocol);
  return [
    ...(cosigners.length > 0 || virtualSigners.length === 0 ? ofCosigners : []),
    ...(virtualSigners.length > 0 ? scenariosOf('iofinnet') : []),
  ];
}

function whyNot(name: ScenarioName): string {
  const { by, stages }: Scenario = SCENARIOS[name];
  if (by === 'json') return 'no co-signer of this cluster speaks plain JSON';
  if (by === 'contract') return 'no Virtual Signer of this cluster has the contract mode';
  if (by === 'virtual-signer') return 'no Virtual Signer is known';
  return `no signer of these co-signers serves the ${stages.join(' and ')} stage`;
}

async function simulate(options: SimulateOptions): Promise<void> {
  const target = targetOf(options);
  const seed = options.seed ?? String(randomInt(1_000_000));
  const scenarios = wanted(options, target);
  const skipped = unplayable(target, scenarios);
  for (const name of skipped) note(`${name} is left out: ${whyNot(name)}.`);
  note(`Seed ${seed} (--seed ${seed} asks the same again).`);

  const stopped = new AbortController();
  const stop = () => stopped.abort();
  process.once('SIGINT', stop).once('SIGTERM', stop);
  const progress = new Progress(process.stderr, options.requests);
  const summary = await run({
    target,
    scenarios,
    requests: options.requests,
    ...(options.rate === undefined ? {} : { ratePerSecond: options.rate }),
    concurrency: options.concurrency,
    seed,
    patience: { totalMs: options.patience * 1_000, afterRetryMs: options.retryAfter * 1_000 },
    signal: stopped.signal,
    onProgress: (done, counts) => progress.show(done, counts),
  }).finally(() => {
    progress.end();
    process.off('SIGINT', stop).off('SIGTERM', stop);
  });

  process.stdout.write(
    options.json ? `${JSON.stringify({ seed, skipped, ...summary })}\n` : reportText(summary),
  );
  if (summary.violations > 0) {
    throw new CountersignError('CHECK_FAILED', `${summary.violations} answers were not as they should be`);
  }
}

function targetOf({ url, dir, key, signer, answerKey, mode, pin, ca }: SimulateOptions): Target {
  if (url !== undefined) {
    return targetByHand({
      url,
      keyFiles: key,
      signers: signer,
      answerKeyFiles: answerKey,
      mode: mode ?? 'jwt',
      ...(pin !== undefined && { pin }),
      ...(ca !== undefined && { caFile: ca }),
    });
  }
  if (key.length + signer.length + answerKey.length > 0) {
    throw new CountersignError('USAGE', '--key, --signer and --answer-key belong to --url');
  }
  if (mode !== undefined || pin !== undefined || ca !== undefined)
    throw new CountersignError('USAGE', '--mode, --pin and --ca belong to --url');
  return targetOfDirectory(dir);
}

function note(sentence: string): void {
  process.stderr.write(`${sentence}\n`);
}

function gather(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}

function parseScenarios(text: string): ScenarioName[] {
  return text.split(',').map((name) => {
    const known = ALL.find((scenario) => scenario === name.trim());
    if (known === undefined) {
      throw new InvalidArgumentError(
        `There is no scenario ${JSON.stringify(name)}; there are ${ALL.join(', ')}.`,
      );
    }
    return known;
  });
}

function wholeNumber(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${low} to ${high}.`);
  };
}

function parseRate(text: string): number {
  const value = Number(/^\d+(\.\d+)?$/.test(text) ? text : Number.NaN);
  if (value > 0 && value <= 100_000) return value;
  throw new InvalidArgumentError('It must be a number above 0, at most 100000.');
}

function parseSeconds(text: string): number {
  const value = Number(/^\d+(\.\d+)?$/.test(text) ? text : Number.NaN);
  if (value >= 0 && value <= 3_600) return value;
  throw new InvalidArgumentError('It must be a number of seconds from 0 to 3600.');
}

function scenarioHelp(): string {
  const lines = ALL.map((name) => `  ${name.padEnd(24)}${SCENARIOS[name].about}`);
  return ['', 'Scenarios:', ...lines].join('\n');
}
