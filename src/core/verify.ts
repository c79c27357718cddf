/** Do the bytes do what the intent says, and nothing more? */
import { toBaseUnits } from './amount.js';
import type { VerificationReason } from './decision.js';
import { unreachable } from './errors.js';
import {
  type AssetSettings,
  defaultsOf,
  settingsFor,
  type VerificationSettings,
} from './policy/verification.js';
import type { Asset, Chains, Decoder, Effects } from './ports.js';
import type { Request, SignRequest, TransactionRequest } from './request.js';

export type Examination =
  /** The bytes do exactly what the request says. */
  | {
      readonly kind: 'agrees';
      /** Undefined: data to be signed, which is of no asset. */
      readonly asset: Asset | undefined;
      readonly effects: Effects;
    }
  /** There are no bytes: the stage does not carry them, or the vendor does not send them. */
  | {
      readonly kind: 'absent';
      readonly asset: Asset;
      /** What the call data would do that the request shows, where no later question brings bytes. */
      readonly shown?: Effects;
    }
  | { readonly kind: 'skipped'; readonly asset: Asset }
  | {
      readonly kind: 'refused';
      readonly asset: Asset | undefined;
      readonly reason: VerificationReason;
      readonly detail: string;
    }
  | { readonly kind: 'unavailable'; readonly asset: Asset; readonly detail: string }
  /** Not a transaction. */
  | { readonly kind: 'not-applicable' };

/** Operations whose bytes some decoder reads. */
const VERIFIABLE_OPERATIONS: readonly string[] = ['TRANSFER', 'CONTRACT_CALL', 'APPROVE', 'TYPED_MESSAGE'];

/** Never throws for bad input. `signal` bounds the fetching of evidence (previous outputs). */
export async function examine(
  request: Request,
  chains: Chains,
  settings: VerificationSettings,
  signal: AbortSignal,
): Promise<Examination> {
  if (request.kind === 'sign') return examineMessage(request, chains, settings);
  if (request.kind !== 'transaction') return { kind: 'not-applicable' };
  const asset = chains.asset(request.intent.asset);
  if (asset === undefined) {
    return {
      kind: 'refused',
      asset,
      reason: 'ASSET_UNKNOWN',
      detail: `asset ${JSON.stringify(request.intent.asset)} is not in the registry`,
    };
  }
  const refused = refusedOperation(request);
  if (refused !== undefined) return { kind: 'refused', asset, ...refused };
  const assetSettings = settingsFor(settings, asset);
  const decoder = chains.decoder(asset.family);
  if (request.rawTransactions.length === 0)
    return withoutBytes(request, { asset, decoder, settings: assetSettings });
  if (decoder === undefined) {
    if (assetSettings.unsupported === 'skip') return { kind: 'skipped', asset };
    return {
      kind: 'refused',
      asset,
      reason: 'CHAIN_UNSUPPORTED',
      detail: `transactions of ${asset.id} (${asset.family}) cannot be verified`,
    };
  }
  const decoded = await decoder.decode(request, asset, assetSettings, signal);
  switch (decoded.kind) {
    case 'effects': {
      const excess = beyondIntent(request, { asset, decoder, settings: assetSettings }, decoded.effects);
      if (excess !== undefined) return { kind: 'refused', asset, ...excess };
      return { kind: 'agrees', asset, effects: decoded.effects };
    }
    case 'skipped':
      return { kind: 'skipped', asset };
    case 'refused':
      return { kind: 'refused', asset, reason: decoded.reason, detail: decoded.detail };
    case 'unavailable':
      return { kind: 'unavailable', asset, detail: decoded.detail };
    default:
      return unreachable(decoded);
  }
}

/** A message is decoded as far as it can be, and nothing vouches for what cannot. */
export function examineMessage(
  request: SignRequest,
  chains: Chains,
  settings: VerificationSettings,
): Examination {
  const decoded = chains.message(request, defaultsOf(settings));
  if (decoded.kind === 'effects') return { kind: 'agrees', asset: undefined, effects: decoded.effects };
  return { kind: 'refused', asset: undefined, reason: decoded.reason, detail: decoded.detail };
}

