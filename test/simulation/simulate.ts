/** The command `npm run simulate:protocol`. Exit code 1 when a promise was broken or a mutant survived, 2 when misused. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { type Findings, type Job, minimalTrace, type Violation } from './hunt.js';
import { MUTANTS } from './mutants.js';
import { onThreads } from './threads.js';

const DEFAULT_RUNS = 2000;

/** A mutant that lives longer has survived. */
const MUTANT_SCHEDULES = 4000;

/** In one job: so few that the threads end at about the same time. */
const JOB_SCHEDULES = 100;

const PROGRESS_MS = 5000;

const HELP = `npm run simulate:protocol -- [options]

Runs the product's recovery and its counting of witnesses on modelled servers, witnesses and connections, in schedules
that a seed decides, and checks what co-signers and operators are told. Then removes one rule of the protocol after the
other: each time it must find a schedule in which a promise is broken.

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
  readonly mutants: readonly { readonly name: string; readonly findings: Findings }[];
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
  await printTraces(options, result);
  const survivors = result.mutants.filter(({ findings }) => findings.violations.length === 0);
  return result.product.violations.length === 0 && survivors.length === 0 ? 0 : 1;
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
  await onThreads(jobs, (job, findings) => {
    if (job.mutant !== undefined) mutants.set(job.mutant, findings);
    else product = sumOf(product, findings);
  }).finally(() => clearInterval(timer));
  tell();
  const inOrder = names.flatMap((name) => {
    const findings = mutants.get(name);
    return findings === undefined ? [] : [{ name, findings }];
  });
  return { product, mutants: inOrder };
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

function print({ product, mutants }: Result, seconds: number): void {
  const { schedules, steps, recoveries, answers, violations } = product;
  const killed = mutants.filter(({ findings }) => findings.violations.length > 0).length;
  const lines = [
    `${schedules} schedules, ${steps} steps, ${recoveries} recoveries, ${answers} answers: ${violations.length} violations`,
    ...violations.map(({ seed, message }) => `  seed ${seed}: ${message}`),
    `${killed} of ${mutants.length} mutants killed, after this many schedules:`,
    ...mutants.map(({ name, findings }) => `  ${mutantText(findings)}  ${name}`),
    `${seconds.toFixed(1)} s`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

function mutantText({ schedules, violations }: Findings): string {
  return (violations.length > 0 ? String(schedules) : 'SURVIVED').padStart(8);
}

/** Of the first violation, and of the mutant that was asked for. */
async function printTraces({ mutant }: Options, { product, mutants }: Result): Promise<void> {
  const [first] = product.violations;
  if (first !== undefined) await printTrace(undefined, first);
  if (mutant === undefined) return;
  for (const { name, findings } of mutants) {
    const [violation] = findings.violations;
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
  const dead = mutants.map(({ name, findings: { schedules, violations } }) => ({
    name,
    schedules,
    ...(violations[0] === undefined ? { survived: true } : { violation: violations[0] }),
  }));
  const found = { seed: options.seed, seconds: Math.round(seconds * 10) / 10, ...product, mutants: dead };
  return `${JSON.stringify(found, null, 2)}\n`;
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Misused ? error.message : String(error)}\n`);
  process.exitCode = error instanceof Misused ? 2 : 1;
}
