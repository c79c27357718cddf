/**
 * Stories of asks and notifications (webhook-stories/*.yaml) through two replicas of the built program, over HTTP, with real
 * signatures and a server of keys: as told, shuffled, repeated, and at both replicas at once. What comes of each is compared with what its file
 * says, and in other orders with what test/support/webhook-stories.ts works out.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { JournalEvent, Ledger } from '../../src/core/ports.js';
import { deliver, eventually } from '../support/deployment.js';
import {
  notify,
  post,
  type ServingReplica,
  series,
  startBed,
  type WebhookBed,
} from '../support/webhook-bed.js';
import { forgeries } from '../support/webhook-forgeries.js';
import {
  type Ask,
  groupsOf,
  isAsk,
  type Outcome,
  outcomeOfSteps,
  outcomesInAnyOrder,
  readStories,
  type Says,
  type Step,
  type Story,
} from '../support/webhook-stories.js';
import { notification, outgoing } from '../support/webhook-vendor.js';

const STORIES = readStories('test/integration/webhook-stories');
const SEEDS = [11, 12, 13, 14];
const DAY_MS = 86_400_000;

/** Everything but what goes to vault 13 is approved; both limits are never full, and count for ever. */
const POLICY = `
version: 1
limits:
  total: { sum: native, max: '1000000', window: lifetime }
  day: { sum: native, max: '1000000', window: { rolling: 24h } }
rules:
  - { name: never, match: { kind: transaction, destination: { id: '13' } }, effect: reject }
  - { name: transfers, match: { kind: transaction, operation: TRANSFER }, limits: [total, day], effect: approve }
`;

test('the stories are there, and say of themselves whether their order matters', () => {
  expect(STORIES.length).toBeGreaterThanOrEqual(25);
  for (const { file, steps, ends, orderFree } of STORIES) {
    const orders = Object.keys(ends).map((tx) => outcomesInAnyOrder(steps, tx).length);
    expect([file, orderFree]).toEqual([file, Math.max(1, ...orders) === 1]);
  }
});

