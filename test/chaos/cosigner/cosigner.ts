/**
 * One machine that asks, as its vendor describes its behaviour: it gives up on a call after 30 s, delivers again what got no
 * answer, and asks again after a RETRY or no vote (here after a second). It writes down everything.
 */
import { createWriteStream } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Courier } from '../../../src/simulator/courier.js';
import { Random } from '../../../src/simulator/random.js';
import { mayRelease } from '../workload/endings.js';
import { type Ask, type Delivery, errand, isServedBy, type MachineName } from '../workload/errands.js';
import type { Send } from './channel.js';
import { type FireblocksKeys, fireblocksChannel } from './fireblocks.js';
import type { AskedLine, Line, Outcome, Phase } from './record.js';
import { type VendorSettings, vendorOf } from './vendor.js';
import { type VirtualSignerKeys, virtualSignersChannel } from './virtual-signers.js';

export interface CosignerSettings {
  readonly name: MachineName;
  readonly origin: string;
  /** Of a Fireblocks co-signer, or of all the Virtual Signers that this machine plays. */
  readonly keys: FireblocksKeys | readonly VirtualSignerKeys[];
  /** Tells what became of what this machine got approved; absent: nobody does. */
  readonly vendor?: VendorSettings;
  readonly seed: string;
  /** Transactions a second, over all machines. */
  readonly rate: number;
  readonly recordFile: string;
  /** CLOCK_MONOTONIC, in nanoseconds, when the run began. */
  readonly beganNs: string;
}

/** What the runner says. */
export type Command =
  /** No new transactions; `idle` comes back when all that are under way are decided. */
  | { readonly command: 'finish' }
  /** Ask again for decisions that were heard, each once. */
  | { readonly command: 'repeat'; readonly atMost: number }
  /** Old and new asks, each once, when nothing may be decided any more. */
  | { readonly command: 'after-the-end' }
  | { readonly command: 'quit' };

const AFTER_RETRY_MS = 1_000;
const AFTER_LOSS_MS = 100;
const FORGERY_EVERY_MS = 1_000;
const REPEATS_AT_A_TIME = 8;
const PROGRESS_MS = 250;

const settings = JSON.parse(process.argv[2] ?? '{}') as CosignerSettings;
const { name, seed, keys } = settings;
const began = BigInt(settings.beganNs);
const common = { origin: settings.origin, seed, courier: new Courier() };
const channel =
  'keyFile' in keys ? fireblocksChannel(name, keys, common) : virtualSignersChannel(keys, common);
const record = createWriteStream(settings.recordFile);
const progress = { decided: 0, retried: 0, lost: 0, pending: 0 };
const decided = new Map<string, Ask>();
const finishing = new AbortController();
let calls = 0;
let deliveries = 0;

function nowMs(): number {
  return Number(process.hrtime.bigint() - began) / 1e6;
}

const tell =
  settings.vendor && vendorOf(settings.vendor, { ...common, name, nowMs, write: (line) => write(line) });

function write(line: Line): void {
  record.write(`${JSON.stringify(line)}\n`);
}

/** One call, and what came of it. */
async function call(
  ask: Ask,
  send: Send,
  { delivery, phase }: Pick<AskedLine, 'delivery' | 'phase'>,
): Promise<Outcome> {
  calls += 1;
  const id = `${name}/${calls}`;
  const { payload: _payload, ...facts } = ask;
  const asked = { ...facts, wei: ask.wei.toString() };
  write({
    event: 'asked',
    call: id,
    atMs: nowMs(),
    wallMs: Date.now(),
    phase,
    cosigner: name,
    delivery,
    ask: asked,
  });
  const heard = await send();
  write({ event: 'answered', call: id, atMs: nowMs(), wallMs: Date.now(), ...heard });
  return heard.outcome;
}

/** Asks until something final is heard. */
async function pursue(ask: Ask): Promise<Outcome> {
  const send = await channel.prepare(ask);
  deliveries += 1;
  const delivery = `${name}/${deliveries}`;
  progress.pending += 1;
  try {
    for (;;) {
      const outcome = await call(ask, send, { delivery, phase: 'run' });
      if (outcome === 'none') {
        progress.lost += 1;
        await pause(AFTER_LOSS_MS);
      } else if (outcome === 'RETRY') {
        progress.retried += 1;
        await pause(AFTER_RETRY_MS);
      } else {
        progress.decided += 1;
        decided.set(nameOf(ask), ask);
        return outcome;
      }
    }
  } finally {
    progress.pending -= 1;
  }
}

