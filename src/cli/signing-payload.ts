/** The decoded body of a Fireblocks `tx_sign_request`, read by the protocol's own parser. */
import { type Refusal, refuse } from '../chains/refusal.js';
import type { TransactionRequest } from '../core/request.js';
import { Claims, MalformedClaims } from '../protocols/fireblocks/claims.js';
import { readTransaction } from '../protocols/fireblocks/transaction.js';

/** Always at the signing stage, because only there are bytes. A replica answers a muddle with 400; here it is refused. */
export function readSigningPayload(payload: Uint8Array): TransactionRequest | Refusal {
  try {
    const { txId, intent, rawTransactions } = readTransaction(Claims.parse(payload));
    return {
      kind: 'transaction',
      stage: 'signing',
      protocol: 'fireblocks',
      workspace: '',
      cosigner: '',
      signer: undefined,
      requestId: txId,
      txId,
      intent,
      rawTransactions,
    };
  } catch (error) {
    if (error instanceof MalformedClaims) return refuse(reasonFor(error.message), error.message);
    throw error;
  }
}

const REASONS: Readonly<Record<string, Refusal['reason']>> = {
  amountStr: 'AMOUNT_FORMAT',
  requestedAmountStr: 'AMOUNT_FORMAT',
  amountNativeStr: 'AMOUNT_FORMAT',
  fee: 'AMOUNT_FORMAT',
  destAddress: 'ADDRESS_FORMAT',
  dstAddress: 'ADDRESS_FORMAT',
  displayDstAddress: 'ADDRESS_FORMAT',
  rawTx: 'RAWTX_MALFORMED',
};

/** The parser's problems begin with the place: `destinations[0].amountNativeStr: expected text`. */
function reasonFor(problem: string): Refusal['reason'] {
  const field = /^(?:\w+\[\d+\]\.)?(\w+)/.exec(problem)?.[1] ?? '';
  return Object.hasOwn(REASONS, field) ? (REASONS[field] ?? 'PAYLOAD_MALFORMED') : 'PAYLOAD_MALFORMED';
}
