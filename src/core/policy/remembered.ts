/**
 * What an approval makes the ledger remember the beginning of, and what must have begun long enough ago: the names under
 * which a whitelisting, and the payment that it allows, know the same destination.
 */
import type { Problem } from '../document.js';
import type { CoolingOff, Moment } from '../moments.js';
import type { Chains } from '../ports.js';
import type { ChangeFacts } from './change-facts.js';
import { partyKey, safe } from './destination-keys.js';
import type { DestinationFacts, Facts, TransactionFacts } from './facts.js';
import { durationMs, type PolicyDocument } from './schema.js';

/** The first approved payment of a destination. @param key what limits tell destinations apart by */
export function paymentMoment(key: string): string {
  return `paid:${safe(key)}`;
}

/** Where somebody is paid by the address: of one asset, whichever of its ids is used. */
function addressMoment(asset: string, address: string, chains: Chains): string {
  return `whitelisted:@${safe(chains.asset(asset)?.countedAs ?? asset)}|${safe(address)}`;
}

/** A wallet has an address for each asset, and each is whitelisted by itself; an account is whitelisted whole. */
function partyMoment(type: string, id: string, asset: string | undefined): string {
  const party = `whitelisted:${safe(partyKey({ type, id }))}`;
  return asset === undefined ? party : `${party}|${safe(asset)}`;
}

/** By the type of a destination, the change that adds one, and the member that holds its id. */
const ADDED_BY = {
  UNMANAGED: { change: 'UNMANAGED_WALLET', member: 'walletId' },
  EXCHANGE: { change: 'EXCHANGE', member: 'accountId' },
  FIAT: { change: 'FIAT_ACCOUNT', member: 'accountId' },
  NETWORK: { change: 'ADD_NETWORK_CONNECTION', member: 'networkConnectionId' },
} as const;

/** What an approval makes the ledger remember. */
export function momentsOf(
  { transaction, change }: Facts,
  document: PolicyDocument,
  chains: Chains,
): readonly Moment[] {
  const moments = new Map<string, Moment>();
  for (const key of change === null ? [] : whitelistedBy(change, chains))
    moments.set(key, { key, keeps: 'newest' });
  for (const { key: name } of keepsPayments(document) ? (transaction?.destinations ?? []) : []) {
    if (name === null) continue;
    const key = paymentMoment(name);
    moments.set(key, { key, keeps: 'first' });
  }
  return [...moments.values()];
}

/** Whether a limit needs to know when a destination was paid first. */
export function keepsPayments({ limits }: Pick<PolicyDocument, 'limits'>): boolean {
  return Object.values(limits).some(({ newDestinations }) => newDestinations !== undefined);
}

function whitelistedBy({ type, extraInfo, addresses }: ChangeFacts, chains: Chains): readonly string[] {
  const moments: string[] = [];
  for (const [party, { change, member }] of Object.entries(ADDED_BY)) {
    const id = extraInfo[member];
    if (change !== type || id === undefined || id === '') continue;
    if (party !== 'UNMANAGED') moments.push(partyMoment(party, id, undefined));
    else if (extraInfo.asset) moments.push(partyMoment(party, id, extraInfo.asset));
  }
  // One address with a tag is the place of many: an exchange has one for all who pay in. The wallet tells them apart.
  if ((extraInfo.tag ?? '') !== '') return moments;
  for (const { asset, address } of addresses ?? [])
    if (asset !== null && address !== null) moments.push(addressMoment(asset, address, chains));
  return moments;
}

/** Undefined: the policy has none, or it is no transaction. */
export function coolingOffOf(
  { kind, transaction }: Facts,
  { coolingOff }: PolicyDocument,
  chains: Chains,
): CoolingOff | undefined {
  if (coolingOff === undefined || kind !== 'transaction' || transaction === null) return undefined;
  const { period, whenEarly } = coolingOff;
  const keys = (transaction.destinations ?? []).flatMap((each) => waitingMoments(each, transaction, chains));
  return {
    keys: [...new Set(keys)],
    periodMs: durationMs(period) ?? 0,
    whenEarly,
    sentence: `A destination was whitelisted here less than ${period} ago.`,
  };
}

/** Every name under which a whitelisting may have begun a destination of this transaction. */
export function waitingMoments(
  { type, id, address }: DestinationFacts,
  { asset, moves }: TransactionFacts,
  chains: Chains,
): readonly string[] {
  // What a call moves may be of other assets than the one it names.
  const assets = [...new Set([asset, ...(moves ?? []).map((move) => move.asset)])];
  const parties =
    type === null || id === null || id === '' || !Object.hasOwn(ADDED_BY, type)
      ? []
      : type === 'UNMANAGED'
        ? assets.map((each) => partyMoment(type, id, each))
        : [partyMoment(type, id, undefined)];
  return [
    ...parties,
    ...(address === null ? [] : assets.map((each) => addressMoment(each, address, chains))),
  ];
}

/** The vendor's default: 20 attempts, three minutes apart. */
const LONGEST_RETRY_MS = 3_600_000;

/** Of `coolingOff`, and of limits of new destinations. */
export function rememberingWarnings({ coolingOff, limits }: PolicyDocument): readonly Problem[] {
  const warnings: Problem[] = [];
  if (coolingOff?.whenEarly === 'retry' && (durationMs(coolingOff.period) ?? 0) > LONGEST_RETRY_MS)
    warnings.push({
      path: ['coolingOff', 'whenEarly'],
      message: `retry outlasts the co-signer: Fireblocks asks again for an hour by default, and the period is ${coolingOff.period}`,
    });
  for (const [name, { newDestinations, counts, max }] of Object.entries(limits))
    if (newDestinations !== undefined && counts === 'all' && !/[1-9]/.test(max))
      warnings.push({
        path: ['limits', name],
        message: 'nothing may ever be paid to a new destination, so no destination can become known',
      });
  return warnings;
}
