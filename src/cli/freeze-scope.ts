/** What a freeze covers: a `match` block of the policy, from flags or as text, with names that mean something here. */
import { Option } from 'commander';
import type { WorkspaceConfig } from '../config/schema.js';
import { nearestOf } from '../core/document.js';
import { CountersignError } from '../core/errors.js';
import { parseScope } from '../core/policy/document.js';
import type { Match, Values } from '../core/policy/schema.js';
import { misspeltAddresses, misspeltMessage } from '../core/policy/written-addresses.js';
import type { Chains } from '../core/ports.js';

export interface ScopeOptions {
  readonly all?: true;
  readonly scope?: string;
  readonly asset?: readonly string[];
  readonly vault?: readonly string[];
  readonly signer?: readonly string[];
  readonly cosigner?: readonly string[];
}

/** A scope longer than this is a policy, not a freeze. */
const MAX_SCOPE = 16_384;

export function scopeOptions(): readonly Option[] {
  const repeated = (flags: string, description: string) =>
    new Option(flags, `${description} (several allowed)`);
  return [
    new Option('--all', 'everything that is asked'),
    repeated(
      '--asset <ids...>',
      "requests of these assets, by the vendor's id; patterns such as 'USDC*' too",
    ),
    repeated('--vault <ids...>', 'requests that take from these vaults'),
    repeated('--signer <ids...>', 'requests of these API users'),
    repeated('--cosigner <names...>', 'requests through these co-signers'),
    new Option(
      '--scope <match>',
      'a match block of the policy, as YAML or JSON; named lists cannot be used',
    ).conflicts(['asset', 'vault', 'signer', 'cosigner']),
  ];
}

/** Canonical JSON text of the scope. Throws USAGE or POLICY_INVALID; the message names what is wrong. */
export function scopeFrom(options: ScopeOptions, workspace: WorkspaceConfig, chains: Chains): string {
  const { all, scope, asset, vault, signer, cosigner } = options;
  const flags = {
    ...(asset && { asset }),
    ...(vault && { source: { id: vault } }),
    ...(signer && { signer }),
    ...(cosigner && { cosigner }),
  };
  const isNarrow = scope !== undefined || Object.keys(flags).length > 0;
  if (isNarrow === (all === true)) {
    const problem = isNarrow ? '--all covers everything already' : 'say what to freeze';
    throw usage(
      `${problem}: --all, or --asset, --vault, --signer, --cosigner (all that are given must hold), or --scope`,
    );
  }
  const text = scope ?? JSON.stringify(flags);
  if (text.length > MAX_SCOPE) throw usage(`the scope is longer than ${MAX_SCOPE} characters`);
  const match = parseScope(text, 'scope');
  if (all !== true && Object.keys(match).length === 0)
    throw usage('the scope is empty: to cover everything say --all');
  checkNames(match, workspace, chains);
  for (const { address } of misspeltAddresses(match, {}, chains)) throw usage(misspeltMessage(address));
  return JSON.stringify(match);
}

/** A name that nobody has would freeze nothing, and look as if it did. */
function checkNames(
  { asset, signer, cosigner }: Match,
  { cosigners }: WorkspaceConfig,
  chains: Chains,
): void {
  const names = cosigners.map(({ name }) => name);
  for (const name of textsOf(cosigner)) {
    if (!names.includes(name)) throw unknownName('cosigner', name, names, 'is not in the configuration');
  }
  // Where one co-signer serves whoever is paired with it, any API user may ask. Virtual Signers name nobody.
  const naming = cosigners.filter((each) => each.protocol === 'fireblocks');
  if (naming.every(({ signers }) => signers !== undefined)) {
    const ids = naming.flatMap(({ signers = [] }) => signers.map(({ id }) => id));
    for (const id of textsOf(signer)) {
      if (!ids.includes(id))
        throw unknownName('signer', id, ids, 'is listed for no co-signer of the configuration');
    }
  }
  for (const id of textsOf(asset)) {
    if (/[*?]/.test(id) || chains.asset(id) !== undefined) continue;
    throw usage(
      `asset ${JSON.stringify(id)} is not in the registry; if it is right all the same, write ${id}*`,
    );
  }
}

function textsOf(values: Values | undefined): readonly string[] {
  if (values === undefined) return [];
  const entries = Array.isArray(values) ? values : [values];
  return entries.filter((entry) => typeof entry === 'string');
}

function unknownName(
  what: string,
  name: string,
  known: readonly string[],
  problem: string,
): CountersignError {
  const near = nearestOf(name, known);
  return usage(
    `${what} ${JSON.stringify(name)} ${problem}${near === undefined ? '' : `; did you mean ${near}?`}`,
  );
}

function usage(message: string): CountersignError {
  return new CountersignError('USAGE', message);
}
