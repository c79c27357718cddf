/**
 * What waits for a decision, shared by the replicas of a workspace: every few seconds each posts what it saw, reads what
 * all have seen, and takes off what was decided or given up. No request waits for it, and no decision reads it.
 */
import type { Decision } from '../core/decision.js';
import { decidedUnder } from '../core/fingerprint.js';
import type { Ledger } from '../core/ports.js';
import { deliveriesOf, isGivenUp, MAX_BOARD, type WaitingAsk } from '../core/waiting.js';
import type { RetryMetrics } from '../telemetry/retry-metrics.js';
import type { Waitlist } from '../telemetry/waitlist.js';

const EVERY_MS = 10_000;
/** Replicas do not come all at once. */
const JITTER = 0.25;
const MOST_LOOKUPS = 200;
/** A replica that is told to stop has others to finish. */
const LAST_POST_MS = 2_000;

export interface SharingParts {
  readonly workspace: string;
  readonly ledger: Pick<Ledger, 'waiting' | 'lookup'>;
  readonly retries: RetryMetrics;
  readonly now?: () => number;
  readonly everyMs?: number;
}

export interface Sharing {
  /** One exchange, now. Rejects when the board cannot be reached; everything is tried again with the next one. */
  exchange(): Promise<void>;
  /** Posts what is not on the board yet, as far as that can be done soon. */
  stop(): Promise<void>;
}

/** Begins at once; undefined where no co-signer asks again. */
export function shareWaiting(parts: SharingParts): Sharing | undefined {
  const { workspace, retries, everyMs = EVERY_MS } = parts;
  const list = retries.listOf(workspace);
  if (list === undefined) return undefined;
  let timer: NodeJS.Timeout | undefined;
  let running: Promise<void> = Promise.resolve();
  let isStopped = false;
  const run = () => exchange(parts, list).catch(() => retries.boardFailed(workspace));
  const schedule = (): void => {
    if (isStopped) return;
    timer = setTimeout(
      () => {
        running = run().then(schedule);
      },
      everyMs * (1 + JITTER * (2 * Math.random() - 1)),
    ).unref();
  };
  schedule();
  return {
    exchange: () => exchange(parts, list),
    async stop() {
      isStopped = true;
      clearTimeout(timer);
      const last = running.then(() => post(parts, list)).catch(() => undefined);
      await Promise.race([last, new Promise((resolve) => setTimeout(resolve, LAST_POST_MS).unref())]);
    },
  };
}

async function exchange(parts: SharingParts, list: Waitlist): Promise<void> {
  await post(parts, list);
  list.listed(await parts.ledger.waiting.list());
  await sift(parts, list);
}

async function post({ ledger: { waiting }, retries }: SharingParts, list: Waitlist): Promise<void> {
  const { over } = list;
  if (over.length > 0) {
    await waiting.remove(over);
    list.removed(over);
  }
  const sightings = list.unposted(MAX_BOARD);
  if (list.isEmpty) return;
  await waiting.post(retries.replica, sightings);
  list.posted(sightings);
}

/** What was decided elsewhere and what nobody asks about any more goes; what the board has lost is posted again. */
async function sift(parts: SharingParts, list: Waitlist): Promise<void> {
  const { workspace, ledger, retries, now = Date.now } = parts;
  const nowMs = now();
  const found = await Promise.all(
    list.silent(nowMs, MOST_LOOKUPS).map(async (ask) => ({ ask, fate: await fateOf(ask, parts, nowMs) })),
  );
  const ended = found.filter(({ fate }) => fate !== 'waits');
  const listed = ended.map(({ ask: { askKey } }) => askKey).filter((askKey) => list.isOnBoard(askKey));
  const removed = new Set(listed.length === 0 ? [] : await ledger.waiting.remove(listed));
  const { isBoardFull } = list;
  for (const { ask, fate } of ended) {
    const isOurs = removed.has(ask.askKey) || (isBoardFull && !list.isOnBoard(ask.askKey));
    list.drop(ask);
    if (fate === 'given up' && isOurs) retries.gaveUp({ workspace, cosigner: ask.about.cosigner });
  }
  for (const { ask, fate } of found)
    if (fate === 'waits' && !list.isOnBoard(ask.askKey)) list.postAgain(ask.askKey);
}

type Fate = 'decided' | 'given up' | 'waits';

async function fateOf(ask: WaitingAsk, parts: SharingParts, nowMs: number): Promise<Fate> {
  const { workspace, ledger, retries } = parts;
  const found = await Promise.all(decidedUnder(ask.askKey).map((askKey) => ledger.lookup(askKey)));
  if (found.some((decision) => ends(decision, ask))) return 'decided';
  const schedule = retries.scheduleOf({ workspace, cosigner: ask.about.cosigner });
  return schedule !== undefined && isGivenUp(deliveriesOf(ask), schedule, nowMs) ? 'given up' : 'waits';
}

/** An approval from before a freeze stands all the time, and is not repeated while the freeze lasts. */
function ends(decision: Decision | undefined, ask: WaitingAsk): boolean {
  if (decision === undefined) return false;
  return ask.about.reason !== 'FREEZE_RETRIES' || decision.decidedAtMs > deliveriesOf(ask).lastMs;
}
