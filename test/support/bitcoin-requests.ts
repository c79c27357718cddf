/** Bitcoin signing requests: preimages serialised here by the letter of the protocol, apart from the code under test. */
import { createHash } from 'node:crypto';
import * as ecc from '@bitcoinerlab/secp256k1';
import { address as addresses, initEccLib, networks } from 'bitcoinjs-lib';
import type { Intent, TransactionRequest } from '../../src/core/request.js';
import { signingRequest } from './signing-requests.js';

// The library asks for it when an address is P2TR.
initEccLib(ecc);

export const OWN_KEY = '01b81c4fe5f2db8411f1873b804d8e20dccd8b04';
export const OTHER_KEY = '40efae057e945bef1f1390cf0bb147dfc97f02f4';
export const STRANGER_KEY = 'ff'.repeat(20);
export const FRIEND_SCRIPT = `0014${'22'.repeat(20)}`;
export const FRIEND = addressOf(FRIEND_SCRIPT);

export const p2pkh = (key: string): string => `76a914${key}88ac`;
export const p2wpkh = (key: string): string => `0014${key}`;

export function addressOf(script: string): string {
  return addresses.fromOutputScript(Buffer.from(script, 'hex'), networks.bitcoin);
}

export interface Input {
  /** 36 bytes, hex, as in a transaction. */
  readonly outpoint: string;
  readonly value: bigint;
  readonly key?: string;
  readonly sequence?: number;
  readonly form?: 'witness' | 'legacy';
  /** The script that is signed, where it is not the key's. */
  readonly script?: string;
}

export interface Output {
  readonly script: string;
  readonly value: bigint;
}

export interface Draft {
  readonly inputs: readonly Input[];
  readonly outputs: readonly Output[];
  readonly version?: number;
  readonly locktime?: number;
  readonly hashType?: number;
}

export function outpoint(index: number): string {
  return `${(index + 1).toString(16).padStart(2, '0').repeat(32)}00000000`;
}

export function outpointName(hex: string): string {
  const bytes = Buffer.from(hex, 'hex');
  return `${Buffer.from(bytes.subarray(0, 32)).reverse().toString('hex')}:${bytes.readUInt32LE(32)}`;
}

/** 60,000 and 50,000 satoshi in; 70,000 to a friend, 38,000 back, fee 2,000. */
export const draft: Draft = {
  inputs: [
    { outpoint: outpoint(0), value: 60_000n },
    { outpoint: outpoint(1), value: 50_000n },
  ],
  outputs: [
    { script: FRIEND_SCRIPT, value: 70_000n },
    { script: p2wpkh(OWN_KEY), value: 38_000n },
  ],
};

export const legacyDraft: Draft = {
  ...draft,
  inputs: draft.inputs.map((input) => ({ ...input, form: 'legacy' })),
};

/** The request that claims the first output as its only destination. */
export function bitcoinRequest(from: Draft, intent: Partial<Intent> = {}): TransactionRequest {
  const amount = intent.amount ?? '0.0007';
  return signingRequest(
    {
      asset: 'BTC',
      source: { type: 'VAULT', id: '25' },
      destinations: [{ type: 'VAULT', id: '0', address: FRIEND, otherAddresses: [], amount }],
      destinationAddress: FRIEND,
      amount,
      requestedAmount: amount,
      fee: '0.00002',
      ...intent,
    },
    preimagesOf(from).map((bytes) => rawOf(bytes)),
  );
}

export function rawOf(bytes: string, path = '[ 44, 0, 25, 0, 0 ]') {
  return { keyDerivationPath: path, bytes, digest: doubleSha256(bytes) };
}

export function doubleSha256(hex: string): string {
  const once = createHash('sha256').update(Buffer.from(hex, 'hex')).digest();
  return createHash('sha256').update(once).digest('hex');
}

/** One preimage for each input. */
export function preimagesOf(from: Draft): readonly string[] {
  return from.inputs.map((input, index) =>
    input.form === 'legacy' ? legacyOf(from, index) : witnessOf(from, input),
  );
}

function witnessOf(
  { inputs, outputs, version = 2, locktime = 0, hashType = 1 }: Draft,
  input: Input,
): string {
  return [
    uint32(version),
    doubleSha256(inputs.map((one) => one.outpoint).join('')),
    doubleSha256(inputs.map((one) => uint32(one.sequence ?? 0xffffffff)).join('')),
    input.outpoint,
    sized(scriptOf(input)),
    uint64(input.value),
    uint32(input.sequence ?? 0xffffffff),
    doubleSha256(outputs.map(outputHex).join('')),
    uint32(locktime),
    uint32(hashType),
  ].join('');
}

function legacyOf(
  { inputs, outputs, version = 2, locktime = 0, hashType = 1 }: Draft,
  signed: number,
): string {
  return [
    uint32(version),
    varint(inputs.length),
    ...inputs.map(
      (one, index) =>
        one.outpoint + sized(index === signed ? scriptOf(one) : '') + uint32(one.sequence ?? 0xffffffff),
    ),
    varint(outputs.length),
    ...outputs.map(outputHex),
    uint32(locktime),
    uint32(hashType),
  ].join('');
}

function scriptOf({ script, key = OWN_KEY }: Input): string {
  return script ?? p2pkh(key);
}

function outputHex({ value, script }: Output): string {
  return uint64(value) + sized(script);
}

function sized(hex: string): string {
  return varint(hex.length / 2) + hex;
}

function varint(value: number): string {
  if (value < 0xfd) return value.toString(16).padStart(2, '0');
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16LE(value);
  return `fd${bytes.toString('hex')}`;
}

function uint32(value: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes.toString('hex');
}

function uint64(value: bigint): string {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes.toString('hex');
}
