/** One run: a seeded programme of plays, several at a time, at a rate, until it is over or somebody stops it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CountersignError } from '../core/errors.js';
import { Courier } from './courier.js';
import { type Patience, Play, type Theatre } from './play.js';
import { Random } from './random.js';
import { type Part, SCENARIOS, type Scenario, type ScenarioName } from './scenarios.js';
import { type ProgressCounts, type Summary, Tally } from './tally.js';
import type { Target } from './target.js';

export interface RunOptions {
  readonly target: Target;
  readonly scenarios: readonly ScenarioName[];
  /** Different asks in all. */
  readonly requests: number;
  /** Asks a second; without it as fast as the answers come. */
  readonly ratePerSecond?: number;
  /** Plays at a time. */
  readonly concurrency: number;
  readonly seed: string;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** Called after each play. */
  readonly onProgress?: (asksDone: number, counts: ProgressCounts) => void;
}

interface ProgrammePart extends Part {
  readonly name: ScenarioName;
}

export async function run(options: RunOptions): Promise<Summary> {
  const { target, seed, patience, signal } = options;
  const programme = programmeOf(options);
  const courier = new Courier(target.trust);
  const tally = new Tally();
  const theatre: Theatre = { target, seed, courier, tally, patience, signal };
  // The report has the scenarios in the order they were named in.
  for (const name of options.scenarios) if (isPlayable(target, name)) tally.asked(name, 0);
  const stop = () => courier.close();
  signal.addEventListener('abort', stop, { once: true });
  const started = performance.now();
  let next = 0;
  let asksStarted = 0;
  let asksDone = 0;

  const worker = async () => {
    for (;;) {
      const place = next;
      const part = programme[place];
      if (part === undefined || signal.aborted) return;
      next += 1;
      const dueMs = options.ratePerSecond === undefined ? 0 : (asksStarted * 1_000) / options.ratePerSecond;
      asksStarted += part.asks;
      if (!(await waitUntil(started + dueMs, signal))) return;
      const scenario: Scenario = SCENARIOS[part.name];
      const play = new Play(part.name, place, theatre);
      tally.asked(part.name, part.asks);
      await scenario.play(play, part);
      asksDone += part.asks;
      options.onProgress?.(asksDone, tally.progress());
    }
  };
  try {
    await Promise.all(Array.from({ length: options.concurrency }, worker));
  } finally {
    signal.removeEventListener('abort', stop);
    courier.close();
  }
  return tally.summary();
}

/** The scenarios this target has no signers for. */
export function unplayable(target: Target, names: readonly ScenarioName[]): ScenarioName[] {
  return names.filter((name) => !isPlayable(target, name));
}

function isPlayable({ cosigners, virtualSigners = [] }: Target, name: ScenarioName): boolean {
  const { stages, by }: Scenario = SCENARIOS[name];
  if (by === 'virtual-signer') return virtualSigners.length > 0;
  if (by === 'contract') return virtualSigners.some(({ contract }) => contract !== undefined);
  const able = cosigners.filter(({ key }) => by === undefined || (by === 'key') === (key !== undefined));
  return stages.every((stage) => able.some(({ signers }) => signers[stage].length > 0));
}

/** Each scenario once, then by weight, until there are as many asks as wanted; in seeded order. */
function programmeOf({ target, scenarios, requests, seed }: RunOptions): ProgrammePart[] {
  const names = scenarios.filter((name) => isPlayable(target, name));
  if (names.length === 0) {
    throw new CountersignError(
      'USAGE',
      'no signer of these co-signers serves the stages these scenarios need',
    );
  }
  const random = new Random(seed, 'programme');
  const weighted = names.flatMap((name) => Array.from({ length: SCENARIOS[name].weight }, () => name));
  const parts: ProgrammePart[] = [];
  const turns = new Map<ScenarioName, number>();
  let asks = 0;
  while (asks < requests) {
    const name = names[parts.length] ?? weighted[random.below(weighted.length)];
    if (name === undefined) break;
    const turn = turns.get(name) ?? 0;
    turns.set(name, turn + 1);
    const part = { name, turn, asks: Math.min(SCENARIOS[name].asks, Math.max(2, requests - asks)) };
    parts.push(part);
    asks += part.asks;
  }
  return random.shuffled(parts);
}

/** False when stopped meanwhile. */
async function waitUntil(instantMs: number, signal: AbortSignal): Promise<boolean> {
  const waitMs = instantMs - performance.now();
  if (waitMs > 0) await sleep(waitMs, undefined, { signal }).catch(() => undefined);
  return !signal.aborted;
}
