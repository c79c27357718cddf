/** Contract calls: what every call inside does, held against the allow-list. */

import { objectIn } from '../../core/json.js';
import type { ContractEntry } from '../../core/policy/verification.js';
import type { ContractCall, Movement } from '../../core/ports.js';
import { hexDigits } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { remembered } from '../remembered.js';
import { argumentText, functionOf } from './abi.js';
import type { Claim } from './claim.js';
import type { EvmContext } from './decoder.js';
import type { Allowance, Call, Payment } from './known-functions.js';
import type { Envelope } from './transaction.js';
import type { Meaning } from './transfer.js';
import { readRouter } from './universal-router.js';
import { flatten, type Node } from './wrappers.js';

/** What of an envelope says what a call does. */
type CallEnvelope = Pick<Envelope, 'to' | 'value' | 'data'>;

export function contractCall(context: EvmContext, envelope: CallEnvelope, claim: Claim): Meaning | Refusal {
  const { asset, request } = context;
  if (asset.contract !== undefined)
    return refuse(
      'OPERATION_REFUSED',
      `a contract call names the chain's own coin as its asset, not ${asset.id}`,
    );
  if (envelope.to !== undefined && envelope.to !== claim.to)
    return refuse('DESTINATION_MISMATCH', `the bytes call ${envelope.to}, claimed is ${claim.to}`);
  if (envelope.value !== claim.amount)
    return refuse('VALUE_MISMATCH', `the bytes carry ${envelope.value} wei, claimed are ${claim.amount}`);
  const shown = objectIn(request.intent.extraParameters)?.contractCallData;
  const shownData = typeof shown === 'string' ? hexDigits(shown) : undefined;
  if (envelope.data === '0x') return refuse('CALLDATA_MISSING', 'a contract call carries no call data');
  if (shown !== undefined && shown !== null && `0x${shownData}` !== envelope.data)
    return refuse('CALLDATA_MISMATCH', 'the call data is not the data that the request shows');
  if (envelope.to === undefined) return creation(envelope, shownData);
  const call = { to: envelope.to, value: envelope.value, data: envelope.data };
  return judgeCall({ ...context, native: asset.native.asset }, call);
}

/** What of a request says by what its calls are judged. */
interface CallContext extends Pick<EvmContext, 'settings' | 'registry' | 'chainId'> {
  /** The asset id of the coin that calls carry; absent: they carry none. */
  readonly native?: string;
}

/** One call with all calls inside it. */
export function judgeCall(context: CallContext, call: Call): Meaning | Refusal {
  const tree = flatten(call);
  if (isRefusal(tree)) return tree;
  return meaningOf(context, tree.leaves, tree.wrappers);
}

/** Only reached where creation is allowed; the request must show the whole init code. */
function creation({ value, data }: CallEnvelope, shownData: string | undefined): Meaning | Refusal {
  if (shownData === undefined)
    return refuse('CALLDATA_MISMATCH', 'a contract is created from code that the request does not show');
  return {
    movements: [],
    calls: [{ address: '', selector: data.slice(0, 10), value, understood: false }],
  };
}

/**
 * Every leaf first, then every wrapper: an unlisted contract may implement `execute` or `aggregate` as it likes,
 * and the value of an outer call would escape the ceilings of the inner ones.
 */
function meaningOf(
  context: CallContext,
  leaves: readonly Node[],
  wrappers: readonly Node[],
): Meaning | Refusal {
  const movements: Movement[] = [];
  const calls: ContractCall[] = [];
  for (const leaf of leaves) {
    const consequences = consequencesOf(leaf);
    if (isRefusal(consequences)) return consequences;
    const refused = checkCall(context, leaf, consequences);
    if (refused !== undefined) return refused;
    const moved = movementsOf(context, leaf, consequences);
    movements.push(...moved);
    calls.push(describe(leaf, consequences.understood && moved.every(isExact)));
  }
  for (const wrapper of wrappers) {
    const refund = refundOf(wrapper);
    const refused = checkCall(context, wrapper, refund);
    if (refused !== undefined) return refused;
    movements.push(...movementsOf(context, wrapper, refund));
  }
  return { movements, calls };
}

/** What a leaf does to whom. */
interface Consequences {
  readonly payments: readonly Payment[];
  readonly allowances: readonly Allowance[];
  /** Who receives something, whether or not it can be said how much. */
  readonly recipients: readonly string[];
  readonly understood: boolean;
}

const NOTHING: Consequences = { payments: [], allowances: [], recipients: [], understood: true };

