/** Everything about a policy that works and is probably not meant. */
import { type Problem, pathText } from '../document.js';
import type { CompiledPolicy } from './compile.js';
import { warningsOf } from './consistency.js';
import { isGlob } from './glob.js';
import { resolveValues } from './values.js';
import { addressWarnings } from './written-addresses.js';

/** A sentence each, behind its place in the document. */
export function policyWarnings(policy: CompiledPolicy): readonly string[] {
  return [
    ...approvalWarnings(policy),
    ...warningsOf(policy.document),
    ...addressWarnings(policy),
    ...assetWarnings(policy),
  ].map(({ path, message }) => `${pathText(path)}: ${message}`);
}

/** A document of a trial, or a misspelt effect: whatever is asked under it is over. */
function approvalWarnings({ document }: CompiledPolicy): readonly Problem[] {
  if (document.rules.some(({ effect, mode }) => effect === 'approve' && mode === 'enforce')) return [];
  const message = 'NOTHING IS APPROVED: no rule in force approves, and what is rejected stays rejected';
  return [{ path: ['rules'], message }];
}

/** A setting that makes an asset's verification stricter, and a rule that refuses an asset, are lost by a typing error. */
function assetWarnings({ document, chains }: CompiledPolicy): readonly Problem[] {
  const { rules, lists, verification } = document;
  const named: readonly (readonly [asset: string, path: Problem['path']])[] = [
    ...Object.keys(verification.assets).map((asset) => [asset, ['verification', 'assets', asset]] as const),
    ...rules.flatMap(({ match }, index) =>
      resolveValues(match.asset ?? [], lists).map(
        (asset) => [asset, ['rules', index, 'match', 'asset']] as const,
      ),
    ),
  ];
  return named
    .filter(([asset]) => !isGlob(asset) && chains.asset(asset) === undefined)
    .map(([asset, path]) => ({
      path,
      message: `${asset} is neither a built-in asset nor one of an assets file that was read here: if it is a typing error, this holds for no request`,
    }));
}
