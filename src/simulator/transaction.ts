/**
 * Transactions as a Fireblocks co-signer presents them. The claims and the bytes come from the same numbers, by
 * another library than the server decodes with, so they agree exactly unless a scenario wants them not to.
 * Shapes: developers.fireblocks.com/reference/approve-transactions and the vendor's published samples.
 */
import { keccak256, Transaction } from 'ethers';
import { eightDecimals, paddedAmount, shortAmount } from './amount-text.js';
import { type JsonValue, jsonText, NumberText } from './json-text.js';

export interface SimulatedAsset {
  readonly id: string;
  readonly decimals: number;
  /** US dollars for one whole unit, in units of 10^-8 dollar. */
  readonly price: bigint;
}

/** Where a transaction goes, in the vocabulary of the callback. */
export interface Place {
  readonly type: 'VAULT' | 'UNMANAGED' | 'ONE_TIME_ADDRESS';
  readonly subType: string;
  /** Empty for a one-time address. */
  readonly id: string;
  /** Absent for a one-time address. */
  readonly name?: string;
  readonly address: string;
}

/** Gas in wei. The bytes are legacy (EIP-155) when there is no priority fee, else EIP-1559. */
export interface Gas {
  readonly nonce: number;
  readonly limit: bigint;
  readonly maxFeePerGas: bigint;
  readonly maxPriorityFeePerGas: bigint | undefined;
}

export interface Transfer {
  readonly txId: string;
  readonly requestId: string;
  /** The initiator's own id; the vendor's samples have none. */
  readonly externalTxId?: string;
  readonly asset: SimulatedAsset;
  /** Base units. */
  readonly amount: bigint;
  /** Vault account id. */
  readonly source: string;
  readonly destination: Place;
  readonly players: readonly string[];
}

export interface EtherTransfer extends Transfer {
  readonly gas: Gas;
}

/** The payload of an approval-stage ask: nothing is serialised yet, so no fee, no bytes and no displayed address. */
export function approvalPayload(transfer: Transfer, signer: string | undefined): string {
  return jsonText(payload(transfer, signer));
}

/** The payload of a signing-stage ask. `bytes` replaces the honest ones, for scenarios that lie. */
export function signingPayload(
  transfer: EtherTransfer,
  signer: string | undefined,
  bytes = unsignedBytes(transfer),
): string {
  const { gas } = transfer;
  return jsonText(
    payload(transfer, signer, {
      fee: paddedAmount(gas.limit * gas.maxFeePerGas, 18),
      rawTx: [
        {
          // [purpose, coin, vault account, change, index] as text, the way the samples have it.
          keyDerivationPath: `[ 44, 60, ${transfer.source}, 0, 0 ]`,
          rawTx: bytes.slice(2),
          payload: keccak256(bytes).slice(2),
        },
      ],
    }),
  );
}

/** The unsigned serialisation of a native transfer on Ethereum's main network, `0x…`. */
export function unsignedBytes({ destination, amount, gas }: EtherTransfer): string {
  const common = {
    chainId: 1,
    nonce: gas.nonce,
    gasLimit: gas.limit,
    to: destination.address,
    value: amount,
  };
  const { maxFeePerGas, maxPriorityFeePerGas } = gas;
  const transaction =
    maxPriorityFeePerGas === undefined
      ? Transaction.from({ type: 0, gasPrice: maxFeePerGas, ...common })
      : Transaction.from({ type: 2, maxFeePerGas, maxPriorityFeePerGas, ...common });
  return transaction.unsignedSerialized;
}

interface SigningFields {
  readonly fee: string;
  readonly rawTx: JsonValue;
}

function payload(transfer: Transfer, signer: string | undefined, signing?: SigningFields): JsonValue {
  const { asset, amount, destination } = transfer;
  const addressType = destination.type === 'ONE_TIME_ADDRESS' ? 'ONE_TIME' : 'WHITELISTED';
  const number = new NumberText(eightDecimals(amount, asset.decimals));
  return {
    txId: transfer.txId,
    operation: 'TRANSFER',
    sourceType: 'VAULT',
    sourceId: transfer.source,
    destType: destination.type,
    destId: destination.id,
    asset: asset.id,
    amount: number,
    amountStr: paddedAmount(amount, asset.decimals),
    requestedAmount: number,
    requestedAmountStr: shortAmount(amount, asset.decimals),
    fee: signing?.fee,
    destAddressType: addressType,
    destAddress: destination.address,
    destinations: [
      {
        amountNative: number,
        amountNativeStr: shortAmount(amount, asset.decimals),
        amountUSD: new NumberText(eightDecimals((amount * asset.price) / 10n ** BigInt(asset.decimals), 8)),
        dstAddressType: addressType,
        dstId: destination.id,
        dstName: destination.name,
        dstSubType: destination.subType,
        dstType: destination.type,
        displayDstAddress: signing === undefined ? undefined : destination.address,
        action: 'ALLOW',
      },
    ],
    rawTx: signing?.rawTx,
    players: transfer.players,
    externalTxId: transfer.externalTxId,
    signerId: signer,
    requestId: transfer.requestId,
  };
}