function consequencesOf(leaf: Node): Consequences | Refusal {
  const role = leaf.known?.role;
  switch (role?.kind) {
    case 'payment': {
      const payments = role.read(leaf.args, leaf.call);
      return { ...NOTHING, payments, recipients: payments.map(({ to }) => to) };
    }
    case 'allowance':
      return { ...NOTHING, allowances: role.read(leaf.args, leaf.call) };
    case 'router': {
      const parties = readRouter(leaf);
      return isRefusal(parties) ? parties : { ...NOTHING, ...parties, understood: false };
    }
    case 'other':
      return { ...NOTHING, understood: role.understood };
    case 'wrapper':
    case undefined:
      // A call without data only carries its value; other call data could do anything.
      return { ...NOTHING, understood: leaf.selector === '' };
  }
}

const ZERO_ADDRESS = `0x${'0'.repeat(40)}`;

/**
 * A Safe that names a gas price pays for its gas beside the call: to the receiver named, or to the sender of the
 * transaction, which is this wallet, when none is.
 */
function refundOf({ known, args }: Node): Consequences {
  if (known === undefined || !known.signature.startsWith('execTransaction(')) return NOTHING;
  const [, , , , , , gasPrice, , receiver] = args;
  if (gasPrice === 0n || typeof receiver !== 'string' || receiver === ZERO_ADDRESS) return NOTHING;
  const payments = [{ token: undefined, to: receiver, amount: undefined }];
  return { ...NOTHING, payments, recipients: [receiver] };
}

function checkCall(context: CallContext, node: Node, consequences: Consequences): Refusal | undefined {
  const { settings, chainId } = context;
  const { to, value } = node.call;
  const listed = settings.contracts.filter((entry) => entry.chainId === chainId && entry.to === to);
  if (listed.length === 0) return refuse('CONTRACT_NOT_ALLOWED', `contract ${to} is not listed`);
  for (const { spender, unlimited } of consequences.allowances) {
    if (!settings.approveSpenders.includes(spender))
      return refuse('SPENDER_NOT_ALLOWED', `${spender} is not among the listed spenders`);
    if (unlimited && !settings.allowUnlimitedApprove)
      return refuse('UNLIMITED_APPROVAL', `the allowance for ${spender} is without limit`);
  }
  const called = node.selector === '' ? '0x' : node.selector;
  const callable = listed.filter((entry) => entry.selectors.some((text) => selectorOfEntry(text) === called));
  if (callable.length === 0)
    return refuse(
      'SELECTOR_NOT_ALLOWED',
      `function ${node.known?.signature ?? called} of ${to} is not listed`,
    );
  const affordable = callable.filter((entry) => value <= (entry.maxValueWei ?? 0n));
  if (affordable.length === 0) return refuse('CALL_VALUE_CEILING', `a call of ${to} carries ${value} wei`);
  const stranger = affordable.map((entry) => strangerTo(entry, consequences.recipients));
  if (stranger.every((recipient) => recipient !== undefined))
    return refuse('RECIPIENT_NOT_ALLOWED', `${stranger[0]} is not among the listed recipients of ${to}`);
  return undefined;
}

function strangerTo({ recipients }: ContractEntry, paid: readonly string[]): string | undefined {
  if (recipients === 'any') return undefined;
  return paid.find((recipient) => !recipients?.includes(recipient));
}

/** Documents may name a function by signature; hashing one takes as long as a whole check. */
const selectorOfEntry = remembered(1_000, (text) =>
  text.startsWith('0x') ? text.toLowerCase() : functionOf(text).selector,
);

/** Allowances count as movements to the spender: whoever holds one may take as much at any time. */
function movementsOf({ native, registry, chainId }: CallContext, node: Node, what: Consequences): Movement[] {
  const tokenId = (token: string | undefined) =>
    token === undefined ? undefined : registry.token(`eip155:${chainId}`, token)?.id;
  return [
    ...(node.moves > 0n ? [{ asset: native, to: node.call.to, amount: node.moves }] : []),
    ...what.payments.map(({ token, to, amount }) => ({ asset: tokenId(token), to, amount })),
    ...what.allowances.map(({ token, spender, amount }) => ({ asset: tokenId(token), to: spender, amount })),
  ];
}

function isExact({ asset, amount }: Movement): boolean {
  return asset !== undefined && amount !== undefined;
}

function describe({ call, selector, known, args }: Node, understood: boolean): ContractCall {
  return {
    address: call.to,
    selector,
    ...(known === undefined ? {} : { signature: known.signature, args: args.map(argumentText) }),
    value: call.value,
    understood,
  };
}
