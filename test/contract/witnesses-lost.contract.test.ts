/** Most witnesses lose their disks at once: what is still known becomes the ledger by an operator's word, and nothing else does. */
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { errorCodeOf } from '../../src/core/errors.js';
import type { ExportedLog, Remains } from '../../src/core/fence.js';
import type { Ledger } from '../../src/core/ports.js';
import { outcome } from '../support/each-ledger.js';
import { eventually } from '../support/eventually.js';
import { age, forgetAll } from '../support/forgetting.js';
import { generation } from '../support/generations.js';
import {
  type Bench,
  bench,
  patiently,
  type WitnessedStore,
  witnessedStore,
} from '../support/ledger-bench.js';
import { ledgerKeys } from '../support/ledger-keys.js';
import { charge, type ProposalParts, proposal, REJECT } from '../support/proposals.js';
import type { RedisServer } from '../support/redis-server.js';

const LIMIT = charge('ten', { max: '10' });

let store: WitnessedStore;
let current: Bench;

beforeEach(async () => {
  store = await witnessedStore();
  current = await bench(store);
});
afterEach(async () => {
  await current.close();
  await store.stop();
});

const asking = (txId: string, parts: Partial<ProposalParts> = {}, ledger: Ledger = current.ledger) =>
  patiently(async () => {
    const { versions } = await ledger.state();
    return outcome(ledger.commit(proposal(txId, { versions, charges: [LIMIT], ...parts })));
  });

/** What the server holds, without the operator's word and where it lives. */
async function keys(server: RedisServer = store.server): Promise<Readonly<Record<string, unknown>>> {
  const { meta, journal, ...rest } = await ledgerKeys(server.url, current.workspace);
  const { sequence: _, synced: __, seen: ___, ...fields } = meta as Readonly<Record<string, string>>;
  const events = (journal as readonly (readonly [string, readonly string[]])[]).filter(
    ([, [, type]]) => type !== 'activation',
  );
  return { meta: fields, journal: events, ...rest };
}

const settled = () =>
  eventually(async () =>
    expect(await ledgerKeys(store.server.url, current.workspace)).not.toHaveProperty('pending'),
  );
const loseDisks = (...lost: readonly number[]) =>
  Promise.all(lost.map((index) => store.witnesses[index]?.command('FLUSHALL')));
const witnesses = (ledger: Ledger = current.ledger) => {
  if (ledger.witnesses === undefined) throw new Error('it has none');
  return ledger.witnesses;
};
/** How many events each witness holds. */
async function held(): Promise<readonly number[]> {
  const states = await witnesses().states();
  return states.map((state) => ('events' in state ? state.events : Number.NaN));
}
/** Two witnesses are enough for an answer: the third one may be told a little later. */
const allHold = (events: number) =>
  eventually(async () => expect(await held()).toEqual(Array(3).fill(events)));
const thirdLacksOne = () =>
  eventually(async () => {
    const [first = 0, , third] = await held();
    expect(third).toBe(first - 1);
  });
const witnessesAnswering = () =>
  eventually(async () => {
    const states = await witnesses().states();
    expect(states).not.toContainEqual(expect.objectContaining({ kind: 'unreachable' }));
  });
/** Once all that was restarted answers again. */
async function answering(): Promise<void> {
  await witnessesAnswering();
  await eventually(() => current.ledger.check());
}
/** Asks again while there is no connection: a look at the ledger may just have dropped it, to find the primary anew. */
async function remains(exported?: ExportedLog): Promise<Remains> {
  const told = await eventually(async () => {
    try {
      return { found: await witnesses().remains({ above: 0, ...(exported && { exported }) }) };
    } catch (error) {
      if (errorCodeOf(error) === 'LEDGER_UNAVAILABLE') throw error;
      return { error };
    }
  });
  if ('error' in told) throw told.error;
  return told.found;
}

