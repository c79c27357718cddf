/** The `verification:` section of the policy document: settings of byte verification, per workspace and asset. */
import { z } from 'zod';
import type { Asset } from '../ports.js';

export const verificationSchema = z.strictObject({}).default({});
export type VerificationSettings = z.infer<typeof verificationSchema>;

/** The settings in force for one asset. */
export interface AssetSettings {
  readonly unsupported: 'reject' | 'skip';
}

export function settingsFor(_settings: VerificationSettings, _asset: Asset): AssetSettings {
  return { unsupported: 'reject' };
}
