/** Files of verification cases: payloads with the verdict that each must get, under a policy of their own. */

import { createChains, type Prevout } from '../chains/index.js';
import { isRefusal } from '../chains/refusal.js';
import type { LedgerFact } from '../core/decision.js';
import { CountersignError, messageOf } from '../core/errors.js';
import { isObject, type JsonObject } from '../core/json.js';
import {
  DEFAULT_SETTINGS,
  type VerificationSettings,
  verificationSchema,
} from '../core/policy/verification.js';
import type { Chains } from '../core/ports.js';
import { canonicalJson, type Json, JsonNumber } from '../core/request.js';
import { examine } from '../core/verify.js';
import { readSigningPayload } from './signing-payload.js';

export interface Judgement {
  readonly action: 'APPROVE' | 'REJECT' | 'UNDECIDED';
  readonly code: string;
  readonly detail: string;
}

/** One payload judged. A case may have several, presented one after the other to one memory. */
export interface JudgedStep {
  readonly id: string;
  readonly title: string;
  readonly expected: { readonly action: string; readonly codes: readonly string[] };
  readonly got: Judgement;
}

/** Judges every case of a file in the form `{policyDefaults, cases}`. Throws USAGE when the file is none. */
export async function judgeCases(file: Json): Promise<readonly JudgedStep[]> {
  if (!isObject(file) || !Array.isArray(file.cases))
    throw new CountersignError('USAGE', 'the file of cases has no list named cases');
  const judged: JudgedStep[] = [];
  for (const item of file.cases as readonly Json[]) {
    if (!isObject(item)) throw new CountersignError('USAGE', 'a case is no object');
    judged.push(...(await judgeCase(item, file.policyDefaults)));
  }
  return judged;
}

async function judgeCase(item: JsonObject, defaults: Json | undefined): Promise<readonly JudgedStep[]> {
  const judge = judgeFor(item, defaults);
  const steps = Array.isArray(item.steps) ? (item.steps as readonly Json[]) : [item];
  const judged: JudgedStep[] = [];
  for (const [index, step] of steps.entries()) {
    const { payload, expected } = isObject(step) ? step : {};
    judged.push({
      id: steps.length > 1 ? `${textOf(item.id)} step ${index + 1}` : textOf(item.id),
      title: textOf(item.title),
      expected: readExpected(expected),
      got: await judge(payload).catch(undecided),
    });
  }
  return judged;
}

function undecided(error: unknown): Judgement {
  return { action: 'UNDECIDED', code: 'INTERNAL', detail: messageOf(error) };
}

function readExpected(expected: Json | undefined): JudgedStep['expected'] {
  if (!isObject(expected)) throw new CountersignError('USAGE', 'a case says nothing about what is expected');
  const { action, code, acceptableCodes } = expected;
  const codes = Array.isArray(acceptableCodes) ? acceptableCodes : [];
  return {
    action: textOf(action),
    codes: [...new Set([code, ...codes].map(textOf))].filter((text) => text !== ''),
  };
}

/** A verifier with the case's policy and evidence, and an empty memory. */
function judgeFor(
  item: JsonObject,
  defaults: Json | undefined,
): (payload: Json | undefined) => Promise<Judgement> {
  const policy = mergePolicies(defaults, item.config);
  const chains = chainsFor(isObject(item.context) ? item.context : {});
  const memory = new Map<string, string>();
  return async (payload) => {
    const request = readSigningPayload(Buffer.from(canonicalJson(payload)));
    if (isRefusal(request)) return { action: 'REJECT', code: request.reason, detail: request.detail };
    const settings = settingsOf(policy, chains, request.intent.asset);
    const examination = await examine(request, chains, settings, new AbortController().signal);
    switch (examination.kind) {
      case 'agrees':
        return remember(memory, examination.effects.facts);
      case 'absent':
        return policy.requireRawTx === false
          ? { action: 'APPROVE', code: 'RAWTX_NOT_PRESENT', detail: 'no bytes, and none are required' }
          : { action: 'REJECT', code: 'RAWTX_MISSING', detail: 'the request carries no raw transaction' };
      case 'skipped':
        return { action: 'APPROVE', code: 'RAWTX_NOT_CHECKED', detail: 'this check leaves it to the rules' };
      case 'refused':
        return { action: 'REJECT', code: examination.reason, detail: examination.detail };
      case 'unavailable':
        return { action: 'UNDECIDED', code: 'INTERNAL', detail: examination.detail };
      case 'not-applicable':
        return { action: 'REJECT', code: 'PAYLOAD_MALFORMED', detail: 'not a transaction' };
    }
  };
}

