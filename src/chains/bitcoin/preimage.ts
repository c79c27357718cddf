/**
 * What a Bitcoin entry is: not a transaction but the preimage of one input's signature hash, in one of two forms.
 * Legacy (before BIP-143) shows all outpoints and outputs and no amount; BIP-143 shows this input's amount and only
 * hashes of the rest.
 */
import { createHash } from 'node:crypto';
import type { RawEntry } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { keyHashIn } from './script.js';

export interface Output {
  /** Satoshi. */
  readonly value: bigint;
  /** Lower-case hex. */
  readonly script: string;
}

export interface Outpoint {
  /** The 36 bytes as they stand in a transaction, lower-case hex. */
  readonly outpoint: string;
  readonly sequence: number;
}

interface Signed extends Outpoint {
  readonly version: number;
  readonly locktime: number;
  readonly hashType: number;
  /** The script that is signed, lower-case hex. */
  readonly script: string;
}

export interface LegacyPreimage extends Signed {
  readonly kind: 'legacy';
  readonly inputs: readonly Outpoint[];
  readonly outputs: readonly Output[];
}

export interface WitnessPreimage extends Signed {
  readonly kind: 'witness';
  /** This input's amount in satoshi, by the signer's word: a wrong one makes the signature invalid. */
  readonly value: bigint;
  readonly hashPrevouts: string;
  readonly hashSequence: string;
  readonly hashOutputs: string;
}

export type Preimage = LegacyPreimage | WitnessPreimage;

export function doubleSha256(bytes: Uint8Array): Buffer {
  return createHash('sha256').update(createHash('sha256').update(bytes).digest()).digest();
}

/** `txid:vout` as people write it. */
export function outpointText(outpoint: string): string {
  const bytes = Buffer.from(outpoint, 'hex');
  return `${bytes.subarray(0, 32).reverse().toString('hex')}:${bytes.readUInt32LE(32)}`;
}

/** The one reading of the entry's bytes, whose hash is the digest. */
export function readPreimage(entry: RawEntry): Preimage | Refusal {
  if (doubleSha256(entry.bytes).toString('hex') !== entry.digest)
    return refuse('HASH_MISMATCH', 'a digest to sign is not the double SHA-256 of the bytes');
  const bytes = Buffer.from(entry.bytes);
  const preimage = classify(readLegacy(bytes), readWitness(bytes));
  if (preimage === undefined) {
    const what = entry.hex.startsWith(PSBT_MAGIC)
      ? 'a PSBT'
      : 'no signature hash preimage (legacy or BIP-143)';
    return refuse('DECODE_ERROR', `an entry is ${what}`);
  }
  if (isRefusal(preimage)) return preimage;
  if (preimage.hashType !== SIGHASH_ALL)
    return refuse('SIGHASH_REFUSED', `hash type ${preimage.hashType} does not sign the whole transaction`);
  return preimage;
}

const PSBT_MAGIC = '70736274ff';
const SIGHASH_ALL = 1;

/**
 * One in 400 legacy preimages fits the BIP-143 grammar too. Then the reading counts whose signed script is that of
 * a key hash; when both or none is, nothing tells which transaction would be signed.
 */
export function classify(
  legacy: LegacyPreimage | undefined,
  witness: WitnessPreimage | undefined,
): Preimage | Refusal | undefined {
  if (legacy === undefined || witness === undefined) return legacy ?? witness;
  const readings = [legacy, witness].filter(({ script }) => keyHashIn(script) !== undefined);
  const [only] = readings;
  if (only === undefined || readings.length > 1)
    return refuse('AMBIGUOUS_PREIMAGE', 'an entry can be read as legacy and as BIP-143');
  return only;
}

/** version, inputs of which exactly one has a script, outputs, lock time, hash type; nothing more. */
export function readLegacy(bytes: Buffer): LegacyPreimage | undefined {
  const reader = new Reader(bytes);
  const version = reader.uint32();
  const inputs: Outpoint[] = [];
  const scripts: { readonly script: string; readonly input: Outpoint }[] = [];
  for (let left = reader.count(41); left > 0; left -= 1) {
    const outpoint = reader.hex(36);
    const script = reader.script();
    const input = { outpoint, sequence: reader.uint32() };
    inputs.push(input);
    if (script !== '') scripts.push({ script, input });
  }
  const outputs: Output[] = [];
  for (let left = reader.count(9); left > 0; left -= 1)
    outputs.push({ value: reader.uint64(), script: reader.script() });
  const locktime = reader.uint32();
  const hashType = reader.uint32();
  const [signed] = scripts;
  if (!reader.consumed() || signed === undefined || scripts.length !== 1) return undefined;
  const { script, input } = signed;
  return { kind: 'legacy', version, locktime, hashType, script, ...input, inputs, outputs };
}

/** BIP-143: version, two hashes, outpoint, script, amount, sequence, hash of the outputs, lock time, hash type. */
export function readWitness(bytes: Buffer): WitnessPreimage | undefined {
  const reader = new Reader(bytes);
  const preimage: WitnessPreimage = {
    kind: 'witness',
    version: reader.uint32(),
    hashPrevouts: reader.hex(32),
    hashSequence: reader.hex(32),
    outpoint: reader.hex(36),
    script: reader.script(),
    value: reader.uint64(),
    sequence: reader.uint32(),
    hashOutputs: reader.hex(32),
    locktime: reader.uint32(),
    hashType: reader.uint32(),
  };
  return reader.consumed() ? preimage : undefined;
}

/** Reads past the end give zeros and are remembered: `consumed` tells at the end whether all of it was true. */
class Reader {
  #offset = 0;
  #failed = false;

  constructor(private readonly bytes: Buffer) {}

  consumed(): boolean {
    return !this.#failed && this.#offset === this.bytes.length;
  }

  hex(length: number): string {
    return this.#take(length).toString('hex');
  }

  uint32(): number {
    return this.#take(4).readUInt32LE();
  }

  uint64(): bigint {
    return this.#take(8).readBigUInt64LE();
  }

  script(): string {
    return this.hex(this.count(1));
  }

  /** A minimal variable-length integer, of items that take at least `itemLength` bytes each. */
  count(itemLength: number): number {
    const value = this.#varint();
    if (value * BigInt(itemLength) <= BigInt(this.bytes.length - this.#offset)) return Number(value);
    this.#failed = true;
    return 0;
  }

  #varint(): bigint {
    const first = this.#take(1).readUInt8();
    if (first < 0xfd) return BigInt(first);
    const length = 2 ** (first - 0xfc);
    const value = this.#take(length)
      .reverse()
      .reduce((sum, byte) => (sum << 8n) + BigInt(byte), 0n);
    const minimum = length === 2 ? 0xfdn : 1n << BigInt(4 * length);
    if (value < minimum) this.#failed = true;
    return value;
  }

  #take(length: number): Buffer {
    const end = this.#offset + length;
    if (this.#failed || end > this.bytes.length) {
      this.#failed = true;
      return Buffer.alloc(Math.min(length, 36));
    }
    const taken = Buffer.from(this.bytes.subarray(this.#offset, end));
    this.#offset = end;
    return taken;
  }
}
