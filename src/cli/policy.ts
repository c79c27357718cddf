/** `countersign policy check|test|explain`: what a document says, before a replica says it. */
import { basename } from 'node:path';
import { Command } from 'commander';
import { loadConfig, readText, unauthenticatedWarnings } from '../config/load.js';
import { CountersignError } from '../core/errors.js';
import { type CompiledPolicy, compilePolicy } from '../core/policy/compile.js';
import { explain, renderExplanation } from '../core/policy/explain.js';
import type { Rules } from '../core/policy/rulebook.js';
import type { Limit } from '../core/policy/schema.js';
import { policyWarnings } from '../core/policy/warnings.js';
import type { Chains } from '../core/ports.js';
import { differences, ledgerOf, type PolicyCase, parseCase, parseCases, questionOf } from './policy-cases.js';

export interface PolicyCommandPorts {
  /** The asset registry that conditions on chains and addresses, and amounts, are read with. */
  readonly chains: () => Chains;
  /** Where a command's output goes, a line or several at a time; by default standard output. */
  readonly print?: (text: string) => void;
}

interface Options {
  readonly json?: true;
}

interface CheckOptions extends Options {
  readonly config?: string;
}

type Ports = Required<PolicyCommandPorts>;

export function policyCommand({ chains, print = printLine }: PolicyCommandPorts): Command {
  const ports: Ports = { chains, print };
  const command = new Command('policy').description('check, test and explain policy documents');
  command
    .command('check')
    .description('everything wrong with a document, or what it says')
    .argument('<file>', 'the policy document')
    .option(
      '--config <file>',
      'say also what the configuration means for it: co-signers that nobody vouches for',
    )
    .option('--json', 'print one JSON object')
    .action((file: string, options: CheckOptions) => check(file, options, ports));
  command
    .command('test')
    .description('run written cases; exit code 1 when one does not come out as expected')
    .argument('<file>', 'the policy document')
    .argument('<cases...>', 'YAML documents of cases')
    .option('--json', 'print one JSON object')
    .action((file: string, cases: string[], options: Options) => test(file, cases, { ...options, ports }));
  command
    .command('explain')
    .description('every rule in order with the first condition that failed, the limits and the decision')
    .argument('<file>', 'the policy document')
    .argument('<request>', 'YAML or JSON of one case: request, and clock, verified, counters if they matter')
    .option('--json', 'print one JSON object')
    .action((file: string, request: string, options: Options) =>
      explainOne(file, request, { ...options, ports }),
    );
  return command;
}

function printLine(text: string): void {
  process.stdout.write(`${text}\n`);
}

function check(file: string, { json, config }: CheckOptions, { chains, print }: Ports): void {
  const policy = compilePolicy(readText(file), basename(file), chains());
  const warnings = [
    ...policyWarnings(policy),
    ...(config === undefined ? [] : unauthenticatedWarnings(loadConfig(config))),
  ];
  if (json) {
    const { document, version } = policy;
    const rules = document.rules.map(({ name, mode, effect, limits, verify }) => ({
      name,
      mode,
      effect,
      limits,
      verify,
    }));
    const { limits, coolingOff } = document;
    print(JSON.stringify({ file, version, rules, limits, coolingOff, warnings }));
    return;
  }
  const head = [`${file}: valid`, `version ${policy.version}`];
  print([...head, '', ...ruleLines(policy), '', ...limitLines(policy)].join('\n'));
  if (warnings.length > 0) print(['', ...warnings.map((warning) => `! ${warning}`)].join('\n'));
}

function ruleLines({ rules }: CompiledPolicy): readonly string[] {
  const width = Math.max(...rules.map(({ rule }) => rule.name.length));
  return [
    'rules, the first that holds decides',
    ...rules.map(({ rule, limits }, index) => {
      const { name, mode, effect, verify } = rule;
      const notes = [
        ...(mode === 'enforce' ? [] : [mode === 'off' ? 'off' : 'in shadow']),
        ...(limits.length > 0 ? [`limits ${limits.map((limit) => limit.name).join(', ')}`] : []),
        ...(verify === undefined ? [] : [verify === 'off' ? 'VERIFY OFF' : `verify ${verify}`]),
      ];
      return `${String(index + 1).padStart(4)}  ${effect.padEnd(7)}  ${name.padEnd(width)}  ${notes.join('; ')}`.trimEnd();
    }),
    '      reject   (everything else)',
  ];
}

