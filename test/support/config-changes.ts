/** The configuration changes that Fireblocks documents, and one that it does not, as its co-signers send them. */
import { readFileSync } from 'node:fs';
import type { ChangeAddress } from '../../src/core/policy/change-facts.js';

export interface ChangeCase {
  readonly type: string;
  readonly risk: 'destination' | 'routing' | 'control' | 'unknown';
  /** As on the wire. */
  readonly extraInfo: Readonly<Record<string, unknown>>;
  /** What rules see of it. */
  readonly facts: Readonly<Record<string, string>>;
  readonly whole: boolean;
  readonly addresses: readonly ChangeAddress[];
  /** Conditions on `extraInfo` that hold, and some that do not; null: no rule can look at it. */
  readonly match: { readonly holds: object; readonly fails: object } | null;
  /** Texts that nothing may keep. */
  readonly secrets: readonly string[];
}

export const CHANGES = JSON.parse(
  readFileSync('test/documents/config-changes.json', 'utf8'),
) as readonly ChangeCase[];
