/** One event in full: of whatever kind it is, and whatever was not known of it. */
import { expect, test } from '@jest/globals';
import { eventPage } from '../../../src/cli/event-page.js';

const TRANSACTION = {
  operation: 'TYPED_MESSAGE',
  asset: 'ETH',
  decimals: 18,
  amount: null,
  usd: null,
  source: { type: 'VAULT', id: '7' },
};

const decided = (transaction: object) => ({
  sequence: 12,
  atMs: 0,
  type: 'decision' as const,
  body: {
    decision: { effect: 'reject', sentence: 'Refused by rule r.', policyVersion: 'f'.repeat(64) },
    charged: [],
    journal: {
      request: { cosigner: 'main', kind: 'transaction', stage: 'signing', txId: 'tx-1' },
      facts: { transaction },
      verified: 'refused',
    },
  },
});

const destination = (id: string | null) => ({
  type: 'UNMANAGED',
  id,
  address: null,
  amount: '1500000000000000000',
});

test.each<[string, object, string]>([
  ['no destination', { destinations: null }, 'TYPED_MESSAGE ? ETH from VAULT/7'],
  [
    'a destination without a name',
    { destinations: [destination(null)] },
    'TYPED_MESSAGE ? ETH from VAULT/7: 1.5 ETH to UNMANAGED',
  ],
  [
    'very many destinations',
    { destinations: Array.from({ length: 12 }, (_, index) => destination(`w${index}`)), amount: '7' },
    'UNMANAGED/w9, 2 more',
  ],
])('%s', (_, change, shown) => {
  expect(eventPage(decided({ ...TRANSACTION, ...change }), () => 3)).toContain(shown);
});

test('an event that decided nothing is shown as it is', () => {
  const event = { sequence: 2, atMs: 0, type: 'unfreeze', body: { id: 'f' } } as const;
  expect(eventPage(event, () => undefined)).toBe('event 2  1970-01-01T00:00:00.000Z  unfreeze\n  {"id":"f"}');
});
