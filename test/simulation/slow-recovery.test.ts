import { describe, expect, test } from '@jest/globals';
import { CountersignError, messageOf } from '../../src/core/errors.js';
import { appendToMajority } from '../../src/ledger/witness/quorum.js';
import { recover } from '../../src/ledger/witness/recovery.js';
import { salvage } from '../../src/ledger/witness/salvage.js';
import { unavailable } from './network.js';
import { primaryPort, witnessPort } from './ports.js';
import { ALL_RULES, type Removed } from './rules.js';
import { Servers } from './servers.js';
import { WitnessModel } from './witness-model.js';

const LEDGER = 'ledger';

/**
 * What chance comes by only now and then, told step by step: a recovery finds a witness blank and then stands
 * still; another one gives that witness its vote back; it answers for an event, and loses its disk again.
 */
async function tellStory(removed: Removed): Promise<string> {
  const servers = new Servers(removed);
  const witnesses = ['one', 'two', 'three'].map((name) => new WitnessModel(name, removed));
  const [, two, three] = witnesses;
  if (two === undefined || three === undefined) throw new Error('there are three');
  const portsTo = (away: WitnessModel | undefined, wait: (name: string, what: string) => Promise<void>) => ({
    primary: primaryPort(async (_, script) => servers.run(servers.elected, script)),
    witnesses: witnesses.map((witness) =>
      witnessPort(witness, async (what, run) => {
        if (witness === away) throw unavailable(witness);
        await wait(witness.name, what);
        return run();
      }),
    ),
    progress: () => undefined,
  });
  const atOnce = async () => undefined;

  const begun = servers.run(servers.elected, (scripts) => scripts.init(LEDGER, 1));
  for (const { name, port } of portsTo(undefined, atOnce).witnesses.map((port, index) => ({
    name: index,
    port,
  }))) {
    expect(
      await port.install({ ledger: LEDGER, epoch: 1 }, { disk: (await port.survey()).disk, count: 0 }),
    ).toBe(true);
    expect([name, await port.append({ ledger: LEDGER, epoch: 1 }, begun.sequence, begun.event)]).toEqual([
      name,
      'kept',
    ]);
  }
  three.loseDisk();

  const [reached, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = recover(
    portsTo(undefined, async (name, what) => {
      if (name !== 'three' || !what.startsWith('stage')) return;
      reached.resolve();
      await goesOn.promise;
    }),
    { epoch: 1, evenIfOpen: true },
  );
  await reached.promise;
  const other = await recover(portsTo(undefined, atOnce), { epoch: 1, evenIfOpen: true });
  if (other.kind !== 'recovered') throw new Error('nothing disturbs it');
  const event = { sequence: 2, event: 'freeze 1 {"type":"freeze","id":"freeze-1"}' };
  const ballot = { ledger: LEDGER, epoch: other.epoch };
  expect(await appendToMajority(portsTo(witnesses[0], atOnce).witnesses, ballot, event)).toBe('kept');
  three.loseDisk();
  goesOn.resolve();
  expect(await slow).toEqual({ kind: 'overtaken' });

  try {
    const last = await recover(portsTo(two, atOnce), { epoch: other.epoch, evenIfOpen: true });
    return last.kind === 'recovered' ? `recovered with ${last.events} of 2 events` : last.kind;
  } catch (error) {
    return messageOf(error);
  }
}

describe('a recovery that goes on after the disk that it surveyed was lost', () => {
  test('gives no vote to the new disk, which knows nothing of what the old one answered for', async () => {
    expect(await tellStory(ALL_RULES)).toContain('1 of 3 witnesses promised, and 2 must');
  });

  test('would lose an event that was answered if it did', async () => {
    expect(await tellStory(new Set(['same-witness']))).toBe('recovered with 1 of 2 events');
  });
});

describe('surveys so slow that one witness is given its log, and another loses its disk, between them', () => {
  const survey = async (isBlankAtOnce: boolean, isOperators = false): Promise<string> => {
    const witnesses = ['one', 'two', 'three'].map((name) => new WitnessModel(name, ALL_RULES));
    const [one, two] = witnesses;
    if (one === undefined || two === undefined) throw new Error('there are three');
    const log = { ledger: LEDGER, epoch: 1 };
    for (const witness of witnesses)
      witness.install(log, { disk: witness.survey(witness.name).disk, count: 0 });
    one.loseDisk();
    const servers = new Servers(ALL_RULES);
    const ports = {
      primary: primaryPort(async (_, script) => servers.run(servers.elected, script)),
      witnesses: witnesses.map((witness) =>
        witnessPort(witness, async (_, run) => {
          const reply = run();
          if (witness === one && two.disk.ledger !== undefined) {
            if (!isBlankAtOnce) one.install(log, { disk: one.survey('another').disk, count: 0 });
            two.loseDisk();
          }
          return reply;
        }),
      ),
      progress: () => undefined,
    };
    const order = { above: 0, attest: async () => 'statement' };
    const work = isOperators ? salvage(ports, order, 1000) : recover(ports, { epoch: 1, evenIfOpen: true });
    return work.then(
      ({ kind }) => kind,
      (error: unknown) => (error instanceof CountersignError ? error.code : String(error)),
    );
  };

  test('do not make operators believe that the ledger is gone', async () => {
    expect(await survey(false)).toBe('LEDGER_RECOVERING');
  });

  test('do not let an operator give up the log that a majority holds', async () => {
    expect(await survey(false, true)).toBe('CHECK_FAILED');
  });

  test('are told from two witnesses that were blank at once', async () => {
    expect(await survey(true)).toBe('LEDGER_MISSING');
  });
});

test('of two operators who activate what is left at once one begins nothing on any witness', async () => {
  const servers = new Servers(ALL_RULES);
  const witnesses = ['one', 'two', 'three'].map((name) => new WitnessModel(name, ALL_RULES));
  const ballot = { ledger: LEDGER, epoch: 1 };
  const begun = servers.run(servers.elected, (scripts) => scripts.init(LEDGER, 1));
  for (const witness of witnesses) {
    witness.install(ballot, { disk: witness.survey(witness.name).disk, count: 0 });
    witness.append(ballot, begun.sequence, begun.event);
  }
  for (const witness of witnesses.slice(1)) witness.loseDisk();
  const portsOf = (wait: (name: string, what: string) => Promise<void>) => ({
    primary: primaryPort(async (_, script) => servers.run(servers.elected, script)),
    witnesses: witnesses.map((witness) =>
      witnessPort(witness, async (what, run) => {
        await wait(witness.name, what);
        return run();
      }),
    ),
    progress: () => undefined,
  });
  const order = { above: 0, attest: async () => 'statement' };
  const [reached, goesOn] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const slow = salvage(
    portsOf(async (name, what) => {
      if (name !== 'one' || !what.startsWith('stage')) return;
      reached.resolve();
      await goesOn.promise;
    }),
    order,
    1000,
  );
  await reached.promise;
  // Whatever else it has sent arrives before the other one begins.
  await new Promise(setImmediate);
  const other = await salvage(
    portsOf(async () => undefined),
    order,
    2000,
  );
  goesOn.resolve();
  expect([other.kind, (await slow).kind]).toEqual(['recovered', 'overtaken']);
  expect(witnesses.map(({ disk }) => disk.base)).toEqual([2000, 2000, 2000]);
});

test('an operator is not told that nothing is lost, nor is a witness changed, when the server restarts meanwhile', async () => {
  const servers = new Servers(ALL_RULES);
  const witnesses = ['one', 'two', 'three'].map((name) => new WitnessModel(name, ALL_RULES));
  const ballot = { ledger: LEDGER, epoch: 1 };
  const begun = servers.run(servers.elected, (scripts) => scripts.init(LEDGER, 1));
  for (const witness of witnesses) {
    witness.install(ballot, { disk: witness.survey(witness.name).disk, count: 0 });
    witness.append(ballot, begun.sequence, begun.event);
  }
  const caller = { epoch: 1, identity: LEDGER, seen: 0, now: 0 };
  servers.run(servers.elected, (scripts) => scripts.change(caller, { type: 'freeze', id: 'freeze-1' }));
  for (const witness of witnesses) witness.loseDisk();
  const ports = {
    primary: primaryPort(async (what, script) => {
      if (what.startsWith('events')) servers.restart(servers.elected, 2);
      return servers.run(servers.elected, script);
    }),
    witnesses: witnesses.map((witness) => witnessPort(witness, async (_, run) => run())),
    progress: () => undefined,
  };
  const salvaged = await salvage(ports, { above: 0, attest: async () => 'statement' }, 1000);
  expect(salvaged).toEqual({ kind: 'overtaken' });
  expect(witnesses.map(({ isBlank }) => isBlank)).toEqual([true, true, true]);
});
