/** What co-signers ask, as a play delivers it. */
import { shortAmount } from './amount-text.js';
import { type ConfigChange, configChangePayload } from './change-invention.js';
import type { Ask } from './play.js';
import {
  approvalPayload,
  type EtherTransfer,
  signingPayload,
  type Transfer,
  unsignedBytes,
} from './transaction.js';

export function signingAsk(transfer: EtherTransfer, bytes = unsignedBytes(transfer)): Ask {
  return {
    route: '/v2/tx_sign_request',
    stage: 'signing',
    requestId: transfer.requestId,
    about: `sign ${inWords(transfer)}`,
    payload: (signer) => signingPayload(transfer, signer, bytes),
  };
}

export function approvalAsk(transfer: Transfer): Ask {
  return {
    route: '/v2/tx_sign_request',
    stage: 'approval',
    requestId: transfer.requestId,
    about: `approve ${inWords(transfer)}`,
    payload: (signer) => approvalPayload(transfer, signer),
  };
}

export function configAsk(change: ConfigChange): Ask {
  return {
    route: '/v2/config_change_sign_request',
    stage: 'approval',
    requestId: change.requestId,
    about: `change of the workspace: ${change.type}`,
    payload: (signer) => configChangePayload(change, signer),
  };
}

function inWords({ amount, asset, source, destination }: Transfer): string {
  const place = destination.id === '' ? destination.address : `${destination.type} ${destination.id}`;
  return `${shortAmount(amount, asset.decimals)} ${asset.id} from vault ${source} to ${place}`;
}