/** The call data that a request shows is judged like the bytes around it would be, if it is all there will ever be. */
function withoutBytes(
  request: TransactionRequest,
  { asset, decoder, settings }: Omit<Context, 'decoder'> & { readonly decoder: Decoder | undefined },
): Examination {
  const isLast = request.unsigned !== undefined && request.intent.operation === 'CONTRACT_CALL';
  const decoded = isLast ? decoder?.shownCall?.(request, asset, settings) : undefined;
  if (decoded === undefined) return { kind: 'absent', asset };
  if (decoded.kind === 'effects') return { kind: 'absent', asset, shown: decoded.effects };
  return { kind: 'refused', asset, reason: decoded.reason, detail: decoded.detail };
}

interface Refusal {
  readonly reason: VerificationReason;
  readonly detail: string;
}

/** RAW says nothing about what is signed. Other operations matter only where bytes are, or should be. */
function refusedOperation({ intent, stage, rawTransactions }: TransactionRequest): Refusal | undefined {
  const { operation } = intent;
  if (operation === 'RAW') return { reason: 'RAW_REFUSED', detail: 'RAW signing cannot be verified' };
  if (VERIFIABLE_OPERATIONS.includes(operation)) return undefined;
  if (stage === 'approval' && rawTransactions.length === 0) return undefined;
  return { reason: 'OPERATION_REFUSED', detail: `operation ${JSON.stringify(operation)} cannot be verified` };
}

interface Context {
  readonly asset: Asset;
  readonly decoder: Decoder;
  readonly settings: AssetSettings;
}

/**
 * Belt and braces for transfers, whatever the decoder concluded: every destination is one movement, every movement
 * is one destination, and the fee is within the claim. A gross transfer pays the claimed fee out of the amount.
 */
function beyondIntent(
  { intent }: TransactionRequest,
  { asset, decoder, settings }: Context,
  effects: Effects,
): Refusal | undefined {
  if (intent.operation !== 'TRANSFER') return undefined;
  const fee = intent.fee === undefined ? undefined : unitsOf(intent.fee, asset.native.decimals);
  const paysFee =
    asset.id === asset.native.asset && intent.destinations.length === 1 && settings.gross === 'exact';
  const left = [...effects.movements];
  for (const destination of intent.destinations) {
    const to =
      destination.address === undefined ? undefined : decoder.canonicalAddress(asset, destination.address);
    const amount = destination.amount === undefined ? undefined : unitsOf(destination.amount, asset.decimals);
    if (to === undefined || amount === undefined)
      return { reason: 'DESTINATION_MISMATCH', detail: 'a destination has no readable address or amount' };
    const net = paysFee && fee !== undefined ? amount - fee : amount;
    const index = left.findIndex(
      (movement) =>
        movement.asset === asset.id &&
        movement.to === to &&
        (movement.amount === amount || movement.amount === net),
    );
    if (index < 0)
      return { reason: 'VALUE_MISMATCH', detail: `the bytes do not pay the claimed amount to ${to}` };
    left.splice(index, 1);
  }
  if (left.length > 0)
    return {
      reason: 'DESTINATION_MISMATCH',
      detail: `the bytes pay ${left.map(({ to }) => to).join(', ')} as well`,
    };
  if (
    fee !== undefined &&
    effects.maxFee !== undefined &&
    effects.maxFee > fee + BigInt(settings.feeWindowSat)
  )
    return {
      reason: 'FEE_EXCEEDS_CLAIM',
      detail: `the bytes can cost ${effects.maxFee}, claimed are ${fee}`,
    };
  return undefined;
}

function unitsOf(text: string, decimals: number): bigint | undefined {
  const units = toBaseUnits(text, decimals);
  return units.ok ? units.units : undefined;
}
