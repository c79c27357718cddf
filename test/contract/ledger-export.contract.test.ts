/** The export of a ledger's journal, on both stores: nothing is lost, and nothing that others do does harm. */
import { appendFileSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { openDirectory } from '../../src/audit/directory.js';
import { Exporter } from '../../src/audit/exporter.js';
import { eventsOf } from '../../src/audit/read.js';
import { streamSink } from '../../src/audit/sink.js';
import { verifyFiles } from '../../src/audit/verify.js';
import { exportWarnings } from '../../src/cli/status.js';
import type { Ledger } from '../../src/core/ports.js';
import { Elected } from '../../src/replica/elected.js';
import { type TestFolder, testFolder, testKey } from '../support/audit.js';
import { asksOf, onEachLedger } from '../support/each-ledger.js';
import { rejectionOf } from '../support/errors.js';
import { bench, type WitnessedStore, witnessedStore } from '../support/ledger-bench.js';

const key = testKey();
const MARK = { sequence: 2, hash: 'a'.repeat(64), count: 2 };
const folders: TestFolder[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) folder.remove();
});

function newFolder(): TestFolder {
  const folder = testFolder();
  folders.push(folder);
  return folder;
}

function exporterTo({ folder }: TestFolder, ledger: Ledger, errors: unknown[] = []): Elected {
  const exporter = new Exporter({
    ledger,
    open: (identity) =>
      openDirectory({
        directory: folder,
        key: key.key,
        chain: { ledger: identity, workspace: 'main' },
        damaged: (problem) => errors.push(problem),
      }),
    observer: { exported: () => undefined },
  });
  return started(exporter, errors);
}

function started(exporter: Exporter, errors: unknown[]): Elected {
  const running = new Elected({
    name: 'audit',
    termMs: 3_600_000,
    work: (signal) => exporter.export(signal),
    failed: (error) => errors.push(error),
  });
  running.start();
  return running;
}

/** Starts one, lets it export all there is, and ends it. Resolves to what it failed of first. */
async function exportAll(folder: TestFolder, ledger: Ledger): Promise<readonly unknown[]> {
  const errors: unknown[] = [];
  const exporter = exporterTo(folder, ledger, errors);
  await eventually(async () => {
    const { newest, mark } = await ledger.exports.state();
    return mark?.sequence === newest || errors.length > 0;
  });
  await exporter.stop();
  // It tries again after a second, which on a busy machine may have passed.
  return errors.slice(0, 1);
}

