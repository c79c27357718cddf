import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { policyCommand } from '../../../src/cli/policy.js';
import { CountersignError } from '../../../src/core/errors.js';
import { testChains } from '../../support/chains.js';

const POLICY = 'deploy/examples/policy.yaml';
const CASES = 'deploy/examples/policy.test.yaml';

interface Run {
  readonly output: string;
  readonly error: unknown;
}

function run(...args: readonly string[]): Run {
  const printed: string[] = [];
  const command = policyCommand({ chains: () => testChains, print: (text) => printed.push(text) });
  try {
    command.exitOverride().parse([...args], { from: 'user' });
    return { output: printed.join('\n'), error: undefined };
  } catch (error) {
    return { output: printed.join('\n'), error };
  }
}

function file(name: string, text: string): string {
  const path = join(mkdtempSync(join(tmpdir(), 'countersign-policy-')), name);
  writeFileSync(path, text);
  return path;
}

test('the example policy is valid and says what it does', () => {
  const { output, error } = run('check', POLICY);
  expect(error).toBeUndefined();
  expect(output).toContain('version ');
  expect(output).toContain('   2  approve  whitelisted-withdrawals');
  expect(output).toContain(
    'usd-per-day            at most 1500000 USD each day (UTC), every approved transaction',
  );
  expect(output).not.toContain('!');
});

test('what a rule names and nobody can have is said', () => {
  const address = '5dc69b1fbb13bafd09af88a782f0f285772ad5f8';
  const rule = `{ name: deny, match: { stage: signing, destination: { address: '${address}' } }, effect: reject }`;
  const { output } = run('check', file('policy.yaml', `version: 1\nrules: [${rule}]\n`));
  expect(output).toContain(`! rules[0].match.destination.address: ${address} is no address as it is written`);
});

test('every case of the example policy comes out as written', () => {
  const { output, error } = run('test', POLICY, CASES);
  expect(output).not.toContain('✗');
  expect(error).toBeUndefined();
});

test('a case that comes out otherwise is shown as a difference, and ends with the code of a failed test', () => {
  const cases = file(
    'cases.yaml',
    `cases:
  - name: nothing is approved
    request: { asset: ETH, operation: RAW, destinations: [{ type: VAULT, id: '1', address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8', amount: '1' }] }
    expect: { effect: approve, rule: no-raw-signing, reason: APPROVED }
`,
  );
  const { output, error } = run('test', POLICY, cases);
  expect(output).toBe(`✗ nothing is approved
    - effect: approve
    + effect: reject
    - reason: APPROVED
    + reason: RULE_REJECTS

1 cases, 1 failed`);
  expect(error).toMatchObject({ code: 'POLICY_TEST_FAILED', message: '1 of 1 cases failed' });
});

test('a case says what the ledger remembers of its destinations', () => {
  const policy = file(
    'policy.yaml',
    `version: 1
coolingOff: { period: 24h, whenEarly: retry }
limits: { new: { sum: usd, max: '100', window: { rolling: 1h }, newDestinations: 7d } }
rules: [{ name: pay, match: { kind: transaction }, limits: [new], effect: approve }]
`,
  );
  const paying = (name: string, destinations: readonly string[], expected: string) => `
  - name: ${name}
    request:
      asset: ETH
      stage: approval
      destinations: [${destinations.map((each, index) => `{ type: VAULT, id: '${index}', amount: '1', usd: '80', ${each} }`).join(', ')}]
    expect: ${expected}`;
  const cases = file(
    'cases.yaml',
    `cases:${[
      paying('one new', [''], '{ effect: approve }'),
      paying('two new', ['', ''], '{ effect: reject, reason: LIMIT_EXCEEDED, limit: new }'),
      paying('a known one beside it', ['', 'firstPaid: 7d'], '{ effect: approve }'),
      paying('not known yet', ['', 'firstPaid: 167h'], '{ effect: reject, limit: new }'),
      paying('a vault is never whitelisted', ['whitelisted: 1h'], '{ effect: approve }'),
    ].join('')}
  - name: waiting
    request:
      asset: ETH
      stage: approval
      destinations: [{ type: EXCHANGE, id: x, amount: '1', usd: '80', firstPaid: 30d, whitelisted: 1h }]
    expect: { effect: retry, reason: COOLING_OFF_RETRIES, rule: pay }
`,
  );
  const { output, error } = run('test', policy, cases);
  expect(output).toContain('6 cases, 0 failed');
  expect(error).toBeUndefined();
  expect(run('check', policy).output).toContain('to destinations first paid less than 7d ago');
  expect(run('check', policy).output).toContain('cooling-off: 24h after a whitelisting here, retry before');
  const request = file(
    'request.yaml',
    `request:
  asset: ETH
  stage: approval
  destinations: [{ type: VAULT, id: '1', amount: '1', usd: '80', firstPaid: 30d }]
`,
  );
  expect(run('explain', policy, request).output).toContain(
    'new  used 0 + this 0 / max 100 USD (no destination is new)',
  );
  const change = file(
    'change.yaml',
    `request: { kind: config-change, type: EXCHANGE, extraInfo: { accountId: x, apiKey: secret-4723, addresses: '{"BTC":"bc1q"}' } }
`,
  );
  const shown = run('explain', policy, change).output;
  expect(shown).toContain('config-change (approval) EXCHANGE, accountId x, addresses.BTC bc1q');
  expect(shown).not.toContain('secret-4723');
});