describe.each(['embedded', 'redis', 'witnesses'] as const)('on %s', (kind) => {
  let bed: WebhookBed;
  let runs = 0;

  beforeAll(async () => {
    bed = await startBed({ kind, policy: POLICY, replicas: 2, workspace: { otherSigners: ['mobile-user'] } });
  });
  afterAll(() => bed?.stop());

  describe.each(STORIES.map((story) => [story.file.replace('.yaml', ''), story] as const))(
    '%s',
    (_file, story) => {
      test('as told', async () => {
        const run = startRun();
        const steps = story.steps;
        for (const step of steps) await run.take(step, replica(0));
        const seen = await run.seen(story);
        const ends = Object.entries(story.ends);
        expect(seen.charged).toBe(sum(ends.map(([, { charged }]) => wei(charged))));
        expect(Object.fromEntries(ends.map(([tx]) => [tx, seen.alarms(tx)]))).toEqual(
          Object.fromEntries(ends.map(([tx, { alarms }]) => [tx, alarms])),
        );
        expect(seen.events).toEqual(story.events);
        expectKnown(story, seen);
        // The file and the rules of test/support agree with one another.
        for (const [tx, { charged, alarms }] of ends) {
          const outcome = outcomeOfSteps(steps, tx);
          expect([sum(Object.values(outcome.charged).map(wei)), outcome.alarms]).toEqual([
            wei(charged),
            alarms,
          ]);
        }
      });

      test.each(SEEDS)('shuffled and repeated, seed %i', async (seed) => {
        const run = startRun();
        const chance = chanceOf(seed * 1_000 + story.file.length);
        const told = groupsOf(story.steps).flatMap((group) =>
          shuffled(
            group.flatMap((step) => (isAsk(step) ? [step] : repeated(step, chance))),
            chance,
          ),
        );
        // And at last, long after everything else, some of it once more.
        const late = shuffled(
          story.steps.filter((step) => !isAsk(step)),
          chance,
        ).slice(0, 2);
        const steps = [...told, ...late];
        for (const step of steps) await run.take(step, replica(chance() < 0.5 ? 0 : 1));
        const seen = await run.seen(story);
        expectOutcomes(story, seen, (tx) => [outcomeOfSteps(steps, tx)]);
      });

      test('at both replicas at once', async () => {
        const run = startRun();
        for (const group of groupsOf(story.steps))
          await Promise.all(
            group.flatMap((step) => (isAsk(step) ? [0] : [0, 1]).map((at) => run.take(step, replica(at)))),
          );
        const seen = await run.seen(story);
        expectOutcomes(story, seen, (tx) => outcomesInAnyOrder(story.steps, tx));
      });
    },
  );

  test('nobody was made to fetch the keys again and again', () => {
    // Each replica once at its start, and at most once a minute for the ids that strangers invent.
    const minutes = Math.ceil(process.uptime() / 60);
    expect(bed.keys.asked()).toBeLessThanOrEqual(2 * (1 + minutes));
  });

  test('what the limits count is what the journal says', async () => {
    const events = await bed.look((ledger) => eventsAfter(ledger, 0));
    let total = 0n;
    for (const { type, body } of events) {
      if (type === 'decision')
        for (const { limit, added } of (body as { charged: { limit: string; added: string }[] }).charged)
          total += limit === 'total' ? BigInt(added) : 0n;
      if (type === 'release')
        for (const { limit, amount } of (body as { given: { limit: string; amount: string }[] }).given)
          total -= limit === 'total' ? BigInt(amount) : 0n;
    }
    expect(await bed.look(usageOf)).toEqual([total, total]);
  });

  test('figures and log lines agree: an alarm is counted once for a transaction by each replica', async () => {
    for (const each of bed.replicas) {
      const lines = alarmsIn(each).map(({ alarm, txId }) => `${alarm} ${txId}`);
      const figures = await series(each, 'countersign_signed_without_approval_total');
      expect(sum([...figures.values()].map(BigInt))).toBe(BigInt(new Set(lines).size));
      expect([...figures.keys()].sort()).toEqual(
        ['REJECTED', 'RELEASED', 'UNAPPROVED'].map((alarm) => `workspace="main",kind="${alarm}"`),
      );
      const refused = await series(each, 'countersign_webhook_refused_total');
      for (const reason of [
        'UNSIGNED',
        'SIGNATURE_FORM',
        'KEY_UNKNOWN',
        'SIGNATURE',
        'WORKSPACE',
        'MALFORMED',
      ])
        expect(refused.get(`workspace="main",reason="${reason}"`)).toBeGreaterThan(0);
    }
  });

  function replica(index: number): ServingReplica {
    const found = bed.replicas[index];
    if (found === undefined) throw new Error(`no replica ${index}`);
    return found;
  }

  /** One telling of a story, with transactions of its own. */
  function startRun() {
    runs += 1;
    const suffix = `.run-${runs}`;
    const before = bed.look(async (ledger) => ({
      sequence: (await ledger.state()).sequence,
      used: await usageOf(ledger),
    }));
    return {
      async take(step: Step, at: ServingReplica): Promise<void> {
        // What was there before must be known before anything happens.
        await before;
        if (isAsk(step)) await takeAsk(bed, step, suffix, at);
        else await takeNotification(bed, step, suffix, at);
      },
      async seen({ ends }: Story): Promise<Seen> {
        const { sequence, used } = await before;
        await Promise.all(bed.replicas.map((each) => heardOut(each, suffix)));
        return bed.look(async (ledger) => {
          const events = await eventsAfter(ledger, sequence);
          const [total = 0n, day = 0n] = await usageOf(ledger);
          expect(total - (used[0] ?? 0n)).toBe(day - (used[1] ?? 0n));
          const known = new Map<string, unknown>();
          for (const tx of Object.keys(ends)) known.set(tx, await ledger.fateOf(`fireblocks:${tx}${suffix}`));
          return {
            charged: total - (used[0] ?? 0n),
            known,
            releases: (tx: string) =>
              events.filter((event) => event.type === 'release' && namesOf(event).includes(`${tx}${suffix}`))
                .length,
            events: events.map((event) => wordsOf(event, suffix)),
            alarms: (tx: string) => {
              const lines = bed.replicas.flatMap(alarmsIn).filter(({ txId }) => txId === `${tx}${suffix}`);
              return [...new Set(lines.map(({ alarm }) => `${alarm}`))].sort();
            },
          };
        });
      },
    };
  }
});

