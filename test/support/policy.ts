/** Rules and questions for tests of the policy: a documented default, and what the test changes of it. */
import { compileFreeze, compilePolicy } from '../../src/core/policy/compile.js';
import type { Question } from '../../src/core/policy/evaluate.js';
import type { Rules } from '../../src/core/policy/rulebook.js';
import type { ContractCall, Effects, Freeze, Movement } from '../../src/core/ports.js';
import type { ConfigChangeRequest, Destination, Intent, TransactionRequest } from '../../src/core/request.js';
import type { Examination } from '../../src/core/verify.js';
import { testChains } from './chains.js';

export const ALICE = '0x5dc69b1fbb13bafd09af88a782f0f285772ad5f8';
export const BOB = '0x00000000219ab540356cbb839cbe05303d7705fa';
/** A Monday. */
export const NOON = Date.parse('2026-01-05T12:00:00Z');

export function rulesOf(document: string, freezes: readonly Partial<Freeze>[] = []): Rules {
  const policy = compilePolicy(`version: 1\n${document}`, 'policy.yaml', testChains);
  return {
    policy,
    instances: Object.fromEntries([...policy.limits.keys()].map((name) => [name, `${name}.1`])),
    freezes: freezes.map((freeze, index) =>
      compileFreeze(
        {
          id: `f${index}`,
          scope: '{}',
          reason: 'drill',
          author: 'alice',
          answers: 'retry',
          sequence: 1,
          ...freeze,
        },
        testChains,
      ),
    ),
    versions: { ledger: 'ledger-1', epoch: 0, policy: 1, freezes: 0 },
  };
}

export function destination(change: Partial<Destination> = {}): Destination {
  return {
    type: 'VAULT',
    id: '1',
    address: ALICE,
    addressType: 'WHITELISTED',
    otherAddresses: [],
    amount: '0.01',
    usd: '18.74',
    ...change,
  };
}

export interface Change {
  readonly request?: Partial<TransactionRequest>;
  readonly intent?: Partial<Intent>;
  readonly examination?: Examination['kind'];
  readonly effects?: Partial<Effects>;
  readonly refused?: Pick<Extract<Examination, { kind: 'refused' }>, 'reason' | 'detail'>;
  readonly instantMs?: number;
}

/** 0.01 ETH from vault 0 to vault 1, to be signed, with bytes that agree. */
export function question(change: Change = {}): Question {
  const intent: Intent = {
    operation: 'TRANSFER',
    asset: 'ETH',
    source: { type: 'VAULT', id: '0' },
    destinations: [destination()],
    fee: '0.0006',
    ...change.intent,
  };
  const request: TransactionRequest = {
    kind: 'transaction',
    stage: 'signing',
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'cosigner-a',
    signer: 'signer-1',
    requestId: 'r1',
    txId: 't1',
    intent,
    rawTransactions: [],
    ...change.request,
  };
  return { request, examination: examinationOf(intent, change), instantMs: change.instantMs ?? NOON };
}

function examinationOf({ asset: id }: Intent, change: Change): Examination {
  const asset = testChains.asset(id);
  const kind = change.refused === undefined ? (change.examination ?? 'agrees') : 'refused';
  if (kind === 'refused')
    return { kind, asset, reason: 'HASH_MISMATCH', detail: 'the digest is another', ...change.refused };
  if (asset === undefined) throw new Error(`no asset ${id}`);
  switch (kind) {
    case 'agrees':
      return { kind, asset, effects: effects(change.effects) };
    case 'absent':
    case 'skipped':
      return { kind, asset };
    case 'unavailable':
      return { kind, asset, detail: 'the node does not answer' };
    case 'not-applicable':
      return { kind };
  }
}

export function movement(change: Partial<Movement> = {}): Movement {
  return { asset: 'ETH', to: ALICE, amount: 10n ** 16n, ...change };
}

export function call(change: Partial<ContractCall> = {}): ContractCall {
  return {
    address: BOB,
    selector: '0xa9059cbb',
    signature: 'transfer(address,uint256)',
    args: [ALICE, '25'],
    value: 0n,
    understood: true,
    ...change,
  };
}

function effects(change: Partial<Effects> = {}): Effects {
  return {
    chain: 'eip155:1',
    movements: [movement()],
    calls: [],
    maxFee: 600_000_000_000_000n,
    summary: {},
    facts: [],
    ...change,
  };
}

export function configChange(change: Partial<ConfigChangeRequest> = {}): Question {
  const request: ConfigChangeRequest = {
    kind: 'config-change',
    stage: 'approval',
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'cosigner-a',
    signer: 'signer-1',
    requestId: 'c1',
    type: 'UNMANAGED_WALLET',
    extraInfo: { asset: 'ETH' },
    ...change,
  };
  return { request, examination: { kind: 'not-applicable' }, instantMs: NOON };
}
