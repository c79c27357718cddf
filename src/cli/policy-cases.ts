/**
 * Requests in an operator's own words, for `countersign policy test` and `policy explain`: what a co-signer would
 * say, whether the bytes would agree, the clock and the counters.
 */
import { z } from 'zod';
import { isDecimal, toBaseUnits } from '../core/amount.js';
import type { Charge } from '../core/decision.js';
import { REASONS, UNDECIDED, type VerificationReason } from '../core/decision.js';
import { readDocument } from '../core/document.js';
import { assert, CountersignError } from '../core/errors.js';
import { canonicalFormOf } from '../core/policy/canonical-address.js';
import type { CompiledPolicy } from '../core/policy/compile.js';
import type { Question } from '../core/policy/evaluate.js';
import { type SupposedLedger, unitOf } from '../core/policy/explain.js';
import { paymentMoment, waitingMoments } from '../core/policy/remembered.js';
import type { Rules } from '../core/policy/rulebook.js';
import { durationMs } from '../core/policy/schema.js';
import { oneOf, strict } from '../core/policy/strict-object.js';
import type { Asset, Chains, ContractCall, Movement } from '../core/ports.js';
import { type Examination, examineMessage } from '../core/verify.js';
import { requestOf } from './policy-case-request.js';

const MAX_CASES = 2000;
/** A Monday noon, for cases that do not care. */
const DEFAULT_CLOCK = '2026-01-05T12:00:00Z';

const word = z.string('must be text (write numbers in quotes)').max(1000);
const decimal = word.refine(isDecimal, "must be a decimal in quotes, e.g. '0.5'");
const REASON_NAMES: readonly string[] = [...Object.keys(REASONS), ...Object.keys(UNDECIDED)];
const reason = word.refine((name) => REASON_NAMES.includes(name), 'is no reason code');

/** How long before the clock of the case. */
const ago = word.refine((text) => durationMs(text) !== undefined, 'must be a duration, e.g. 30m or 7d');

const destination = strict({
  type: word,
  id: word.default(''),
  subType: word.optional(),
  address: word.optional(),
  addressType: word.optional(),
  amount: decimal.optional(),
  usd: word.optional(),
  firstPaid: ago.optional(),
  whitelisted: ago.optional(),
});

const requestSchema = strict({
  kind: oneOf(['transaction', 'config-change', 'keygen', 'reshare', 'sign']).default('transaction'),
  stage: oneOf(['signing', 'approval']).default('signing'),
  protocol: word.default('fireblocks'),
  workspace: word.default('main'),
  cosigner: word.default('cosigner-a'),
  signer: word.optional(),
  requestId: word.default('request-1'),
  txId: word.default('transaction-1'),
  operation: word.default('TRANSFER'),
  asset: word.default(''),
  source: strict({ type: word, id: word, subType: word.optional() }).default({ type: 'VAULT', id: '0' }),
  destinations: z.array(destination).max(1000).default([]),
  amount: decimal.optional(),
  fee: decimal.optional(),
  externalTxId: word.optional(),
  type: word.default(''),
  extraInfo: z.record(z.string(), z.string('must be text (write numbers in quotes)').max(32_768)).default({}),
  vault: strict({
    id: word.default(''),
    name: word.default(''),
    threshold: word.optional(),
    devices: z
      .array(strict({ id: word.default(''), uuid: word.default(''), weight: word.optional() }))
      .max(1000)
      .optional(),
  }).default({ id: '', name: '' }),
  contentType: word.default(''),
  data: z.string().max(100_000).optional(),
});

