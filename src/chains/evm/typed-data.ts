/** EIP-712: the digest of typed data, computed only when all that is shown is signed and all that is signed is shown. */
import { TypedDataEncoder, type TypedDataField } from 'ethers';
import { isObject, type JsonObject, objectIn } from '../../core/json.js';
import { type Json, JsonNumber } from '../../core/request.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { isAddress } from './address.js';

const MAX_DEPTH = 8;
const MAX_TYPES = 64;
const MAX_MEMBERS = 64;
/** Encoders walk every path from the root type to a leaf: types that refer to one another multiply. */
const MAX_TYPE_PATHS = 1_000;

const IDENTIFIER = /^[A-Za-z_$][\w$]{0,99}$/;
const ARRAY = /^(.+)\[(\d{0,6})\]$/;
const INTEGER_TYPE = /^(u?)int(\d{0,3})$/;
const BYTES_TYPE = /^bytes(\d{0,2})$/;
const INTEGER = /^-?(0|[1-9]\d{0,77})$|^0x[0-9a-fA-F]{1,64}$/;
const BYTES = /^0x([0-9a-fA-F]{2})*$/;

const DOMAIN_TYPES: Readonly<Record<string, string>> = {
  name: 'string',
  version: 'string',
  chainId: 'uint256',
  verifyingContract: 'address',
  salt: 'bytes32',
};

export interface TypedData {
  /** `0x` and 32 bytes. */
  readonly digest: string;
  readonly primaryType: string;
  /** With all types inside, as it is hashed (`encodeType`). */
  readonly encodedType: string;
  /** Members as they are signed; integers in decimal text or hex. */
  readonly message: Plain;
  /** Undefined: the domain names none. */
  readonly chainId: bigint | undefined;
  /** Lower case; undefined: the domain names none. */
  readonly verifyingContract: string | undefined;
}

type Types = Readonly<Record<string, readonly TypedDataField[]>>;

/** What ethers' encoder takes: numbers as decimal text. */
export type Plain = string | boolean | readonly Plain[] | { readonly [member: string]: Plain };

/** `content` is the typed data, or a text that holds it. */
export function readTypedData(content: Json | undefined): TypedData | Refusal {
  const shown = objectIn(content);
  if (shown === undefined) return malformed('the content is no object');
  const { primaryType, domain, message } = shown;
  if (typeof primaryType !== 'string' || !isObject(domain) || !isObject(message))
    return malformed('the content lacks primaryType, domain or message');
  const types = readTypes(shown.types);
  if (isRefusal(types)) return types;
  const { EIP712Domain: domainType, ...messageTypes } = types;
  const signedDomain = readDomain(domain, domainType);
  if (isRefusal(signedDomain)) return signedDomain;
  const shape = checkTypes(primaryType, messageTypes);
  if (shape !== undefined) return shape;
  const signedMessage = plainOf(message, primaryType, { types: messageTypes, depth: 0 });
  if (isRefusal(signedMessage)) return signedMessage;
  try {
    const mutable = Object.fromEntries(
      Object.entries(messageTypes).map(([name, members]) => [name, [...members]]),
    );
    return {
      digest: TypedDataEncoder.hash(signedDomain, mutable, signedMessage as Record<string, Plain>),
      primaryType,
      encodedType: TypedDataEncoder.from(mutable).encodeType(primaryType),
      message: signedMessage,
      chainId: typeof signedDomain.chainId === 'string' ? BigInt(signedDomain.chainId) : undefined,
      verifyingContract: signedDomain.verifyingContract?.toLowerCase(),
    };
  } catch {
    return malformed('the message cannot be encoded');
  }
}

function malformed(detail: string): Refusal {
  return refuse('TYPED_MALFORMED', `typed data is malformed: ${detail}`);
}

function readTypes(value: Json | undefined): Types | Refusal {
  if (!isObject(value)) return malformed('types is no object');
  const names = Object.keys(value);
  if (names.length > MAX_TYPES) return malformed(`more than ${MAX_TYPES} types`);
  const types = new Map<string, readonly TypedDataField[]>();
  for (const name of names) {
    const members = value[name];
    if (!IDENTIFIER.test(name) || !Array.isArray(members) || members.length > MAX_MEMBERS)
      return malformed('a type is not a short list of members');
    const fields: TypedDataField[] = [];
    for (const member of members as readonly Json[]) {
      if (!isObject(member) || typeof member.name !== 'string' || typeof member.type !== 'string')
        return malformed(`a member of ${name} lacks name or type`);
      if (!IDENTIFIER.test(member.name) || member.type.length > 150)
        return malformed(`a member of ${name} is misnamed`);
      if (fields.some((field) => field.name === member.name))
        return malformed(`${name} names a member twice`);
      fields.push({ name: member.name, type: member.type });
    }
    types.set(name, fields);
  }
  return Object.fromEntries(types);
}

type Domain = { [member: string]: string } & { chainId?: string; verifyingContract?: string };

