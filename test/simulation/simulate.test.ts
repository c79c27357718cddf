import { createHash } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { mergeFate } from '../../src/core/report.js';
import { settle } from '../../src/core/settle.js';
import { appendToMajority } from '../../src/ledger/witness/quorum.js';
import { recover } from '../../src/ledger/witness/recovery.js';
import { remainsOf, salvage } from '../../src/ledger/witness/salvage.js';
import { trimWitnesses } from '../../src/ledger/witness/trimming.js';
import { ALL_RULES, type Rule } from './rules.js';
import { type Outcome, Schedule } from './schedule.js';

const product = { appendToMajority, recover, remainsOf, salvage, trimWitnesses, mergeFate, settle };
const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);

const run = (seed: number, removed: ReadonlySet<Rule> = ALL_RULES): Promise<Outcome> =>
  new Schedule({ seed, product, removed }).run();
const digestOf = ({ trace }: Outcome) => createHash('sha256').update(trace.join('\n')).digest('hex');

describe('the simulation of the protocol', () => {
  test('takes the same course with the same seed, and another one with another', async () => {
    const digests = new Set<string>();
    for (const seed of SEEDS) {
      const digest = digestOf(await run(seed));
      expect(digestOf(await run(seed))).toBe(digest);
      digests.add(digest);
    }
    expect(digests.size).toBe(SEEDS.length);
  });

  test('lets replicas answer and recover through its faults, and finds every promise kept', async () => {
    const outcomes = await Promise.all(SEEDS.map((seed) => run(seed)));
    expect(outcomes.flatMap(({ broken }) => broken ?? [])).toEqual([]);
    expect(outcomes.reduce((sum, { recoveries }) => sum + recoveries, 0)).toBeGreaterThan(SEEDS.length);
    expect(outcomes.reduce((sum, { answers }) => sum + answers, 0)).toBeGreaterThan(SEEDS.length);
    expect(outcomes.flatMap(({ trace }) => trace).join('\n')).toContain('fault: a fail-over');
  });

  test('finds what breaks without a rule, and finds it again', async () => {
    const find = async (): Promise<string | undefined> => {
      for (const seed of SEEDS) {
        const { broken } = await run(seed, new Set<Rule>(['promise']));
        if (broken !== undefined) return `${seed}: ${broken.message}`;
      }
      return undefined;
    };
    const found = await find();
    expect(found).toBeDefined();
    expect(await find()).toBe(found);
  });
});
