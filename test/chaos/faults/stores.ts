/** Stores that pause, forget everything, or tell another time. */
import { setTimeout as pause } from 'node:timers/promises';
import { askRedis } from '../bed/ask.js';
import { until } from '../bed/bed.js';
import type { RedisNode } from '../bed/redis-node.js';
import { felt, oneOf, primaryOf, type Strike } from './fault.js';

const INIT_WITNESS_MS = 90_000;

/** CLIENT PAUSE: the server lives and answers nobody. */
export const pauseClients: Strike = async ({ bed, durationMs, choice }) => {
  const primary = await primaryOf(bed);
  const what = choice % 2 === 0 ? 'WRITE' : 'ALL';
  // Before it: a probe that is late is held back for what is left of it.
  const began = performance.now();
  await primary.ask('CLIENT', 'PAUSE', String(durationMs), what);
  // Removes nothing, and is held back like every write.
  await askRedis(primary.port, ['DEL', 'chaos-probe'], durationMs + 5_000).catch(() => undefined);
  const waited = performance.now() - began;
  return felt(
    waited > durationMs * 0.7,
    primary.name,
    `a write of ours waited ${Math.round(waited)} ms (${what})`,
  );
};

/** Everything is gone on the primary, and so, a moment later, on its replicas. */
export const flushAll: Strike = async ({ bed }) => {
  const primary = await primaryOf(bed);
  const before = Number(await primary.ask('DBSIZE'));
  await primary.ask('FLUSHALL');
  return felt(before > 0, primary.name, `${before} keys were removed`);
};

/** It comes back empty before anybody has missed it, still in office, and its replicas copy the emptiness. */
export const losePrimaryDisk: Strike = async ({ bed }) => {
  const primary = await primaryOf(bed);
  const lost = await loseDisk(primary, 0);
  return felt(lost.before > 0 && lost.runId !== '', primary.name, lost.evidence);
};

/** A witness comes back blank, and must have no say until it has been told everything again. */
export const loseWitnessDisk: Strike = async ({ bed, durationMs, choice }) => {
  const witness = oneOf(bed.witnesses, choice);
  const lost = await loseDisk(witness, durationMs);
  // The operator is told to look again while a recovery of the replicas' own is under way, which may be the better one.
  let said = '';
  await until(
    () => `no vote for ${witness.name} again: ${said}`,
    INIT_WITNESS_MS,
    async () => {
      try {
        said = bed.countersign('ledger', 'init-witness', '--config', bed.deployment.configFile);
        return true;
      } catch (error) {
        said = (error as Error).message;
        return false;
      }
    },
  );
  return felt(lost.before > 0, witness.name, `${lost.evidence}; ${said.trim().split('\n').at(-1)}`);
};

async function loseDisk(node: RedisNode, downMs: number) {
  const before = Number(await node.ask('DBSIZE'));
  const old = await node.runId();
  await node.member.kill();
  node.wipe();
  await pause(downMs);
  await node.start();
  const runId = await node.runId();
  const evidence = `its disk with ${before} keys was removed, run ${old.slice(0, 8)} became ${runId.slice(0, 8)}`;
  return { before, runId: runId === old ? '' : runId, evidence };
}

const LOOKS_MS = 10_000;

/** The primary's clock is set, forward or back, by some seconds or by an hour; and set right again. */
export const jumpClock: Strike = async ({ bed, durationMs, choice }) => {
  const primary = await primaryOf(bed);
  const jumps = [3, -3, 40, -40, 3_600, -3_600];
  const jump = oneOf(jumps, choice);
  primary.setClock(jump);
  try {
    await pause(durationMs / 2);
    let ahead = 0;
    const isFelt = () => Math.abs(ahead - jump * 1_000) < 1_500;
    // An answer that is late on a busy machine tells an earlier time.
    const look = async () => {
      ahead = await primary.clockAheadMs();
      return isFelt();
    };
    await until('', LOOKS_MS, look).catch(() => undefined);
    await pause(durationMs / 2);
    return felt(isFelt(), primary.name, `its clock was ${(ahead / 1_000).toFixed(1)} s ahead of ours`);
  } finally {
    primary.setClock(0);
  }
};
