/** One of everything that a ledger can record. */
import type { NewOnly } from '../../src/core/moments.js';
import type { Ledger } from '../../src/core/ports.js';
import { activate } from './ledger-bench.js';
import { charge, LIFETIME, type ProposalParts, proposal, REJECT } from './proposals.js';

/** More than a script can add without limbs. */
export const EVER = charge('ever', {
  amount: '123456789012345678901234567890',
  max: '9'.repeat(40),
  window: LIFETIME,
});
export const RELEASE = { reason: 'failed', authority: { kind: 'operator', statement: 'a.b.c' } } as const;
export const FREEZE = { scope: '{"effect":"approve"}', reason: 'r', author: 'a', answers: 'retry' } as const;

/** About transactions of this generation, and one that every generation asks about. */
export async function generation(ledger: Ledger, number: number): Promise<void> {
  const decided = async (txId: string, parts: Partial<ProposalParts> = {}) => {
    const { versions } = await ledger.state();
    await ledger.commit(proposal(txId, { versions, ...parts }));
  };
  const short = charge('short', { amount: '5', max: '1000', window: { kind: 'rolling', lengthMs: 10 } });
  const calendar = { kind: 'calendar', startMs: number, endMs: Date.now() + 30 } as const;
  const newOnly = (...places: readonly string[]): NewOnly => ({
    forMs: 1,
    combine: 'sum',
    parts: places.map((place) => ({ moment: `paid ${place}`, need: '1' })),
  });
  const newcomers = charge('newcomers', {
    amount: '2',
    window: LIFETIME,
    max: '1000',
    newOnly: newOnly(`place-${number}`, 'everywhere'),
  });
  const moments = [
    { key: `paid place-${number}`, keeps: 'first' },
    { key: 'paid everywhere', keeps: 'first' },
  ] as const;
  const charges = [
    EVER,
    short,
    charge('tried', { mode: 'shadow', window: LIFETIME, max: '1000' }),
    charge(`own-${number}`, { window: LIFETIME }),
    charge('places', { members: [`place-${number}`, 'everywhere'], window: LIFETIME }),
    newcomers,
    charge('lately', { members: [`place-${number}`], window: { kind: 'rolling', lengthMs: 10 } }),
  ];
  const transactions = Array.from({ length: 6 }, (_, index) => `t${number}-${index}`);
  await decided('monthly', { charges: [charge('month', { window: calendar })] });
  for (const txId of transactions) await decided(txId, { charges, moments });
  await decided('always', { ask: { askKey: `always ${number}` }, charges });
  await decided(`t${number}-1`, { ask: { askKey: `again ${number}`, amount: '50' }, charges: [EVER] });
  await decided(`t${number}-2`, { ask: { fingerprint: 'another-content' } });
  await decided(`no-${number}`, { opinion: REJECT });
  await decided(`change-${number}`, {
    ask: { moneyKey: undefined, amount: undefined, binding: undefined },
    charges: [EVER],
    moments: [
      { key: `whitelisted ${number}`, keeps: 'newest' },
      { key: 'whitelisted often', keeps: 'newest' },
    ],
  });
  await decided(`spends-${number}`, {
    facts: [{ key: `outpoint:${number}`, value: '5', reason: 'INPUT_AMOUNT_CHANGED', sentence: 'Changed.' }],
  });
  await ledger.release({ ...RELEASE, moneyKey: `test:t${number}-3` });
  const said = { protocol: 'test', createdAtMs: 0, source: 'api', status: 'SO' } as const;
  for (const [txId, fate, updatedAtMs] of [
    [`t${number}-5`, 'signed', number],
    [`t${number}-5`, 'completed', number + 1],
    [`t${number}-3`, 'never-signed', number],
    ['always', 'failed', number],
    [`nobody-${number}`, 'completed', number],
  ] as const) {
    await ledger.report({
      ...said,
      txId,
      moneyKey: `test:${txId}`,
      fate,
      updatedAtMs,
      txHash: `0x${number}`,
    });
  }
  await ledger.freeze({ ...FREEZE, id: `kept-${number}` });
  if (number > 0) await ledger.unfreeze(`kept-${number - 1}`, ['a.b.c']);
  await ledger.fill([
    { counter: 'new', window: LIFETIME, moneyKey: 'm', atMs: 1, need: { kind: 'amount', amount: '3' } },
    {
      counter: `new-${number}`,
      window: LIFETIME,
      moneyKey: `test:t${number}-4`,
      atMs: 1,
      need: { kind: 'amount', amount: '4' },
    },
    {
      counter: 'seen',
      window: LIFETIME,
      moneyKey: 'm',
      atMs: 1,
      need: { kind: 'distinct', members: ['x'] },
    },
  ]);
  await ledger.fill(
    [],
    [
      { key: 'paid long ago', sinceMs: 10 - number },
      { key: `paid place-${number}`, sinceMs: 5 },
      { key: `paid once ${number}`, sinceMs: 7 },
    ],
  );
  if (number !== 1) await activate(ledger);
}