async function salvage(
  ledger: Ledger = current.ledger,
  { exported, above = 0 }: { readonly exported?: ExportedLog; readonly above?: number } = {},
): Promise<Remains> {
  let found: Remains | undefined;
  await witnesses(ledger).salvage({
    above,
    ...(exported && { exported }),
    async attest(known) {
      found = known;
      return 'a.b.c';
    },
  });
  if (found === undefined) throw new Error('nobody was asked');
  return found;
}

/** As the audit trail would have it. */
async function exportOf(ledger: Ledger = current.ledger): Promise<ExportedLog> {
  const { identity, sequence } = await ledger.state();
  const events = await ledger.events(0, 1000);
  return {
    ledger: identity,
    after: (events[0]?.sequence ?? 1) - 1,
    sequence,
    async *events() {
      for (const { body, ...event } of events) yield { ...event, bodyText: JSON.stringify(body) };
    },
  };
}

/** Any replica can lose the server again, and have it back. */
async function recoversByItself(): Promise<void> {
  await settled();
  const before = await keys();
  await store.server.command('FLUSHALL');
  await asking('known');
  expect(await keys()).toEqual(before);
}

describe('two disks are lost', () => {
  test('and the server lives: it has everything, nothing changes but that it is decided again', async () => {
    await asking('known');
    await settled();
    const before = await keys();
    const { sequence } = await current.ledger.state();
    await loseDisks(0, 1);
    const other = current.another();
    const { versions } = current;
    const unanswered = other.commit(proposal('new', { versions, charges: [LIMIT] }));
    await expect(unanswered).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    expect(await remains()).toMatchObject({ lost: [], isEndCertain: true, freezes: [] });
    const found = await salvage();
    // The request that could not be answered was given a number.
    expect(found).toMatchObject({ sequence: sequence + 1, lost: [], isEndCertain: true });
    expect(await asking('known')).toBe('approve APPROVED again');
    expect(await asking('new')).toBe('approve APPROVED again');
    expect(await witnesses().states()).toMatchObject(Array(3).fill({ kind: 'member', events: sequence + 2 }));
    const { journal } = await keys();
    expect((journal as readonly unknown[]).slice(0, -1)).toEqual(before.journal);
    await recoversByItself();
  });

  test('and an audit trail grows after it was verified: what it has more is counted once', async () => {
    for (const txId of ['one', 'two', 'known']) await asking(txId);
    await settled();
    const exported = await exportOf();
    await loseDisks(0, 1);
    const verified = { ...exported, sequence: exported.sequence - 2 };
    expect(await remains(verified)).toMatchObject({ lost: [], sequence: exported.sequence });
    await salvage(current.ledger, { exported: verified });
    expect(await asking('known')).toBe('approve APPROVED again');
    await recoversByItself();
  });

  test('and the server is lost too: what the third one lacks is named, and is decided anew', async () => {
    await asking('known');
    await allHold(3);
    await store.witnesses[2]?.kill('SIGKILL');
    await asking('unlucky');
    await settled();
    await store.witnesses[2]?.restart();
    await answering();
    await asking('last');
    await thirdLacksOne();
    const { sequence } = await current.ledger.state();
    await loseDisks(0, 1);
    await store.server.command('FLUSHALL');
    await answering();
    expect(await remains()).toMatchObject({
      lost: [[sequence - 1, sequence - 1]],
      isEndCertain: false,
      sequence,
      events: sequence - 1,
      policy: 'f'.repeat(64),
    });
    await salvage();
    expect(await asking('last')).toBe('approve APPROVED again');
    expect(await asking('unlucky', { opinion: REJECT })).toBe('reject RULE_REJECTS');
    await recoversByItself();
  });

  test('and the server has a part of the log, the third one another: together they are whole', async () => {
    await asking('known');
    await settled();
    await allHold(3);
    await store.witnesses[2]?.kill('SIGKILL');
    await asking('served');
    await store.server.command('SAVE');
    await store.witnesses[2]?.restart();
    await answering();
    await asking('witnessed');
    await thirdLacksOne();
    const { sequence } = await current.ledger.state();
    await store.server.restart({ appendonly: 'no' });
    await loseDisks(0, 1);
    await answering();
    expect(await remains()).toMatchObject({ lost: [], isEndCertain: false, sequence });
    await salvage();
    expect(await asking('served')).toBe('approve APPROVED again');
    expect(await asking('witnessed')).toBe('approve APPROVED again');
    await recoversByItself();
  });

  test('of a ledger that has forgotten: what its checkpoints say survives', async () => {
    await generation(current.ledger, 0);
    const aged = await age();
    await asking('known');
    await forgetAll(current.ledger, aged);
    await settled();
    const before = await keys();
    await loseDisks(0, 2);
    await store.server.command('FLUSHALL');
    expect(await salvage()).toMatchObject({ lost: [], covered: expect.any(Number) });
    expect(await keys()).toEqual(before);
    await recoversByItself();
  });
});

