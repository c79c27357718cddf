/**
 * The configuration changes that Fireblocks documents: what each means, what it carries, and what it puts at risk. One table:
 * rules, facts, warnings and metrics are made from it, and the manual prints it.
 * Source: Fireblocks, "Approve configuration changes", callback handler reference (editions of May and October 2026).
 */

/** How a member of `extraInfo` is read. All of them are text on the wire. */
export type FieldKind =
  | 'text'
  /** Compared in the canonical form of the chain of the asset beside it. */
  | 'address'
  /** JSON text: asset → address; each is compared like an address. */
  | 'addresses'
  /** JSON text of which every member is a fact of its own, by its path. */
  | 'json'
  /** Of a third party: no rule sees it, and nothing keeps it. */
  | 'secret';

type Fields = Readonly<Record<string, FieldKind>>;

const THIRD_PARTY: Fields = {
  subType: 'text',
  accountName: 'text',
  accountId: 'text',
  apiKey: 'secret',
  addresses: 'addresses',
};

/** By the names that the vendor gives them. */
export const CHANGE_SHAPES = {
  AddressInfo: {
    subType: 'text',
    walletName: 'text',
    walletId: 'text',
    asset: 'text',
    address: 'address',
    tag: 'text',
  },
  ThirdPartyInfo: THIRD_PARTY,
  AddNetworkConnection: {
    networkConnectionId: 'text',
    note: 'text',
    localNetworkID: 'text',
    remoteTenantID: 'text',
    routingPolicy: 'json',
  },
  NetworkConnectionRoutingPolicy: { connectionId: 'text', routingPolicy: 'json' },
  NetworkIdRoutingPolicy: { networkID: 'text', routingPolicy: 'json' },
} as const satisfies Readonly<Record<string, Fields>>;

/**
 * What a change touches. Whoever changes *control* (policy, users, quorum, devices, payments to any address) can approve
 * everything else afterwards: it is left to people, and always raises an alert.
 */
export type ChangeRisk = 'destination' | 'routing' | 'control';

export interface ChangeType {
  readonly meaning: string;
  readonly risk: ChangeRisk;
  /** Absent: what it carries is not documented, so no rule sees it. */
  readonly shape?: keyof typeof CHANGE_SHAPES;
}

export const CHANGE_TYPES = {
  UNMANAGED_WALLET: { meaning: 'an address is whitelisted', risk: 'destination', shape: 'AddressInfo' },
  EXCHANGE: { meaning: 'an exchange account is added', risk: 'destination', shape: 'ThirdPartyInfo' },
  FIAT_ACCOUNT: { meaning: 'a fiat account is added', risk: 'destination', shape: 'ThirdPartyInfo' },
  ADD_NETWORK_CONNECTION: {
    meaning: 'a network connection is added',
    risk: 'destination',
    shape: 'AddNetworkConnection',
  },
  SET_NETWORK_CONNECTION_ROUTING_POLICY: {
    meaning: 'where payments of a network connection go',
    risk: 'routing',
    shape: 'NetworkConnectionRoutingPolicy',
  },
  SET_NETWORK_ID_POLICY: {
    meaning: 'where payments to a network id go',
    risk: 'routing',
    shape: 'NetworkIdRoutingPolicy',
  },
  ADD_USER: { meaning: 'a user is added', risk: 'control' },
  RE_ENROLL_DEVICE: { meaning: 'the device of a user is enrolled anew', risk: 'control' },
  ENABLE_ONE_TIME_ADDRESS: {
    meaning: 'payments to addresses that are not whitelisted are allowed',
    risk: 'control',
  },
  CHANGE_QUORUM_THRESHOLD: { meaning: 'how many admins approve', risk: 'control' },
  UPDATE_APPROVAL_GROUP_MAPPING: { meaning: 'who approves an operation of admins', risk: 'control' },
  USERS_GROUP_APPROVAL: { meaning: 'a group of users', risk: 'control' },
  POLICY_APPROVAL: { meaning: 'the transaction policy of the workspace', risk: 'control' },
  POLICY_CHANGE: { meaning: 'the policy of the workspace, by its newer service', risk: 'control' },
} as const satisfies Readonly<Record<string, ChangeType>>;

/** Undefined: the vendor documents no such type. It can be matched by its name, and by nothing that it carries. */
export function changeTypeOf(type: string): ChangeType | undefined {
  return Object.hasOwn(CHANGE_TYPES, type) ? CHANGE_TYPES[type as keyof typeof CHANGE_TYPES] : undefined;
}

/** The members that are documented; undefined: none is. */
export function changeFieldsOf(type: string): Fields | undefined {
  const shape = changeTypeOf(type)?.shape;
  return shape === undefined ? undefined : CHANGE_SHAPES[shape];
}

/** A name of which there are not too many, for metrics. */
export function changeLabel(type: string): string {
  return changeTypeOf(type) === undefined ? 'other' : type;
}

/** Changes that must never pass unseen: of control, and those that nobody knows. */
export function isDangerous(type: string): boolean {
  return (changeTypeOf(type)?.risk ?? 'control') === 'control';
}