function limitLines({ document }: CompiledPolicy): readonly string[] {
  const { coolingOff } = document;
  const limits = Object.entries(document.limits);
  const width = Math.max(...limits.map(([name]) => name.length));
  return [
    ...(limits.length === 0 ? ['no limits'] : ['limits']),
    ...limits.map(([name, limit]) => `  ${name.padEnd(width)}  ${limitText(limit)}`),
    ...(coolingOff === undefined
      ? []
      : ['', `cooling-off: ${coolingOff.period} after a whitelisting here, ${coolingOff.whenEarly} before`]),
  ];
}

function limitText({ sum, max, window, per, counts, whenFull, newDestinations }: Limit): string {
  const unit = {
    native: 'of each asset',
    usd: 'USD',
    fee: 'of fees',
    count: 'transactions',
    distinct: 'destinations',
  }[sum];
  const span =
    window === 'lifetime' || window.lifetime === true
      ? 'ever'
      : window.rolling === undefined
        ? `each ${window.calendar} (${window.timezone ?? 'UTC'})`
        : `in any ${window.rolling}`;
  return [
    `at most ${max} ${unit} ${span}`,
    ...(per.length === 0 ? [] : [`for each ${per.join(' and ')}`]),
    ...(newDestinations === undefined ? [] : [`to destinations first paid less than ${newDestinations} ago`]),
    ...(counts === 'all' ? ['every approved transaction'] : []),
    ...(whenFull === 'retry' ? ['asks again when full'] : []),
  ].join(', ');
}

function test(file: string, caseFiles: readonly string[], { json, ports }: Options & { ports: Ports }): void {
  const rules = rulesOf(file, ports.chains());
  const results = caseFiles.flatMap((caseFile) =>
    parseCases(readText(caseFile), basename(caseFile)).map((policyCase) => ({
      file: caseFile,
      name: policyCase.name,
      differences: runCase(policyCase, rules),
    })),
  );
  const failed = results.filter((result) => result.differences.length > 0);
  if (json) ports.print(JSON.stringify({ cases: results.length, failed: failed.length, results }));
  else {
    for (const { name, differences: lines } of results)
      ports.print(
        [`${lines.length === 0 ? '✓' : '✗'} ${name}`, ...lines.map((line) => `    ${line}`)].join('\n'),
      );
    ports.print(`\n${results.length} cases, ${failed.length} failed`);
  }
  if (failed.length > 0)
    throw new CountersignError('POLICY_TEST_FAILED', `${failed.length} of ${results.length} cases failed`);
}

function runCase(policyCase: PolicyCase, rules: Rules): readonly string[] {
  const { expect } = policyCase;
  if (expect === undefined)
    throw new CountersignError('POLICY_INVALID', `case ${policyCase.name}: expect: is missing`);
  const { outcome } = explain(rules, questionOf(policyCase, rules.policy), ledgerOf(policyCase, rules));
  const { effect, rule, reason, limit } = outcome;
  return differences(expect, { effect, rule, reason, limit });
}

function explainOne(file: string, requestFile: string, { json, ports }: Options & { ports: Ports }): void {
  const rules = rulesOf(file, ports.chains());
  const policyCase = parseCase(readText(requestFile), basename(requestFile));
  const explanation = explain(rules, questionOf(policyCase, rules.policy), ledgerOf(policyCase, rules));
  ports.print(json ? JSON.stringify(explanation) : renderExplanation(explanation));
}

/** The document alone: no freezes, and every limit with counters of its own. */
function rulesOf(file: string, chains: Chains): Rules {
  const policy = compilePolicy(readText(file), basename(file), chains);
  return {
    policy,
    instances: Object.fromEntries([...policy.limits.keys()].map((name) => [name, name])),
    freezes: [],
    versions: { ledger: '', epoch: 0, policy: 0, freezes: 0 },
  };
}
