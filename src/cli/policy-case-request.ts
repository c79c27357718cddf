/** What a case of a policy test asks, as a request. */
import type { Destination, Device, Intent, Request } from '../core/request.js';
import type { PolicyCase } from './policy-cases.js';

type CaseRequest = PolicyCase['request'];

export function requestOf(request: CaseRequest): Request {
  const { kind, stage, protocol, workspace, cosigner, signer, requestId } = request;
  const identity = { protocol, workspace, cosigner, signer, requestId };
  if (kind === 'config-change')
    return { ...identity, kind, stage: 'approval', type: request.type, extraInfo: request.extraInfo };
  if (kind === 'keygen' || kind === 'reshare') {
    const { id, name, threshold, devices } = request.vault;
    const vaultDevices = devices?.map(({ weight, ...names }): Device => ({ ...names, weight }));
    return { ...identity, kind, stage: 'approval', vault: { id, name }, threshold, devices: vaultDevices };
  }
  if (kind === 'sign')
    return {
      ...identity,
      kind,
      stage: 'approval',
      source: defined(request.source),
      algorithm: '',
      contentType: request.contentType,
      data: request.data,
    };
  return { ...identity, kind, stage, txId: request.txId, intent: intentOf(request), rawTransactions: [] };
}

function intentOf({
  operation,
  asset,
  source,
  destinations,
  amount,
  fee,
  externalTxId,
}: CaseRequest): Intent {
  return {
    operation,
    asset,
    source: defined(source),
    destinations: destinations.map(
      ({ firstPaid: _, whitelisted: __, ...each }): Destination => ({
        ...defined(each),
        otherAddresses: [],
      }),
    ),
    ...(amount !== undefined && { amount }),
    ...(fee !== undefined && { fee }),
    ...(externalTxId !== undefined && { externalTxId }),
  };
}

type Defined<Value> = { [Key in keyof Value]: Exclude<Value[Key], undefined> };

/** Leaves out members that are undefined. */
function defined<Value extends object>(value: Value): Defined<Value> {
  return Object.fromEntries(
    Object.entries(value).filter(([, member]) => member !== undefined),
  ) as Defined<Value>;
}