/** The domain's members, all of them known, and exactly those that its type names where one is given. */
function readDomain(domain: JsonObject, declared: readonly TypedDataField[] | undefined): Domain | Refusal {
  const result: Domain = {};
  for (const [name, value] of Object.entries(domain)) {
    const type = Object.hasOwn(DOMAIN_TYPES, name) ? DOMAIN_TYPES[name] : undefined;
    if (type === undefined)
      return refuse('TYPED_DOMAIN_MISMATCH', `${JSON.stringify(name)} is no member of an EIP-712 domain`);
    const plain = plainOf(value, type, { types: {}, depth: 0 });
    if (isRefusal(plain)) return plain;
    if (typeof plain !== 'string') return malformed(`${name} of the domain is not text`);
    result[name] = plain;
  }
  if (declared === undefined) return result;
  const exact =
    declared.length === Object.keys(domain).length &&
    declared.every(({ name, type }) => Object.hasOwn(domain, name) && DOMAIN_TYPES[name] === type);
  return exact
    ? result
    : refuse('TYPED_DOMAIN_MISMATCH', 'EIP712Domain does not name exactly the domain given');
}

/** One root type, which is the primary one; no cycle; not deep; and the types do not multiply. */
function checkTypes(root: string, types: Types): Refusal | undefined {
  const paths = new Map<string, number>();
  const inner = new Set<string>();
  const visit = (name: string, depth: number): number | Refusal => {
    if (depth > MAX_DEPTH) return malformed(`types are nested more than ${MAX_DEPTH} deep, or in a circle`);
    const known = paths.get(name);
    if (known !== undefined) return known;
    let total = 1;
    for (const { type } of types[name] ?? []) {
      const base = type.replace(/(\[\d{0,6}\])+$/, '');
      if (!Object.hasOwn(types, base)) continue;
      inner.add(base);
      const below = visit(base, depth + 1);
      if (isRefusal(below)) return below;
      total += below;
      if (total > MAX_TYPE_PATHS) return malformed('types refer to one another too often');
    }
    paths.set(name, total);
    return total;
  };
  if (!Object.hasOwn(types, root)) return malformed('the primary type is not among the types');
  for (const name of Object.keys(types)) {
    const counted = visit(name, 0);
    if (isRefusal(counted)) return counted;
  }
  const roots = Object.keys(types).filter((name) => !inner.has(name));
  return roots.length === 1 && roots[0] === root
    ? undefined
    : malformed('the primary type is not the one root of the types');
}

interface Position {
  readonly types: Types;
  readonly depth: number;
}

/** A shown value as its type encodes it. An encoder would take `"false"` for true and skip members without type. */
function plainOf(value: Json, type: string, position: Position): Plain | Refusal {
  if (position.depth > MAX_DEPTH) return malformed(`values are nested more than ${MAX_DEPTH} deep`);
  const deeper = { ...position, depth: position.depth + 1 };
  const array = ARRAY.exec(type);
  if (array !== null) return plainList(value, { item: array[1] ?? '', length: array[2] ?? '' }, deeper);
  if (Object.hasOwn(position.types, type)) return plainStruct(value, type, deeper);
  const plain = plainAtom(value, type);
  return plain ?? malformed(`a value is not of type ${type}`);
}

function plainList(
  value: Json,
  { item, length }: { readonly item: string; readonly length: string },
  position: Position,
): Plain | Refusal {
  if (!Array.isArray(value)) return malformed('a list is missing');
  if (length !== '' && value.length !== Number(length)) return malformed(`a list has not ${length} items`);
  const plain: Plain[] = [];
  for (const element of value as readonly Json[]) {
    const one = plainOf(element, item, position);
    if (isRefusal(one)) return one;
    plain.push(one);
  }
  return plain;
}

function plainStruct(value: Json, type: string, position: Position): Plain | Refusal {
  const members = position.types[type] ?? [];
  if (!isObject(value)) return malformed(`a value of type ${type} is no object`);
  const extra = Object.keys(value).find((name) => !members.some((member) => member.name === name));
  if (extra !== undefined)
    return refuse('TYPED_EXTRA_FIELDS', `${type} shows ${JSON.stringify(extra)}, which is not signed`);
  const entries: [string, Plain][] = [];
  for (const { name, type: memberType } of members) {
    const member = Object.hasOwn(value, name) ? value[name] : undefined;
    if (member === undefined) return malformed(`${type} lacks ${name}`);
    const plain = plainOf(member, memberType, position);
    if (isRefusal(plain)) return plain;
    entries.push([name, plain]);
  }
  return Object.fromEntries(entries);
}

function plainAtom(value: Json, type: string): Plain | undefined {
  if (type === 'bool') return typeof value === 'boolean' ? value : undefined;
  if (type === 'string') return typeof value === 'string' ? value : undefined;
  if (type === 'address') return typeof value === 'string' && isAddress(value) ? value : undefined;
  if (BYTES_TYPE.test(type)) return typeof value === 'string' && BYTES.test(value) ? value : undefined;
  if (!INTEGER_TYPE.test(type)) return undefined;
  const text = value instanceof JsonNumber ? value.text : value;
  return typeof text === 'string' && INTEGER.test(text) ? text : undefined;
}