describe('everything is lost but the audit trail', () => {
  test('it becomes the ledger, key by key', async () => {
    for (const id of ['known', 'a', 'b']) await asking(id);
    await settled();
    const [before, exported, { sequence }] = [await keys(), await exportOf(), await current.ledger.state()];
    await loseDisks(0, 1, 2);
    await store.server.command('FLUSHALL');
    await expect(remains()).rejects.toMatchObject({ code: 'LEDGER_MISSING' });
    expect(await remains(exported)).toMatchObject({ lost: [], isEndCertain: false, sequence });
    await salvage(current.ledger, { exported, above: 99 });
    expect(await keys()).toEqual(before);
    expect((await current.ledger.state()).sequence).toBe(100);
    await recoversByItself();
  });

  test('a replica that still reaches the old server decides nothing there, nor anywhere else', async () => {
    await asking('known');
    const exported = await exportOf();
    const cutOff = current.another();
    await cutOff.state();
    await loseDisks(0, 1, 2);
    const elsewhere = await witnessedStore();
    const operator = store.openOn(current.workspace, elsewhere.server);
    try {
      await salvage(operator, { exported });
      const { versions } = await operator.state();
      const late = cutOff.commit(proposal('late', { versions: { ...versions, epoch: 1 } }));
      await expect(late).rejects.toMatchObject({ code: 'LEDGER_RECOVERING' });
      expect(await asking('known', {}, operator)).toBe('approve APPROVED again');
    } finally {
      await operator.close();
      await elsewhere.stop();
    }
  });

  test('events before the trail begins are not made up', async () => {
    await asking('known');
    const { events, ...exported } = await exportOf();
    await loseDisks(0, 1, 2);
    await store.server.command('FLUSHALL');
    const late: ExportedLog = {
      ...exported,
      after: 1,
      async *events() {
        for await (const event of events()) if (event.sequence > 1) yield event;
      },
    };
    await expect(salvage(current.ledger, { exported: late })).rejects.toMatchObject({
      code: 'LEDGER_CORRUPT',
    });
    expect(await witnesses().states()).toEqual(Array(3).fill({ kind: 'blank' }));
  });
});

test('nothing is changed, and the operator is told so, unless every witness takes the log', async () => {
  await asking('known');
  await loseDisks(0, 1);
  const dying = store.witnesses[1];
  const halfway = witnesses().salvage({
    above: 0,
    // After all that is looked at, and before anything is installed.
    async attest() {
      await dying?.kill('SIGKILL');
      return 'a.b.c';
    },
  });
  await expect(halfway).rejects.toMatchObject({ code: 'LEDGER_RECOVERING' });
  await dying?.restart();
  await answering();
  expect(await asking('known')).toBe('LEDGER_MISSING');
  await salvage();
  expect(await asking('known')).toBe('approve APPROVED again');
});

