import { describe, expect, test } from '@jest/globals';
import { REASONS } from '../../../../src/core/decision.js';
import { evaluate, type RuleTrace } from '../../../../src/core/policy/evaluate.js';
import {
  type Change,
  configChange,
  destination,
  movement,
  question,
  rulesOf,
} from '../../../support/policy.js';

const APPROVE = 'rules: [{ name: pay, match: { kind: transaction }, effect: approve }]';
const APPROVAL: Change = { request: { stage: 'approval' }, examination: 'absent' };

function opinionOf(document: string, change: Change = {}) {
  return evaluate(rulesOf(document), question(change)).verdict.opinion;
}

function rule(text: string): string {
  return `rules: [{ name: pay, match: { kind: transaction }, ${text} }]`;
}

describe('the first rule that holds decides', () => {
  test('in the order of the document', () => {
    const document = `rules:
  - { name: first, match: { asset: BTC }, effect: reject }
  - { name: second, match: { asset: ETH }, effect: approve }
  - { name: third, match: { kind: transaction }, effect: reject }`;
    expect(opinionOf(document)).toMatchObject({
      effect: 'approve',
      rule: 'second',
      sentence: 'Approved by rule second.',
    });
  });

  test('nothing holds: rejected', () => {
    expect(opinionOf('rules: [{ name: a, match: { asset: BTC }, effect: approve }]')).toEqual({
      effect: 'reject',
      reason: 'NO_RULE_MATCHED',
      sentence: 'No rule of the policy covers this request.',
    });
  });

  test.each([
    ['effect: reject', 'reject', 'RULE_REJECTS', 'Refused by rule pay.'],
    ['effect: retry', 'retry', 'RULE_RETRIES', 'Rule pay says to ask again later.'],
  ])('%s', (text, effect, reason, sentence) => {
    expect(opinionOf(rule(text))).toEqual({ effect, reason, sentence, rule: 'pay' });
  });

  test('ignore leaves an approval to others', () => {
    const document = 'rules: [{ name: pay, match: { stage: approval }, effect: ignore }]';
    expect(opinionOf(document, APPROVAL)).toMatchObject({ effect: 'ignore', reason: 'RULE_IGNORES' });
  });

  test('a rule that is off is not there', () => {
    expect(opinionOf(rule('mode: off, effect: approve'))).toMatchObject({ reason: 'NO_RULE_MATCHED' });
  });
});

describe('shadow', () => {
  const document = `
limits: { n: { sum: count, max: '5', window: lifetime } }
rules:
  - { name: early, mode: shadow, match: { asset: BTC }, effect: reject }
  - { name: tried, mode: shadow, match: { asset: ETH }, limits: [n], effect: approve }
  - { name: tried-too, mode: shadow, match: { operation: TRANSFER }, effect: retry }
  - { name: decides, match: { kind: transaction }, effect: reject }
  - { name: late, mode: shadow, match: { signer: signer-1 }, effect: approve }`;

  test('the first shadow rule that holds before the deciding rule is recorded, and changes nothing', () => {
    const { verdict } = evaluate(rulesOf(document), question());
    expect(verdict.opinion).toMatchObject({ effect: 'reject', rule: 'decides' });
    expect(verdict.charges).toEqual([]);
    expect(verdict.shadow).toMatchObject({
      opinion: { effect: 'approve', rule: 'tried' },
      charges: [{ limit: 'n', mode: 'shadow', counter: 'n.1|' }],
    });
  });

  test('one after the deciding rule is not', () => {
    const { verdict } = evaluate(
      rulesOf(document),
      question({ intent: { asset: 'SOL', operation: 'X' }, examination: 'absent' }),
    );
    expect(verdict.shadow).toBeUndefined();
  });
});

