/** What a file can do to a replica: be held by another process, be gone, be nowhere. */
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Ledger, Versions } from '../../src/core/ports.js';
import { createEmbeddedLedger } from '../../src/ledger/embedded/embedded-ledger.js';
import { EmbeddedStore } from '../../src/ledger/embedded/store.js';
import { activate } from '../support/ledger-bench.js';
import { charge, proposal } from '../support/proposals.js';

describe('faults of the embedded ledger', () => {
  let directory: string;
  let file: string;
  let ledger: Ledger;
  let versions: Versions;

  beforeEach(async () => {
    directory = mkdtempSync(join(tmpdir(), 'countersign-embedded-'));
    file = join(directory, 'ledger.db');
    ledger = createEmbeddedLedger({ file, workspace: 'w', busyTimeoutMs: 1_000 });
    await ledger.init();
    await activate(ledger);
    ({ versions } = await ledger.state());
  });
  afterEach(async () => {
    await ledger.close();
    rmSync(directory, { recursive: true, force: true });
  });

  const commit = (txId: string, of: Ledger = ledger) =>
    of.commit(proposal(txId, { versions, charges: [charge('c')] }));

  test('held by another process: unavailable after the busy time, without stopping this one', async () => {
    const holder = new DatabaseSync(file);
    holder.exec('BEGIN IMMEDIATE');
    let ticks = 0;
    const ticking = setInterval(() => {
      ticks += 1;
    }, 10);
    await expect(commit('t')).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      message: expect.stringContaining('database is locked'),
    });
    clearInterval(ticking);
    expect(ticks).toBeGreaterThan(5);
    holder.exec('COMMIT');
    holder.close();
    expect(await commit('t')).toMatchObject({ kind: 'decided', repeated: false });
  });

  test('removed: no ledger any more, not the one that nobody can see', async () => {
    await commit('t');
    for (const suffix of ['', '-wal', '-shm']) rmSync(`${file}${suffix}`, { force: true });
    await expect(commit('t')).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
  });

  test('in a directory that is not there: unavailable until it is', async () => {
    const nowhere = join(directory, 'later');
    const late = createEmbeddedLedger({ file: join(nowhere, 'ledger.db'), workspace: 'w' });
    await expect(late.init()).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      message: expect.stringContaining(nowhere),
    });
    mkdirSync(nowhere);
    await late.init();
    await late.close();
  });

  test('what was answered is there when the file is opened again', async () => {
    const first = await commit('t');
    await ledger.close();
    await expect(ledger.state()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    const reopened = createEmbeddedLedger({ file, workspace: 'w' });
    expect(await commit('t', reopened)).toMatchObject({
      repeated: true,
      decision: 'decision' in first && first.decision,
    });
    expect(await reopened.usage([charge('c')])).toEqual(['1']);
    await reopened.close();
  });

  test('its owner alone may read it', () => {
    expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test('the clock does not step back behind an instant at which entries were dropped', () => {
    const clock = { ms: Date.now(), now: () => clock.ms };
    const store = new EmbeddedStore({ file, workspace: 'w', busyTimeoutMs: 100 }, clock);
    const attempt = (txId: string) => {
      const charges = [
        charge('c', { window: { kind: 'rolling', lengthMs: 100 } }),
        charge('full', { max: '1', whenFull: 'retry' }),
      ];
      const made = proposal(txId, { versions, nowMs: clock.ms, charges });
      return store.transact([(opened) => opened.commit(made)])[0];
    };
    attempt('t');
    clock.ms += 150;
    const dropping = attempt('u');
    expect(dropping).toMatchObject({ value: { kind: 'retry', ledgerNowMs: clock.ms } });
    clock.ms -= 80;
    expect(attempt('u')).toMatchObject({ value: { kind: 'retry', ledgerNowMs: clock.ms + 80 } });
    store.close();
  });

  test('steps that share a transaction fail alone', () => {
    const store = new EmbeddedStore({ file, workspace: 'w', busyTimeoutMs: 100 });
    const outcomes = store.transact<unknown>([
      (opened) => opened.freeze({ id: 'f', scope: '{}', reason: 'r', author: 'a', answers: 'retry' }),
      (opened) => {
        opened.freeze({ id: 'g', scope: '{}', reason: 'r', author: 'a', answers: 'retry' });
        throw new Error('after a write');
      },
      (opened) => opened.unfreeze('nobody', []),
      (opened) => opened.state().freezes.map(({ id }) => id),
    ]);
    expect(outcomes).toMatchObject([
      { status: 'fulfilled', value: { sequence: 3 } },
      { status: 'rejected', reason: { message: 'after a write' } },
      { status: 'rejected', reason: { code: 'CONCURRENT_CHANGE' } },
      { status: 'fulfilled', value: ['f'] },
    ]);
    store.close();
  });
});
