/**
 * What conditions, expressions, limits and the journal see of a request. Facts come from the bytes wherever bytes
 * were read, and from the co-signer's word otherwise. `null` is *unknown*: the request does not carry the fact, or
 * what it carries cannot be trusted to be the whole of it. Plain JSON; amounts are integers in decimal text.
 */
import { ceilJsonNumber, toBaseUnits, USD_DECIMALS } from '../amount.js';
import type { Asset, Chains, ContractCall, Effects } from '../ports.js';
import type {
  Destination,
  Intent,
  Party,
  Request,
  SignRequest,
  Stage,
  TransactionRequest,
} from '../request.js';
import type { Examination } from '../verify.js';
import { canonicalFormOf } from './canonical-address.js';
import { type ChangeFacts, changeFacts, type VaultFacts, vaultFacts } from './change-facts.js';
import { addressKey, partyKey } from './destination-keys.js';

/** More destinations than any decoder accepts: beyond it they are unknown. */
export const MAX_DESTINATIONS = 256;
/** Longer values are unknown: facts are kept in the journal. */
const MAX_VALUE_LENGTH = 1024;

export interface Facts {
  readonly kind: Request['kind'];
  readonly stage: Stage;
  readonly cosigner: string;
  readonly signer: string | null;
  readonly requestId: string;
  /** Of transactions, and of data to be signed. */
  readonly transaction: TransactionFacts | null;
  readonly change: ChangeFacts | null;
  readonly vault: VaultFacts | null;
}

export interface TransactionFacts {
  readonly txId: string;
  readonly externalTxId: string | null;
  /** Of data to be signed: its content type. Empty: not known. */
  readonly operation: string;
  /** Empty: not known; data to be signed is of none. */
  readonly asset: string;
  readonly decimals: number | null;
  /** CAIP-2. */
  readonly chain: string | null;
  readonly source: PartyFacts;
  /** Null: none is named, or too many. */
  readonly destinations: readonly DestinationFacts[] | null;
  /** Base units of the asset, over all destinations. */
  readonly amount: string | null;
  /** Units of 10^-18 dollar, over all destinations. */
  readonly usd: string | null;
  readonly fee: FeeFacts | null;
  /** Value that leaves, by asset and destination. Null: not all of it is known. */
  readonly moves: readonly MoveFacts[] | null;
  /** What the bytes call. Null: no bytes were read. */
  readonly calls: readonly CallFacts[] | null;
}

export interface PartyFacts {
  readonly type: string | null;
  /** Empty: it is of a type that has none. */
  readonly id: string | null;
  readonly subType: string | null;
}

export interface DestinationFacts extends PartyFacts {
  /** Canonical where the chain has a decoder. */
  readonly address: string | null;
  readonly addressType: string | null;
  readonly amount: string | null;
  readonly usd: string | null;
  /** What limits tell destinations apart by: type and id, or the address where there is no id. */
  readonly key: string | null;
}

export interface FeeFacts {
  readonly asset: string;
  readonly decimals: number;
  readonly amount: string;
}

export interface MoveFacts {
  readonly asset: string;
  readonly destination: string | null;
  readonly amount: string;
}

export interface CallFacts {
  readonly address: string;
  readonly selector: string;
  readonly signature: string | null;
  readonly args: readonly string[] | null;
}

export function factsOf(request: Request, examination: Examination, chains: Chains): Facts {
  return {
    kind: request.kind,
    stage: request.stage,
    cosigner: request.cosigner,
    signer: request.signer ?? null,
    requestId: request.requestId,
    transaction:
      request.kind === 'transaction'
        ? transactionFacts(request, examination, chains)
        : request.kind === 'sign'
          ? messageFacts(request, examination, chains)
          : null,
    change: request.kind === 'config-change' ? changeFacts(request, chains) : null,
    vault: request.kind === 'keygen' || request.kind === 'reshare' ? vaultFacts(request) : null,
  };
}

/**
 * Data to be signed is of no asset and names no destination. What it gives away is known where it stands for a call that is
 * understood (a permit); any other message moves nothing by itself, and may allow anything.
 */
