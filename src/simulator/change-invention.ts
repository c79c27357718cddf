/**
 * Configuration changes as a Fireblocks co-signer asks about them: of every type that is documented, and now and then of one
 * that is not. Written from the vendor's page, without a look at what our own side makes of it.
 * Shapes: developers.fireblocks.com/reference/approve-configuration-changes. Where none is documented, it is made up.
 */
import { address } from './invention.js';
import { jsonText } from './json-text.js';
import type { Random } from './random.js';

export interface ConfigChange {
  readonly requestId: string;
  readonly type: string;
  readonly extraInfo: Readonly<Record<string, string>>;
}

type Invention = (random: Random) => ConfigChange['extraInfo'];

const INVENTIONS: Readonly<Record<string, Invention>> = {
  UNMANAGED_WALLET: (random) => ({
    subType: random.pick(['INTERNAL', 'EXTERNAL', 'CONTRACT']),
    walletName: `Wallet ${random.below(1_000)}`,
    walletId: random.uuid(),
    asset: 'ETH',
    address: address(random),
    tag: random.pick(['', '2147483647']),
  }),
  EXCHANGE: (random) => thirdParty(random, 'KRAKEN'),
  FIAT_ACCOUNT: (random) => thirdParty(random, 'BLINC'),
  ADD_NETWORK_CONNECTION: (random) => ({
    networkConnectionId: random.uuid(),
    note: `partner ${random.below(100)}`,
    localNetworkID: random.uuid(),
    remoteTenantID: random.uuid(),
    routingPolicy: routingPolicy(random),
  }),
  SET_NETWORK_CONNECTION_ROUTING_POLICY: (random) => ({
    connectionId: random.uuid(),
    routingPolicy: routingPolicy(random),
  }),
  SET_NETWORK_ID_POLICY: (random) => ({ networkID: random.uuid(), routingPolicy: routingPolicy(random) }),
  ADD_USER: (random) => ({ name: `User ${random.below(100)}`, role: 'SIGNER', password: secret(random) }),
  RE_ENROLL_DEVICE: (random) => ({ userId: random.uuid(), pairingSecret: secret(random) }),
  ENABLE_ONE_TIME_ADDRESS: () => ({ enabled: 'true' }),
  CHANGE_QUORUM_THRESHOLD: (random) => ({ threshold: String(random.below(5)) }),
  UPDATE_APPROVAL_GROUP_MAPPING: (random) => ({ operation: 'ADD_USER', group: random.uuid() }),
  USERS_GROUP_APPROVAL: (random) => ({ group: random.uuid(), members: JSON.stringify([random.uuid()]) }),
  POLICY_APPROVAL: (random) => ({ draftId: random.uuid() }),
  POLICY_CHANGE: (random) => ({ draftId: random.uuid(), apiSecret: secret(random) }),
  PROTECTED_TAG: (random) => ({ tag: `tag ${random.below(10)}` }),
};

/** Half of them whitelistings, which are what a day brings most of. */
export function configChange(random: Random): ConfigChange {
  const types = Object.keys(INVENTIONS);
  const drawn = random.chance(50) ? 'UNMANAGED_WALLET' : types[random.below(types.length)];
  const type = drawn ?? 'UNMANAGED_WALLET';
  return { requestId: random.uuid(), type, extraInfo: INVENTIONS[type]?.(random) ?? {} };
}

export function configChangePayload(change: ConfigChange, signer: string | undefined): string {
  const { requestId, type, extraInfo } = change;
  return jsonText({ requestId, signerId: signer, type, extraInfo });
}

function thirdParty(random: Random, subType: string): ConfigChange['extraInfo'] {
  return {
    subType,
    accountName: `Desk ${random.below(100)}`,
    accountId: random.uuid(),
    apiKey: secret(random),
    addresses: JSON.stringify({ ETH: address(random) }),
  };
}

function routingPolicy(random: Random): string {
  const crypto = { scheme: 'CUSTOM', dstType: 'VAULT', dstId: String(random.below(30)) };
  return JSON.stringify({ crypto, sen: { scheme: 'DEFAULT' } });
}

/** Looks like a secret, so that a log that shows it is noticed. */
function secret(random: Random): string {
  return `simulated-${random.bytes(8).toString('hex')}`;
}
