/**
 * The command `npm run simulate:protocol`. Exit code 1 when a promise was broken or a mutant survived, 2 when misused, 130
 * when it was interrupted before either.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Findings, type Job, minimalTrace, type Violation } from './hunt.js';
import { MUTANTS } from './mutants.js';
import { profileOf } from './profiles.js';
import { onThreads } from './threads.js';

const DEFAULT_RUNS = 2100;

/** A mutant that lives longer has survived. */
const MUTANT_SCHEDULES = 20_000;

/** In one job: so few that the threads end at about the same time. */
const JOB_SCHEDULES = 100;

const PROGRESS_MS = 5000;

const HELP = `npm run simulate:protocol -- [options]

Runs the product's recovery and its counting of witnesses on modelled servers, witnesses and connections, in schedules
that a seed decides, and checks what co-signers and operators are told. And removes one rule of the protocol after the
other: each time it must find a schedule in which a promise is broken. Prints what it finds when it finds it, and on an
interrupt (Ctrl-C) what it has found so far.

  --runs N       schedules of the product as it is (default ${DEFAULT_RUNS})
  --seed S       of the first schedule; each next one has the next seed (default 1)
  --mutant NAME  only the mutant of this name, with the shortest trace of how it breaks a promise; "none": no mutants
  --json FILE    writes what was found there
  --help         prints this
`;

interface Options {
  readonly runs: number;
  readonly seed: number;
  readonly mutant?: string;
  readonly json?: string;
}

interface Result {
  readonly product: Findings;
  readonly mutants: readonly HuntedMutant[];
  readonly isInterrupted: boolean;
}

interface HuntedMutant {
  readonly name: string;
  /** Absent when it was interrupted first. */
  readonly findings: Findings | undefined;
}

class Misused extends Error {}

async function main(): Promise<number> {
  const options = optionsOf(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const startedAt = performance.now();
  const result = await simulate(options);
  const seconds = (performance.now() - startedAt) / 1000;
  print(result, seconds);
  if (options.json !== undefined) writeFileSync(options.json, jsonOf(options, result, seconds));
  if (!result.isInterrupted) await printTraces(options, result);
  const isBad = result.product.violations.length > 0 || result.mutants.some(isSurvivor);
  if (isBad) return 1;
  return result.isInterrupted ? 130 : 0;
}

function isSurvivor({ findings }: HuntedMutant): boolean {
  return findings !== undefined && findings.violations.length === 0;
}

function optionsOf(args: readonly string[]): Options | undefined {
  const { values } = parse(args);
  if (values.help === true) return undefined;
  const { mutant, json } = values;
  if (mutant !== undefined && mutant !== 'none' && !MUTANTS.some(({ name }) => name === mutant)) {
    throw new Misused(`--mutant: none of "none", ${MUTANTS.map(({ name }) => `"${name}"`).join(', ')}`);
  }
  return {
    runs: wholeNumber('--runs', values.runs, mutant === undefined || mutant === 'none' ? DEFAULT_RUNS : 0),
    seed: wholeNumber('--seed', values.seed, 1),
    ...(mutant === undefined ? {} : { mutant }),
    ...(json === undefined ? {} : { json }),
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: { runs: text, seed: text, mutant: text, json: text, help: { type: 'boolean' } },
    });
  } catch (error) {
    throw new Misused(error instanceof Error ? error.message : String(error));
  }
}

function wholeNumber(name: string, text: string | undefined, without: number): number {
  if (text === undefined) return without;
  if (!/^\d{1,9}$/.test(text))
    throw new Misused(`${name}: ${JSON.stringify(text)} is not a whole number below 10^9`);
  return Number(text);
}

