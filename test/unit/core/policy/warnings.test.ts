import { expect, test } from '@jest/globals';
import { createChains } from '../../../../src/chains/index.js';
import { compilePolicy } from '../../../../src/core/policy/compile.js';
import { policyWarnings } from '../../../../src/core/policy/warnings.js';

/** Where the document names an asset that nobody knows, and which. */
function strangers(sections: string, match = ''): readonly string[] {
  const rule = `{ name: deny, match: { stage: signing${match} }, effect: reject }`;
  const text = `version: 1\n${sections}\nrules: [${rule}]`;
  return policyWarnings(compilePolicy(text, 'policy.yaml', createChains()))
    .filter((warning) => warning.includes('typing error'))
    .map((warning) => warning.split(' is neither')[0] ?? '');
}

test('an asset that a setting or a rule names, and no registry has, is said', () => {
  expect(strangers('verification: { assets: { ETHH: { gross: reject } } }')).toEqual([
    'verification.assets.ETHH: ETHH',
  ]);
  expect(strangers('lists: { coins: [BTC, BTCC] }', ', asset: [ETH, { list: coins }, DOEG]')).toEqual([
    'rules[0].match.asset: BTCC',
    'rules[0].match.asset: DOEG',
  ]);
});

test('assets that are known, and patterns, are not', () => {
  expect(strangers('verification: { assets: { ETH: { gross: reject } } }')).toEqual([]);
  expect(strangers('', ", asset: [BTC, 'USDT*', ETH_TEST?]")).toEqual([]);
});

test('a document under which nothing is approved says so first', () => {
  const warnings = (rule: string) =>
    policyWarnings(compilePolicy(`version: 1\nrules: [${rule}]`, 'policy.yaml', createChains()));
  const nothing =
    'rules: NOTHING IS APPROVED: no rule in force approves, and what is rejected stays rejected';
  expect(warnings('{ name: no, match: { kind: transaction }, effect: reject }')).toEqual([nothing]);
  const rule = 'name: yes, match: { kind: transaction, stage: signing }, effect: approve';
  expect(warnings(`{ ${rule}, mode: shadow }`)).toContain(nothing);
  expect(warnings(`{ ${rule} }`)).not.toContain(nothing);
});
