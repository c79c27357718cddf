/** Undocumented fields of whatever shape: read when they are plain, and never in the way. */
import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { identify } from '../../../../src/core/fingerprint.js';
import { handler, rsaPair, signingClaims } from '../../../support/fireblocks-handler.js';
import { runs } from '../../../support/fuzz-runs.js';

const { transaction } = handler(rsaPair());
const [destination] = signingClaims().destinations as [object];

const claimsWith = (actionInfo: unknown) => signingClaims({ destinations: [{ ...destination, actionInfo }] });
const rulesOf = async (actionInfo: unknown) => (await transaction(claimsWith(actionInfo))).vendorRules;
const digest = (text: string) => createHash('sha256').update(text).digest('hex').slice(0, 16);

describe('what is read', () => {
  const rule = '{"action":"ALLOW","amount":0}';
  test.each([
    ['as published', { rulesSnapshotId: 8164, capturedRuleNum: 5, capturedRule: rule }],
    ['in a text', JSON.stringify({ rulesSnapshotId: 8164, capturedRuleNum: 5, capturedRule: rule })],
    ['with text for numbers', { rulesSnapshotId: '8164', capturedRuleNum: '5', capturedRule: rule }],
  ])('%s', async (_, info) => {
    expect(await rulesOf(info)).toEqual({ snapshot: '8164', rule: '5', ruleSha256: digest(rule) });
  });

  test('a rule that is an object, in whatever order', async () => {
    const one = await rulesOf({ capturedRule: { a: 1, b: [2.5] } });
    expect(one).toEqual(await rulesOf({ capturedRule: { b: [2.5], a: 1 } }));
    expect(one).toEqual({ ruleSha256: digest('{"a":1,"b":[2.5]}') });
  });
});

describe('what is left', () => {
  test.each([
    undefined,
    null,
    7,
    [],
    '',
    'text',
    '{"rulesSnapshotId":',
    {},
    { rulesSnapshotId: {} },
    { rulesSnapshotId: '' },
    { rulesSnapshotId: 'x'.repeat(65) },
    { rulesSnapshotId: 'two\nlines' },
    { rulesSnapshotId: '<script>' },
    { capturedRule: '' },
    { capturedRule: 'x'.repeat(65_537) },
    { capturedRuleNum: 5 },
  ])('%j', async (info) => {
    expect(await rulesOf(info)).toBeUndefined();
  });
});

test('whatever is there, the request is the same request', async () => {
  const known = identify(await transaction(claimsWith({ rulesSnapshotId: 1 })));
  await fc.assert(
    fc.asyncProperty(fc.jsonValue(), async (info) => {
      const request = await transaction(claimsWith(info));
      expect(identify(request)).toEqual(known);
      for (const text of Object.values(request.vendorRules ?? {})) expect(text).toMatch(/^[\w.:-]{1,64}$/);
    }),
    { numRuns: runs(100) },
  );
});
