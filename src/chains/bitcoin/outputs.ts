/** The outputs: compared where an entry shows them, reconstructed from the claim where only their hash is signed. */
import type { AssetSettings } from '../../core/policy/verification.js';
import { type Refusal, refuse } from '../refusal.js';
import type { Claim } from './claim.js';
import { permutations } from './permutations.js';
import { doubleSha256, type Output } from './preimage.js';
import { isDataOutput } from './script.js';

/** All orders of up to this many outputs are tried; of more, only the place of the change. */
const MAX_PERMUTED = 6;

/** Bounds the time of a reconstruction with a wide fee window. */
const MAX_CANDIDATES = 50_000;

export interface Settlement {
  /** All outputs, in any order. */
  readonly outputs: readonly Output[];
  /** Those that leave the workspace. */
  readonly payments: readonly Output[];
}

export interface OutputContext {
  readonly claim: Claim;
  readonly changeScripts: readonly string[];
  readonly settings: AssetSettings;
}

/** The outputs that a legacy entry shows: every payment once, and beyond them only own change. */
export function compareOutputs(shown: readonly Output[], context: OutputContext): Settlement | Refusal {
  const gross = grossPayment(context);
  const [only] = shown;
  if (
    gross !== undefined &&
    shown.length === 1 &&
    only?.script === gross.script &&
    only.value === gross.value
  )
    return { outputs: shown, payments: [gross] };
  const left = [...shown];
  for (const payment of context.claim.payments) {
    const index = left.findIndex(({ script, value }) => script === payment.script && value === payment.value);
    if (index < 0) {
      return left.some(({ script }) => script === payment.script)
        ? refuse('VALUE_MISMATCH', 'a destination is paid another amount than claimed')
        : refuse('DESTINATION_MISMATCH', 'a claimed destination is not paid');
    }
    left.splice(index, 1);
  }
  return checkLeftovers(left, context) ?? { outputs: shown, payments: context.claim.payments };
}

function checkLeftovers(
  left: readonly Output[],
  { changeScripts, settings }: OutputContext,
): Refusal | undefined {
  let change = 0;
  for (const { script, value } of left) {
    if (changeScripts.includes(script)) {
      change += 1;
    } else if (isDataOutput(script)) {
      if (!settings.allowOpReturn || value !== 0n)
        return refuse('OP_RETURN_REFUSED', 'a data output (OP_RETURN) is not allowed, or carries value');
    } else {
      return refuse('UNKNOWN_OUTPUT', `${value} satoshi go to script ${script}, which nobody claimed`);
    }
  }
  if (change > settings.maxChange)
    return refuse('CHANGE_COUNT', `${change} change outputs, allowed are ${settings.maxChange}`);
  return undefined;
}

/** A sweep: one destination gets the amount without the fee, and nothing remains. */
function grossPayment({ claim }: OutputContext): Output | undefined {
  const [only] = claim.payments;
  if (!claim.gross || only === undefined) return undefined;
  const value = only.value - claim.fee;
  return value > 0n ? { ...only, value } : undefined;
}

/**
 * BIP-143 signs a hash of the outputs. Claim, fee and own change leave few possibilities: the one whose hash is
 * signed is proven, and without one the transaction pays something else.
 */
export function reconstructOutputs(
  hashOutputs: string,
  inputTotal: bigint,
  context: OutputContext,
): Settlement | Refusal {
  let tried = 0;
  for (const { outputs, payments } of candidates(inputTotal, context)) {
    if (hashOf(outputs) === hashOutputs) return { outputs, payments };
    tried += 1;
    if (tried >= MAX_CANDIDATES) break;
  }
  return refuse(
    'OUTPUTS_MISMATCH',
    'the claimed destinations, fee and own change do not give the outputs signed',
  );
}

/** The likely orders for every fee of the window first, then all orders. */
function* candidates(inputTotal: bigint, context: OutputContext): Generator<Settlement> {
  const { claim, changeScripts, settings } = context;
  const { payments } = claim;
  const gross = grossPayment(context);
  if (gross !== undefined) yield { outputs: [gross], payments: [gross] };
  const paid = payments.reduce((sum, { value }) => sum + value, 0n);
  const rests = feesAround(claim.fee, settings.feeWindowSat).map((fee) => inputTotal - paid - fee);
  for (const rest of rests) {
    if (rest === 0n) yield { outputs: payments, payments };
    if (rest <= 0n || settings.maxChange === 0) continue;
    for (const script of changeScripts) {
      const change = { value: rest, script };
      for (let place = payments.length; place >= 0; place -= 1)
        yield { outputs: payments.toSpliced(place, 0, change), payments };
    }
  }
  for (const rest of rests) {
    const changes =
      rest > 0n && settings.maxChange > 0 ? changeScripts.map((script) => ({ value: rest, script })) : [];
    const sets = rest === 0n ? [payments] : changes.map((change) => [...payments, change]);
    for (const set of sets)
      if (set.length <= MAX_PERMUTED) for (const outputs of permutations(set)) yield { outputs, payments };
  }
}

/** The claimed fee, then those around it, nearest first. */
function feesAround(fee: bigint, window: number): readonly bigint[] {
  const fees = [fee];
  for (let distance = 1n; distance <= BigInt(window); distance += 1n)
    fees.push(fee + distance, fee - distance);
  return fees.filter((candidate) => candidate >= 0n);
}

/** BIP-143 hashOutputs, lower-case hex. */
export function hashOf(outputs: readonly Output[]): string {
  return doubleSha256(Buffer.concat(outputs.map(serialise))).toString('hex');
}

/** The same payments are hashed in many orders. */
const serialised = new WeakMap<Output, Buffer>();

function serialise(output: Output): Buffer {
  const known = serialised.get(output);
  if (known !== undefined) return known;
  const script = Buffer.from(output.script, 'hex');
  const value = Buffer.alloc(8);
  value.writeBigUInt64LE(output.value);
  const bytes = Buffer.concat([value, lengthOf(script), script]);
  serialised.set(output, bytes);
  return bytes;
}

function lengthOf({ length }: Buffer): Buffer {
  if (length < 0xfd) return Buffer.from([length]);
  const long = Buffer.from([0xfd, 0, 0]);
  long.writeUInt16LE(length, 1);
  return long;
}
