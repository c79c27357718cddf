/** The janitor on real ledgers: it runs by itself, alone among replicas, and says what it did. */
import { afterEach, expect, test } from '@jest/globals';
import pino from 'pino';
import type { CountersignError } from '../../src/core/errors.js';
import type { SingleFlight } from '../../src/core/single-flight.js';
import type { UpkeepObserver, UpkeepRun } from '../../src/core/upkeep.js';
import { createLocks, singleFlight } from '../../src/locks/locks.js';
import { Janitor, type JanitorSettings, upkeepObserver } from '../../src/replica/janitor.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { onEachLedger } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { age, RETENTION_MS } from '../support/forgetting.js';
import { charge, LIFETIME } from '../support/proposals.js';

const started: Janitor[] = [];
afterEach(async () => {
  await Promise.all(started.splice(0).map((janitor) => janitor.stop()));
});

function start(settings: Pick<JanitorSettings, 'ledger' | 'observer'> & Partial<JanitorSettings>): Janitor {
  const janitor = new Janitor({
    workspace: 'main',
    retentionMs: RETENTION_MS,
    demandsExport: false,
    alone: singleFlight(createLocks({ nodes: [] }), (error) => fail(error)),
    clock: Date,
    everyMs: 30,
    ...settings,
  });
  janitor.start();
  started.push(janitor);
  return janitor;
}

function fail(error: CountersignError): never {
  throw error;
}

function notes() {
  const runs: UpkeepRun[] = [];
  const problems: string[] = [];
  const observer: UpkeepObserver = {
    ran: (run) => runs.push(run),
    failed: (problem) => problems.push(problem),
  };
  return { runs, problems, observer };
}

onEachLedger('and its janitor', (given) => {
  const ever = charge('ever', { window: LIFETIME, max: '1000' });

  test('forgets by itself, and goes on as others are added', async () => {
    const { runs, problems, observer } = notes();
    start({ ledger: given.ledger, observer });
    for (let round = 0; round < 3; round += 1) {
      await given.commit(`t${round}`, { charges: [ever] });
      const { sequence } = await given.ledger.state();
      await eventually(async () => {
        const { trimmed } = await given.ledger.upkeep.kept();
        expect(trimmed?.sequence ?? 0).toBeGreaterThanOrEqual(sequence);
      });
    }
    expect(await given.used(ever)).toEqual(['3']);
    expect(problems).toEqual([]);
    await eventually(async () =>
      expect(runs.reduce((sum, { events }) => sum + events, 0)).toBeGreaterThanOrEqual(5),
    );
    expect(runs.find(({ events }) => events > 0)).toMatchObject({
      checkpoints: expect.any(Number),
      to: expect.any(Number),
      keys: 0,
    });
  });

  test('two of them do it once', async () => {
    for (let index = 0; index < 450; index += 1) await given.commit(`t${index}`, { charges: [ever] });
    await age();
    const { runs, observer } = notes();
    const alone = singleFlight(createLocks({ nodes: [] }), (error) => fail(error));
    for (const ledger of [given.ledger, given.another()]) start({ ledger, observer, alone });
    await eventually(async () =>
      expect((await given.ledger.upkeep.kept()).trimmed?.sequence).toBeGreaterThan(451),
    );
    await Promise.all(started.map((janitor) => janitor.stop()));
    expect(runs.reduce((sum, { checkpoints }) => sum + checkpoints, 0)).toBeGreaterThanOrEqual(3);
    expect(await given.used(ever)).toEqual(['450']);
  });

  test('says what is in its way', async () => {
    await given.commit('t');
    const { runs, observer } = notes();
    start({ ledger: given.ledger, observer, clock: { now: () => Date.now() + 60_000 } });
    await eventually(async () =>
      expect(runs).toContainEqual(expect.objectContaining({ events: 0, waits: 'clocks' })),
    );
    expect(await given.ledger.events(0, 1)).toMatchObject([{ sequence: 1 }]);
  });
});

test('a janitor that cannot work says so, and tries again', async () => {
  const { runs, problems, observer } = notes();
  let isAway = true;
  const alone: SingleFlight = {
    async run(_name, work) {
      if (isAway) throw new Error('away');
      return work(new AbortController().signal);
    },
  };
  const upkeep = {
    kept: async () => ({ nowMs: 0 }),
    trim: async () => ({ kind: 'nothing' }) as const,
    sweep: async () => 0,
  };
  start({ ledger: { upkeep }, observer, alone });
  await eventually(async () => expect(problems.length).toBeGreaterThan(1));
  isAway = false;
  await eventually(async () => expect(runs.length).toBeGreaterThan(0));
  expect(new Set(problems)).toEqual(new Set(['away']));
});

test('the log has a line for what was done, and one for what is newly in the way', async () => {
  const lines: string[] = [];
  const metrics = new Metrics();
  const observer = upkeepObserver('main', metrics, pino({ base: {} }, { write: (line) => lines.push(line) }));
  const idle: UpkeepRun = { events: 0, checkpoints: 0, keys: 0, milliseconds: 1 };
  observer.ran(idle);
  observer.ran({ ...idle, events: 200, checkpoints: 1, to: 200 });
  observer.ran({ ...idle, waits: 'export' });
  observer.ran({ ...idle, waits: 'export' });
  observer.failed('away');
  observer.failed('away');
  observer.ran(idle);
  observer.failed('away');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { level: 30, workspace: 'main', events: 200, to: 200 },
    { level: 40, waits: 'export' },
    { level: 40, problem: 'away' },
    { level: 40, problem: 'away' },
  ]);
  expect(await metrics.text()).toContain('countersign_ledger_forgotten_events_total{workspace="main"} 200\n');
});