/** What the ledger and the logs hold of one telling. */
interface Seen {
  /** By all its transactions together, in wei. */
  readonly charged: bigint;
  readonly known: ReadonlyMap<string, unknown>;
  readonly releases: (tx: string) => number;
  readonly events: readonly string[];
  readonly alarms: (tx: string) => readonly string[];
}

function expectKnown({ ends }: Story, seen: Seen): void {
  for (const [tx, { known }] of Object.entries(ends)) {
    if (known === undefined) {
      expect([tx, seen.known.get(tx)]).toEqual([tx, undefined]);
      continue;
    }
    const { txHash, ...words } = known;
    const expected = txHash === undefined ? words : { ...words, hash: expect.objectContaining({ txHash }) };
    expect([tx, seen.known.get(tx)]).toEqual([tx, expect.objectContaining(expected)]);
  }
}

/** One combination of outcomes of the transactions explains all that was seen. */
function expectOutcomes(story: Story, seen: Seen, outcomes: (tx: string) => readonly Outcome[]): void {
  expectKnown(story, seen);
  let charged = 0n;
  for (const tx of Object.keys(story.ends)) {
    const found = { released: seen.releases(tx) === 1, alarms: seen.alarms(tx) };
    const possible = outcomes(tx);
    const fitting = possible.find(
      (each) => each.released === found.released && `${each.alarms}` === `${found.alarms}`,
    );
    expect([tx, fitting ?? possible]).toEqual([tx, expect.objectContaining(found)]);
    expect(seen.releases(tx)).toBeLessThanOrEqual(1);
    charged += sum(Object.values(fitting?.charged ?? {}).map(wei));
  }
  expect(seen.charged).toBe(charged);
  const kinds = new Set(seen.events.map((event) => event.split(' ')[0]));
  for (const kind of kinds) expect(['decision', 'conflict', 'report', 'release']).toContain(kind);
}

async function takeAsk(bed: WebhookBed, step: Ask, suffix: string, at: ServingReplica): Promise<void> {
  const { ask, request = ask, amount, to, answer } = step;
  const txId = `${ask}${suffix}`;
  const requestId = `${txId}${request.slice(ask.length)}`;
  const claims = {
    txId,
    amountStr: amount,
    requestedAmountStr: amount,
    destId: to,
    destinations: [{ amountNativeStr: amount, dstId: to, dstType: 'VAULT' }],
  };
  const reply = await deliver(at.http, bed.deployment.request(requestId, claims));
  expect([requestId, bed.deployment.read(reply, requestId).action]).toEqual([requestId, answer]);
}

const ANSWERS: Readonly<Record<number, string>> = {
  200: '200 ok',
  400: '400 bad request',
  401: '401 unauthorized',
};