const caseSchema = strict({
  name: word.default('unnamed'),
  request: requestSchema,
  clock: z.iso
    .datetime({ offset: true, error: 'must be an instant, e.g. 2026-01-05T12:00:00Z' })
    .default(DEFAULT_CLOCK),
  verified: word
    .regex(
      /^(agrees|absent|skipped|unavailable|refused:[A-Z0-9_]+)$/,
      'must be agrees, absent, skipped, unavailable or refused:<REASON>',
    )
    .refine(
      (text) => !text.startsWith('refused:') || REASON_NAMES.includes(text.slice(8)),
      'names no reason code',
    )
    .optional(),
  bytes: strict({
    moves: z
      .array(strict({ asset: word, to: word, amount: decimal }))
      .max(256)
      .optional(),
    calls: z
      .array(
        strict({
          address: word,
          selector: word,
          signature: word.optional(),
          args: z.array(word).max(64).optional(),
          understood: z.boolean().default(true),
        }),
      )
      .max(64)
      .default([]),
  }).default({ calls: [] }),
  counters: z.record(z.string(), decimal).default({}),
  expect: strict({
    effect: oneOf(['approve', 'reject', 'retry', 'ignore']),
    rule: word.optional(),
    reason: reason.optional(),
    limit: word.optional(),
  }).optional(),
});

const casesSchema = strict({ cases: z.array(caseSchema, 'must be a list of cases').min(1).max(MAX_CASES) });

export type PolicyCase = z.infer<typeof caseSchema>;

/** Throws POLICY_INVALID naming every problem with its line. */
export function parseCases(text: string, source: string): readonly PolicyCase[] {
  return readDocument(text, casesSchema, { source, code: 'POLICY_INVALID' }).value.cases;
}

export function parseCase(text: string, source: string): PolicyCase {
  return readDocument(text, caseSchema, { source, code: 'POLICY_INVALID' }).value;
}

export function questionOf(policyCase: PolicyCase, policy: CompiledPolicy): Question {
  return {
    request: requestOf(policyCase.request),
    examination: examinationOf(policyCase, policy),
    instantMs: Date.parse(policyCase.clock),
  };
}

/** The ledger that a case supposes; what it does not name is unknown to it. */
export function ledgerOf(policyCase: PolicyCase, rules: Rules): SupposedLedger {
  const { clock, request } = policyCase;
  const { chains } = rules.policy;
  return {
    used: usedBy(policyCase, rules),
    since(moment, { transaction }) {
      // Whoever is paid by the bytes without being named comes after those that are.
      const known = request.destinations.flatMap(({ firstPaid, whitelisted }, index) => {
        const facts = transaction?.destinations?.[index];
        if (transaction === null || facts === undefined) return [];
        const isPaid = facts.key !== null && paymentMoment(facts.key) === moment;
        const isAdded = waitingMoments(facts, transaction, chains).includes(moment);
        return [...(isPaid ? [firstPaid] : []), ...(isAdded ? [whitelisted] : [])];
      });
      const lengths = known.flatMap((text) => (text === undefined ? [] : [durationMs(text) ?? 0]));
      if (lengths.length === 0) return undefined;
      return Date.parse(clock) - (moment.startsWith('paid:') ? Math.max(...lengths) : Math.min(...lengths));
    },
  };
}

/** What the case says is used of a counter; counters it does not name are empty. */
function usedBy({ counters, name }: PolicyCase, rules: Rules): (charge: Charge) => string {
  for (const limit of Object.keys(counters))
    if (!rules.policy.limits.has(limit))
      throw new CountersignError('POLICY_INVALID', `case ${name}: counters: unknown limit ${limit}`);
  return (charge) => {
    const stated = Object.hasOwn(counters, charge.limit) ? counters[charge.limit] : undefined;
    if (stated === undefined) return '0';
    const { decimals, unit } = unitOf(charge, rules);
    const units = toBaseUnits(stated, decimals);
    if (units.ok) return units.units.toString();
    throw new CountersignError(
      'POLICY_INVALID',
      `case ${name}: counters: ${stated} ${unit} has more than ${decimals} decimals`,
    );
  };
}