describe('the bytes', () => {
  test.each<[string, Change, object]>([
    [rule('effect: approve'), {}, { effect: 'approve' }],
    [rule('effect: approve'), { examination: 'skipped' }, { effect: 'approve' }],
    [
      rule('effect: approve'),
      { examination: 'absent' },
      { effect: 'reject', reason: 'RAWTX_MISSING', rule: 'pay' },
    ],
    [rule('effect: approve'), APPROVAL, { effect: 'approve' }],
    [rule('effect: approve'), { examination: 'refused' }, { effect: 'reject', reason: 'HASH_MISMATCH' }],
    [
      rule('effect: approve'),
      { examination: 'unavailable' },
      { effect: 'retry', reason: 'EVIDENCE_UNAVAILABLE' },
    ],
    [rule('verify: if-present, effect: approve'), { examination: 'absent' }, { effect: 'approve' }],
    [rule('verify: if-present, effect: approve'), { examination: 'refused' }, { reason: 'HASH_MISMATCH' }],
    [rule('verify: if-present, effect: approve'), { examination: 'unavailable' }, { effect: 'retry' }],
    [rule('verify: required, effect: approve'), APPROVAL, { reason: 'RAWTX_MISSING' }],
    [rule('verify: off, effect: approve'), { examination: 'refused' }, { effect: 'approve' }],
    [rule('verify: off, effect: approve'), { examination: 'unavailable' }, { effect: 'approve' }],
    [
      rule('verify: off, effect: approve'),
      {
        intent: { asset: 'NOSUCH' },
        refused: { reason: 'ASSET_UNKNOWN', detail: 'asset "NOSUCH" is not in the registry' },
      },
      { effect: 'reject', reason: 'ASSET_UNKNOWN' },
    ],
    [rule('effect: reject'), { examination: 'refused' }, { reason: 'RULE_REJECTS' }],
  ])('%s', (document, change, expected) => expect(opinionOf(document, change)).toMatchObject(expected));

  test('missing bytes are explained to who can do something about it', () => {
    expect(opinionOf(APPROVE, { examination: 'absent' }).sentence).toBe(
      'Rule pay needs the raw transaction; where the vendor never sends it (EU cloud, Virtual Signers), verify: if-present in the rule accepts that.',
    );
  });

  test('sentences are one printable line of bounded length, whatever a stranger wrote', () => {
    const detail = `pays\u0000 \u001b[31m\n\u202e${'x'.repeat(1000)}\ud800`;
    const { sentence } = opinionOf(APPROVE, { refused: { reason: 'VALUE_MISMATCH', detail } });
    expect(sentence.length).toBeLessThanOrEqual(200);
    expect(sentence).toMatch(/^The bytes were not accepted: pays \[31m x+…$/);
  });

  test('a refusal without words uses those of its reason', () => {
    const { sentence } = opinionOf(APPROVE, { refused: { reason: 'VALUE_MISMATCH', detail: '' } });
    expect(sentence).toBe(`The bytes were not accepted: ${REASONS.VALUE_MISMATCH}.`);
  });
});

describe('freezes', () => {
  const frozenBy = (change: Change, ...freezes: Parameters<typeof rulesOf>[1] & object) => {
    const { verdict, frozen } = evaluate(rulesOf(APPROVE, freezes), question(change));
    return { frozen, ...verdict.opinion };
  };

  test.each<[string, Change, Parameters<typeof rulesOf>[1] & object, object]>([
    ['everything', {}, [{}], { frozen: true, effect: 'retry', reason: 'FREEZE_RETRIES' }],
    ['with a rejection', {}, [{ answers: 'reject' }], { frozen: true, effect: 'reject', reason: 'FROZEN' }],
    ['patience prevails', {}, [{ answers: 'reject' }, { answers: 'retry' }], { effect: 'retry' }],
    ['an asset', {}, [{ scope: '{"asset":["ETH"]}' }], { frozen: true }],
    ['another asset', {}, [{ scope: '{"asset":["BTC"]}' }], { frozen: false, effect: 'approve' }],
    ['an unknown fact', APPROVAL, [{ scope: '{"fee":{"max":"1"}}' }], { frozen: true }],
    [
      'one destination of two',
      TWO_DESTINATIONS(),
      [{ scope: '{"destination":{"id":"9"}}' }],
      { frozen: true },
    ],
    ['no destination', TWO_DESTINATIONS(), [{ scope: '{"destination":{"id":"8"}}' }], { frozen: false }],
    [
      'conditions each false for one',
      TWO_DESTINATIONS(),
      [{ scope: '{"destination":{"id":"9","addressType":"WHITELISTED"}}' }],
      { frozen: true },
    ],
    [
      'a rejection because of an unknown fact alone would be for good',
      APPROVAL,
      [{ scope: '{"contract":[{"selector":"0xa9059cbb"}]}', answers: 'reject' }],
      { frozen: true, effect: 'retry', reason: 'FREEZE_RETRIES' },
    ],
    [
      'a rejection of one destination of two',
      TWO_DESTINATIONS(),
      [{ scope: '{"destination":{"id":"9"}}', answers: 'reject' }],
      { frozen: true, effect: 'reject', reason: 'FROZEN' },
    ],
    [
      'a rejection that no single destination deserves',
      TWO_DESTINATIONS(),
      [{ scope: '{"destination":{"id":"9","addressType":"WHITELISTED"}}', answers: 'reject' }],
      { frozen: true, effect: 'retry' },
    ],
    ['one that has expired', { instantMs: 1000 }, [{ expiresAtMs: 1000 }], { frozen: false }],
    ['one about to expire', { instantMs: 999 }, [{ expiresAtMs: 1000 }], { frozen: true }],
  ])('%s', (_, change, freezes, expected) => expect(frozenBy(change, ...freezes)).toMatchObject(expected));

  test('a scope that is no match block is refused where it is', () => {
    expect(() => rulesOf(APPROVE, [{ id: 'f7', scope: '{"aset":"ETH"}' }])).toThrow(
      'freeze f7:1: aset: unknown key; did you mean asset?',
    );
    expect(() => rulesOf(APPROVE, [{ id: 'f7', scope: '{"asset":{"list":"x"}}' }])).toThrow(
      'freeze f7:1: asset: unknown list x',
    );
  });
});

function TWO_DESTINATIONS(): Change {
  const other = destination({ id: '9', addressType: 'ONE_TIME' });
  return { intent: { destinations: [destination(), other] }, examination: 'absent' };
}

describe('limits', () => {
  const limited = (limit: string, more = '') => `
limits: { n: { ${limit}, window: lifetime } }
rules: [{ name: pay, match: { kind: transaction }, limits: [n]${more}, effect: approve }]`;

  test.each<[string, Change, string]>([
    [
      "sum: usd, max: '1'",
      { intent: { destinations: [destination({ usd: '0' })] } },
      'the USD value is not known',
    ],
    [
      "sum: native, max: '1'",
      { effects: { movements: [movement({ amount: undefined })] } },
      'the amount is not known',
    ],
    [
      "sum: native, max: '1'",
      { effects: { movements: [movement({ asset: undefined })] } },
      'the amount is not known',
    ],
    ["sum: fee, max: '1'", { effects: { maxFee: undefined } }, 'the fee is not known'],
    ["sum: count, max: '1', per: [signer]", { request: { signer: undefined } }, 'the signer is not known'],
    [
      "sum: distinct, of: destination, max: '1'",
      { intent: { destinations: [] }, effects: { movements: [] } },
      'the destinations are not known',
    ],
  ])('%s: what is not known is not approved', (limit, change, unknown) => {
    const { opinion, charges } = evaluate(rulesOf(limited(limit)), question(change)).verdict;
    expect(opinion).toEqual({
      rule: 'pay',
      effect: 'reject',
      reason: 'AMOUNT_UNKNOWN',
      sentence: `Limit n must be charged, and ${unknown}.`,
    });
    expect(charges).toEqual([]);
  });

  test('refusals charge nothing', () => {
    const document = `
limits: { n: { sum: count, max: '1', window: lifetime, counts: all } }
rules: [{ name: no, match: { asset: ETH }, effect: reject }]`;
    expect(evaluate(rulesOf(document), question()).verdict.charges).toEqual([]);
  });

  test('a configuration change cannot be charged, and is not approved by a rule that would', () => {
    const document = `
limits: { n: { sum: count, max: '1', window: lifetime, counts: all } }
rules:
  - { name: both, match: { cosigner: cosigner-a }, limits: [n], effect: approve }`;
    expect(evaluate(rulesOf(document), configChange()).verdict.opinion).toMatchObject({
      reason: 'AMOUNT_UNKNOWN',
    });
  });

  test('a limit of all transactions does not stand in the way of a configuration change', () => {
    const document = `
limits: { n: { sum: count, max: '1', window: lifetime, counts: all } }
rules: [{ name: change, match: { kind: config-change }, effect: approve }]`;
    expect(evaluate(rulesOf(document), configChange()).verdict).toMatchObject({
      opinion: { effect: 'approve' },
      charges: [],
    });
  });

  test('an approval that would be charged to too many counters is refused, and shadow gives way first', () => {
    const many = question({
      intent: { destinations: Array.from({ length: 256 }, (_, id) => destination({ id: String(id) })) },
      examination: 'skipped',
    });
    const names = Array.from({ length: 17 }, (_, index) => `n${index}`);
    const limits = names.map(
      (name) => `${name}: { sum: count, max: '9', window: lifetime, per: [destination] }`,
    );
    const rule = (name: string, count: number) =>
      `{ name: ${name}, match: { kind: transaction }, limits: [${names.slice(0, count).join(', ')}], effect: approve }`;
    const verdict = (rules: string) =>
      evaluate(rulesOf(`limits: { ${limits.join(', ')} }\nrules: [${rules}]`), many).verdict;
    expect(verdict(rule('pay', 17))).toMatchObject({
      opinion: { effect: 'reject', reason: 'CHARGES_TOO_MANY' },
      charges: [],
    });
    const shadowed = verdict(`${rule('tried, mode: shadow', 1)}, ${rule('pay', 16)}`);
    expect(shadowed.opinion).toMatchObject({ effect: 'approve', rule: 'pay' });
    expect(shadowed.charges).toHaveLength(4096);
    expect(shadowed.shadow).toMatchObject({ opinion: { effect: 'approve', rule: 'tried' }, charges: [] });
  });

  test('a limit without counters in the ledger is a defect, not an answer', () => {
    const rules = { ...rulesOf(limited("sum: count, max: '1'")), instances: {} };
    expect(() => evaluate(rules, question())).toThrow('limit n has no instance in the ledger');
  });
});

test('the trace tells of every rule tried, up to the one that decided', () => {
  const trace: RuleTrace[] = [];
  const document = `rules:
  - { name: asleep, mode: off, match: { asset: ETH }, effect: reject }
  - { name: bitcoin, match: { asset: BTC }, effect: approve }
  - { name: unknown, match: { signer: x }, effect: approve }
  - { name: pay, match: { kind: transaction }, effect: approve }
  - { name: late, match: { kind: config-change }, effect: reject }`;
  evaluate(rulesOf(document), question({ request: { signer: undefined } }), trace);
  expect(
    trace.map(({ failure, ...each }) => ({ ...each, ...(failure && { failure: { ...failure } }) })),
  ).toEqual([
    { rule: 'asleep', mode: 'off', effect: 'reject', held: false },
    {
      rule: 'bitcoin',
      mode: 'enforce',
      effect: 'approve',
      held: false,
      failure: { condition: 'asset', wanted: 'BTC', seen: 'ETH', truth: 'false' },
    },
    {
      rule: 'unknown',
      mode: 'enforce',
      effect: 'approve',
      held: false,
      failure: { condition: 'signer', wanted: 'x', seen: 'unknown', truth: 'unknown' },
    },
    { rule: 'pay', mode: 'enforce', effect: 'approve', held: true },
  ]);
});

test('the same question has the same verdict, with and without a trace', () => {
  const rules = rulesOf(APPROVE);
  expect(evaluate(rules, question())).toEqual(evaluate(rules, question(), []));
});

describe('a call whose bytes nobody read', () => {
  const LIMITS = `limits:
  dollars: { sum: usd, max: '1000', window: lifetime }
  coins: { sum: native, max: '1', window: lifetime }`;
  // The claim of a call is its native value: nothing, whatever it moves.
  const call = (operation: string, change: Change): Change => ({
    examination: 'absent',
    ...change,
    intent: { operation, amount: '0', destinations: [destination({ amount: '0', usd: '0' })] },
  });

  test.each([
    ...['CONTRACT_CALL', 'APPROVE', 'PROGRAM_CALL', 'TYPED_MESSAGE', 'RAW'].flatMap((operation) => [
      ['approval', operation, 'if-present', call(operation, { request: { stage: 'approval' } })] as const,
      ['signing', operation, 'if-present', call(operation, {})] as const,
      ['signing', operation, 'off', call(operation, { examination: 'refused' })] as const,
    ]),
  ])('at the %s stage: %s moves an unknown amount, with verify: %s', (_, _operation, verify, change) => {
    for (const within of ["amount: { max: '1' }", "usd: { max: '1' }"])
      expect(
        opinionOf(
          `rules: [{ name: pay, match: { kind: transaction, ${within} }, verify: ${verify}, effect: approve }]`,
          change,
        ),
      ).toMatchObject({ effect: 'reject', reason: 'NO_RULE_MATCHED' });
    for (const limit of ['dollars', 'coins'])
      expect(
        opinionOf(`${LIMITS}\n${rule(`verify: ${verify}, limits: [${limit}], effect: approve`)}`, change),
      ).toMatchObject({ effect: 'reject', reason: 'AMOUNT_UNKNOWN' });
  });
});
