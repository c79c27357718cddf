/**
 * Stories of asks and notifications, as files; and what has to come of one in whatever order it is told, worked out by a few
 * lines that know nothing of the product: what a notification means stands in the file.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';

const ask = z.strictObject({
  ask: z.string(),
  /** The request id; of a member of a batch another one than the transaction. */
  request: z.string().optional(),
  amount: z.string().default('0.5'),
  to: z.string().default('8'),
  answer: z.enum(['APPROVE', 'REJECT']),
});

const says = z.strictObject({
  says: z.string(),
  status: z.string(),
  /** Minutes after the transaction was made. */
  at: z.number(),
  means: z.enum(['signed', 'completed', 'failed', 'never-signed', 'nothing']),
  /** Over the vendor's transaction. */
  with: z.record(z.string(), z.unknown()).default({}),
  /** Over the envelope. */
  envelope: z.record(z.string(), z.unknown()).default({}),
  /** How it is answered, when not by 200. */
  answered: z.int().default(200),
  /** Instead of an honest signature: every kind of forged one. */
  forged: z.boolean().default(false),
  /** Days before now that the transaction was made. */
  daysAgo: z.number().default(0),
  /** It was signed by those who need not ask. */
  byOthers: z.boolean().default(false),
});

const ending = z.strictObject({
  /** What it is charged in the end. */
  charged: z.string(),
  alarms: z.array(z.enum(['UNAPPROVED', 'REJECTED', 'RELEASED'])),
  /** What the ledger knows of it: the same in whatever order it was told. */
  known: z
    .strictObject({
      fate: z.string(),
      status: z.string(),
      subStatus: z.string().optional(),
      txHash: z.string().optional(),
    })
    .optional(),
});

const storySchema = z.strictObject({
  story: z.string(),
  steps: z.array(z.union([ask, says])).min(1),
  /** In the order given, by transaction. */
  ends: z.record(z.string(), ending),
  /** The events of the ledger, in the order given. */
  events: z.array(z.string()),
  /** False: in another order it ends otherwise, by its nature. */
  orderFree: z.boolean().default(true),
});

export type Ask = z.infer<typeof ask>;
export type Says = z.infer<typeof says>;
export type Step = Ask | Says;
export type Story = z.infer<typeof storySchema> & { readonly file: string };
export type Ending = z.infer<typeof ending>;

export function isAsk(step: Step): step is Ask {
  return 'ask' in step;
}

export function readStories(folder: string): readonly Story[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => {
      const read = storySchema.safeParse(parse(readFileSync(join(folder, file), 'utf8'), { merge: true }));
      if (!read.success) throw new Error(`${file}: ${read.error.message}`);
      return { ...read.data, file };
    });
}

/** What has to come of the steps of one transaction. */
export interface Outcome {
  /** By request id. */
  readonly charged: Readonly<Record<string, string>>;
  readonly released: boolean;
  readonly alarms: readonly string[];
}

const RETENTION_DAYS = 90;

export function outcomeOfSteps(steps: readonly Step[], tx: string): Outcome {
  let charged: Record<string, string> = {};
  let isApproved = false;
  let isRejected = false;
  let isReleased = false;
  let isSigned = false;
  let hasMembers = false;
  const alarms = new Set<string>();
  for (const step of steps) {
    if (isAsk(step)) {
      if (step.ask !== tx) continue;
      const request = step.request ?? tx;
      if (step.answer === 'REJECT') isRejected = true;
      else if (request === tx) isApproved = true;
      else hasMembers = true;
      if (step.answer === 'APPROVE') charged[request] = step.amount;
      continue;
    }
    if (step.says !== tx || step.means === 'nothing' || step.forged) continue;
    const hasHash = step.with.txHash !== undefined;
    if (step.means === 'never-signed') {
      if (!isSigned && isApproved && !isReleased) {
        charged = {};
        isReleased = true;
      }
      continue;
    }
    isSigned = true;
    if ((step.means === 'failed' && !hasHash) || step.daysAgo > RETENTION_DAYS) continue;
    if (isReleased) alarms.add('RELEASED');
    else if (isRejected) alarms.add('REJECTED');
    else if (!isApproved && !hasMembers && !step.byOthers) alarms.add('UNAPPROVED');
  }
  return { charged, released: isReleased, alarms: [...alarms].sort() };
}

/** All orders of a few things. */
export function permutations<T>(items: readonly T[]): readonly (readonly T[])[] {
  if (items.length <= 1) return [items];
  return items.flatMap((item, index) =>
    permutations(items.toSpliced(index, 1)).map((rest) => [item, ...rest]),
  );
}

/** Notifications that nothing but notifications stand between: they may come in any order. */
export function groupsOf(steps: readonly Step[]): readonly (readonly Step[])[] {
  const groups: Step[][] = [];
  for (const step of steps) {
    const last = groups.at(-1);
    if (last === undefined || isAsk(step) || last.some(isAsk)) groups.push([step]);
    else last.push(step);
  }
  return groups;
}

/** Every outcome that some order of simultaneous notifications has. */
export function outcomesInAnyOrder(steps: readonly Step[], tx: string): readonly Outcome[] {
  const own = steps.filter((step) => (isAsk(step) ? step.ask : step.says) === tx);
  const orders = groupsOf(own).reduce<readonly (readonly Step[])[]>(
    (sofar, group) => sofar.flatMap((before) => permutations(group).map((order) => [...before, ...order])),
    [[]],
  );
  const outcomes = new Map(
    orders.map((order) => outcomeOfSteps(order, tx)).map((each) => [JSON.stringify(each), each]),
  );
  return [...outcomes.values()];
}
