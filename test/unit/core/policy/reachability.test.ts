import { expect, test } from '@jest/globals';
import { unreachableBecause } from '../../../../src/core/policy/reachability.js';
import { type Rule, ruleSchema } from '../../../../src/core/policy/schema.js';

function rule(name: string, fields: object): Rule {
  return ruleSchema.parse({ name, effect: 'approve', ...fields });
}

const ETH = { match: { asset: 'ETH' } };
const BIG = { match: { kind: 'transaction', usd: { min: '1' } } };
const call = (...args: readonly string[]) => ({ match: { contract: [{ selector: '0xa9059cbb', args }] } });

test.each<[string, object, object, boolean]>([
  ['everything, then anything', {}, ETH, false],
  ['everything but off, then anything', { mode: 'off' }, ETH, true],
  ['everything in shadow, then anything', { mode: 'shadow' }, ETH, true],
  ['everything in shadow, then anything in shadow', { mode: 'shadow' }, { ...ETH, mode: 'shadow' }, false],
  ['the same', ETH, ETH, false],
  ['the same, the later one off', ETH, { ...ETH, mode: 'off' }, true],
  [
    'the same in another order and form',
    { match: { asset: ['A', 'B'], kind: ['transaction'] } },
    { match: { kind: 'transaction', asset: ['B', 'A'] } },
    false,
  ],
  ['the same with another expression', { ...ETH, when: 'request.stage == "x"' }, ETH, true],
  ['less, then more', ETH, { match: { asset: 'ETH', kind: 'transaction' } }, false],
  ['more, then less', { match: { asset: 'ETH', kind: 'transaction' } }, ETH, true],
  // An approval does not hold on an unknown price; a later rejection does, so it can be reached.
  [
    'an approval, then a rejection of more',
    { match: { usd: { min: '1' } } },
    { ...BIG, effect: 'reject' },
    true,
  ],
  [
    'an approval of a kind, then a rejection of more',
    { match: { kind: 'transaction' } },
    { ...BIG, effect: 'reject' },
    false,
  ],
  ['a rejection, then an approval of more', { match: { usd: { min: '1' } }, effect: 'reject' }, BIG, false],
  ['arguments in another order', call('a', 'b'), call('b', 'a'), true],
  ['the same arguments', call('a', 'b'), call('a', 'b'), false],
])('%s', (_, earlier, later, reachable) => {
  expect(unreachableBecause(rule('late', later), [rule('early', earlier)]) === undefined).toBe(reachable);
});
