/** Placeholder of the compiled policy's shape until the policy part lands. */
import type { Chains, Freeze } from '../ports.js';
import type { VerificationSettings } from './verification.js';

export interface CompiledPolicy {
  /** SHA-256 of the document's bytes, hex. */
  readonly version: string;
  readonly verification: VerificationSettings;
}

export interface CompiledFreeze {
  readonly freeze: Freeze;
}

/** Parses, validates and compiles; throws POLICY_INVALID naming path and line. */
export function compilePolicy(_document: string, _source: string, _chains: Chains): CompiledPolicy {
  return { version: '', verification: { defaults: {}, assets: {} } };
}

export function compileFreeze(freeze: Freeze, _chains: Chains): CompiledFreeze {
  return { freeze };
}