async function simulate({ runs, seed, mutant }: Options): Promise<Result> {
  const names = MUTANTS.map(({ name }) => name).filter((name) => mutant === undefined || name === mutant);
  const jobs: Job[] = names.map((name) => ({ mutant: name, seed, schedules: MUTANT_SCHEDULES }));
  for (let first = 0; first < runs; first += JOB_SCHEDULES) {
    jobs.push({ seed: seed + first, schedules: Math.min(JOB_SCHEDULES, runs - first) });
  }
  const mutants = new Map<string, Findings>();
  let product: Findings = { schedules: 0, steps: 0, recoveries: 0, answers: 0, violations: [] };
  const tell = () =>
    process.stderr.write(
      `${product.schedules} of ${runs} schedules, ${mutants.size} of ${names.length} mutants\n`,
    );
  const timer = setInterval(tell, PROGRESS_MS);
  const interrupt = new AbortController();
  // Often twice: from the terminal, and from npm.
  process.on('SIGINT', () => interrupt.abort());
  const found = (job: Job, findings: Findings) => {
    if (job.mutant === undefined) {
      product = sumOf(product, findings);
      for (const { seed, message } of findings.violations) printLine(`VIOLATION seed ${seed}: ${message}`);
    } else {
      mutants.set(job.mutant, findings);
      printLine(mutantText({ name: job.mutant, findings }));
    }
  };
  await onThreads(jobs, { found, signal: interrupt.signal }).finally(() => clearInterval(timer));
  return {
    product,
    mutants: names.map((name) => ({ name, findings: mutants.get(name) })),
    isInterrupted: interrupt.signal.aborted,
  };
}

function sumOf(one: Findings, other: Findings): Findings {
  return {
    schedules: one.schedules + other.schedules,
    steps: one.steps + other.steps,
    recoveries: one.recoveries + other.recoveries,
    answers: one.answers + other.answers,
    violations: [...one.violations, ...other.violations].sort((a, b) => a.seed - b.seed),
  };
}

function print({ product, mutants, isInterrupted }: Result, seconds: number): void {
  const { schedules, steps, recoveries, answers, violations } = product;
  const killed = mutants.filter(({ findings }) => (findings?.violations.length ?? 0) > 0).length;
  const unkilled = mutants.filter(({ findings }) => (findings?.violations.length ?? 0) === 0);
  const lines = [
    ...(isInterrupted ? ['interrupted; until then:'] : []),
    `${schedules} schedules, ${steps} steps, ${recoveries} recoveries, ${answers} answers: ${violations.length} violations`,
    ...violations.map(({ seed, message }) => `  seed ${seed}: ${message}`),
    `${killed} of ${mutants.length} mutants killed`,
    ...unkilled.map(mutantText),
    `${seconds.toFixed(1)} s`,
  ];
  for (const line of lines) printLine(line);
}

function printLine(line: string): void {
  process.stdout.write(`${line}\n`);
}

function mutantText({ name, findings }: HuntedMutant): string {
  if (findings === undefined) return `    not finished: ${name}`;
  const [violation] = findings.violations;
  if (violation === undefined) return `    SURVIVED ${findings.schedules} schedules: ${name}`;
  const { seed, message } = violation;
  const [promise] = message.split(':');
  return `    killed by schedule ${findings.schedules} (seed ${seed}, ${profileOf(seed)}): ${name}. Broken: ${promise}`;
}

/** Of the first violation, and of the mutant that was asked for. */
async function printTraces({ mutant }: Options, { product, mutants }: Result): Promise<void> {
  const [first] = product.violations;
  if (first !== undefined) await printTrace(undefined, first);
  if (mutant === undefined) return;
  for (const { name, findings } of mutants) {
    const violation = findings?.violations[0];
    if (violation !== undefined) await printTrace(name, violation);
  }
}

async function printTrace(mutant: string | undefined, { seed, message }: Violation): Promise<void> {
  const trace = await minimalTrace(mutant, seed);
  const again =
    mutant === undefined ? `--seed ${seed} --runs 1 --mutant none` : `--seed ${seed} --mutant "${mutant}"`;
  const lines = [
    '',
    message,
    `again: npm run simulate:protocol -- ${again}`,
    ...trace.map((line) => `  ${line}`),
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function jsonOf(options: Options, { product, mutants }: Result, seconds: number): string {
  const dead = mutants.map(({ name, findings }) => {
    if (findings === undefined) return { name, isFinished: false };
    const { schedules, violations } = findings;
    const [violation] = violations;
    if (violation === undefined) return { name, schedules, survived: true };
    return { name, schedules, violation: { ...violation, profile: profileOf(violation.seed) } };
  });
  const found = { seed: options.seed, seconds: Math.round(seconds * 10) / 10, ...product, mutants: dead };
  return `${JSON.stringify(found, null, 2)}\n`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Misused ? error.message : String(error)}\n`);
  process.exitCode = error instanceof Misused ? 2 : 1;
}
