/** One of several does it, another one when that is gone, and nobody for ever without a lock. */
import { expect, test } from '@jest/globals';
import type { SingleFlight } from '../../../src/core/single-flight.js';
import { createLocks, singleFlight } from '../../../src/locks/locks.js';
import { Elected, rest } from '../../../src/replica/elected.js';
import { eventually } from '../../support/deployment.js';

const sharing = () => singleFlight(createLocks({ nodes: [] }), () => undefined);

function replica(name: string, alone: SingleFlight, working: Set<string>, fails = (): boolean => false) {
  const heard = { terms: 0, left: 0, failures: 0 };
  const elected = new Elected({
    name: 'job',
    alone,
    termMs: 50,
    standbyMs: 10,
    async work(signal) {
      if (fails()) throw new Error('it cannot');
      heard.terms += 1;
      working.add(name);
      await rest(60_000, signal);
    },
    failed: () => {
      heard.failures += 1;
    },
    left() {
      heard.left += 1;
      working.delete(name);
    },
  });
  elected.start();
  return { heard, stop: () => elected.stop() };
}

test('one does it, term after term, and the other when it has stopped', async () => {
  const alone = sharing();
  const working = new Set<string>();
  const one = replica('one', alone, working);
  const other = replica('other', alone, working);
  await eventually('it did not go on', () => (one.heard.terms + other.heard.terms > 4 ? true : undefined));
  expect(working.size).toBe(1);
  const [first, second] = working.has('one') ? [one, other] : [other, one];
  const before = second.heard.terms;
  await first.stop();
  await eventually('nobody took over', () => (second.heard.terms > before ? true : undefined));
  await eventually('it was told of twice', () => (working.size === 1 ? true : undefined));
  await second.stop();
  expect(working.size).toBe(0);
});

test('whoever began without a lock leaves it to the one that has it', async () => {
  const shared = sharing();
  let isAway = true;
  // As singleFlight does when most of the nodes are away.
  const alone: SingleFlight = {
    run: (name, work) => (isAway ? work(new AbortController().signal) : shared.run(name, work)),
  };
  const working = new Set<string>();
  const replicas = [replica('one', alone, working), replica('other', alone, working)];
  await eventually('both should', () => (working.size === 2 ? true : undefined));
  isAway = false;
  await eventually('both go on', () => (working.size === 1 ? true : undefined));
  await Promise.all(replicas.map((each) => each.stop()));
});

test('what fails is told of, left, and begun anew', async () => {
  let attempts = 0;
  const working = new Set<string>();
  const { heard, stop } = replica('one', sharing(), working, () => {
    attempts += 1;
    return attempts === 1;
  });
  await eventually('it was not begun anew', () => (heard.terms > 0 ? true : undefined));
  expect(heard).toMatchObject({ failures: 1, left: 1 });
  await stop();
  const { terms } = heard;
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(heard.terms).toBe(terms);
});