async function takeNotification(
  bed: WebhookBed,
  step: Says,
  suffix: string,
  at: ServingReplica,
): Promise<void> {
  const { says, status, daysAgo, envelope, answered, forged } = step;
  const id = `${says}${suffix}`;
  const createdAt = STARTED - daysAgo * DAY_MS;
  const lastUpdated = createdAt + step.at * 60_000;
  const body = notification(outgoing(id, status, { createdAt, lastUpdated, ...step.with }), envelope);
  if (!forged) {
    // As a vendor does: what a busy ledger did not take in time is delivered again.
    const answer = await eventually('it is never taken', async () => {
      const found = await notify(at, body, bed.vendor);
      return found === '503 try again' ? undefined : found;
    });
    expect([status, answer]).toEqual([status, ANSWERS[answered]]);
    return;
  }
  for (const { name, headers } of forgeries(body, bed.vendor, bed.stranger))
    expect([name, await post(at.hooks, body, headers)]).toEqual([name, ANSWERS[answered]]);
}

/** One clock for all, so that what is told in another order is told with the same times. */
const STARTED = Date.now() - 3_600_000;

async function eventsAfter(ledger: Ledger, sequence: number): Promise<readonly JournalEvent[]> {
  const all: JournalEvent[] = [];
  for (;;) {
    const page = await ledger.events(all.at(-1)?.sequence ?? sequence, 1_000);
    if (page.length === 0) return all;
    all.push(...page);
  }
}

interface Body {
  readonly decision?: { readonly effect: string };
  readonly journal?: { readonly request: { readonly requestId: string } };
  readonly txId?: string;
  readonly moneyKey?: string;
  readonly known?: { readonly fate: string; readonly status: string };
  readonly reason?: string;
}

function namesOf({ body }: JournalEvent): readonly string[] {
  const { journal, txId, moneyKey } = body as Body;
  return [journal?.request.requestId, txId, moneyKey?.replace('fireblocks:', '')].filter(
    (each) => each !== undefined,
  );
}

function wordsOf(event: JournalEvent, suffix: string): string {
  const { decision, known, reason } = event.body as Body;
  const words = [
    event.type,
    decision?.effect,
    known?.fate,
    known?.status,
    event.type === 'release' ? reason : undefined,
  ];
  return [...words, namesOf(event)[0]?.replace(suffix, '')].filter((word) => word !== undefined).join(' ');
}

/** What both limits have counted so far, in wei. */
async function usageOf(ledger: Ledger): Promise<readonly bigint[]> {
  const { policy, nowMs } = await ledger.state();
  const counter = (limit: string) => `${policy?.instances[limit]}|asset=ETH`;
  expect(nowMs).toBeGreaterThan(0);
  const used = await ledger.usage([
    { counter: counter('total'), mode: 'enforce', window: { kind: 'lifetime' } },
    { counter: counter('day'), mode: 'enforce', window: { kind: 'rolling', lengthMs: DAY_MS } },
  ]);
  return used.map(BigInt);
}

/** Its log lines come over a pipe: all that were written before this one are there when this one is. */
async function heardOut({ hooks, log }: ServingReplica, suffix: string): Promise<void> {
  const url = new URL(`${hooks}/nothing-here${suffix}`);
  expect(await post(url.href, '')).toBe('404 not found');
  await eventually('a log line is missing', () =>
    log().some(({ path }) => path === url.pathname) ? true : undefined,
  );
}

function alarmsIn({ log }: ServingReplica): readonly Readonly<Record<string, unknown>>[] {
  return log().filter(({ msg }) => msg === 'signed without approval');
}

function wei(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.');
  return BigInt(whole) * 10n ** 18n + BigInt(fraction.padEnd(18, '0'));
}

function sum(values: readonly bigint[]): bigint {
  return values.reduce((total, value) => total + value, 0n);
}

function chanceOf(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
    return state / 2_147_483_648;
  };
}

function repeated(step: Step, chance: () => number): readonly Step[] {
  return Array.from({ length: 1 + Math.floor(chance() * 3) }, () => step);
}

function shuffled<T>(items: readonly T[], chance: () => number): readonly T[] {
  return items
    .map((item) => ({ item, place: chance() }))
    .sort((one, other) => one.place - other.place)
    .map(({ item }) => item);
}