test('what was exported goes before what was never answered under its number, and all after that', async () => {
  await asking('known');
  await settled();
  // The old server decides on its own what nobody is told; another one goes on with the same numbers.
  const elsewhere = await witnessedStore();
  const other = store.openOn(current.workspace, elsewhere.server);
  try {
    await Promise.all(store.witnesses.map((witness) => witness.kill('SIGSTOP')));
    const { versions } = await current.ledger.state();
    for (const id of ['x', 'y', 'z']) {
      const alone = current.ledger.commit(proposal(id, { versions }));
      await expect(alone).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    }
    await Promise.all(store.witnesses.map((witness) => witness.kill('SIGKILL')));
    await Promise.all(store.witnesses.map((witness) => witness.restart()));
    expect(await asking('x', { opinion: REJECT }, other)).toBe('reject RULE_REJECTS');
    const exported = await exportOf(other);
    // It must not look at its ledger now: it would find out that another server is ahead, and recover.
    await witnessesAnswering();
    await loseDisks(0, 1, 2);
    await salvage(current.ledger, { exported });
    expect(await asking('x')).toBe('reject RULE_REJECTS again');
    expect(await asking('z', { opinion: REJECT })).toBe('reject RULE_REJECTS');
  } finally {
    await other.close();
    await elsewhere.stop();
  }
});

describe('it is refused', () => {
  const refused = async (sentence: RegExp) => {
    await expect(remains()).rejects.toMatchObject({
      code: 'CHECK_FAILED',
      message: expect.stringMatching(sentence),
    });
    await expect(salvage()).rejects.toMatchObject({
      code: 'CHECK_FAILED',
      message: expect.stringMatching(sentence),
    });
  };

  test('while a majority of the witnesses holds the log', async () => {
    await asking('known');
    await refused(/replicas recover the ledger from it by themselves/);
    await loseDisks(0);
    await refused(/replicas recover the ledger from it by themselves/);
    expect(await asking('known')).toBe('approve APPROVED again');
  });

  test('while one that does not answer may hold it', async () => {
    await asking('known');
    await loseDisks(0);
    await store.witnesses[1]?.kill('SIGKILL');
    await refused(/1 of 3 witnesses do not answer, and may hold what was answered/);
    await store.witnesses[1]?.restart();
    expect(await asking('known')).toBe('approve APPROVED again');
  });

  test('a second time', async () => {
    await loseDisks(0, 1);
    await salvage();
    await refused(/replicas recover the ledger from it by themselves/);
    expect(await asking('known')).toBe('approve APPROVED');
  });

  test('for the audit trail of another ledger', async () => {
    const exported = { ...(await exportOf()), ledger: 'another' };
    await loseDisks(0, 1);
    await expect(salvage(current.ledger, { exported })).rejects.toMatchObject({ code: 'LEDGER_CORRUPT' });
  });
});

test('a replica that gave up is ready again, although nobody asks it anything', async () => {
  const other = current.another();
  await other.state();
  await loseDisks(0, 1);
  await store.server.restart();
  await expect(asking('t', {}, other)).resolves.toBe('LEDGER_MISSING');
  const problems = await other.check();
  expect(problems.map(({ code }) => code)).toEqual(['RECOVERING', 'WITNESSES', 'WITNESS', 'WITNESS']);
  expect(problems[1]?.text).toContain('countersign ledger activate');
  await answering();
  await salvage();
  expect(await other.check()).toEqual([]);
});

test('a new ledger is not begun on witnesses that lost one which the server still holds', async () => {
  await asking('known');
  await loseDisks(0, 1, 2);
  await expect(current.another().init()).rejects.toMatchObject({ code: 'LEDGER_EXISTS' });
  expect(await witnesses().states()).toEqual(Array(3).fill({ kind: 'blank' }));
  await salvage();
  expect(await asking('known')).toBe('approve APPROVED again');
});