async function eventually(look: () => Promise<boolean>, withinMs = 45_000): Promise<void> {
  const endsAt = Date.now() + withinMs;
  while (!(await look())) {
    if (Date.now() > endsAt) throw new Error('it did not happen');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

onEachLedger('its export', (given) => {
  test('the mark moves forward, never back, and not on another ledger', async () => {
    const { exports } = given.ledger;
    const { identity, sequence } = await given.ledger.state();
    expect(await exports.state()).toEqual({ identity, newest: sequence });
    await exports.moved(identity, MARK);
    await exports.moved(identity, { ...MARK, sequence: 1, hash: 'b'.repeat(64) });
    await exports.moved(identity, { ...MARK, hash: 'c'.repeat(64) });
    expect(await given.another().exports.state()).toEqual({ identity, newest: sequence, mark: MARK });
    expect(await rejectionOf(exports.moved('another', { ...MARK, sequence: 9 }))).toMatchObject({
      code: 'CONCURRENT_CHANGE',
    });
    await given.commit('t');
    await exports.moved(identity, { ...MARK, sequence: 3, count: 3 });
    expect(await exports.state()).toMatchObject({ newest: sequence + 1, mark: { sequence: 3, count: 3 } });
  });

  test('the status page warns of one that is a quarter of an hour behind', async () => {
    const { nowMs, sequence } = await given.ledger.state();
    const later = nowMs + 16 * 60_000;
    expect(await exportWarnings(given.ledger, nowMs + 60_000)).toEqual([]);
    expect(await exportWarnings(given.ledger, later)).toEqual([
      expect.stringContaining(`is behind: events 1 to ${sequence} wait, the first since 20`),
    ]);
    expect(await exportAll(newFolder(), given.ledger)).toEqual([]);
    expect(await exportWarnings(given.ledger, later)).toEqual([]);
  });

  test('every event of the journal is in the files, as the ledger has it', async () => {
    const folder = newFolder();
    for (let n = 0; n < 300; n += 1) await given.commit(`t${n}`);
    expect(await exportAll(folder, given.ledger)).toEqual([]);
    const exported = [];
    for await (const { bodyText, ...event } of eventsOf(folder.files(), key.keys))
      exported.push({ ...event, body: JSON.parse(bodyText) });
    expect(exported).toEqual(await given.ledger.events(0, 1_000));
    expect(exported.length).toBe(302);
    const { mark, newest } = await given.ledger.exports.state();
    expect(await verifyFiles(folder.files(), key.keys, mark === undefined ? {} : { mark })).toMatchObject({
      ok: true,
      chains: [{ sequence: newest, hash: mark?.hash, events: mark?.count }],
    });
  });

  test('whoever goes on after it, in its folder or in another, continues the same chain', async () => {
    const [here, there] = [newFolder(), newFolder()];
    for (const [index, folder] of [here, there, here, there].entries()) {
      await given.commit(`t${index}`);
      expect(await exportAll(folder, given.another())).toEqual([]);
    }
    // The second folder begins where the first had come to; the first has everything until its last turn.
    const { newest } = await given.ledger.exports.state();
    expect(await verifyFiles(here.files(), key.keys)).toMatchObject({
      ok: true,
      chains: [{ after: 0, sequence: newest - 1 }],
    });
    expect(await verifyFiles(there.files(), key.keys)).toMatchObject({
      ok: true,
      chains: [{ after: 3, sequence: newest }],
    });
    expect(await verifyFiles([...there.files(), ...here.files()], key.keys)).toMatchObject({
      ok: true,
      chains: [{ after: 0, sequence: newest, events: newest }],
    });
  });

  test('two at once, under decisions, do no harm', async () => {
    const [here, there] = [newFolder(), newFolder()];
    const errors: unknown[] = [];
    const exporters = [
      exporterTo(here, given.another(), errors),
      exporterTo(there, given.another(), errors),
      exporterTo(here, given.another(), errors),
    ];
    for (let n = 0; n < 200; n += 1) await given.commit(`t${n}`);
    await Promise.all(exporters.map((exporter) => exporter.stop()));
    expect(errors).toEqual([]);
    const { newest } = await given.ledger.exports.state();
    expect(await verifyFiles([...here.files(), ...there.files()], key.keys)).toMatchObject({
      ok: true,
      chains: [{ after: 0, sequence: newest }],
    });
  });

  test('a folder that knows more than the ledger says so, and exports nothing over it', async () => {
    const folder = newFolder();
    await given.commit('t');
    await exportAll(folder, given.ledger);
    const [file = ''] = folder.files();
    const before = readFileSync(file);
    const shorter: Ledger = {
      ...given.ledger,
      exports: {
        ...given.ledger.exports,
        state: async () => ({ ...(await given.ledger.exports.state()), newest: 2 }),
      },
    };
    expect(await exportAll(folder, shorter)).toMatchObject([
      {
        code: 'LEDGER_CORRUPT',
        message: 'the ledger ends at event 2, and event 3 was exported: it has lost events',
      },
    ]);
    const altered: Ledger = {
      ...given.ledger,
      events: async (after, limit) =>
        (await given.ledger.events(after, limit)).map((event) =>
          event.sequence === 3 ? { ...event, atMs: 0 } : event,
        ),
    };
    await given.commit('u');
    expect(await exportAll(folder, altered)).toMatchObject([
      { code: 'LEDGER_CORRUPT', message: expect.stringContaining('the ledger was set back or altered') },
    ]);
    expect(readFileSync(file)).toEqual(before);
  });

  test('a stream goes on from the mark, run after run', async () => {
    const out: Buffer[] = [];
    for (const run of ['one', 'two']) {
      await given.commit(run);
      const ledger = given.another();
      const source = new Exporter({
        ledger,
        open: (identity) =>
          streamSink({ ledger: identity, workspace: 'main' }, key.key, async (piece) => void out.push(piece)),
        observer: { exported: () => undefined },
      });
      const exporter = started(source, []);
      await eventually(async () => {
        const { newest, mark } = await ledger.exports.state();
        return newest === mark?.sequence;
      });
      await exporter.stop();
    }
    const file = `${newFolder().folder}/collected`;
    appendFileSync(file, Buffer.concat(out));
    expect(await verifyFiles([file], key.keys, { collected: true })).toMatchObject({
      ok: true,
      chains: [{ after: 0, sequence: 4, events: 4 }],
    });
  });
});

describe('behind witnesses', () => {
  let store: WitnessedStore;
  beforeAll(async () => {
    store = await witnessedStore();
  });
  afterAll(() => store.stop());

  test('what is not on most of them is not exported, and what a recovery drops never was', async () => {
    const given = await bench(store);
    const folder = newFolder();
    const exporter = exporterTo(folder, given.another());
    const { commit, asking } = asksOf(() => given.ledger);
    await commit('kept');
    const [, second, third] = store.witnesses;
    await Promise.all([second?.kill('SIGKILL'), third?.kill('SIGKILL')]);
    // On the primary, and on one witness of three: nobody was answered.
    await expect(commit('doubtful')).rejects.toMatchObject({ code: expect.stringMatching(/^LEDGER_/) });
    const held = await given.ledger.events(3, 10).catch(() => []);
    expect(held).toMatchObject([{ sequence: 4 }]);
    await eventually(async () => (await lastExported(folder)) === 3);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(await lastExported(folder)).toBe(3);

    // The first witness alone has it; with that one away the others recover the ledger without it.
    await store.witnesses[0]?.kill('SIGKILL');
    await store.server.command('FLUSHALL');
    await Promise.all([second?.restart(), third?.restart()]);
    expect(await asking('after')).toMatch(/^approve APPROVED/);
    await store.witnesses[0]?.restart();
    expect(await given.ledger.events(2, 10)).toMatchObject([
      { body: { ask: { txId: 'kept' } } },
      { body: { ask: { txId: 'after' } } },
    ]);
    // One that has failed for a while waits a minute before it tries again.
    await eventually(async () => (await lastExported(folder)) >= 4, 150_000);
    await exporter.stop();
    const exported = [];
    for await (const { sequence, bodyText } of eventsOf(folder.files(), key.keys))
      exported.push([sequence, JSON.parse(bodyText)]);
    expect(exported).toEqual(
      (await given.ledger.events(0, 100)).map(({ sequence, body }) => [sequence, body]),
    );
    await given.close();
  }, 400_000);
});

/** By the files alone; 0 while there are none, or they cannot be read as a whole. */
async function lastExported(folder: TestFolder): Promise<number> {
  const verify = async () => verifyFiles(folder.files(), key.keys);
  const verification = await verify().catch(() => undefined);
  return verification?.ok === true ? (verification.chains[0]?.sequence ?? 0) : 0;
}
