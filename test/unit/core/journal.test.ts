import { describe, expect, test } from '@jest/globals';
import { journalText } from '../../../src/core/journal.js';
import { evaluate, type Question } from '../../../src/core/policy/evaluate.js';
import { call, configChange, question, rulesOf } from '../../support/policy.js';

const RULES = rulesOf(`
rules:
  - { name: tried, mode: shadow, match: { kind: transaction }, effect: reject }
  - { name: all, match: { kind: transaction }, effect: approve }
`);

function entryOf(asked: Question): { readonly text: string; readonly entry: Record<string, unknown> } {
  const text = journalText(asked.request, asked.examination, evaluate(RULES, asked));
  return { text, entry: JSON.parse(text) };
}

describe('the journal keeps of a transaction', () => {
  const asked = question({
    intent: {
      externalTxId: 'wd-77',
      note: 'NOTE-OF-THE-INITIATOR',
      extraParameters: { contractCallData: 'EXTRA-PARAMETERS', message: 'SIGNED-MESSAGE' },
    },
    request: {
      rawTransactions: [
        { keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '02efRAWBYTES', digest: 'DIGEST' },
      ],
    },
    effects: { summary: { to: '0xabc', nonce: '7' }, calls: [call()] },
  });

  test('who asked, about what, what was seen and what the bytes do', () => {
    expect(entryOf(asked).entry).toMatchObject({
      request: {
        protocol: 'fireblocks',
        kind: 'transaction',
        stage: 'signing',
        cosigner: 'cosigner-a',
        signer: 'signer-1',
        requestId: 'r1',
        txId: 't1',
        externalTxId: 'wd-77',
      },
      facts: { transaction: { operation: 'TRANSFER', asset: 'ETH', amount: String(10n ** 16n) } },
      verified: 'agrees',
      effects: { to: '0xabc', nonce: '7' },
      shadow: { effect: 'reject', rule: 'tried' },
    });
  });

  test.each(['NOTE-OF-THE-INITIATOR', 'EXTRA-PARAMETERS', 'SIGNED-MESSAGE', '02efRAWBYTES', 'DIGEST'])(
    'not %s',
    (secret) => {
      expect(JSON.stringify(asked.request)).toContain(secret);
      expect(entryOf(asked).text).not.toContain(secret);
    },
  );

  test('that its bytes were refused, and then nothing of what they do', () => {
    const { entry } = entryOf(question({ refused: { reason: 'HASH_MISMATCH', detail: 'another' } }));
    expect(entry).toMatchObject({ verified: 'refused' });
    expect(entry).not.toHaveProperty('effects');
  });
});

test('the journal keeps of a configuration change its type and what it would change', () => {
  const { entry } = entryOf(
    configChange({ type: 'UNMANAGED_WALLET', extraInfo: { asset: 'ETH', address: '0xabc' } }),
  );
  expect(entry).toMatchObject({
    request: { kind: 'config-change', requestId: 'c1', type: 'UNMANAGED_WALLET' },
    facts: { change: { extraInfo: { asset: 'ETH', address: '0xabc' } } },
    verified: 'not-applicable',
  });
  expect(entry.request).not.toHaveProperty('txId');
});