function messageFacts(
  { requestId, source, contentType }: SignRequest,
  examination: Examination,
  chains: Chains,
): TransactionFacts {
  const effects = examination.kind === 'agrees' ? examination.effects : undefined;
  const { destinations, moves } = effects === undefined ? NOTHING_KNOWN : movedValue('', [], effects);
  return {
    txId: requestId,
    externalTxId: null,
    operation: contentType,
    asset: '',
    decimals: null,
    chain: effects?.chain || null,
    source: partyFacts(source),
    ...NOTHING_KNOWN,
    destinations: moves === null ? null : unsized(destinations),
    moves: counted(moves, chains),
    fee: null,
    calls: effects === undefined ? null : effects.calls.map(callFacts),
  };
}

/** In an asset that nobody names there are no amounts. */
function unsized(destinations: Value['destinations']): Value['destinations'] {
  return destinations?.map((each) => ({ ...each, amount: null })) ?? null;
}

function transactionFacts(
  { txId, intent }: TransactionRequest,
  examination: Examination,
  chains: Chains,
): TransactionFacts {
  const asset = chains.asset(intent.asset);
  const effects = effectsOf(examination);
  const claimed = claimedDestinations(intent, asset, chains);
  const value =
    effects === undefined || claimed === null
      ? claimedValue(intent, claimed, asset)
      : movedValue(intent.asset, claimed, effects);
  return {
    txId,
    externalTxId: intent.externalTxId ?? null,
    operation: intent.operation,
    asset: intent.asset,
    decimals: asset?.decimals ?? null,
    chain: effects?.chain ?? asset?.chain ?? null,
    source: partyFacts(intent.source),
    ...value,
    moves: counted(value.moves, chains),
    fee: asset === undefined ? null : feeOf(intent, asset, effects),
    calls: effects === undefined ? null : effects.calls.map(callFacts),
  };
}

/** What the bytes do; or, where there are none and never will be, what the call data would that the request shows. */
function effectsOf(examination: Examination): Effects | undefined {
  if (examination.kind === 'agrees') return examination.effects;
  return examination.kind === 'absent' ? examination.shown : undefined;
}

/** A type that is not named is unknown, and so is an id, but where the type is of those that have none. */
function partyFacts({ type, id, subType }: Party): PartyFacts {
  return {
    type: type === 'UNKNOWN' ? null : type,
    id: id === '' && type !== 'ONE_TIME' ? null : id,
    subType: subType ?? null,
  };
}

/** Several ids may name one contract; what moves is one thing. */
function counted(moves: Value['moves'], chains: Chains): Value['moves'] {
  return (
    moves?.map((move) => ({ ...move, asset: chains.asset(move.asset)?.countedAs ?? move.asset })) ?? null
  );
}

type Value = Pick<TransactionFacts, 'destinations' | 'amount' | 'usd' | 'moves'>;

/**
 * What these move stands in bytes and messages, and not in the amount that is claimed beside them, which is the native
 * value of a call, or zero.
 */
const TOLD_BY_BYTES_ALONE: ReadonlySet<string> = new Set([
  ...['CONTRACT_CALL', 'APPROVE', 'PROGRAM_CALL', 'TYPED_MESSAGE', 'RAW'],
]);

const NOTHING_KNOWN: Value = { destinations: null, amount: null, usd: null, moves: null };

function claimedDestinations(
  { destinations, amount, asset: assetId }: Intent,
  asset: Asset | undefined,
  chains: Chains,
): readonly DestinationFacts[] | null {
  if (destinations.length === 0 || destinations.length > MAX_DESTINATIONS) return null;
  const canonical = canonicalFormOf(asset ?? assetId, chains);
  return destinations.map((destination) => {
    const stated = destination.amount ?? (destinations.length === 1 ? amount : undefined);
    const address = destination.address === undefined ? null : (canonical(destination.address) ?? null);
    return {
      ...partyFacts(destination),
      address,
      addressType: destination.addressType ?? null,
      amount: unitsOf(stated, asset),
      usd: dollarsOf(destination),
      key: destination.id === '' ? addressKey(address) : partyKey(destination),
    };
  });
}

