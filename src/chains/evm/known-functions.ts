/** The functions whose call data is decoded, and what each one does to value. Sources: the ERCs and projects named. */
import type { ParamType } from 'ethers';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import {
  type AbiValue,
  decodeArguments,
  flag,
  functionOf,
  items,
  SELECTOR_LENGTH,
  selectorIn,
  text,
  units,
} from './abi.js';

/** One call: outermost or found inside another. */
export interface Call {
  /** Lower case. */
  readonly to: string;
  /** Native coin that the called contract sees, in wei. */
  readonly value: bigint;
  /** Lower-case hex with `0x`. */
  readonly data: string;
}

/** Value that a leaf sends to somebody. `token` undefined: something the registry does not list, e.g. an NFT. */
export interface Payment {
  readonly token: string | undefined;
  readonly to: string;
  /** Undefined: it cannot be said. */
  readonly amount: bigint | undefined;
}

/** Power over value that a leaf gives to somebody. */
export interface Allowance {
  readonly token: string | undefined;
  readonly spender: string;
  readonly amount: bigint | undefined;
  readonly unlimited: boolean;
}

type Arguments = readonly AbiValue[];

export type Role =
  | { readonly kind: 'payment'; read(args: Arguments, call: Call): readonly Payment[] }
  | { readonly kind: 'allowance'; read(args: Arguments, call: Call): readonly Allowance[] }
  /** Calls other contracts: see wrappers.ts. */
  | { readonly kind: 'wrapper' }
  /** Uniswap's Universal Router: see universal-router.ts. */
  | { readonly kind: 'router' }
  /** Moves nothing beyond the native value of the call; `understood` false: it cannot be said what it moves. */
  | { readonly kind: 'other'; readonly understood: boolean };

export interface KnownFunction {
  readonly selector: string;
  readonly signature: string;
  readonly inputs: readonly ParamType[];
  readonly role: Role;
}

const HALF_UINT256 = (2n ** 256n - 1n) / 2n;
const HALF_UINT160 = (2n ** 160n - 1n) / 2n;

const payment = (read: (args: Arguments, call: Call) => Payment): Role => ({
  kind: 'payment',
  read: (args, call) => [read(args, call)],
});

const allowance = (
  read: (args: Arguments, call: Call) => Omit<Allowance, 'unlimited'>,
  half = HALF_UINT256,
): Role => ({
  kind: 'allowance',
  read: (args, call) => [bounded(read(args, call), half)],
});

function bounded(granted: Omit<Allowance, 'unlimited'>, half: bigint): Allowance {
  const unlimited = granted.amount === undefined || granted.amount >= half;
  return { ...granted, amount: unlimited ? undefined : granted.amount, unlimited };
}

/** An NFT by its id, or several: no registry lists them, so no amount can be charged. */
const collectible = payment((args) => ({ token: undefined, to: text(args[1]), amount: undefined }));

const WRAPPER: Role = { kind: 'wrapper' };
const ROUTER: Role = { kind: 'router' };

