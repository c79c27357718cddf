import { expect, test } from '@jest/globals';
import { pathText } from '../../../../src/core/document.js';
import { warningsOf } from '../../../../src/core/policy/consistency.js';
import { parsePolicy } from '../../../../src/core/policy/document.js';

function warnings(text: string): readonly string[] {
  return warningsOf(parsePolicy(`version: 1\n${text}`, 'policy.yaml')).map(
    ({ path, message }) => `${pathText(path)}: ${message}`,
  );
}

test('defaults are filled in', () => {
  const document = parsePolicy('version: 1\nrules: [{ name: a, effect: reject }]', 'policy.yaml');
  expect(document).toMatchObject({ lists: {}, limits: {}, unfreeze: 'one-person' });
  expect(document.rules).toEqual([{ name: 'a', mode: 'enforce', match: {}, limits: [], effect: 'reject' }]);
});

test('anchors may be used, and problems are found where they point to', () => {
  expect(() =>
    parsePolicy(
      `version: 1
rules:
  - { name: a, match: &m { kind: transaction, asset: ETH }, effect: approve }
  - { name: b, match: *m, effect: approve }`,
      'policy.yaml',
    ),
  ).toThrow('policy.yaml:4: rules[1]: can never be reached: rule a has the same match');
});

test('a document with Windows line ends and a byte order mark is the same document', () => {
  const text = '\ufeffversion: 1\r\nrules:\r\n  - { name: a, effect: reject }\r\n';
  expect(parsePolicy(text, 'policy.yaml').rules).toHaveLength(1);
});

test.each<[string, string, readonly string[]]>([
  [
    'what nobody uses',
    `lists: { l: [x] }
limits: { n: { sum: count, max: '1', window: lifetime }, all: { sum: count, max: '1', window: lifetime, counts: all } }
rules: [{ name: a, match: { asset: ETH }, effect: approve }]`,
    ['limits.n: no rule names this limit: it counts nothing', 'lists.l: no rule uses this list'],
  ],
  [
    'approvals without looking',
    'rules: [{ name: a, match: { asset: ETH }, verify: off, effect: approve }]',
    ['rules[0].verify: VERIFY OFF: rule a approves without looking at the bytes'],
  ],
  [
    'rejections that catch configuration changes',
    'rules: [{ name: a, match: { operation: RAW }, effect: reject }]',
    ['rules[0].match: does not say kind: transaction, so it also holds for configuration changes'],
  ],
  [
    'fees that an approval cannot know',
    `limits: { f: { sum: fee, max: '1', window: lifetime } }
rules: [{ name: a, match: { asset: ETH }, limits: [f], effect: approve }]`,
    [
      'rules[0].limits: limit f sums fees, which only the signing stage carries: say stage: signing, or approvals are refused',
    ],
  ],
  [
    'bytes that an approval cannot have',
    `rules:
  - { name: a, match: { asset: ETH }, verify: required, effect: approve }
  - { name: b, match: { asset: BTC, stage: signing }, verify: required, effect: approve }`,
    [
      'rules[0].verify: requires bytes, which only the signing stage carries: say stage: signing, or approvals are refused',
    ],
  ],
  [
    'changes of control that a rule approves',
    `lists: { more: [POLICY_CHANGE, SOMETHING_NEW] }
rules:
  - { name: a, match: { kind: config-change, type: [UNMANAGED_WALLET, ADD_USER, { list: more }] }, effect: approve }
  - { name: b, match: { kind: config-change, type: RE_ENROLL_DEVICE }, effect: ignore }
  - { name: c, mode: off, match: { kind: config-change, type: USERS_GROUP_APPROVAL }, effect: approve }
  - { name: d, match: { kind: config-change, type: [PROTECTED_TAG] }, effect: reject }`,
    [
      'rules[0].match.type: CHANGE OF CONTROL: rule a approves ADD_USER, POLICY_CHANGE; leave that to people (effect: ignore)',
      'rules[0].match.type: SOMETHING_NEW is no documented type',
      'rules[3].match.type: PROTECTED_TAG is no documented type',
    ],
  ],
  [
    'changes that a rule approves without naming any',
    `rules:
  - { name: a, match: { kind: [transaction, config-change], cosigner: x }, effect: approve }
  - { name: b, match: { kind: transaction, cosigner: y }, effect: approve }
  - { name: c, match: { asset: ETH }, effect: approve }
  - { name: d, mode: shadow, effect: approve }
  - { name: e, mode: off, effect: approve }
  - { name: f, match: { kind: config-change }, effect: ignore }`,
    [
      'rules[0].match: ANY CHANGE: rule a approves configuration changes of every documented type, of policy, users, quorum and devices too: say type, or kind: transaction',
      'rules[3].match: ANY CHANGE: rule d approves configuration changes of every documented type, of policy, users, quorum and devices too: say type, or kind: transaction',
    ],
  ],
  ['nothing', 'rules: [{ name: a, match: { kind: transaction, operation: RAW }, effect: reject }]', []],
])('warns of %s', (_, text, expected) => expect(warnings(text)).toEqual(expected));