/** By the co-signer's word: the stage carries no bytes, or they say nothing. */
function claimedValue(
  intent: Intent,
  destinations: readonly DestinationFacts[] | null,
  asset: Asset | undefined,
): Value {
  if (destinations === null) return NOTHING_KNOWN;
  if (TOLD_BY_BYTES_ALONE.has(intent.operation))
    return { ...NOTHING_KNOWN, destinations: destinations.map((each) => ({ ...each, amount: null })) };
  const sum = sumOf(destinations.map(({ amount }) => amount));
  // When the parts and the whole disagree, nobody knows which of them will be signed.
  const amount = intent.amount === undefined || unitsOf(intent.amount, asset) === sum ? sum : null;
  return {
    destinations,
    amount,
    usd: usdOf(destinations, amount !== null),
    moves:
      amount === null
        ? null
        : destinations.map(({ key, amount: part }) => ({
            asset: intent.asset,
            destination: key,
            amount: part ?? '0',
          })),
  };
}

/** By the bytes. Whoever receives without being named as a destination becomes one of which only the address is known. */
function movedValue(assetId: string, claimed: readonly DestinationFacts[], effects: Effects): Value {
  const byAddress = new Map(claimed.map((destination) => [destination.address, destination]));
  const received = new Map<string, bigint>();
  const unnamed = new Map<string, DestinationFacts>();
  const moves: MoveFacts[] = [];
  // A signature over something that neither moves nor calls (a message) may allow anything.
  let known =
    effects.movements.length + effects.calls.length > 0 &&
    effects.calls.every(({ understood }) => understood);
  let elsewhere = false;
  for (const { asset, to, amount } of effects.movements) {
    const key = byAddress.get(to)?.key ?? addressKey(to);
    if (!byAddress.has(to)) unnamed.set(to, unnamedDestination(to));
    if (asset === undefined || amount === undefined) {
      known = false;
      continue;
    }
    moves.push({ asset, destination: key, amount: amount.toString() });
    if (asset === assetId) received.set(to, (received.get(to) ?? 0n) + amount);
    else if (amount !== 0n) elsewhere = true;
  }
  if (unnamed.size + claimed.length > MAX_DESTINATIONS) return NOTHING_KNOWN;
  const destinations = [...claimed, ...unnamed.values()].map((each) => ({
    ...each,
    amount: known ? (received.get(each.address ?? '') ?? 0n).toString() : null,
  }));
  // What moves in another asset is no part of an amount in this one: the amount is then not the whole.
  const whole = known && !elsewhere;
  return {
    destinations,
    amount: whole ? [...received.values()].reduce((sum, amount) => sum + amount, 0n).toString() : null,
    usd: usdOf(destinations, whole),
    moves: known ? moves : null,
  };
}

function unnamedDestination(address: string): DestinationFacts {
  const key = addressKey(address);
  return { type: null, id: null, subType: null, address, addressType: null, amount: null, usd: null, key };
}

function usdOf(destinations: readonly DestinationFacts[], amountsKnown: boolean): string | null {
  if (!amountsKnown) return null;
  // Zero dollars for something is a missing price, not a price.
  return sumOf(destinations.map(({ usd, amount }) => (usd === '0' && amount !== '0' ? null : usd)));
}

function dollarsOf({ usd }: Destination): string | null {
  return usd === undefined ? null : (ceilJsonNumber(usd, USD_DECIMALS)?.toString() ?? null);
}

function sumOf(parts: readonly (string | null)[]): string | null {
  let sum = 0n;
  for (const part of parts) {
    if (part === null) return null;
    sum += BigInt(part);
  }
  return sum.toString();
}

function unitsOf(text: string | undefined, asset: Asset | undefined): string | null {
  if (text === undefined || asset === undefined) return null;
  const units = toBaseUnits(text, asset.decimals);
  return units.ok ? units.units.toString() : null;
}

function feeOf(intent: Intent, { native }: Asset, effects: Effects | undefined): FeeFacts | null {
  const asset = native.asset;
  const { decimals } = native;
  if (effects !== undefined)
    return effects.maxFee === undefined ? null : { asset, decimals, amount: effects.maxFee.toString() };
  if (intent.fee === undefined) return null;
  const units = toBaseUnits(intent.fee, decimals);
  return units.ok ? { asset, decimals, amount: units.units.toString() } : null;
}

function callFacts({ address, selector, signature, args }: ContractCall): CallFacts {
  const bounded = args?.every((arg) => arg.length <= MAX_VALUE_LENGTH) === true ? args : null;
  return { address, selector, signature: signature ?? null, args: bounded };
}
