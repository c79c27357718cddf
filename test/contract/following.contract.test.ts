/** Who follows the journal knows what another follower of it knows, on every store. */
import { expect, test } from '@jest/globals';
import type { OpenTransactions } from '../../src/core/open-transactions.js';
import type { Ledger } from '../../src/core/ports.js';
import type { Fate, SettlingReport } from '../../src/core/report.js';
import { settle } from '../../src/core/settle.js';
import { Follower } from '../../src/replica/vendor/following.js';
import type { OpenFigures } from '../../src/telemetry/vendor-metrics.js';
import { onEachLedger } from '../support/each-ledger.js';
import { proposal } from '../support/proposals.js';

/** What a follower says when it has read all there is; `ids`: of what it would ask about. */
async function followed(
  ledger: Ledger,
  settings: { readonly unfinishedAfterMs?: number; readonly nowMs?: () => number } = {},
): Promise<OpenFigures & { readonly ids: readonly string[] }> {
  const stopping = new AbortController();
  const { promise, resolve } = Promise.withResolvers<OpenFigures & { readonly ids: readonly string[] }>();
  let figures: OpenFigures | undefined;
  const follower = new Follower({
    ledger,
    pollMs: 10,
    unfinishedAfterMs: settings.unfinishedAfterMs ?? 3_600_000,
    clock: { now: settings.nowMs ?? Date.now },
    observer: {
      followed(now) {
        figures = now;
      },
    },
    sweep: {
      afterMs: 3_600_000,
      async turn(open: OpenTransactions) {
        if (figures !== undefined) resolve({ ...figures, ids: [...open.all()].map(({ txId }) => txId) });
      },
    },
  });
  const following = follower.follow(stopping.signal);
  const last = await Promise.race([promise, following.then(() => Promise.reject(new Error('it ended')))]);
  stopping.abort();
  await following;
  return last;
}

onEachLedger('followed', (given) => {
  const approve = async (txId: string, member?: string) => {
    const moneyKey = `fireblocks:${member ?? txId}`;
    const request = { protocol: 'fireblocks', kind: 'transaction', stage: 'signing', txId };
    const asked = proposal(txId, {
      versions: given.versions,
      ask: { moneyKey, askKey: `ask:${member ?? txId}`, binding: undefined },
    });
    const reply = await given.ledger.commit({
      ...asked,
      ask: { ...asked.ask, binding: { requestKey: `fireblocks:${member ?? txId}`, txId } },
      journal: JSON.stringify({ request }),
    });
    expect(reply.kind).toBe('decided');
  };
  const report = (txId: string, fate: Exclude<Fate, 'pending'>) => {
    const nowMs = Date.now();
    const said: SettlingReport = {
      moneyKey: `fireblocks:${txId}`,
      protocol: 'fireblocks',
      txId,
      fate,
      status: fate.toUpperCase(),
      createdAtMs: nowMs,
      updatedAtMs: nowMs,
      source: 'api',
    };
    return settle(given.ledger, said, { nowMs, retentionMs: 86_400_000 });
  };

  test('what has not ended, whichever replica reads', async () => {
    for (const txId of ['a', 'b', 'c', 'd', 'e', 'f']) await approve(txId);
    await approve('g', 'g-1');
    await approve('g', 'g-2');
    await approve('h', 'h-1');
    await report('a', 'completed');
    await report('b', 'never-signed');
    await report('c', 'failed');
    await report('d', 'signed');
    await report('g', 'completed');
    await given.ledger.release({
      moneyKey: 'fireblocks:e',
      reason: 'cancelled',
      authority: { kind: 'operator', statement: 'a.b.c' },
    });
    const own = await followed(given.ledger);
    expect(own).toMatchObject({ ids: ['d', 'f', 'h'], open: 3, unfinished: 0, forgotten: 0 });
    expect(await followed(given.another())).toEqual(own);
  });

  test('one that had ended before it was approved is not overdue for ever', async () => {
    await report('late', 'failed');
    await approve('late');
    await approve('other');
    expect((await followed(given.ledger)).ids).toEqual(['late', 'other']);
    const tomorrow = await followed(given.ledger, { nowMs: () => Date.now() + 86_400_000 });
    expect(tomorrow).toMatchObject({ ids: ['other'], open: 1, unfinished: 1 });
  });

  test('more events than one page', async () => {
    for (let index = 0; index < 520; index += 1) await approve(`t${index}`);
    await report('t0', 'completed');
    await report('t519', 'completed');
    expect(await followed(given.another())).toMatchObject({ open: 518, oldestMs: expect.any(Number) });
  });
});
