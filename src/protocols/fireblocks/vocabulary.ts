/**
 * The words Fireblocks has for where value comes from and goes to. The callback uses the vocabulary of its policies,
 * other interfaces another one; both are read into one open set, and unknown words stay as they are.
 */
import type { Party } from '../../core/request.js';

type Kind = Pick<Party, 'type' | 'subType'>;

const KINDS: ReadonlyMap<string, Kind> = new Map([
  ['VAULT', { type: 'VAULT' }],
  ['VAULT_ACCOUNT', { type: 'VAULT' }],
  ['EXCHANGE', { type: 'EXCHANGE' }],
  ['EXCHANGE_ACCOUNT', { type: 'EXCHANGE' }],
  ['FIAT_ACCOUNT', { type: 'FIAT' }],
  ['UNMANAGED', { type: 'UNMANAGED' }],
  ['INTERNAL', { type: 'UNMANAGED', subType: 'INTERNAL' }],
  ['INTERNAL_WALLET', { type: 'UNMANAGED', subType: 'INTERNAL' }],
  ['EXTERNAL', { type: 'UNMANAGED', subType: 'EXTERNAL' }],
  ['EXTERNAL_WALLET', { type: 'UNMANAGED', subType: 'EXTERNAL' }],
  ['CONTRACT', { type: 'UNMANAGED', subType: 'CONTRACT' }],
  ['ONE_TIME', { type: 'ONE_TIME' }],
  ['ONE_TIME_ADDRESS', { type: 'ONE_TIME' }],
  ['NETWORK_CONNECTION', { type: 'NETWORK' }],
  ['CONNECTED_ACCOUNT', { type: 'CONNECTED' }],
  ['END_USER_WALLET', { type: 'END_USER' }],
]);

/** An absent type is UNKNOWN, which no rule means by accident. */
export function kindOf(wireType: string | undefined, wireSubType: string | undefined): Kind {
  const type = (wireType || 'UNKNOWN').toUpperCase();
  const subType = wireSubType ? wireSubType.toUpperCase() : undefined;
  const known = KINDS.get(type);
  // A word that implies one sub-type beside another sub-type is a contradiction: it is not read as either.
  const contradicts = known?.subType !== undefined && subType !== undefined && known.subType !== subType;
  if (known === undefined || contradicts) return subType === undefined ? { type } : { type, subType };
  return subType === undefined ? known : { ...known, subType };
}
