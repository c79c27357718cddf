/** Links that are cut, silent, slow, or that lose exactly the reply. */
import { setTimeout as pause } from 'node:timers/promises';
import { type Bed, until } from '../bed/bed.js';
import type { Between, Figures, Mode } from '../proxy/links.js';
import { type Felt, felt, oneOf, primaryOf, type Strike } from './fault.js';
import { successorOf } from './processes.js';

interface Cut {
  readonly mode: Mode;
  readonly delayMs?: number;
  readonly durationMs: number;
  /** What the proxy counts when traffic meets it. */
  readonly counts: keyof Figures;
  /** Something else that has to happen before it heals. */
  readonly until?: () => Promise<string>;
}

/** On a busy machine nothing may come over a link for a while: a fault stays until it is met, for so long at most. */
const MET_MS = 30_000;

/** How much more of it was counted; waits for the first of it. */
async function metSince(
  { switchboard }: Bed,
  links: readonly Between[],
  { counts, before }: { readonly counts: keyof Figures; readonly before: number },
): Promise<number> {
  let met = 0;
  const look = async () => {
    met = (await switchboard.figure(links, counts)) - before;
    return met > 0;
  };
  // That it never is met its caller says.
  await until('', MET_MS, look).catch(() => undefined);
  return met;
}

/** Does this to all these links for a while. */
async function cut(bed: Bed, links: readonly Between[], target: string, how: Cut): Promise<Felt> {
  const { mode, delayMs, durationMs, counts } = how;
  const { switchboard } = bed;
  const before = await switchboard.figure(links, counts);
  await switchboard.set(links, mode, delayMs);
  let news = '';
  let met = 0;
  try {
    const [, told] = await Promise.all([pause(durationMs), how.until?.()]);
    news = told === undefined ? '' : `; ${told}`;
    met = await metSince(bed, links, { counts, before });
  } finally {
    await switchboard.set(links, 'pass');
  }
  return felt(met > 0, target, `${met} ${WORDS[counts]}${news}`);
}

const WORDS: Readonly<Record<keyof Figures, string>> = {
  connections: 'connections',
  open: 'open connections',
  bytes: 'bytes',
  held: 'pieces of traffic did not get through',
  delayed: 'pieces of traffic came late',
  refused: 'connections were refused',
  reset: 'connections were reset',
  cutReplies: 'replies were cut off',
};

/**
 * The classical split brain: the primary is cut off from its replicas and from the Sentinels, which promote another; and
 * one of our replicas is cut off together with it, hears of nothing and goes on deciding there.
 */
export const splitBrain: Strike = async ({ bed, durationMs, choice }) => {
  const primary = await primaryOf(bed);
  const island = oneOf(bed.replicas, choice).name;
  const mainland = [
    ...bed.nodes.filter((node) => node !== primary).map(({ name }) => name),
    ...bed.sentinels.map(({ name }) => name),
    ...bed.replicas.map(({ name }) => name).filter((name) => name !== island),
  ];
  const links = [
    ...mainland.map((from) => ({ from, to: primary.name })),
    ...mainland.map((to) => ({ from: primary.name, to })),
    ...[...bed.nodes.filter((node) => node !== primary), ...bed.sentinels].map(({ name: to }) => ({
      from: island,
      to,
    })),
  ];
  const until = async () =>
    `${await successorOf(bed, primary)} was promoted, and ${island} still reached the old one`;
  return cut(bed, links, primary.name, { mode: 'hold', durationMs, counts: 'held', until });
};

/** One of our replicas reaches no store at all. */
export const isolateReplica: Strike = async ({ bed, durationMs, choice }) => {
  const { name } = oneOf(bed.replicas, choice);
  const stores = [...bed.nodes, ...bed.sentinels, ...bed.witnesses];
  const links = stores.map((store) => ({ from: name, to: store.name }));
  return cut(bed, links, name, { mode: 'hold', durationMs, counts: 'held' });
};

/** One of our replicas reaches the primary, and no witness. */
export const isolateFromWitnesses: Strike = async ({ bed, durationMs, choice }) => {
  const { name } = oneOf(bed.replicas, choice);
  const links = bed.witnesses.map((witness) => ({ from: name, to: witness.name }));
  return cut(bed, links, name, { mode: 'hold', durationMs, counts: 'held' });
};

export const isolateWitness: Strike = async ({ bed, durationMs, choice }) => {
  const { name } = oneOf(bed.witnesses, choice);
  return cut(bed, [{ from: '*', to: name }], name, { mode: 'hold', durationMs, counts: 'held' });
};

export const slowPrimary: Strike = async ({ bed, durationMs, choice }) => {
  const { name } = await primaryOf(bed);
  const delayMs = 60 + (choice % 200);
  const links = bed.replicas.map((replica) => ({ from: replica.name, to: name }));
  return cut(bed, links, name, { mode: 'pass', delayMs, durationMs, counts: 'delayed' });
};

export const slowWitness: Strike = async ({ bed, durationMs, choice }) => {
  const { name } = oneOf(bed.witnesses, choice);
  const delayMs = 60 + (choice % 400);
  return cut(bed, [{ from: '*', to: name }], name, { mode: 'pass', delayMs, durationMs, counts: 'delayed' });
};

/** The command is executed and its sender does not hear so: it does not know whether it was. */
export const cutReplies: Strike = async ({ bed, durationMs }) => {
  const { name } = await primaryOf(bed);
  const links = bed.replicas.map((replica) => ({ from: replica.name, to: name }));
  const before = await bed.switchboard.figure(links, 'cutReplies');
  const pauseMs = 400;
  for (let spent = 0; spent < durationMs; spent += pauseMs) {
    for (const link of links) await bed.switchboard.cutReplies(link, 1);
    await pause(pauseMs);
  }
  const met = await metSince(bed, links, { counts: 'cutReplies', before });
  for (const link of links) await bed.switchboard.cutReplies(link, 0);
  return felt(met > 0, name, `${met} ${WORDS.cutReplies} after their command was passed on`);
};

/** Every connection between the balancer and one replica is reset, again and again. */
export const resetBalancer: Strike = async ({ bed, durationMs, choice }) => {
  const { name } = oneOf(bed.replicas, choice);
  const link = { from: 'others', to: name };
  const before = await bed.switchboard.figure([link], 'reset');
  const pauseMs = 200;
  let met = 0;
  for (let spent = 0; spent < durationMs || (met === 0 && spent < MET_MS); spent += pauseMs) {
    await bed.switchboard.reset(link);
    await pause(pauseMs);
    met = (await bed.switchboard.figure([link], 'reset')) - before;
  }
  return felt(met > 0, name, `${met} connections of the balancer were reset`);
};
