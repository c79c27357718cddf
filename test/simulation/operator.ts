/**
 * An operator where most witnesses have lost their disks: what `countersign ledger activate` does, in the same order. What
 * is left, and what becomes of it, is the product's own code.
 */
import { CountersignError } from '../../src/core/errors.js';
import type { Remains } from '../../src/core/fence.js';
import type { Salvaged, SalvagePorts } from '../../src/ledger/witness/salvage.js';
import { Broken } from './broken.js';
import { type Entry, entryFrom } from './events.js';
import type { Place } from './losses.js';
import type { Surroundings } from './replica.js';
import type { WitnessModel } from './witness-model.js';

/** Recoveries are counted from one; the clock goes on while one runs, so none is ever ahead of it. */
const FIRST_SALVAGE_EPOCH = 1000;
const STEPS_PER_EPOCH = 4;

/** Why it is not for an operator to say what the ledger is, or nothing is left of it. */
const REFUSALS: readonly string[] = ['CHECK_FAILED', 'LEDGER_MISSING'];

/** @param isClockWrong it shows a time before all that ever happened */
export async function activate(
  world: Surroundings,
  ports: SalvagePorts,
  isClockWrong: boolean,
): Promise<Salvaged | undefined> {
  const { product, promises, servers, witnesses, trail, chance, now } = world;
  // He states that it is stopped.
  servers.rejoin();
  const before = witnesses.map(standing);
  const exported = trail?.exported(world.ledger);
  const above = chance.happens(0.5) ? promises.highest : 0;
  const sources = { above, ...(exported && { exported }) };
  let disks: readonly unknown[] = [];
  const attest = async (remains: Remains) => {
    if (remains.sequence < above) {
      throw new Broken(
        'one number each',
        `event ${above} was seen, and the log goes on after ${remains.sequence}`,
      );
    }
    disks = witnesses.map(({ disk }) => disk);
    const places = placesOf(world, { before, remains, trail: exported?.entries ?? [] });
    return promises.signed(remains, places);
  };
  const leastEpoch = isClockWrong ? 0 : FIRST_SALVAGE_EPOCH + Math.floor(now() / STEPS_PER_EPOCH);
  try {
    if (chance.happens(0.3)) await product.remainsOf(ports, sources);
    const result = await product.salvage(ports, { ...sources, attest }, leastEpoch);
    if (result.kind === 'recovered') checkAll(witnesses, disks);
    return result;
  } catch (error) {
    if (error instanceof CountersignError && REFUSALS.includes(error.code)) return undefined;
    throw error;
  }
}

/** He is told that it is done: every witness holds the log, and any two may be lost again. */
function checkAll(witnesses: readonly WitnessModel[], disks: readonly unknown[]): void {
  const without = witnesses.find((witness, index) => witness.isBlank && witness.disk === disks[index]);
  if (without === undefined) return;
  throw new Broken('what is done is done', `${without.name} was not given the log`);
}

interface Standing {
  readonly disk: unknown;
  readonly base: number;
}

function standing({ disk }: WitnessModel): Standing {
  return { disk, base: disk.base };
}

interface Sources {
  /** How the witnesses stood when he began. */
  readonly before: readonly Standing[];
  readonly remains: Remains;
  readonly trail: readonly Entry[];
}

/** Where something may be known that he must not lose. */
function placesOf(
  { servers, witnesses }: Surroundings,
  { before, remains, trail }: Sources,
): readonly Place[] {
  const server = servers.all.find(({ history, role }) => role === 'master' && history === remains.history);
  const { meta, keys } = (server ?? servers.elected).dataset;
  const journal = server === undefined ? [] : (keys.get(meta.epoch)?.journal ?? []);
  const held = witnesses.filter(({ disk }, index) => {
    // What another operator has put there meanwhile is that one's to answer for.
    const isOthers = disk.base >= FIRST_SALVAGE_EPOCH && disk.base !== before[index]?.base;
    return !isOthers;
  });
  return [
    placeIn(journal),
    placeIn(trail),
    ...held.map(
      ({ disk }): Place =>
        (sequence) => {
          const event = disk.log.get(sequence)?.event;
          return event === undefined ? undefined : entryFrom({ sequence, event }).body;
        },
    ),
  ];
}

function placeIn(entries: readonly Entry[]): Place {
  const bodies = new Map(entries.map(({ sequence, body }) => [sequence, body]));
  return (sequence) => bodies.get(sequence);
}
