/**
 * The part of the Solidity ABI that the approval contract uses: structs of texts, integers and lists of such structs.
 * A wrong layout decodes without complaint, so what was decoded is encoded again and must give the same bytes.
 * Source: Solidity documentation, "Contract ABI Specification".
 */

const WORD = 32;
/** A list or text cannot be longer than the bytes it stands in; this bounds what lists of empty entries cost. */
const MAX_ITEMS = 1_000;

export type AbiType =
  | { readonly kind: 'text' }
  | { readonly kind: 'integer' }
  | { readonly kind: 'list'; readonly of: AbiType }
  | { readonly kind: 'struct'; readonly fields: readonly (readonly [name: string, type: AbiType])[] };

export type AbiValue = string | bigint | readonly AbiValue[] | { readonly [field: string]: AbiValue };

export const TEXT: AbiType = { kind: 'text' };
export const INTEGER: AbiType = { kind: 'integer' };

export function struct(fields: readonly (readonly [string, AbiType])[]): AbiType {
  return { kind: 'struct', fields };
}

/** What the bytes say in this layout; undefined when they are not the one canonical encoding of anything in it. */
export function decodeExactly(bytes: Uint8Array, type: AbiType): AbiValue | undefined {
  const reader = new Reader(Buffer.from(bytes));
  try {
    const value = reader.read(type, reader.offsetAt(0, 0));
    return encode(value, type).equals(bytes) ? value : undefined;
  } catch (error) {
    if (error instanceof Unreadable) return undefined;
    throw error;
  }
}

/** One dynamic value with its leading offset, as `abi.encode` writes it. */
export function encode(value: AbiValue, type: AbiType): Buffer {
  return Buffer.concat([wordOf(BigInt(WORD)), encodeValue(value, type)]);
}

class Unreadable extends Error {}

class Reader {
  /** Canonical bytes are read once each: overlapping ones would let a short message stand for a long one. */
  #budget: number;

  constructor(private readonly bytes: Buffer) {
    this.#budget = bytes.length;
  }

  read(type: AbiType, at: number): AbiValue {
    switch (type.kind) {
      case 'integer':
        return this.#integer(at);
      case 'text':
        return this.#text(at);
      case 'list': {
        const length = this.#length(at);
        if (length > MAX_ITEMS) throw new Unreadable();
        const start = at + WORD;
        return Array.from({ length }, (_, index) => this.#member(type.of, start, start + index * WORD));
      }
      case 'struct':
        return Object.fromEntries(
          type.fields.map(([name, field], index) => [name, this.#member(field, at, at + index * WORD)]),
        );
    }
  }

  /** Where the value lies whose offset, counted from `base`, stands at `at`. */
  offsetAt(base: number, at: number): number {
    return base + this.#length(at);
  }

  #member(type: AbiType, base: number, at: number): AbiValue {
    return type.kind === 'integer' ? this.#integer(at) : this.read(type, this.offsetAt(base, at));
  }

  #text(at: number): string {
    const length = this.#length(at);
    const content = this.#take(at + WORD, length);
    const text = content.toString('utf8');
    // Replacement characters would make another text of it.
    if (!Buffer.from(text, 'utf8').equals(content)) throw new Unreadable();
    return text;
  }

  #length(at: number): number {
    const length = this.#integer(at);
    if (length > BigInt(this.bytes.length)) throw new Unreadable();
    return Number(length);
  }

  #integer(at: number): bigint {
    return BigInt(`0x${this.#take(at, WORD).toString('hex')}`);
  }

  #take(at: number, length: number): Buffer {
    this.#budget -= length;
    if (this.#budget < 0 || at + length > this.bytes.length) throw new Unreadable();
    return this.bytes.subarray(at, at + length);
  }
}

function encodeValue(value: AbiValue, type: AbiType): Buffer {
  switch (type.kind) {
    case 'integer':
      return wordOf(value as bigint);
    case 'text': {
      const content = Buffer.from(value as string, 'utf8');
      const padding = Buffer.alloc((WORD - (content.length % WORD)) % WORD);
      return Buffer.concat([wordOf(BigInt(content.length)), content, padding]);
    }
    case 'list': {
      const items = value as readonly AbiValue[];
      return Buffer.concat([
        wordOf(BigInt(items.length)),
        encodeMembers(items.map((item) => [item, type.of])),
      ]);
    }
    case 'struct': {
      const members = value as { readonly [field: string]: AbiValue };
      return encodeMembers(type.fields.map(([name, field]) => [members[name] ?? '', field]));
    }
  }
}

/** Heads first, of which those of dynamic members are offsets to the tails behind them. */
function encodeMembers(members: readonly (readonly [AbiValue, AbiType])[]): Buffer {
  const heads: Buffer[] = [];
  const tails: Buffer[] = [];
  let tailAt = members.length * WORD;
  for (const [value, type] of members) {
    const encoded = encodeValue(value, type);
    if (type.kind === 'integer') {
      heads.push(encoded);
      continue;
    }
    heads.push(wordOf(BigInt(tailAt)));
    tails.push(encoded);
    tailAt += encoded.length;
  }
  return Buffer.concat([...heads, ...tails]);
}

function wordOf(value: bigint): Buffer {
  return Buffer.from(value.toString(16).padStart(2 * WORD, '0'), 'hex');
}
