/**
 * The limits of a run, as plain data: the policy document is written from it, the checker counts by it, and the control
 * without a fence enforces it with a script of its own. Each is so tight that about every second request finds it full.
 */
import type { AskFacts } from './errands.js';

/** Base units of ether. */
const ETHER = 10n ** 18n;

export type Window =
  | { readonly kind: 'rolling'; readonly lengthMs: number }
  | { readonly kind: 'hour' }
  | { readonly kind: 'lifetime' };

export interface LimitFacts {
  readonly name: string;
  readonly sum: 'native' | 'count';
  /** Wei, or a number of transactions. */
  readonly max: bigint;
  readonly window: Window;
  /** What it is counted apart by; undefined: all together. */
  readonly per: 'source' | 'destination' | 'signer' | undefined;
  /** Which requests it counts. */
  readonly lane: Lane;
  /** Only what goes to destinations whose first approved payment is younger than this; absent: all. */
  readonly newForMs?: number;
}

/** Every transaction goes down one lane, and each lane has limits of its own; `shared` is the lane of both vendors. */
export const LANES = ['rolling', 'lifetime', 'calendar', 'shared', 'newcomers'] as const;
export type Lane = (typeof LANES)[number];

/** Transactions of one generation share the counters that never empty; the next finds fresh ones. */
export const GENERATION_MS = 10_000;
const GENERATIONS = 400;

/** What Virtual Signers sign for. */
export const VOTING_VAULT = 'chaosvault00000000000001';

/** The source vaults of a lane, as Fireblocks names them. */
export function vaultOf(lane: Lane, generation: number, choice: number): string {
  if (lane === 'rolling') return String(1 + (choice % 3));
  if (lane === 'shared') return '8';
  if (lane === 'newcomers') return '7';
  return lane === 'lifetime' ? String(1_000 + (generation % GENERATIONS)) : '9';
}

/** @param rate transactions a second, over all lanes */
export function limitsFor(rate: number): readonly LimitFacts[] {
  const perLane = rate / LANES.length;
  // Amounts are 0.03 ether on average.
  const ether = (transactions: number) => (BigInt(Math.round(transactions * 30)) * ETHER) / 1_000n;
  const inGeneration = (perLane * GENERATION_MS) / 1_000;
  return [
    {
      name: 'rolling-per-vault',
      sum: 'native',
      per: 'source',
      lane: 'rolling',
      max: ether((perLane / 3) * 20 * 0.5),
      window: { kind: 'rolling', lengthMs: 20_000 },
    },
    {
      name: 'count-per-signer',
      sum: 'count',
      per: 'signer',
      lane: 'rolling',
      max: BigInt(Math.round(perLane * 15 * 0.3)),
      window: { kind: 'rolling', lengthMs: 15_000 },
    },
    {
      name: 'lifetime-per-vault',
      sum: 'native',
      per: 'source',
      lane: 'lifetime',
      max: ether(inGeneration * 0.5),
      window: { kind: 'lifetime' },
    },
    {
      name: 'hour-per-destination',
      sum: 'native',
      per: 'destination',
      lane: 'calendar',
      max: ether(inGeneration * 0.5),
      window: { kind: 'hour' },
    },
    {
      name: 'shared',
      sum: 'native',
      per: undefined,
      lane: 'shared',
      max: ether(perLane * 15 * 0.5),
      window: { kind: 'rolling', lengthMs: 15_000 },
    },
    {
      // What is refused leaves its destination new.
      name: 'new-destinations',
      sum: 'native',
      per: undefined,
      lane: 'newcomers',
      max: ether(perLane * 20 * 0.25),
      window: { kind: 'rolling', lengthMs: 20_000 },
      newForMs: 8_000,
    },
    {
      name: 'shared-per-address',
      sum: 'native',
      per: 'destination',
      lane: 'shared',
      max: ether(inGeneration * 0.5),
      window: { kind: 'lifetime' },
    },
  ];
}

/** What a limit counts an approval of this ask as. */
export function needOf(limit: LimitFacts, ask: AskFacts): bigint {
  return limit.sum === 'count' ? 1n : ask.wei;
}

/** Whether a destination is still new to a limit, which has been paid first at this instant; undefined: never yet. */
export function isNewTo({ newForMs }: LimitFacts, paidFirstMs: number | undefined, atMs: number): boolean {
  return newForMs === undefined || paidFirstMs === undefined || paidFirstMs + newForMs > atMs;
}

/** Which of a limit's counters an ask charges; undefined when it is not the limit's business. */
export function counterOf(limit: LimitFacts, ask: AskFacts): string | undefined {
  if (limit.lane !== ask.lane) return undefined;
  return limit.per === undefined ? 'all' : ask[limit.per];
}

/** The policy document: one rule for each lane. */
export function policyText(limits: readonly LimitFacts[]): string {
  const lines = ['version: 1', 'description: Limits that a run of faults contests all the time.', 'limits:'];
  for (const limit of limits) {
    lines.push(
      `  ${limit.name}: { sum: ${limit.sum}, max: '${maxText(limit)}', window: ${windowText(limit.window)}, per: [${limit.per ?? ''}]${newText(limit)} }`,
    );
  }
  lines.push('rules:');
  for (const lane of LANES) {
    const ids = Array.from({ length: GENERATIONS }, (_, generation) => vaultOf(lane, generation, generation));
    if (lane === 'shared') ids.push(VOTING_VAULT);
    const names = limits.filter((limit) => limit.lane === lane).map(({ name }) => name);
    lines.push(
      `  - name: ${lane}`,
      `    match: { kind: transaction, operation: [TRANSFER], asset: [ETH], source: { type: VAULT, id: [${[...new Set(ids)].map((id) => `'${id}'`).join(', ')}] } }`,
      `    limits: [${names.join(', ')}]`,
      // No vote is asked for with bytes.
      ...(lane === 'shared' ? ['    verify: if-present'] : []),
      '    effect: approve',
    );
  }
  return `${lines.join('\n')}\n`;
}

function maxText({ sum, max }: LimitFacts): string {
  if (sum === 'count') return max.toString();
  const digits = max.toString().padStart(19, '0');
  return `${digits.slice(0, -18)}.${digits.slice(-18)}`;
}

function newText({ newForMs }: LimitFacts): string {
  return newForMs === undefined ? '' : `, newDestinations: ${newForMs}ms`;
}

function windowText(window: Window): string {
  if (window.kind === 'rolling') return `{ rolling: ${window.lengthMs}ms }`;
  return window.kind === 'hour' ? '{ calendar: hour, timezone: UTC }' : 'lifetime';
}

/** The lane that a source vault belongs to. */
export function laneOf(source: string): Lane {
  if (source === '9') return 'calendar';
  if (source === '8') return 'shared';
  if (source === '7') return 'newcomers';
  return source.length === 1 ? 'rolling' : 'lifetime';
}
