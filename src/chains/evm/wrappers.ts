/** Calls inside calls: every wrapper is opened until only leaves are left. */
import { assert } from '../../core/errors.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { items, text, units } from './abi.js';
import { type Call, type DecodedCall, decodeCall } from './known-functions.js';

const MAX_DEPTH = 4;
const MAX_LEAVES = 64;

const CALL_OPERATION = 0n;
const DELEGATECALL_OPERATION = 1n;

/** A decoded call, and how much native coin leaves through it and not through a call inside it, in wei. */
export interface Node extends DecodedCall {
  readonly moves: bigint;
}

export interface CallTree {
  readonly leaves: readonly Node[];
  readonly wrappers: readonly Node[];
}

interface Inner {
  readonly calls: readonly Call[];
  /** Multicall runs its parts in the same contract: all of them see the same value, and none sends it on. */
  readonly sharesValue: boolean;
}

/** Opens all wrappers. Inner calls are counted before they are decoded. */
export function flatten(outermost: Call): CallTree | Refusal {
  const leaves: Node[] = [];
  const wrappers: Node[] = [];
  let leafCount = 1;
  const open = (call: Call, depth: number, counts: boolean): Refusal | undefined => {
    const decoded = decodeCall(call);
    if (isRefusal(decoded)) return decoded;
    if (decoded.known?.role.kind !== 'wrapper') {
      leaves.push({ ...decoded, moves: counts ? call.value : 0n });
      return undefined;
    }
    if (depth >= MAX_DEPTH) return refuse('CALL_DEPTH', `calls are nested more than ${MAX_DEPTH} deep`);
    const inner = unwrap(decoded);
    if (isRefusal(inner)) return inner;
    leafCount += inner.calls.length - 1;
    if (inner.calls.length === 0)
      return refuse('CALL_COUNT', `${decoded.known.signature} makes no call at all`);
    if (leafCount > MAX_LEAVES) return refuse('CALL_COUNT', `more than ${MAX_LEAVES} calls are made`);
    const sentOn = inner.sharesValue ? 0n : inner.calls.reduce((sum, { value }) => sum + value, 0n);
    wrappers.push({ ...decoded, moves: counts && call.value > sentOn ? call.value - sentOn : 0n });
    for (const next of inner.calls) {
      const refused = open(next, depth + 1, !inner.sharesValue);
      if (refused !== undefined) return refused;
    }
    return undefined;
  };
  return open(outermost, 0, true) ?? { leaves, wrappers };
}

function unwrap({ call, known, args }: DecodedCall): Inner | Refusal {
  assert(known !== undefined, 'only known functions are wrappers');
  const [first, second, third, fourth] = args;
  switch (known.signature) {
    case 'multicall(bytes[])':
      return sameContract(call, items(first).map(text));
    case 'multicall(uint256,bytes[])':
    case 'multicall(bytes32,bytes[])':
      return sameContract(call, items(second).map(text));
    case 'aggregate((address,bytes)[])':
      return toOthers(items(first).map((item) => callOf(items(item)[0], undefined, items(item)[1])));
    case 'aggregate3((address,bool,bytes)[])':
      return toOthers(items(first).map((item) => callOf(items(item)[0], undefined, items(item)[2])));
    case 'tryAggregate(bool,(address,bytes)[])':
      return toOthers(items(second).map((item) => callOf(items(item)[0], undefined, items(item)[1])));
    case 'aggregate3Value((address,bool,uint256,bytes)[])':
      return toOthers(items(first).map((item) => callOf(items(item)[0], items(item)[2], items(item)[3])));
    case 'executeBatch((address,uint256,bytes)[])':
      return toOthers(items(first).map((item) => callOf(items(item)[0], items(item)[1], items(item)[2])));
    case 'execute(address,uint256,bytes)':
      return toOthers([callOf(first, second, third)]);
    case 'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)':
    case 'execTransactionFromModule(address,uint256,bytes,uint8)':
      return checkOperation(units(fourth)) ?? toOthers([callOf(first, second, third)]);
    case 'executeBatch(address[],bytes[])':
      return batch(items(first), undefined, items(second));
    case 'executeBatch(address[],uint256[],bytes[])':
      return batch(items(first), items(second), items(third));
    case 'multiSend(bytes)':
      return unpackMultiSend(text(first));
    default:
      return refuse('CALLDATA_NON_CANONICAL', `${known.signature} cannot be opened`);
  }
}

type Argument = DecodedCall['args'][number] | undefined;

function callOf(to: Argument, value: Argument, data: Argument): Call {
  return { to: text(to), value: value === undefined ? 0n : units(value), data: text(data) };
}

function toOthers(calls: readonly Call[]): Inner {
  return { calls, sharesValue: false };
}

function sameContract({ to, value }: Call, parts: readonly string[]): Inner {
  return { calls: parts.map((data) => ({ to, value, data })), sharesValue: true };
}

function batch(
  targets: readonly Argument[],
  values: readonly Argument[] | undefined,
  datas: readonly Argument[],
): Inner | Refusal {
  if (targets.length !== datas.length || (values !== undefined && values.length !== targets.length))
    return refuse('CALLDATA_NON_CANONICAL', 'the lists of a batch have different lengths');
  return toOthers(targets.map((target, index) => callOf(target, values?.[index], datas[index])));
}

/** Safe: 0 calls, 1 runs foreign code with the Safe's own storage and money. */
function checkOperation(operation: bigint): Refusal | undefined {
  if (operation === CALL_OPERATION) return undefined;
  if (operation === DELEGATECALL_OPERATION) return refuse('DELEGATECALL_REFUSED', 'a delegate call is made');
  return refuse('SAFE_OPERATION', `${operation} is no operation of a Safe`);
}

const ADDRESS_DIGITS = 40;
const WORD_DIGITS = 64;
const HEADER_DIGITS = 2 + ADDRESS_DIGITS + 2 * WORD_DIGITS;

/** Safe's MultiSend: operation (1 byte), to (20), value (32), length (32), data; one after the other, nothing between. */
function unpackMultiSend(packed: string): Inner | Refusal {
  const calls: Call[] = [];
  let rest = packed.slice(2);
  while (rest.length > 0) {
    if (calls.length >= MAX_LEAVES) return refuse('CALL_COUNT', `more than ${MAX_LEAVES} calls are made`);
    const valueAt = 2 + ADDRESS_DIGITS;
    const lengthAt = valueAt + WORD_DIGITS;
    if (rest.length < HEADER_DIGITS) return truncated();
    const refused = checkOperation(BigInt(`0x${rest.slice(0, 2)}`));
    if (refused !== undefined) return refused;
    const digits = 2n * BigInt(`0x${rest.slice(lengthAt, HEADER_DIGITS)}`);
    if (digits > BigInt(rest.length - HEADER_DIGITS)) return truncated();
    const end = HEADER_DIGITS + Number(digits);
    calls.push({
      to: `0x${rest.slice(2, valueAt)}`,
      value: BigInt(`0x${rest.slice(valueAt, lengthAt)}`),
      data: `0x${rest.slice(HEADER_DIGITS, end)}`,
    });
    rest = rest.slice(end);
  }
  return toOthers(calls);
}

function truncated(): Refusal {
  return refuse('CALLDATA_NON_CANONICAL', 'the packed calls of multiSend are not consumed exactly');
}
