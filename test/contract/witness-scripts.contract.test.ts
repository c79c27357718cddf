import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { connectWitness, type Witness } from '../../src/ledger/witness/witness.js';
import { PATIENT } from '../support/ledger-bench.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const LEDGER = 'ledger-1';
const inEpoch = (epoch: number) => ({ ledger: LEDGER, epoch });

describe('a witness', () => {
  let server: RedisServer;
  let witness: Witness;

  beforeEach(async () => {
    server = await startRedis();
    witness = connectWitness('test', { url: server.url, ...PATIENT });
    await witness.install(inEpoch(1), { disk: await diskOf(witness), count: 0 });
    expect(await witness.append(inEpoch(1), 1, 'ledger 0 {}')).toBe('kept');
  });
  afterEach(async () => {
    await witness.close();
    await server.stop();
  });

  const eventsIn = async (epoch: number) =>
    (await witness.read(inEpoch(epoch), undefined))?.events.map(({ sequence, tag }) => [sequence, tag]);

  /** What a recovery has written before it installs. */
  async function staged(epoch: number): Promise<string> {
    const disk = await diskOf(witness);
    expect(await witness.seal(inEpoch(epoch))).toBe(true);
    const events = [{ sequence: 1, event: 'ledger 0 {}' }];
    expect(await witness.stage(inEpoch(epoch), { disk, isFirst: true, events, held: new Set() })).toBe(true);
    return disk;
  }

  test('keeps what was appended after a recovery that gave it up, although its installation arrives', async () => {
    const disk = await staged(2);
    // The others were installed in time, so the epoch has begun, and this witness answered for an event of it.
    expect(await witness.append(inEpoch(2), 2, 'decision 0 {}')).toBe('kept');
    expect(await witness.install(inEpoch(2), { disk, count: 1 })).toBe(false);
    expect(await eventsIn(2)).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });

  test('takes no installation that was meant for the disk it has lost', async () => {
    const disk = await diskOf(witness);
    await server.command('FLUSHALL');
    const events = [{ sequence: 1, event: 'ledger 0 {}' }];
    expect(await witness.stage(inEpoch(2), { disk, isFirst: true, events, held: new Set() })).toBe(false);
    expect(await witness.install(inEpoch(2), { disk, count: 0 })).toBe(false);
    expect(await witness.survey()).toMatchObject({ kind: 'blank' });
    expect(await diskOf(witness)).not.toBe(disk);
  });

  test('is empty after a recovery that found nothing, and begins a ledger only once', async () => {
    const disk = await diskOf(witness);
    expect(await witness.install(inEpoch(1), { disk, count: 0 })).toBe(false);
    expect(await witness.seal(inEpoch(2))).toBe(true);
    expect(await witness.install(inEpoch(2), { disk, count: 0 })).toBe(true);
    expect(await witness.survey()).toEqual({
      kind: 'member',
      disk,
      ledger: LEDGER,
      promised: 2,
      base: 2,
      events: 0,
    });
  });
});

async function diskOf(witness: Witness): Promise<string> {
  return (await witness.survey()).disk;
}