const ROLES: Readonly<Record<string, Role>> = {
  // ERC-20, ERC-721, ERC-1155
  'transfer(address,uint256)': payment((args, { to }) => ({
    token: to,
    to: text(args[0]),
    amount: units(args[1]),
  })),
  'transferFrom(address,address,uint256)': payment((args, { to }) => ({
    token: to,
    to: text(args[1]),
    amount: units(args[2]),
  })),
  'safeTransferFrom(address,address,uint256)': collectible,
  'safeTransferFrom(address,address,uint256,bytes)': collectible,
  'safeTransferFrom(address,address,uint256,uint256,bytes)': collectible,
  'safeBatchTransferFrom(address,address,uint256[],uint256[],bytes)': collectible,
  'approve(address,uint256)': allowance((args, { to }) => ({
    token: to,
    spender: text(args[0]),
    amount: units(args[1]),
  })),
  'increaseAllowance(address,uint256)': allowance((args, { to }) => ({
    token: to,
    spender: text(args[0]),
    amount: units(args[1]),
  })),
  'decreaseAllowance(address,uint256)': { kind: 'other', understood: true },
  'setApprovalForAll(address,bool)': {
    kind: 'allowance',
    read: (args) => granted(flag(args[1]), { token: undefined, spender: text(args[0]) }),
  },
  // EIP-2612, DAI's permit, EIP-3009
  'permit(address,address,uint256,uint256,uint8,bytes32,bytes32)': allowance((args, { to }) => ({
    token: to,
    spender: text(args[1]),
    amount: units(args[2]),
  })),
  'permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)': {
    kind: 'allowance',
    read: (args, { to }) => granted(flag(args[4]), { token: to, spender: text(args[1]) }),
  },
  'transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)': payment(
    (args, { to }) => ({ token: to, to: text(args[1]), amount: units(args[2]) }),
  ),
  'receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)': payment(
    (args, { to }) => ({ token: to, to: text(args[1]), amount: units(args[2]) }),
  ),
  // Permit2
  'approve(address,address,uint160,uint48)': allowance(
    (args) => ({ token: text(args[0]), spender: text(args[1]), amount: units(args[2]) }),
    HALF_UINT160,
  ),
  'permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)': {
    kind: 'allowance',
    read: (args) => permit2Allowances([items(items(args[1])[0])], text(items(args[1])[1])),
  },
  'permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)': {
    kind: 'allowance',
    read: (args) => permit2Allowances(items(items(args[1])[0]), text(items(args[1])[1])),
  },
  'transferFrom(address,address,uint160,address)': payment((args) => ({
    token: text(args[3]),
    to: text(args[1]),
    amount: units(args[2]),
  })),
  'permitTransferFrom(((address,uint256),uint256,uint256),(address,uint256),address,bytes)': payment(
    (args) => ({
      token: text(items(items(args[0])[0])[0]),
      to: text(items(args[1])[0]),
      amount: units(items(args[1])[1]),
    }),
  ),
  // WETH9
  'deposit()': { kind: 'other', understood: true },
  'withdraw(uint256)': { kind: 'other', understood: true },
  // Safe: a hash says nothing about the transaction behind it
  'approveHash(bytes32)': { kind: 'other', understood: false },
  // Universal Router
  'execute(bytes,bytes[],uint256)': ROUTER,
  'execute(bytes,bytes[])': ROUTER,
  // Multicall, Multicall3, Safe, ERC-4337 accounts
  'multicall(bytes[])': WRAPPER,
  'multicall(uint256,bytes[])': WRAPPER,
  'multicall(bytes32,bytes[])': WRAPPER,
  'aggregate((address,bytes)[])': WRAPPER,
  'aggregate3((address,bool,bytes)[])': WRAPPER,
  'aggregate3Value((address,bool,uint256,bytes)[])': WRAPPER,
  'tryAggregate(bool,(address,bytes)[])': WRAPPER,
  'execTransaction(address,uint256,bytes,uint8,uint256,uint256,uint256,address,address,bytes)': WRAPPER,
  'execTransactionFromModule(address,uint256,bytes,uint8)': WRAPPER,
  'multiSend(bytes)': WRAPPER,
  'execute(address,uint256,bytes)': WRAPPER,
  'executeBatch((address,uint256,bytes)[])': WRAPPER,
  'executeBatch(address[],bytes[])': WRAPPER,
  'executeBatch(address[],uint256[],bytes[])': WRAPPER,
};

/** Allowed or not, without an amount: allowed is everything. */
function granted(allowed: boolean, to: { token: string | undefined; spender: string }): readonly Allowance[] {
  return allowed ? [{ ...to, amount: undefined, unlimited: true }] : [];
}

/** Details are (token, amount, expiration, nonce). */
export function permit2Allowances(details: readonly AbiValue[], spender: string): readonly Allowance[] {
  return details.map((detail) => {
    const [token, amount] = items(detail);
    return bounded({ token: text(token), spender, amount: units(amount) }, HALF_UINT160);
  });
}

export const KNOWN_FUNCTIONS: ReadonlyMap<string, KnownFunction> = new Map(
  Object.entries(ROLES).map(([signature, role]) => {
    const { selector, inputs } = functionOf(signature);
    return [selector, { selector, signature, inputs, role }];
  }),
);

export interface DecodedCall {
  readonly call: Call;
  /** Empty text for a call without data. */
  readonly selector: string;
  /** Undefined: call data that nobody here can read. */
  readonly known: KnownFunction | undefined;
  readonly args: Arguments;
}

/** More items than this in a list of calls are refused before anything is decoded: decoding is what takes time. */
const MAX_ITEMS = 64;
const WORD_DIGITS = 64;

/** A known selector is decoded strictly; an unknown one is left as it is. */
export function decodeCall(call: Call): DecodedCall | Refusal {
  const selector = selectorIn(call.data);
  const known = KNOWN_FUNCTIONS.get(selector);
  if (known === undefined) return { call, selector, known, args: [] };
  if (known.inputs.some((input, index) => input.isArray() && itemsAt(call.data, index) > MAX_ITEMS))
    return refuse('CALL_COUNT', `${known.signature} has more than ${MAX_ITEMS} items`);
  const args = decodeArguments(known.inputs, `0x${call.data.slice(SELECTOR_LENGTH)}`, known.signature);
  return isRefusal(args) ? args : { call, selector, known, args };
}

/** The length of the list that is a function's argument, as its encoding says; 0 where it says nothing readable. */
function itemsAt(data: string, index: number): number {
  const word = (at: number) => data.slice(SELECTOR_LENGTH + at, SELECTOR_LENGTH + at + WORD_DIGITS);
  const place = Number(`0x${word(index * WORD_DIGITS) || '0'}`) * 2;
  return place < data.length ? Number(`0x${word(place) || '0'}`) : 0;
}
