/** A log of several pages: whichever of them is not loaded, nothing is settled. */
import { expect, test } from '@jest/globals';
import type { LogEvent, RecoveryPrimary, RecoveryWitness } from '../../../../src/ledger/witness/ports.js';
import { recover } from '../../../../src/ledger/witness/recovery.js';

const PAGES = 3;
const EVENTS = PAGES * 200;
const log = Array.from({ length: EVENTS }, (_, index) => ({
  sequence: index + 1,
  event: `${index === 0 ? 'ledger' : 'freeze'} 1 {"identity":"l","id":"f"}`,
  tag: 1,
}));

function witness(): RecoveryWitness {
  let promised = 2;
  return {
    survey: async () => ({ kind: 'member', disk: 'd', ledger: 'l', promised, base: 1, events: EVENTS }),
    seal: async ({ epoch }) => {
      promised = epoch;
      return true;
    },
    read: async () => ({ events: log }),
    stage: async () => true,
    install: async () => true,
  };
}

async function recovered(page: (number: number) => Promise<boolean>) {
  const loaded: LogEvent[] = [];
  let [calls, settled] = [0, false];
  const primary: RecoveryPrimary = {
    survey: async () => ({ history: 'h', epoch: 1, claim: 1, isOpen: false, sequence: 0 }),
    claim: async () => true,
    load(_epoch, _history, events) {
      loaded.push(...events);
      calls += 1;
      return page(calls);
    },
    settle: async () => {
      settled = true;
      return true;
    },
  };
  const ports = { primary, witnesses: [witness(), witness(), witness()], progress: () => undefined };
  const result = await recover(ports, { epoch: 1, evenIfOpen: true }).catch((error: Error) => error.message);
  return { result, loaded: loaded.map(({ sequence }) => sequence), settled };
}

test('all pages are loaded in order, and settled', async () => {
  const { result, loaded, settled } = await recovered(async () => true);
  expect(result).toEqual({ kind: 'recovered', epoch: 3, events: EVENTS });
  expect(loaded).toEqual(log.map(({ sequence }) => sequence));
  expect(settled).toBe(true);
});

test.each([1, 2, 3])('page %d is refused: another recovery was faster', async (refused) => {
  const { result, settled } = await recovered(async (number) => number !== refused);
  expect({ result, settled }).toEqual({ result: { kind: 'overtaken' }, settled: false });
});

test.each([1, 2, 3])('page %d fails, while the next one is on its way', async (failing) => {
  const { result, settled } = await recovered(async (number) => {
    if (number === failing) throw new Error('cut');
    return true;
  });
  expect({ result, settled }).toEqual({ result: 'cut', settled: false });
});
