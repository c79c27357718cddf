/**
 * The `verification:` section of the policy document: settings of byte verification, per workspace and asset.
 * What is not here cannot be configured: the byte hash, strict hex and amounts, canonical encoding, the chain, the
 * derivation path, unknown assets and RAW signing. docs/verification.md explains each setting.
 */
import { z } from 'zod';
import type { Asset } from '../ports.js';

const MAX_LIST = 1_000;
const NUMBER_TEXT = /^(0|[1-9]\d{0,77})$/;

/** Wei, satoshi and chain ids: decimal text, or a number that is exact. */
const integer = z
  .union([
    z.string().regex(NUMBER_TEXT, 'a whole number in decimal digits is expected'),
    z.number().int('a whole number is expected').nonnegative().max(Number.MAX_SAFE_INTEGER, {
      error: 'this number is not exact: write it in quotes',
    }),
  ])
  .transform((value) => BigInt(value));

const count = z.number().int().nonnegative();
const flag = z.boolean();

/** Lower case: EVM addresses compare without their checksum case. */
const evmAddress = z
  .string()
  .regex(/^0x[0-9a-fA-F]{40}$/, 'an address of the form 0x… with 40 hex digits is expected')
  .transform((address) => address.toLowerCase());

const hex = (digits: string, what: string) =>
  z
    .string()
    .regex(new RegExp(`^([0-9a-fA-F]{2})${digits}$`), `${what} in hex is expected`)
    .transform((text) => text.toLowerCase());

/** `0x` and four bytes, a signature such as `transfer(address,uint256)`, or `0x` for a call without data. */
const selector = z
  .string()
  .max(200)
  .regex(
    /^(0x([0-9a-fA-F]{8})?|[A-Za-z_$][\w$]*\([\w[\],()]*\))$/,
    'a selector or a function signature is expected',
  );

const list = <T extends z.ZodType>(item: T) => z.array(item).max(MAX_LIST);

const contractEntry = z.strictObject({
  chainId: integer,
  to: evmAddress,
  selectors: list(selector),
  /** The most native coin one call of it may carry; missing: none. */
  maxValueWei: integer.optional(),
  /** Who may receive what its calls move or pay out; `any` must be spelled out; missing: nobody. */
  recipients: z.union([z.literal('any'), list(evmAddress)]).optional(),
});

const typedDataEntry = z.strictObject({
  chainId: integer,
  verifyingContract: evmAddress,
  primaryTypes: list(z.string().min(1).max(200)),
});

const settingsSchema = z.strictObject({
  /** Assets of a chain without decoder: refuse, or leave the decision to the rules. */
  unsupported: z.enum(['reject', 'skip']),
  /** A transfer may carry `amount - fee`, exactly; or never. */
  gross: z.enum(['exact', 'reject']),

  allowTypes: list(z.union([z.literal(0), z.literal(1), z.literal(2)])),
  allowPre155: flag,
  allowAccessList: flag,
  allowBlobs: flag,
  allowCreate: flag,
  allow7702: z.union([z.literal(false), list(z.strictObject({ chainId: integer, delegate: evmAddress }))]),
  feeMode: z.enum(['exact', 'ceiling']),
  requireFee: flag,
  maxFeeWei: integer,
  maxGasLimit: integer,
  contracts: list(contractEntry),
  approveSpenders: list(evmAddress),
  allowUnlimitedApprove: flag,
  typedData: list(typedDataEntry),
  allowPersonalSign: flag,

  feeWindowSat: count.max(5_000),
  maxFeeSat: integer,
  maxFeeRate: count,
  dustSat: integer,
  maxChange: count.max(200),
  sequences: list(count.max(0xffffffff)),
  versions: list(count.max(0xffffffff)),
  allowLocktime: flag,
  allowOpReturn: flag,
  legacyFeeUnknown: z.enum(['reject', 'allow']),
  /** Public key hashes of the workspace; with no set at all, every input must be of one single key. */
  ownedPkh: list(hex('{20}', 'a 20 byte key hash')),
  /** Extended public keys of the workspace; derived along each entry's own path. */
  ownedXpubs: list(
    z.string().regex(/^[xt]pub[1-9A-HJ-NP-Za-km-z]{107}$/, 'an extended public key is expected'),
  ),
  /** Further output scripts that count as own change. */
  changeScripts: list(hex('{1,10000}', 'an output script')),
});

const partialSettings = settingsSchema.partial();

export const verificationSchema = z
  .strictObject({
    defaults: partialSettings.default({}),
    /** By asset id. What stands under a chain's own coin holds for its tokens too. */
    assets: z.record(z.string().min(1).max(100), partialSettings).default({}),
  })
  .default({ defaults: {}, assets: {} });

export type VerificationSettings = z.infer<typeof verificationSchema>;

/** The settings in force for one asset. */
export type AssetSettings = Readonly<z.infer<typeof settingsSchema>>;
export type ContractEntry = AssetSettings['contracts'][number];

export const DEFAULT_SETTINGS: AssetSettings = {
  unsupported: 'reject',
  gross: 'exact',
  allowTypes: [0, 1, 2],
  allowPre155: false,
  allowAccessList: false,
  allowBlobs: false,
  allowCreate: false,
  allow7702: false,
  feeMode: 'ceiling',
  requireFee: true,
  maxFeeWei: 50_000_000_000_000_000n,
  maxGasLimit: 2_000_000n,
  contracts: [],
  approveSpenders: [],
  allowUnlimitedApprove: false,
  typedData: [],
  allowPersonalSign: false,
  feeWindowSat: 0,
  maxFeeSat: 200_000n,
  maxFeeRate: 500,
  dustSat: 294n,
  maxChange: 1,
  sequences: [0xffffffff, 0xfffffffe, 0xfffffffd],
  versions: [1, 2],
  allowLocktime: false,
  allowOpReturn: false,
  legacyFeeUnknown: 'reject',
  ownedPkh: [],
  ownedXpubs: [],
  changeScripts: [],
};

/** Defaults, then the document's, then those of the chain's own coin, then those of the asset itself. */
export function settingsFor(settings: VerificationSettings, asset: Asset): AssetSettings {
  return Object.assign(
    {},
    DEFAULT_SETTINGS,
    settings.defaults,
    own(settings.assets, asset.native.asset),
    own(settings.assets, asset.id),
  );
}

/** The settings of what is of no asset: messages. */
export function defaultsOf(settings: VerificationSettings): AssetSettings {
  return Object.assign({}, DEFAULT_SETTINGS, settings.defaults);
}

function own<T>(record: Readonly<Record<string, T>>, key: string): T | undefined {
  return Object.hasOwn(record, key) ? record[key] : undefined;
}
