import { expect, test } from '@jest/globals';
import { evaluate } from '../../../../src/core/policy/evaluate.js';
import {
  explain,
  renderExplanation,
  type SupposedLedger,
  settle,
} from '../../../../src/core/policy/explain.js';
import { configChange, question, rulesOf } from '../../../support/policy.js';

const DOCUMENT = `
limits:
  a: { sum: count, max: '2', window: lifetime, whenFull: retry }
  b: { sum: usd, max: '100', window: lifetime }
rules:
  - { name: tried, mode: shadow, match: { asset: ETH }, limits: [b], effect: approve }
  - { name: asleep, mode: off, effect: reject }
  - { name: pay, match: { kind: transaction }, limits: [a, b], effect: approve }`;

const EMPTY: SupposedLedger = { used: () => '0', since: () => undefined };

function text(used: Readonly<Record<string, string>>): string {
  return renderExplanation(
    explain(rulesOf(DOCUMENT), question(), { ...EMPTY, used: ({ limit }) => used[limit] ?? '0' }),
  );
}

test('rules, limits, shadow and the decision in one page', () => {
  expect(
    text({ a: '1' }),
  ).toBe(`TRANSFER (signing) of 0.01 ETH, worth 18.74 USD, from VAULT/0 to VAULT/1 0x5dc69b1fbb13bafd09af88a782f0f285772ad5f8

  ✓ tried   holds: approve, in shadow
  - asleep  off
  ✓ pay     holds: approve

  ✓ a  used 1 + this 1 / max 2 transactions
  ✓ b  used 0 + this 18.74 / max 100 USD
  ✓ b  used 0 + this 18.74 / max 100 USD (shadow)

In shadow: Approved by rule tried.

APPROVE  APPROVED  Approved by rule pay.`);
});

test('the first limit without room decides, in its own way', () => {
  expect(text({ a: '2' })).toContain('RETRY  LIMIT_FULL_RETRY  Limit a has no room for this transaction.');
  expect(text({ b: '90000000000000000000' })).toContain('REJECT  LIMIT_EXCEEDED  Limit b has no room');
  expect(text({ a: '2', b: '90000000000000000000' })).toContain('RETRY  LIMIT_FULL_RETRY');
});

test('waiting for room is no answer to what would never fit', () => {
  const rules = rulesOf(DOCUMENT.replace("max: '2'", "max: '0'"));
  const { verdict, facts } = evaluate(rules, question());
  expect(settle(verdict, { ledger: EMPTY, facts, instantMs: 0 })).toMatchObject({
    effect: 'reject',
    limit: 'a',
  });
});

test('a freeze stands before all rules', () => {
  const explanation = explain(rulesOf(DOCUMENT, [{}]), question(), EMPTY);
  expect(renderExplanation(explanation)).toContain('A freeze covers this request: no rule was tried.');
  expect(explanation.outcome).toMatchObject({ effect: 'retry', reason: 'FREEZE_RETRIES' });
});

test('nothing of a request steers a terminal', () => {
  const type = '\u001b[2Jx\r\n\u202e';
  const shown = renderExplanation(explain(rulesOf(DOCUMENT), configChange({ type }), EMPTY));
  expect(shown).toContain('config-change (approval) ·[2Jx···');
  for (const character of ['\u001b', '\r', '\u202e']) expect(shown).not.toContain(character);
});