const REQUEST = `
request:
  asset: ETH
  source: { type: VAULT, id: '0' }
  destinations:
    - { type: VAULT, id: '1', address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8', addressType: WHITELISTED, amount: '0.01', usd: '18.74' }
  fee: '0.0005'
counters: { usd-per-hour: '99990' }
`;

test('explain shows every rule tried, the limits and the decision', () => {
  const { output, error } = run('explain', POLICY, file('request.yaml', REQUEST));
  expect(error).toBeUndefined();
  expect(output).toContain('TRANSFER (signing) of 0.01 ETH, worth 18.74 USD, from VAULT/0 to VAULT/1 0x5dc6');
  expect(output).toContain(
    '✗ no-raw-signing           operation is TRANSFER; wanted RAW, TYPED_MESSAGE, PROGRAM_CALL',
  );
  expect(output).toContain('✓ whitelisted-withdrawals  holds: approve');
  expect(output).toContain('✗ usd-per-hour           used 99990 + this 18.74 / max 100000 USD');
  expect(output).toContain('✓ count-per-destination  used 0 + this 1 / max 20 transactions');
  expect(output).toContain('REJECT  LIMIT_EXCEEDED  Limit usd-per-hour has no room for this transaction.');
});

test('explain prints the same as data', () => {
  const { output } = run('explain', POLICY, file('request.yaml', REQUEST), '--json');
  expect(JSON.parse(output)).toMatchObject({
    outcome: {
      effect: 'reject',
      reason: 'LIMIT_EXCEEDED',
      limit: 'usd-per-hour',
      rule: 'whitelisted-withdrawals',
    },
    rules: [
      {
        rule: 'no-raw-signing',
        held: false,
        failure: { condition: 'operation', seen: 'TRANSFER', truth: 'false' },
      },
      { rule: 'whitelisted-withdrawals', held: true },
    ],
  });
});

test.each([
  ['check', ['check', '/nowhere/policy.yaml'], 'FILE_UNREADABLE', 'cannot read /nowhere/policy.yaml: ENOENT'],
  [
    'test without expectation',
    ['test', POLICY, file('c.yaml', `cases: [{ name: a, request: { asset: ETH }, verified: absent }]`)],
    'POLICY_INVALID',
    'case a: expect: is missing',
  ],
  [
    'a misspelled case',
    ['explain', POLICY, file('r.yaml', 'requst: {}')],
    'POLICY_INVALID',
    'r.yaml:1: request: is missing\nr.yaml:1: requst: unknown key; did you mean request?',
  ],
  [
    'a counter of no limit',
    [
      'explain',
      POLICY,
      file('r.yaml', `{ request: { asset: ETH }, verified: absent, counters: { usd: '1' } }`),
    ],
    'POLICY_INVALID',
    'case unnamed: counters: unknown limit usd',
  ],
  [
    'an address of another chain',
    [
      'explain',
      POLICY,
      file(
        'r.yaml',
        `{ request: { asset: ETH, destinations: [{ type: VAULT, address: bc1q, amount: '1' }] } }`,
      ),
    ],
    'POLICY_INVALID',
    'case unnamed: bytes that agree pay addresses of ETH, and bc1q is none; give one, or say verified: absent',
  ],
])('%s: what is wrong is said in words', (_, args, code, message) => {
  const { error } = run(...args);
  expect(error).toBeInstanceOf(CountersignError);
  expect(error).toMatchObject({ code, message });
});
