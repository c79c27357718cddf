import { describe, expect, test } from '@jest/globals';
import { compileExpression } from '../../../../src/core/policy/cel.js';
import { factsOf } from '../../../../src/core/policy/facts.js';
import { testChains } from '../../../support/chains.js';
import { cpuClock } from '../../../support/cpu-clock.js';
import {
  ALICE,
  type Change,
  call,
  configChange,
  destination,
  movement,
  question,
} from '../../../support/policy.js';

function evaluated(expression: string, asked: ReturnType<typeof question>): string {
  const compiled = compileExpression(expression);
  if (!compiled.ok) throw new Error(compiled.problem);
  return compiled.test(factsOf(asked.request, asked.examination, testChains));
}

const HUGE: Change = { effects: { movements: [movement({ amount: 2n ** 200n })] } };

describe('expressions', () => {
  test.each<[string, Change, string]>([
    ['request.operation == "TRANSFER"', {}, 'true'],
    ['request.stage == "approval"', {}, 'false'],
    ['request.source.id in ["0", "1"]', {}, 'true'],
    ['request.destinations.all(d, d.addressType == "WHITELISTED")', {}, 'true'],
    ['request.destinations.exists(d, d.amount > decimal("1"))', {}, 'false'],
    [`request.destinations[0].address == "${ALICE}"`, {}, 'true'],
    ['request.destinations.size() == 1', {}, 'true'],
    ['["a", "0"].exists(p, request.source.id.startsWith(p))', {}, 'true'],
    ['request.destinations.all(d, ["1", "2"].exists(id, d.id == id))', {}, 'true'],
    // amounts are exact
    ['request.amount == decimal("0.01")', {}, 'true'],
    ['request.amount == decimal("0.0100")', {}, 'true'],
    ['decimal(request.amount) > decimal("0.009999999999999999")', {}, 'true'],
    ['request.amount <= decimal("0.009999999999999999999999999999")', {}, 'false'],
    ['request.usd + decimal("81.26") == decimal("100")', {}, 'true'],
    [
      'request.amount > decimal("1606938044258990275541962092341162602522202.993782792835301376")',
      HUGE,
      'false',
    ],
    [
      'request.amount > decimal("1606938044258990275541962092341162602522202.993782792835301375")',
      HUGE,
      'true',
    ],
    ['request.fee < decimal("0.001") && request.feeAsset == "ETH"', {}, 'true'],
    [
      'request.calls.all(c, c.selector == "0xa9059cbb" && c.args[1] == "25")',
      { effects: { calls: [call()] } },
      'true',
    ],
    // what is missing is unknown, unless it makes no difference
    ['request.externalTxId.startsWith("wd-")', {}, 'unknown'],
    ['request.externalTxId != "x"', {}, 'unknown'],
    ['!(request.externalTxId == "x")', {}, 'unknown'],
    ['request.externalTxId == "x" || true', {}, 'true'],
    ['request.externalTxId == "x" && false', {}, 'false'],
    ['request.fee < decimal("1") ? true : true', { examination: 'absent', intent: { fee: 'x' } }, 'unknown'],
    ['request.usd >= decimal("0")', { intent: { destinations: [destination({ usd: '0' })] } }, 'unknown'],
    ['request.destinations.all(d, true)', { intent: { destinations: [] }, examination: 'absent' }, 'unknown'],
    ['request.calls.all(c, true)', { examination: 'absent' }, 'unknown'],
    ['request.destinations[7].id == "1"', {}, 'unknown'],
    ['decimal(request.source.id) == decimal("0")', {}, 'true'],
    ['decimal(request.operation) >= decimal("0")', {}, 'unknown'],
    ['request.type == "UNMANAGED_WALLET"', {}, 'unknown'],
  ])('%s', (expression, change, expected) => expect(evaluated(expression, question(change))).toBe(expected));

  test('of configuration changes', () => {
    expect(evaluated('request.extraInfo["asset"] == "ETH"', configChange())).toBe('true');
    expect(evaluated('request.extraInfo["nothing"] == "ETH"', configChange())).toBe('unknown');
    const onlyAsset = 'request.extraInfo.all(key, key == "asset") && !("owner" in request.extraInfo)';
    expect(evaluated(onlyAsset, configChange())).toBe('true');
    const hiding = configChange({ extraInfo: { asset: 'ETH', owner: 'x'.repeat(2000) } });
    expect(evaluated(onlyAsset, hiding)).toBe('unknown');
    expect(evaluated('request.amount > decimal("0")', configChange())).toBe('unknown');
  });
});

test.each([
  ['request.externalTxId.matches("a")', 'matches() can take exponential time'],
  ['request.destinations.all(d, d.id.matches("a"))', 'matches() can take exponential time'],
  ['true || request.destinations.exists(d, [d.id].exists(x, x.matches("a")))', 'matches()'],
  ['has(request.fee)', 'has() would let a missing fact decide'],
  ['request.destinations.map(d, d.id).size() > 1', 'map() is not available'],
  ['int("1") == 1', 'int() is not available'],
  ['dyn(request).anything == 1', 'dyn() is not available'],
  ['cel.bind(x, request.id, true)', 'bind() is not available'],
  ['request.amount > 1', 'no such overload: Decimal > int'],
  ['request.amount > 1.5', 'no such overload: Decimal > double'],
  ['request.amount == "0.01"', 'no such overload: Decimal == string'],
  ['request.unknown == "x"', 'No such key: unknown'],
  ['other == 1', 'Unknown variable: other'],
  ['[["a"]].all(x, x.all(y, ["b"].all(z, true)))', 'one of each at most'],
  [`${'('.repeat(100)}true${')'.repeat(100)}`, 'Exceeded maxDepth'],
  [Array.from({ length: 400 }, () => 'true').join(' && '), 'Exceeded maxAstNodes'],
])('%s is refused when the document loads', (expression, problem) => {
  const compiled = compileExpression(expression);
  expect(compiled.ok ? 'accepted' : compiled.problem).toContain(problem);
});

test('the largest request and the largest loop take no noticeable time', () => {
  const literals = Array.from({ length: 64 }, (_, index) => `"${index}x"`).join(', ');
  const expression = `request.destinations.all(d, [${literals}].all(p, !d.id.startsWith(p)))`;
  const many = question({
    intent: { destinations: Array.from({ length: 256 }, () => destination()) },
    examination: 'absent',
  });
  const cpuMs = cpuClock();
  expect(evaluated(expression, many)).toBe('true');
  expect(cpuMs()).toBeLessThan(500);
});
