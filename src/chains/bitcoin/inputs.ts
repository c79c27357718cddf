/** The proof that the entries together are all inputs of one transaction, and none is hidden. */
import type { AssetSettings } from '../../core/policy/verification.js';
import { type Refusal, refuse } from '../refusal.js';
import { permutations } from './permutations.js';
import {
  doubleSha256,
  type LegacyPreimage,
  type Outpoint,
  outpointText,
  type Preimage,
  type WitnessPreimage,
} from './preimage.js';

/** All orders of up to this many inputs are tried: 720. */
const MAX_PERMUTED = 6;

/** What the entries commit to, once they are proven to be of one transaction. */
export interface Commitment {
  /** Present when any entry shows the outputs. */
  readonly legacy: LegacyPreimage | undefined;
  /** Present when any entry is BIP-143. */
  readonly hashOutputs: string | undefined;
}

export function proveInputs(entries: readonly Preimage[], settings: AssetSettings): Commitment | Refusal {
  const refused = checkFields(entries, settings);
  if (refused !== undefined) return refused;
  const legacy = entries.filter((entry) => entry.kind === 'legacy');
  const witness = entries.filter((entry) => entry.kind === 'witness');
  return (
    checkLegacy(entries, legacy) ??
    checkWitness(entries, witness, legacy[0]) ?? { legacy: legacy[0], hashOutputs: witness[0]?.hashOutputs }
  );
}

function checkFields(entries: readonly Preimage[], settings: AssetSettings): Refusal | undefined {
  const [first] = entries;
  const seen = new Set<string>();
  for (const { version, locktime, sequence, outpoint } of entries) {
    if (!settings.versions.includes(version))
      return refuse('TX_VERSION', `version ${version} is not allowed`);
    if (locktime !== 0 && !settings.allowLocktime)
      return refuse('LOCKTIME_REFUSED', `lock time ${locktime} is set`);
    if (!settings.sequences.includes(sequence))
      return refuse('SEQUENCE_REFUSED', `sequence ${sequence.toString(16)} is not allowed`);
    if (version !== first?.version || locktime !== first.locktime)
      return refuse('INPUTS_INCONSISTENT', 'the entries differ in version or lock time');
    if (seen.has(outpoint)) return refuse('DUPLICATE_INPUT', `${outpointText(outpoint)} is signed twice`);
    seen.add(outpoint);
  }
  return undefined;
}

/** Legacy entries show the whole transaction: the same one each time, with as many inputs as there are entries. */
function checkLegacy(entries: readonly Preimage[], legacy: readonly LegacyPreimage[]): Refusal | undefined {
  const [first] = legacy;
  if (first === undefined) return undefined;
  const skeleton = skeletonOf(first);
  if (legacy.some((entry) => skeletonOf(entry) !== skeleton))
    return refuse('INPUTS_INCONSISTENT', 'the entries show different transactions');
  if (first.inputs.length !== entries.length)
    return refuse('INPUT_COUNT_MISMATCH', `${entries.length} entries for ${first.inputs.length} inputs`);
  const shown = new Map(first.inputs.map(({ outpoint, sequence }) => [outpoint, sequence]));
  if (shown.size !== first.inputs.length)
    return refuse('DUPLICATE_INPUT', 'the transaction spends an input twice');
  const stranger = entries.find(({ outpoint, sequence }) => shown.get(outpoint) !== sequence);
  if (stranger !== undefined)
    return refuse(
      'INPUTS_INCONSISTENT',
      `${outpointText(stranger.outpoint)} is not an input as the others show it`,
    );
  return undefined;
}

function skeletonOf({ inputs, outputs }: LegacyPreimage): string {
  return JSON.stringify([
    inputs.map(({ outpoint, sequence }) => [outpoint, sequence]),
    outputs.map(({ value, script }) => [value.toString(), script]),
  ]);
}

/** BIP-143 entries show hashes: the entries' own outpoints must reproduce them, so nothing else is spent. */
function checkWitness(
  entries: readonly Preimage[],
  witness: readonly WitnessPreimage[],
  legacy: LegacyPreimage | undefined,
): Refusal | undefined {
  const [first] = witness;
  if (first === undefined) return undefined;
  const differs = witness.some(
    ({ hashPrevouts, hashSequence, hashOutputs }) =>
      hashPrevouts !== first.hashPrevouts ||
      hashSequence !== first.hashSequence ||
      hashOutputs !== first.hashOutputs,
  );
  if (differs) return refuse('INPUTS_INCONSISTENT', 'the entries sign different transactions');
  const order = orderOf(entries, legacy, first.hashPrevouts);
  if (order === undefined)
    return refuse('PREVOUTS_MISMATCH', 'the transaction spends other inputs than the entries show');
  const sequences = Buffer.alloc(4 * order.length);
  for (const [index, { sequence }] of order.entries()) sequences.writeUInt32LE(sequence, 4 * index);
  if (doubleSha256(sequences).toString('hex') !== first.hashSequence)
    return refuse('SEQUENCES_MISMATCH', 'the sequences signed are not those of the entries');
  return undefined;
}

function orderOf(
  entries: readonly Outpoint[],
  legacy: LegacyPreimage | undefined,
  hashPrevouts: string,
): readonly Outpoint[] | undefined {
  const fits = (order: readonly Outpoint[]) => {
    const bytes = Buffer.from(order.map(({ outpoint }) => outpoint).join(''), 'hex');
    return doubleSha256(bytes).toString('hex') === hashPrevouts;
  };
  if (legacy !== undefined) return fits(legacy.inputs) ? legacy.inputs : undefined;
  if (fits(entries)) return entries;
  if (entries.length > MAX_PERMUTED) return undefined;
  for (const order of permutations(entries)) if (fits(order)) return order;
  return undefined;
}
