/** Processes that die and processes that stop, of every kind there is. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Bed, until } from '../bed/bed.js';
import type { Member } from '../bed/member.js';
import type { RedisNode } from '../bed/redis-node.js';
import { type Felt, felt, oneOf, primaryOf, type Strike } from './fault.js';

/** Detection, election and the news of it. */
const FAILOVER_MS = 90_000;

/** kill -9, and a new process after a while. Where there are Sentinels, the old primary comes back to find another in office. */
export const killPrimary: Strike = async ({ bed, durationMs }) => {
  const primary = await primaryOf(bed);
  return killNode(bed, primary, { durationMs, failsOver: bed.sentinels.length > 0 });
};

/** The replicas lag behind when it dies, so what is promoted lacks what was last decided. */
export const killPrimaryAheadOfReplicas: Strike = async ({ bed, durationMs }) => {
  const primary = await primaryOf(bed);
  const others = bed.nodes.filter((node) => node !== primary);
  const links = others.map(({ name }) => ({ from: name, to: primary.name }));
  await bed.switchboard.set(links, 'hold');
  await pause(2_000);
  const offset = Number((await primary.info('replication')).get('master_repl_offset'));
  const known = await Promise.all(
    others.map(async (node) => Number((await node.info('replication')).get('slave_repl_offset'))),
  );
  const behind = offset - Math.max(...known);
  // What is held back dies with it: it would reach the replicas after all.
  const dead = async () => {
    await bed.switchboard.set(links, 'refuse');
    await bed.switchboard.set(links, 'pass');
  };
  const { evidence } = await killNode(bed, primary, { durationMs, failsOver: true, dead });
  return felt(behind > 0, primary.name, `its replicas were ${behind} bytes behind; ${evidence}`);
};

export const killRedisReplica: Strike = async ({ bed, durationMs, choice }) => {
  const primary = await primaryOf(bed);
  const others = bed.nodes.filter((node) => node !== primary);
  return killNode(bed, oneOf(others, choice), { durationMs, failsOver: false });
};

export const killWitness: Strike = ({ bed, durationMs, choice }) =>
  killNode(bed, oneOf(bed.witnesses, choice), { durationMs, failsOver: false });

export const killSentinel: Strike = async ({ bed, durationMs, choice }) => {
  const { member } = oneOf(bed.sentinels, choice);
  return killMember(member, durationMs, async () => {});
};

export const killReplica: Strike = async ({ bed, durationMs, choice }) => {
  const index = choice % bed.replicas.length;
  const member = oneOf(bed.replicas, choice);
  return killMember(member, durationMs, () => bed.replicaListens(index));
};

async function killMember(member: Member, durationMs: number, ready: () => Promise<void>): Promise<Felt> {
  const before = member.pid;
  await member.kill();
  await pause(durationMs);
  member.start();
  await ready();
  const evidence = `process ${before} became ${member.pid}`;
  return felt(member.pid !== before && member.running, member.name, evidence);
}

interface Killing {
  readonly durationMs: number;
  /** Another primary has to be elected meanwhile. */
  readonly failsOver: boolean;
  /** What is done as soon as it is dead. */
  readonly dead?: () => Promise<void>;
}

async function killNode(bed: Bed, node: RedisNode, { durationMs, failsOver, dead }: Killing): Promise<Felt> {
  const before = await node.runId();
  await node.member.kill();
  await dead?.();
  await pause(durationMs);
  const news = failsOver ? `; ${await successorOf(bed, node)} was promoted` : '';
  await node.start();
  const after = await node.runId();
  return felt(after !== before, node.name, `run ${before.slice(0, 8)} became ${after.slice(0, 8)}${news}`);
}

/** Resolves to the name of the primary that took the place of this one. */
export async function successorOf(bed: Bed, old: RedisNode): Promise<string> {
  let name = old.name;
  await until(`nobody was promoted in place of ${old.name}`, FAILOVER_MS, async () => {
    name = (await bed.primary())?.name ?? old.name;
    return name !== old.name;
  });
  return name;
}

/** SIGSTOP, and SIGCONT after a while: it finds itself in a world that has gone on without it. */
export const stopPrimary: Strike = async ({ bed, durationMs }) => {
  const primary = await primaryOf(bed);
  primary.member.suspend();
  const stopped = Promise.all([
    stopFor(primary.member, durationMs),
    bed.sentinels.length > 0 ? successorOf(bed, primary) : undefined,
  ]);
  const [{ evidence }, successor] = await stopped.finally(() => primary.member.resume());
  return felt(
    true,
    primary.name,
    `${evidence}${successor === undefined ? '' : `; ${successor} was promoted`}`,
  );
};

export const stopRedisReplica: Strike = async ({ bed, durationMs, choice }) => {
  const primary = await primaryOf(bed);
  const others = bed.nodes.filter((node) => node !== primary);
  return stop(oneOf(others, choice).member, durationMs);
};

export const stopSentinel: Strike = ({ bed, durationMs, choice }) =>
  stop(oneOf(bed.sentinels, choice).member, durationMs);

export const stopWitness: Strike = ({ bed, durationMs, choice }) =>
  stop(oneOf(bed.witnesses, choice).member, durationMs);

export const stopReplica: Strike = ({ bed, durationMs, choice }) =>
  stop(oneOf(bed.replicas, choice), durationMs);

async function stop(member: Member, durationMs: number): Promise<Felt> {
  member.suspend();
  return stopFor(member, durationMs).finally(() => member.resume());
}

async function stopFor(member: Member, durationMs: number): Promise<Felt> {
  await pause(durationMs / 2);
  const half = member.suspended;
  await pause(durationMs / 2);
  return felt(half && member.suspended, member.name, `the kernel had it stopped for ${durationMs} ms`);
}
