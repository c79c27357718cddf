/** The shape of a policy document. What the fields mean together is checked in consistency.ts. */
import { z } from 'zod';
import { isDecimal } from '../amount.js';
import { meant, oneOf, strict } from './strict-object.js';
import { verificationSchema } from './verification.js';

const MAX_RULES = 1000;
const MAX_LIMITS = 200;
const MAX_LISTS = 500;
const MAX_LIST_ENTRIES = 10_000;
const MAX_CONTRACTS = 1000;
const MAX_ARGUMENTS = 64;
const MAX_TEXT = 500;
const MAX_EXPRESSION = 2000;
const MAX_WINDOW_MS = 3660 * 86_400_000;

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const DURATION = /^(\d{1,9})(ms|s|m|h|d|w)$/;
const UNIT_MS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/** `90s`, `10m`, `24h` … → milliseconds; undefined for any other text. */
export function durationMs(text: string): number | undefined {
  const match = DURATION.exec(text);
  return match === null ? undefined : Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
}

const QUOTES = 'must be text (write numbers in quotes)';
const text = z
  .string(QUOTES)
  .min(1, 'must not be empty')
  .max(MAX_TEXT, `must be at most ${MAX_TEXT} characters`);
const name = z
  .string(QUOTES)
  .regex(NAME, 'a name is 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first');
const decimal = z
  .string("must be decimal text in quotes, e.g. '0.5'")
  .refine(isDecimal, "must be a decimal without sign or exponent, e.g. '0.5'");

const listReference = strict({ list: name });

/** One value, several, or a named list; several may hold named lists too. */
const values = z.union(
  [
    text,
    listReference,
    z
      .array(z.union([text, listReference]))
      .min(1, 'must not be empty')
      .max(MAX_LIST_ENTRIES),
  ],
  {
    error: 'must be text, a list of texts, or { list: <name> } (write numbers in quotes)',
  },
);

function several<const Values extends readonly [string, ...string[]]>(allowed: Values) {
  const one = oneOf(allowed);
  return z.union([one, z.array(one).min(1, 'must not be empty')], {
    error: ({ input }) =>
      `must be one or several of ${allowed.join(', ')}${typeof input === 'string' ? meant(input, allowed) : ''}`,
  });
}

const party = strict({
  type: values.optional(),
  id: values.optional(),
  address: values.optional(),
  addressType: values.optional(),
});

const range = strict({ min: decimal.optional(), max: decimal.optional() });

const vault = strict({
  id: values.optional(),
  name: values.optional(),
  threshold: range.optional(),
  device: values.optional(),
});

const argument = z.union([z.null(), range, values], {
  error: 'must be null (any), text, a list of texts, { list: <name> } or { min, max }',
});

const contract = strict({
  address: values.optional(),
  selector: z
    .string(QUOTES)
    .regex(/^0x[0-9a-fA-F]{8}$/, 'must be four bytes, e.g. 0xa9059cbb')
    .optional(),
  signature: z
    .string(QUOTES)
    .max(MAX_TEXT)
    .regex(
      /^[A-Za-z_$][\w$]*\([\w\s,()[\]]*\)$/,
      'must be a function signature, e.g. transfer(address,uint256)',
    )
    .optional(),
  args: z.array(argument, 'must be a list with one entry for each argument').max(MAX_ARGUMENTS).optional(),
});

export const DAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;
const timeOfDay = z
  .string("must be a time in quotes, e.g. '08:00'")
  .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$|^24:00$/, "must be a time from '00:00' to '24:00'");

const schedule = strict({
  days: z.array(oneOf(DAYS), 'must be a list of days').min(1, 'must name at least one day').max(7).optional(),
  from: timeOfDay.default('00:00'),
  to: timeOfDay.default('24:00'),
  timezone: text.default('UTC'),
});

export const matchSchema = strict({
  kind: several(['transaction', 'config-change', 'keygen', 'reshare', 'sign']).optional(),
  stage: several(['signing', 'approval']).optional(),
  cosigner: values.optional(),
  signer: values.optional(),
  operation: values.optional(),
  asset: values.optional(),
  chain: values.optional(),
  source: party.optional(),
  destination: party.optional(),
  amount: range.optional(),
  usd: range.optional(),
  fee: strict({ max: decimal }).optional(),
  contract: z
    .array(contract, 'must be a list of { address, selector or signature, args }')
    .min(1)
    .max(MAX_CONTRACTS)
    .optional(),
  schedule: schedule.optional(),
  vault: vault.optional(),
  type: values.optional(),
  extraInfo: z.record(z.string().max(MAX_TEXT), values, 'must be a mapping of keys to values').optional(),
});

