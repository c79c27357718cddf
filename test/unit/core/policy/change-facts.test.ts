import { describe, expect, test } from '@jest/globals';
import { vaultFacts, vaultRefusal } from '../../../../src/core/policy/change-facts.js';
import { evaluate } from '../../../../src/core/policy/evaluate.js';
import type { Device, VaultRequest } from '../../../../src/core/request.js';
import { NOON, rulesOf } from '../../../support/policy.js';

function device(index: number, weight = '1'): Device {
  return { id: `id-${index}`, uuid: `uuid-${index}`, weight };
}

function vault(change: Partial<VaultRequest> = {}): VaultRequest {
  return {
    kind: 'keygen',
    stage: 'approval',
    protocol: 'iofinnet',
    workspace: 'main',
    cosigner: 'vs',
    signer: undefined,
    requestId: 'o.op',
    vault: { id: 'v', name: 'Treasury' },
    threshold: '2',
    devices: [device(1), device(2), device(3)],
    unsigned: { nonce: undefined, expiresAtMs: NOON + 1 },
    ...change,
  };
}

describe('a vault that nobody can approve', () => {
  test.each<[string, Partial<VaultRequest>, string | undefined]>([
    ['is none of these', {}, undefined],
    ['has no threshold', { threshold: undefined }, 'VAULT_UNKNOWN'],
    ['has a threshold in another form', { threshold: '2.5' }, 'VAULT_UNKNOWN'],
    ['has a negative threshold', { threshold: '-1' }, 'VAULT_UNKNOWN'],
    ['names no devices', { devices: undefined }, 'VAULT_UNKNOWN'],
    ['has none', { devices: [] }, 'VAULT_UNKNOWN'],
    [
      'has a device without weight',
      { devices: [device(1), { ...device(2), weight: undefined }] },
      'VAULT_UNKNOWN',
    ],
    [
      'has a device without name',
      { devices: [device(1), { id: '', uuid: '', weight: '1' }] },
      'VAULT_UNKNOWN',
    ],
    [
      'has more devices than there are',
      { devices: Array.from({ length: 1001 }, (_, n) => device(n)) },
      'VAULT_UNKNOWN',
    ],
    ['has a device that suffices', { devices: [device(1, '2'), device(2)] }, 'DEVICE_SUFFICES'],
    ['has a threshold of nothing', { threshold: '0' }, 'DEVICE_SUFFICES'],
    ['lists one device twice', { devices: [device(1), device(1)] }, 'DEVICE_SUFFICES'],
    [
      'lists one device under two ids',
      { devices: [device(1), { ...device(2), uuid: 'uuid-1' }] },
      'DEVICE_SUFFICES',
    ],
    ['has a threshold that its devices do not reach', { threshold: '4' }, 'THRESHOLD_UNREACHABLE'],
    ['needs all of its devices', { threshold: '3' }, undefined],
    ['has weights of nothing', { devices: [1, 2, 3].map((n) => device(n, '0')) }, 'THRESHOLD_UNREACHABLE'],
    [
      'has weights beyond 2^64',
      { threshold: '18446744073709551617', devices: [device(1, '18446744073709551617')] },
      'DEVICE_SUFFICES',
    ],
  ])('%s', (_, change, refusal) => {
    expect(vaultRefusal(vaultFacts(vault(change)))).toBe(refusal);
  });
});

function opinion(rule: string, change: Partial<VaultRequest> = {}) {
  const question = {
    request: vault(change),
    examination: { kind: 'not-applicable' },
    instantMs: NOON,
  } as const;
  const { effect, reason } = evaluate(rulesOf(`rules: [{ name: a, ${rule} }]`), question).verdict.opinion;
  return `${effect} ${reason}`;
}

const BOUNDED =
  "match: { kind: keygen, vault: { threshold: { min: '2' }, device: [id-1, uuid-2, id-3] } }, effect: approve";

describe('a rule', () => {
  test.each<[string, string, Partial<VaultRequest>, string]>([
    ['approves what it bounds, by ids and UUIDs', BOUNDED, {}, 'approve APPROVED'],
    ['does not approve below its floor', BOUNDED, { threshold: '1' }, 'reject NO_RULE_MATCHED'],
    [
      'does not approve a device that is not listed',
      BOUNDED,
      { devices: [device(1), device(4)] },
      'reject NO_RULE_MATCHED',
    ],
    [
      'does not approve devices that are not known',
      BOUNDED,
      { devices: undefined },
      'reject NO_RULE_MATCHED',
    ],
    ['does not approve another kind', BOUNDED, { kind: 'reshare' }, 'reject NO_RULE_MATCHED'],
    [
      'does not approve one device that suffices',
      BOUNDED,
      { devices: [device(1, '2')] },
      'reject DEVICE_SUFFICES',
    ],
    ['that approves everything approves no vault', 'effect: approve', {}, 'reject NO_RULE_MATCHED'],
    [
      'does not approve what has no end',
      BOUNDED,
      { unsigned: { nonce: undefined, expiresAtMs: undefined } },
      'reject EXPIRY_UNKNOWN',
    ],
    [
      'that abstains holds for one device of several',
      'match: { kind: keygen, vault: { device: [id-3] } }, effect: ignore',
      {},
      'ignore RULE_IGNORES',
    ],
    [
      'that abstains holds where devices are not known',
      'match: { kind: keygen, vault: { device: [id-3] } }, effect: ignore',
      { devices: undefined },
      'ignore RULE_IGNORES',
    ],
  ])('%s', (_, rule, change, expected) => {
    expect(opinion(rule, change)).toBe(expected);
  });

  test('about vaults is about nothing else', () => {
    expect(() =>
      rulesOf('rules: [{ name: a, match: { kind: transaction, vault: { id: v } }, effect: reject }]'),
    ).toThrow('only kind: keygen and reshare have a vault');
    expect(() => rulesOf('rules: [{ name: a, match: { kind: keygen }, effect: approve }]')).toThrow(
      'approves vaults, so it must say vault: { threshold: { min }, device }',
    );
  });
});