function examinationOf(policyCase: PolicyCase, policy: CompiledPolicy): Examination {
  const { request, verified } = policyCase;
  const { chains } = policy;
  if (request.kind === 'sign') return messageExamination(policyCase, policy);
  if (request.kind !== 'transaction') return { kind: 'not-applicable' };
  const asset = chains.asset(request.asset);
  if (asset === undefined)
    return {
      kind: 'refused',
      asset,
      reason: 'ASSET_UNKNOWN',
      detail: `asset ${JSON.stringify(request.asset)} is not in the registry`,
    };
  const kind = verified ?? (request.stage === 'signing' ? 'agrees' : 'absent');
  switch (kind) {
    case 'agrees':
      return { kind, asset, effects: effectsOf(policyCase, asset, chains) };
    case 'absent':
    case 'skipped':
      return { kind, asset };
    case 'unavailable':
      return { kind, asset, detail: 'the case says so' };
    default: {
      const named = kind.slice('refused:'.length);
      return { kind: 'refused', asset, reason: verificationReason(named), detail: '' };
    }
  }
}

/** Data is there to be decoded, unless the case says what came of that. */
function messageExamination({ name, request, verified }: PolicyCase, policy: CompiledPolicy): Examination {
  if (verified?.startsWith('refused:') === true) {
    const reason = verificationReason(verified.slice('refused:'.length));
    return { kind: 'refused', asset: undefined, reason, detail: '' };
  }
  if (verified !== undefined)
    throw new CountersignError(
      'POLICY_INVALID',
      `case ${name}: data to be signed is decoded, or refused:<REASON>`,
    );
  const asked = requestOf(request);
  assert(asked.kind === 'sign', 'a message of another kind');
  return examineMessage(asked, policy.chains, policy.verification);
}

function verificationReason(name: string): VerificationReason {
  // The schema has checked that it is a reason; which of the two tables it is from makes no difference here.
  return name as VerificationReason;
}

function effectsOf({ name, request, bytes }: PolicyCase, asset: Asset, chains: Chains) {
  const canonical = canonicalFormOf(asset, chains);
  const addressOf = (address: string | undefined) => {
    const form = address === undefined ? undefined : canonical(address);
    if (form !== undefined) return form;
    throw new CountersignError(
      'POLICY_INVALID',
      `case ${name}: bytes that agree pay addresses of ${asset.id}, and ${address === undefined ? 'a destination has none' : `${address} is none`}; give one, or say verified: absent`,
    );
  };
  const units = (amount: string | undefined, of: Asset) => {
    const result = toBaseUnits(amount ?? '', of.decimals);
    if (result.ok) return result.units;
    throw new CountersignError(
      'POLICY_INVALID',
      `case ${name}: ${amount ?? 'a missing amount'} is no amount of ${of.id}`,
    );
  };
  const movements: Movement[] =
    bytes.moves?.map(({ asset: id, to, amount }) => {
      const moved = chains.asset(id);
      return moved === undefined
        ? { asset: undefined, to: addressOf(to), amount: undefined }
        : { asset: id, to: addressOf(to), amount: units(amount, moved) };
    }) ??
    request.destinations.map(({ address, amount }) => ({
      asset: asset.id,
      to: addressOf(address),
      amount: units(amount ?? request.amount, asset),
    }));
  const calls: ContractCall[] = bytes.calls.map(({ address, selector, signature, args, understood }) => ({
    address: addressOf(address),
    selector,
    value: 0n,
    understood,
    ...(signature !== undefined && { signature }),
    ...(args !== undefined && { args }),
  }));
  const fee = request.fee === undefined ? undefined : toBaseUnits(request.fee, asset.native.decimals);
  return {
    chain: asset.chain ?? '',
    movements,
    calls,
    summary: {},
    facts: [],
    maxFee: fee?.ok === true ? fee.units : undefined,
  };
}

/** What differs from what the case expects, one line each. */
export function differences(
  expected: NonNullable<PolicyCase['expect']>,
  actual: Readonly<Record<'effect' | 'rule' | 'reason' | 'limit', string | undefined>>,
): readonly string[] {
  return (['effect', 'rule', 'reason', 'limit'] as const).flatMap((key) =>
    expected[key] === undefined || expected[key] === actual[key]
      ? []
      : [`- ${key}: ${expected[key]}`, `+ ${key}: ${actual[key] ?? 'none'}`],
  );
}