function nameOf({ key, variant, signer }: Ask): string {
  return `${key} ${variant} ${signer}`;
}

async function deliver({ asks, ending }: Delivery): Promise<void> {
  for (const ask of asks) if ((await pursue(ask)) !== 'APPROVE') return;
  const last = asks.at(-1);
  if (tell === undefined || ending === undefined || last === undefined) return;
  if (!mayRelease(ending)) return tell(last.requestId, ending);
  // It is not heard once more at the end: it has another answer when its charges are given back.
  for (const ask of asks) decided.delete(nameOf(ask));
  await tell(last.requestId, ending);
  await askOnce([last], 'after-release');
}

/** What is still to come when the run ends comes at once. */
function dueAfter(ms: number): Promise<void> {
  return pause(ms, undefined, { signal: finishing.signal }).catch(() => undefined);
}

/** Errands come when they are due, however long others wait. */
async function goErrands(): Promise<void> {
  const underWay = new Set<Promise<void>>();
  for (let index = 0; !finishing.signal.aborted; index += 1) {
    const { atMs, deliveries: all } = errand(seed, index, settings.rate);
    const mine = all.filter(({ machine }) => machine === name);
    const waitMs = atMs - nowMs();
    if (waitMs > 0) await pause(waitMs);
    for (const delivery of mine) {
      const done = dueAfter(delivery.afterMs).then(() => deliver(delivery));
      underWay.add(done);
      done.finally(() => underWay.delete(done));
    }
  }
  while (underWay.size > 0) await Promise.all(underWay);
}

/** Honest content that somebody else signed, or that was changed afterwards. */
async function forge(): Promise<void> {
  if (channel.forge === undefined) return;
  for (let turn = 0; !finishing.signal.aborted; turn += 1) {
    await pause(FORGERY_EVERY_MS);
    const [ask] = newAsks(1_000_000 + turn * 2 + (name === 'cosigner-a' ? 0 : 1), 1);
    if (ask === undefined) continue;
    const forged = await channel.forge(ask, turn);
    write({ event: 'forged', atMs: nowMs(), requestId: ask.requestId, ...forged });
  }
}

/** One call each, several at a time. */
async function askOnce(asks: readonly Ask[], phase: Phase): Promise<void> {
  const queue = [...asks];
  const worker = async () => {
    for (let ask = queue.shift(); ask !== undefined; ask = queue.shift()) {
      deliveries += 1;
      await call(ask, await channel.prepare(ask), { delivery: `${name}/${deliveries}`, phase });
    }
  };
  await Promise.all(Array.from({ length: REPEATS_AT_A_TIME }, worker));
}

function sample(atMost: number, purpose: string): readonly Ask[] {
  return new Random(seed, `${purpose} of ${name}`).shuffled([...decided.values()]).slice(0, atMost);
}

/** The first of each errand from this number on that is asked over a channel like this one: of none that a run comes to. */
function newAsks(first: number, count: number): readonly Ask[] {
  return Array.from({ length: count }, (_, index) => errand(seed, first + index, settings.rate)).flatMap(
    (one) => one.deliveries.flatMap(({ asks }) => asks).find((ask) => isServedBy(ask, name)) ?? [],
  );
}

async function obey(order: Command): Promise<void> {
  if (order.command === 'finish') finishing.abort();
  else if (order.command === 'repeat') await askOnce(sample(order.atMost, 'repeats'), 'repeat');
  else if (order.command === 'after-the-end')
    await askOnce([...sample(40, 'last asks'), ...newAsks(2_000_000, 40)], 'after-the-end');
  else record.end(() => process.exit(0));
  if (order.command !== 'finish') process.send?.({ done: order.command });
}

process.on('message', (order: Command) => void obey(order));
process.on('disconnect', () => process.exit(0));
setInterval(() => process.send?.({ progress }), PROGRESS_MS);
Promise.all([goErrands(), forge()]).then(() => process.send?.({ done: 'finish' }));
