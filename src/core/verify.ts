/** Do the bytes do what the intent says, and nothing more? */
import type { VerificationReason } from './decision.js';
import type { VerificationSettings } from './policy/verification.js';
import { settingsFor } from './policy/verification.js';
import type { Asset, Chains, Effects } from './ports.js';
import type { Request } from './request.js';

export type Examination =
  /** The bytes do exactly what the request says. */
  | { readonly kind: 'agrees'; readonly asset: Asset; readonly effects: Effects }
  /** There are no bytes: the stage does not carry them, or the vendor does not send them. */
  | { readonly kind: 'absent'; readonly asset: Asset }
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

/** Never throws for bad input. `signal` bounds the fetching of evidence (previous outputs). */
export async function examine(
  request: Request,
  chains: Chains,
  settings: VerificationSettings,
  signal: AbortSignal,
): Promise<Examination> {
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
  if (request.rawTransactions.length === 0) return { kind: 'absent', asset };
  const decoder = chains.decoder(asset.family);
  const assetSettings = settingsFor(settings, asset);
  if (decoder === undefined) {
    if (assetSettings.unsupported === 'skip') return { kind: 'skipped', asset };
    return {
      kind: 'refused',
      asset,
      reason: 'CHAIN_UNSUPPORTED',
      detail: `transactions of ${asset.family} cannot be verified`,
    };
  }
  const decoded = await decoder.decode(request, asset, assetSettings, signal);
  switch (decoded.kind) {
    case 'effects':
      return { kind: 'agrees', asset, effects: decoded.effects };
    case 'skipped':
      return { kind: 'skipped', asset };
    case 'refused':
      return { kind: 'refused', asset, reason: decoded.reason, detail: decoded.detail };
    case 'unavailable':
      return { kind: 'unavailable', asset, detail: decoded.detail };
  }
}
