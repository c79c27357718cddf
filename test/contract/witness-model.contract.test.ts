import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { messageOf } from '../../src/core/errors.js';
import { connectWitness, type Witness } from '../../src/ledger/witness/witness.js';
import { Chance } from '../simulation/chance.js';
import { ALL_RULES } from '../simulation/rules.js';
import { WitnessModel } from '../simulation/witness-model.js';
import { PATIENT } from '../support/ledger-bench.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const SEEDS = 40;
const CALLS = 150;

type Call = (witness: Witness | WitnessModel) => unknown;

describe('the modelled witness', () => {
  let server: RedisServer;
  let witness: Witness;
  let model: WitnessModel;

  beforeAll(async () => {
    server = await startRedis({ settings: { appendfsync: 'no' } });
    witness = connectWitness('test', { url: server.url, ...PATIENT });
  });
  beforeEach(() => loseBothDisks());
  afterAll(async () => {
    await witness.close();
    await server.stop();
  });

  async function loseBothDisks(): Promise<void> {
    await server.command('FLUSHALL');
    model = new WitnessModel('model', ALL_RULES);
  }

  /** A disk has the name that the server chose: it must have the same one in both. */
  async function survey(): Promise<string> {
    const found = await witness.survey();
    expect(model.survey(found.disk)).toEqual(found);
    return found.disk;
  }

  test.each(Array.from({ length: SEEDS }, (_, index) => index + 1))(
    'answers and keeps what the scripts do, with the calls of seed %i',
    async (seed) => {
      const chance = new Chance(seed);
      const disks = [await survey()];
      const told = new Map<string, number>();
      for (let number = 0; number < CALLS; number += 1) {
        if (chance.happens(0.02)) await loseBothDisks();
        if (chance.happens(0.3)) disks.push(await survey());
        const { name, call } = callOf(chance, disks);
        const expected = await outcomeOf(() => call(model));
        expect({ number, name, outcome: await outcomeOf(() => call(witness)) }).toEqual({
          number,
          name,
          outcome: expected,
        });
        expect(await kept(server)).toEqual(keptBy(model));
        const key = `${name} ${JSON.stringify(expected)}`;
        told.set(key, (told.get(key) ?? 0) + 1);
      }
    },
  );

  test('is asked for everything that a witness does, and refused as well as heard', async () => {
    const seen = new Set<string>();
    for (let seed = 1; seed <= SEEDS; seed += 1) {
      const chance = new Chance(seed);
      const disks = [model.survey('a disk').disk];
      for (let number = 0; number < CALLS; number += 1) {
        if (chance.happens(0.02)) model.loseDisk();
        if (chance.happens(0.3)) disks.push(model.survey(`disk ${number}`).disk);
        const { name, call } = callOf(chance, disks);
        const outcome = await outcomeOf(() => call(model));
        seen.add(`${name} ${typeof outcome === 'object' ? 'page' : String(outcome)}`);
      }
    }
    const steps = ['seal', 'stage', 'install'].flatMap((name) => [`${name} true`, `${name} false`]);
    const others = [
      'trim 1',
      'trim 2',
      'trim undefined',
      'append kept',
      'append promised',
      'append blank',
      'read page',
      'read undefined',
      'stage failed',
    ];
    expect([...seen]).toEqual(expect.arrayContaining([...steps, ...others]));
  });
});

/** Mostly of an epoch that comes next, and mostly for the disk that it has; now and then of another ledger. */
function callOf(chance: Chance, disks: readonly string[]): { readonly name: string; readonly call: Call } {
  const ledger = chance.happens(0.02) ? 'another' : 'ledger';
  const ballot = { ledger, epoch: chance.between(1, 6) };
  const disk = (chance.happens(0.2) ? chance.pick(disks) : disks.at(-1)) ?? '';
  const events = Array.from({ length: chance.below(3) }, () => eventOf(chance));
  const held = new Set(events.flatMap(({ sequence }) => (chance.happens(0.2) ? [sequence] : [])));
  const page = { disk, isFirst: chance.happens(0.7), events, held };
  const { sequence, event } = eventOf(chance);
  const count = chance.below(3);
  const [to, most] = [chance.between(1, 2), chance.between(1, 3)];
  const calls: readonly { readonly name: string; readonly call: Call }[] = [
    { name: 'append', call: (witness) => witness.append(ballot, sequence, event) },
    { name: 'seal', call: (witness) => witness.seal(ballot) },
    { name: 'read', call: (witness) => witness.read(ballot, undefined) },
    { name: 'stage', call: (witness) => witness.stage(ballot, page) },
    { name: 'install', call: (witness) => witness.install(ballot, { disk, count }) },
    { name: 'trim', call: (witness) => witness.trim(ballot, { checkpoint: sequence, to, most }) },
  ];
  return chance.pick(calls) ?? { name: 'none', call: () => undefined };
}

function eventOf(chance: Chance): { readonly sequence: number; readonly event: string } {
  const body = `{"ledger":"ledger","from":0,"to":${chance.between(1, 2)},"atMs":1}`;
  const event = chance.happens(0.7)
    ? `checkpoint ${chance.below(100)} ${body}`
    : `decision ${chance.below(100)} {"a":"b c"}`;
  return { sequence: chance.between(1, 4), event };
}

async function outcomeOf(call: () => unknown): Promise<unknown> {
  try {
    const outcome = await call();
    if (typeof outcome !== 'object' || outcome === null || !('events' in outcome)) return outcome;
    // A scan gives its own order.
    return { ...outcome, events: [...(outcome.events as { sequence: number }[])].sort(bySequence) };
  } catch (error) {
    return messageOf(error).includes('keeps ledger') ? 'another ledger' : 'failed';
  }
}

function bySequence(one: { readonly sequence: number }, other: { readonly sequence: number }): number {
  return one.sequence - other.sequence;
}

interface Kept {
  readonly meta: Readonly<Record<string, string>>;
  readonly log: Readonly<Record<string, string>>;
  readonly staged: Readonly<Record<string, string>>;
}

async function kept(server: RedisServer): Promise<Kept> {
  const hash = async (name: string) => {
    const found = await server.command('HGETALL', `countersign-witness:{test}:${name}`);
    const words = Array.isArray(found) ? found.map(String) : [];
    return Object.fromEntries(
      words.flatMap((word, index) => (index % 2 === 0 ? [[word, words[index + 1] ?? '']] : [])),
    );
  };
  const [meta, log, staged] = await Promise.all([hash('meta'), hash('log'), hash('staged')]);
  return { meta: meta ?? {}, log: log ?? {}, staged: staged ?? {} };
}

/** A number that was never written is none in the hash. */
function keptBy({
  disk: { name, ledger, promised, base, appended, staging, trimmed, log, staged },
}: WitnessModel): Kept {
  const numbers = Object.entries({ promised, base, appended, staging, trimmed })
    .filter(([, number]) => number > 0)
    .map(([field, number]) => [field, String(number)]);
  const hash = (events: typeof log) =>
    Object.fromEntries(
      [...events].map(([sequence, { tag, event }]) => [String(sequence), `${tag} ${event}`]),
    );
  return {
    meta: {
      ...(name === undefined ? {} : { disk: name }),
      ...(ledger === undefined ? {} : { ledger }),
      ...Object.fromEntries(numbers),
    },
    log: hash(log),
    staged: hash(staged),
  };
}
