/**
 * Typed data by which a holder gives value away without a transaction: whoever has the signature presents it to the contract
 * in a call. So the message is judged as that call, by the same lists and limits; all other typed data is understood by
 * nobody but its contract.
 *
 * Sources: EIP-2612; EIP-3009; the permit of DAI; Uniswap's Permit2.
 */
import { Interface } from 'ethers';
import type { AssetSettings } from '../../core/policy/verification.js';
import type { AssetRegistry } from '../assets.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { judgeCall } from './contract-call.js';
import type { Meaning } from './transfer.js';
import type { Plain, TypedData } from './typed-data.js';

export interface MessageContext {
  readonly settings: AssetSettings;
  readonly registry: AssetRegistry;
}

/** Throws nothing: what was encoded for its digest can be encoded for the call. */
export function meaningOfTyped(typed: TypedData, { settings, registry }: MessageContext): Meaning | Refusal {
  const { chainId, verifyingContract, primaryType } = typed;
  const listed = settings.typedData.some(
    (entry) =>
      entry.chainId === chainId &&
      entry.verifyingContract === verifyingContract &&
      entry.primaryTypes.includes(primaryType),
  );
  if (!listed || chainId === undefined || verifyingContract === undefined)
    return refuse(
      'TYPED_NOT_ALLOWED',
      `${primaryType} for ${verifyingContract ?? 'no contract'} on chain ${chainId ?? 'unknown'} is not listed`,
    );
  const stands = SIGNED_CALLS.find(({ type }) => type.test(typed.encodedType));
  // What a contract does with any other signed message cannot be said from the message alone.
  if (stands === undefined)
    return {
      movements: [],
      calls: [{ address: verifyingContract, selector: '', value: 0n, understood: false }],
    };
  const calls = stands.calls(membersOf(typed.message));
  if (calls.length === 0 || calls.length > MAX_CALLS)
    return refuse('CALL_COUNT', `${primaryType} allows nothing, or more than ${MAX_CALLS} things`);
  const judged = calls.map((data) =>
    judgeCall({ settings, registry, chainId }, { to: verifyingContract, value: 0n, data }),
  );
  return (
    judged.find(isRefusal) ?? {
      movements: judged.flatMap((one) => (isRefusal(one) ? [] : one.movements)),
      calls: judged.flatMap((one) => (isRefusal(one) ? [] : one.calls)),
    }
  );
}

const MAX_CALLS = 64;

const CALLS = new Interface([
  'function permit(address,address,uint256,uint256,uint8,bytes32,bytes32)',
  'function permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)',
  'function transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
  'function receiveWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)',
  'function permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)',
  'function permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)',
  'function approve(address,address,uint160,uint48)',
]);

type Members = { readonly [member: string]: Plain };

interface SignedCall {
  /** Of the type as EIP-712 encodes it. */
  readonly type: RegExp;
  readonly calls: (message: Members) => readonly string[];
}

const NO_ADDRESS = `0x${'0'.repeat(40)}`;
const NO_WORD = `0x${'0'.repeat(64)}`;
/** Not there yet: v, r and s. */
const NO_SIGNATURE = [0, NO_WORD, NO_WORD];

const AUTHORIZATION =
  '\\(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce\\)';
const DETAILS = 'PermitDetails\\(address token,uint160 amount,uint48 expiration,uint48 nonce\\)';
/** A witness is one more member, of any type: it restricts what the spender may do with it, and grants nothing. */
const TRANSFER_TAIL =
  ' permitted,address spender,uint256 nonce,uint256 deadline(,[^)]*)?\\)([^()]+\\([^()]*\\))*TokenPermissions\\(address token,uint256 amount\\)';

const SIGNED_CALLS: readonly SignedCall[] = [
  {
    type: /^Permit\(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline\)$/,
    calls: ({ owner, spender, value, deadline }) => [
      callOf('permit(address,address,uint256,uint256,uint8,bytes32,bytes32)', [
        ...[owner, spender, value, deadline],
        ...NO_SIGNATURE,
      ]),
    ],
  },
  {
    type: /^Permit\(address holder,address spender,uint256 nonce,uint256 expiry,bool allowed\)$/,
    calls: ({ holder, spender, nonce, expiry, allowed }) => [
      callOf('permit(address,address,uint256,uint256,bool,uint8,bytes32,bytes32)', [
        ...[holder, spender, nonce, expiry, allowed],
        ...NO_SIGNATURE,
      ]),
    ],
  },
  authorization('TransferWithAuthorization', 'transferWithAuthorization'),
  authorization('ReceiveWithAuthorization', 'receiveWithAuthorization'),
  {
    type: new RegExp(
      `^PermitSingle\\(PermitDetails details,address spender,uint256 sigDeadline\\)${DETAILS}$`,
    ),
    calls: ({ details, spender, sigDeadline }) => [
      callOf('permit(address,((address,uint160,uint48,uint48),address,uint256),bytes)', [
        ...[NO_ADDRESS, [detailsOf(details), spender, sigDeadline], '0x'],
      ]),
    ],
  },
  {
    type: new RegExp(
      `^PermitBatch\\(PermitDetails\\[\\] details,address spender,uint256 sigDeadline\\)${DETAILS}$`,
    ),
    calls: ({ details, spender, sigDeadline }) => [
      callOf('permit(address,((address,uint160,uint48,uint48)[],address,uint256),bytes)', [
        ...[NO_ADDRESS, [listOf(details).map(detailsOf), spender, sigDeadline], '0x'],
      ]),
    ],
  },
  {
    type: new RegExp(`^Permit(Witness)?TransferFrom\\(TokenPermissions${TRANSFER_TAIL}`),
    calls: ({ permitted, spender }) => [allowanceOf(permitted, spender)],
  },
  {
    type: new RegExp(`^PermitBatch(Witness)?TransferFrom\\(TokenPermissions\\[\\]${TRANSFER_TAIL}`),
    calls: ({ permitted, spender }) => listOf(permitted).map((each) => allowanceOf(each, spender)),
  },
];

function authorization(type: string, name: string): SignedCall {
  return {
    type: new RegExp(`^${type}${AUTHORIZATION}$`),
    calls: ({ from, to, value, validAfter, validBefore, nonce }) => [
      callOf(`${name}(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)`, [
        ...[from, to, value, validAfter, validBefore, nonce],
        ...NO_SIGNATURE,
      ]),
    ],
  };
}

const MOST = 2n ** 160n - 1n;

/** The spender takes the amount once, to wherever he likes: as an allowance of Permit2 lets him, until it is used up. */
function allowanceOf(permitted: Plain | undefined, spender: Plain | undefined): string {
  const { token, amount } = membersOf(permitted);
  const units = BigInt(String(amount));
  return callOf('approve(address,address,uint160,uint48)', [token, spender, units < MOST ? units : MOST, 0]);
}

function callOf(signature: string, values: readonly unknown[]): string {
  return CALLS.encodeFunctionData(signature, values);
}

function detailsOf(details: Plain | undefined): readonly (Plain | undefined)[] {
  const { token, amount, expiration, nonce } = membersOf(details);
  return [token, amount, expiration, nonce];
}

function membersOf(value: Plain | undefined): Members {
  return typeof value === 'object' && !isList(value) ? value : {};
}

function listOf(value: Plain | undefined): readonly Plain[] {
  return isList(value) ? value : [];
}

function isList(value: Plain | undefined): value is readonly Plain[] {
  return Array.isArray(value);
}