/** What the ledger does in its commit: a fact that contradicts the memory refuses, an approval is remembered. */
function remember(memory: Map<string, string>, facts: readonly LedgerFact[]): Judgement {
  const contradicted = facts.find(({ key, value }) => memory.has(key) && memory.get(key) !== value);
  if (contradicted !== undefined)
    return { action: 'REJECT', code: contradicted.reason, detail: contradicted.sentence };
  for (const { key, value } of facts) memory.set(key, value);
  return { action: 'APPROVE', code: 'OK', detail: 'the bytes do what the request says' };
}

function chainsFor({ prevouts, expectedNonce }: JsonObject): Chains {
  return createChains({
    ...(isObject(prevouts) ? { prevouts: async () => readPrevouts(prevouts) } : {}),
    ...(expectedNonce instanceof JsonNumber ? { nonces: async () => [Number(expectedNonce.text)] } : {}),
  });
}

function readPrevouts(prevouts: JsonObject): ReadonlyMap<string, Prevout> {
  return new Map(
    Object.entries(prevouts).map(([outpoint, prevout]) => {
      const { value, script } = isObject(prevout) ? prevout : {};
      const satoshi = value instanceof JsonNumber ? value.text : textOf(value);
      return [
        outpoint,
        { value: BigInt(satoshi), ...(typeof script === 'string' ? { script: script.toLowerCase() } : {}) },
      ];
    }),
  );
}

interface CasePolicy {
  readonly requireRawTx: Json | undefined;
  readonly evm: JsonObject;
  readonly btc: JsonObject;
}

/** A case's own policy replaces the file's key by key. */
function mergePolicies(defaults: Json | undefined, config: Json | undefined): CasePolicy {
  const base = isObject(defaults) ? defaults : {};
  const own = isObject(config) ? config : {};
  const section = (name: string) => ({ ...objectOr(base[name]), ...objectOr(own[name]) });
  return { requireRawTx: own.requireRawTx ?? base.requireRawTx, evm: section('evm'), btc: section('btc') };
}

function objectOr(value: Json | undefined): JsonObject {
  return isObject(value) ? value : {};
}

/** The case files' names → the names of the policy document, for the asset of the payload. */
function settingsOf({ evm, btc }: CasePolicy, chains: Chains, assetId: string): VerificationSettings {
  const asset = chains.asset(assetId);
  const { fee: feeMode, maxFeeWei, gross: evmGross, ...evmRest } = evm;
  const { unsupported, gross: btcGross, ...btcRest } = btc;
  const ceilings = objectOr(maxFeeWei);
  const ceiling = ceilings[asset?.chain?.replace('eip155:', '') ?? ''] ?? ceilings.default;
  const named = {
    ...evmRest,
    ...btcRest,
    feeMode,
    maxFeeWei: ceiling,
    gross: asset?.family === 'evm' ? evmGross : btcGross,
    unsupported: typeof unsupported === 'string' ? unsupported.toLowerCase() : unsupported,
  };
  const known = Object.entries(named).filter(([key]) => Object.hasOwn(DEFAULT_SETTINGS, key));
  const settings = verificationSchema.safeParse({ defaults: plain(Object.fromEntries(known)) });
  if (settings.success) return settings.data;
  throw new CountersignError('USAGE', `a case's policy cannot be read: ${settings.error.message}`);
}

/** Settings take whole numbers as numbers or text; nothing here is money in a fraction. */
function plain(value: { readonly [key: string]: Json | undefined } | Json): unknown {
  if (value instanceof JsonNumber)
    return Number.isSafeInteger(Number(value.text)) ? Number(value.text) : value.text;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(entries.map(([key, member]) => [key, plain(member ?? null)]));
}

function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : '';
}