export const PER = ['asset', 'source', 'destination', 'signer', 'cosigner', 'operation'] as const;

function duration(ofZero: string) {
  return z
    .string('must be a duration, e.g. 1h')
    .refine((value) => durationMs(value) !== undefined, 'must be a duration, e.g. 90s, 10m, 24h or 30d')
    .refine((value) => durationMs(value) !== 0, ofZero)
    .refine((value) => (durationMs(value) ?? 0) <= MAX_WINDOW_MS, 'must be at most 3660d');
}

const windowSchema = strict({
  rolling: duration('a window of zero length counts nothing').optional(),
  calendar: oneOf(['hour', 'day', 'week', 'month']).optional(),
  timezone: text.optional(),
  lifetime: z.literal(true, 'must be true').optional(),
});

export const limitSchema = strict({
  sum: oneOf(['native', 'usd', 'fee', 'count', 'distinct']),
  of: oneOf(['destination']).optional(),
  max: decimal,
  window: z.union([z.literal('lifetime'), windowSchema], {
    error: ({ input }) =>
      `${input === undefined ? 'is missing; ' : ''}must be { rolling: 1h }, { calendar: day, timezone: UTC } or lifetime`,
  }),
  per: z
    .array(oneOf(PER), `must be a list of ${PER.join(', ')}`)
    .max(PER.length)
    .default([]),
  counts: oneOf(['matched', 'all']).default('matched'),
  newDestinations: duration('no destination is new for no time').optional(),
  whenFull: oneOf(['reject', 'retry']).default('reject'),
  nearLimit: z
    .number('must be a number between 0 and 1')
    .gt(0, 'must be above 0')
    .lte(1, 'must be at most 1')
    .default(0.8),
});

const EFFECTS = ['approve', 'reject', 'retry', 'ignore'] as const;

export const ruleSchema = strict({
  name,
  description: z.string(QUOTES).max(1000).optional(),
  mode: oneOf(['enforce', 'shadow', 'off']).default('enforce'),
  match: matchSchema.default({}),
  when: z
    .string('must be an expression in quotes')
    .min(1)
    .max(MAX_EXPRESSION, `must be at most ${MAX_EXPRESSION} characters`)
    .optional(),
  limits: z.array(name, 'must be a list of names of limits').max(MAX_LIMITS).default([]),
  verify: oneOf(['required', 'if-present', 'off']).optional(),
  effect: oneOf(EFFECTS),
});

export const listSchema = z
  .array(text, 'must be a list of texts')
  .max(MAX_LIST_ENTRIES, `must have at most ${MAX_LIST_ENTRIES} entries`);

function named<Value extends z.ZodType>(value: Value, what: string, atMost: number) {
  return z
    .record(name, value, {
      error: (issue) => (issue.code === 'invalid_key' ? undefined : `must be a mapping of names to ${what}`),
    })
    .refine((entries) => Object.keys(entries).length <= atMost, `must have at most ${atMost} entries`);
}

export const policySchema = strict({
  version: z.literal(1, 'must be 1'),
  description: z.string(QUOTES).max(1000).optional(),
  lists: named(listSchema, 'lists', MAX_LISTS).default({}),
  limits: named(limitSchema, 'limits', MAX_LIMITS).default({}),
  rules: z
    .array(ruleSchema, {
      error: ({ input }) => (input === undefined ? 'is missing' : 'must be a list of rules'),
    })
    .min(1, 'must have at least one rule')
    .max(MAX_RULES, `must have at most ${MAX_RULES} rules`),
  coolingOff: strict({
    period: duration('a cooling-off of no time is none'),
    whenEarly: oneOf(['reject', 'retry']).default('reject'),
  }).optional(),
  verification: verificationSchema,
  unfreeze: oneOf(['one-person', 'two-person']).default('one-person'),
});

export type PolicyDocument = z.infer<typeof policySchema>;
export type Rule = z.infer<typeof ruleSchema>;
export type Limit = z.infer<typeof limitSchema>;
export type Match = z.infer<typeof matchSchema>;
export type Values = z.infer<typeof values>;
export type PartyMatch = z.infer<typeof party>;
export type ContractMatch = z.infer<typeof contract>;
export type VaultMatch = z.infer<typeof vault>;
export type ArgumentMatch = z.infer<typeof argument>;
export type ScheduleMatch = z.infer<typeof schedule>;
export type LimitWindow = z.infer<typeof limitSchema>['window'];

/** What an approval of a vault, or of a change of one, must be bounded by. */
export function namesThresholdAndDevices({ vault: named }: Match): boolean {
  return named?.threshold?.min !== undefined && named.device !== undefined;
}
