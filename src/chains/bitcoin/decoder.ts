/** Bitcoin: the order of the checks. */
import { messageOf } from '../../core/errors.js';
import type { AssetSettings } from '../../core/policy/verification.js';
import type { Asset, Decoded, Decoder } from '../../core/ports.js';
import type { TransactionRequest } from '../../core/request.js';
import { checkPath, type DerivationPath, readEntry } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { MAX_MONEY, readClaim } from './claim.js';
import { describePreimage } from './description.js';
import { checkBitcoinFee } from './fee.js';
import { type Commitment, proveInputs } from './inputs.js';
import {
  compareOutputs,
  hashOf,
  type OutputContext,
  reconstructOutputs,
  type Settlement,
} from './outputs.js';
import { type Ownership, proveOwnership } from './ownership.js';
import { outpointText, type Preimage, readPreimage } from './preimage.js';
import type { Prevout, PrevoutSource } from './prevouts.js';
import { addressOf, p2pkh, p2shP2wpkh, p2wpkh, scriptOf } from './script.js';

/** Entries are read one by one and hashed twice; nobody spends more inputs at once. */
const MAX_ENTRIES = 2_000;

export function bitcoinDecoder(prevouts?: PrevoutSource): Decoder {
  return {
    family: 'bitcoin',
    canonicalAddress(asset, address) {
      const script = scriptOf(asset, address);
      return script === undefined ? undefined : addressOf(asset, script);
    },
    describe: describePreimage,
    async decode(request, asset, settings, signal) {
      const proven = proveEntries(request, asset, settings);
      if (isRefusal(proven)) return proven;
      const trusted = await trustedPrevouts(prevouts, proven.entries, { asset, signal });
      if ('kind' in trusted) return trusted;
      return settle(request, { asset, settings }, { ...proven, trusted });
    },
  };
}

interface Proven {
  readonly entries: readonly Preimage[];
  readonly commitment: Commitment;
  readonly ownership: Ownership;
}

function proveEntries(request: TransactionRequest, asset: Asset, settings: AssetSettings): Proven | Refusal {
  const { operation, source } = request.intent;
  if (operation !== 'TRANSFER')
    return refuse('OPERATION_REFUSED', `operation ${JSON.stringify(operation)} does not exist on Bitcoin`);
  if (request.rawTransactions.length > MAX_ENTRIES)
    return refuse('RAWTX_COUNT', `more than ${MAX_ENTRIES} inputs are to be signed`);
  const entries: (Preimage & { readonly path: DerivationPath })[] = [];
  for (const raw of request.rawTransactions) {
    const entry = readEntry(raw);
    if (isRefusal(entry)) return entry;
    const path = checkPath(raw.keyDerivationPath, asset, source);
    if (isRefusal(path)) return path;
    const preimage = readPreimage(entry);
    if (isRefusal(preimage)) return preimage;
    entries.push({ ...preimage, path });
  }
  const commitment = proveInputs(entries, settings);
  if (isRefusal(commitment)) return commitment;
  const ownership = proveOwnership(entries, settings);
  if (isRefusal(ownership)) return ownership;
  return { entries, commitment, ownership };
}

type Trusted = ReadonlyMap<string, Prevout>;

async function trustedPrevouts(
  source: PrevoutSource | undefined,
  entries: readonly Preimage[],
  { asset, signal }: { readonly asset: Asset; readonly signal: AbortSignal },
): Promise<Trusted | Extract<Decoded, { kind: 'unavailable' }>> {
  if (source === undefined) return new Map();
  const outpoints = entries.map(({ outpoint }) => outpointText(outpoint));
  try {
    return await source(asset.chain ?? '', outpoints, signal);
  } catch (error) {
    return {
      kind: 'unavailable',
      detail: `the source of previous outputs did not answer: ${messageOf(error)}`,
    };
  }
}

interface Chosen {
  readonly asset: Asset;
  readonly settings: AssetSettings;
}

function settle(
  request: TransactionRequest,
  { asset, settings }: Chosen,
  { entries, commitment, ownership, trusted }: Proven & { readonly trusted: Trusted },
): Decoded {
  const values = inputValues(entries, ownership, trusted);
  if (isRefusal(values)) return values;
  const claim = readClaim(request.intent, asset, settings);
  if (isRefusal(claim)) return claim;
  const inputTotal = totalOf(values);
  const context = { claim, changeScripts: ownership.changeScripts, settings };
  const settlement = settleOutputs(commitment, inputTotal, context);
  if (isRefusal(settlement)) return settlement;
  const { outputs } = settlement;
  const checked = checkBitcoinFee({ entries, outputs, inputTotal, claimed: claim.fee }, settings);
  if (isRefusal(checked)) return checked;
  return effectsOf(asset, { entries, values, settlement, fee: checked.fee });
}

/** Satoshi of each input, in the order of the entries; undefined where nothing tells. */
function inputValues(
  entries: readonly Preimage[],
  { keyHashes }: Ownership,
  trusted: Trusted,
): readonly (bigint | undefined)[] | Refusal {
  const values: (bigint | undefined)[] = [];
  for (const [index, entry] of entries.entries()) {
    const name = outpointText(entry.outpoint);
    const prevout = trusted.get(name);
    const shown = entry.kind === 'witness' ? entry.value : undefined;
    if (prevout !== undefined) {
      if (shown !== undefined && shown !== prevout.value)
        return refuse(
          'INPUT_AMOUNT_MISMATCH',
          `${name} is signed as ${shown} satoshi and holds ${prevout.value}`,
        );
      const scripts = spendableBy(keyHashes[index] ?? '', entry.kind);
      if (prevout.script !== undefined && !scripts.includes(prevout.script))
        return refuse('INPUT_SCRIPT_MISMATCH', `${name} is not locked to the key that signs it`);
    }
    const value = prevout?.value ?? shown;
    if (value !== undefined && value > MAX_MONEY)
      return refuse('AMOUNT_RANGE', `${name} claims ${value} satoshi, more than exist`);
    values.push(value);
  }
  return values;
}

/** BIP-143 signs the same bytes for P2WPKH and for P2SH-P2WPKH. */
function spendableBy(keyHash: string, kind: Preimage['kind']): readonly string[] {
  return kind === 'witness' ? [p2wpkh(keyHash), p2shP2wpkh(keyHash)] : [p2pkh(keyHash)];
}

function totalOf(values: readonly (bigint | undefined)[]): bigint | undefined {
  let total = 0n;
  for (const value of values) {
    if (value === undefined) return undefined;
    total += value;
  }
  return total;
}

function settleOutputs(
  { legacy, hashOutputs }: Commitment,
  inputTotal: bigint | undefined,
  context: OutputContext,
): Settlement | Refusal {
  if (legacy !== undefined) {
    if (hashOutputs !== undefined && hashOf(legacy.outputs) !== hashOutputs)
      return refuse('OUTPUTS_MISMATCH', 'the SegWit entries sign other outputs than the legacy entries show');
    return compareOutputs(legacy.outputs, context);
  }
  if (hashOutputs === undefined || inputTotal === undefined)
    return refuse('OUTPUTS_MISMATCH', 'no entry says anything about the outputs');
  return reconstructOutputs(hashOutputs, inputTotal, context);
}

interface Result {
  readonly entries: readonly Preimage[];
  readonly values: readonly (bigint | undefined)[];
  readonly settlement: Settlement;
  readonly fee: bigint | undefined;
}

function effectsOf(asset: Asset, { entries, values, settlement, fee }: Result): Decoded {
  const chain = asset.chain ?? '';
  const facts = entries.flatMap(({ outpoint }, index) => {
    const value = values[index];
    if (value === undefined) return [];
    const name = outpointText(outpoint);
    return [
      {
        key: `outpoint:${chain}:${name}`,
        value: value.toString(),
        reason: 'INPUT_AMOUNT_CHANGED' as const,
        sentence: `Input ${name} was presented with another amount before.`,
      },
    ];
  });
  return {
    kind: 'effects',
    effects: {
      chain,
      movements: settlement.payments.map(({ script, value }) => ({
        asset: asset.id,
        to: addressOf(asset, script),
        amount: value,
      })),
      calls: [],
      maxFee: fee,
      summary: {
        chain,
        asset: asset.id,
        inputs: entries
          .map(({ outpoint }, index) => `${outpointText(outpoint)} ${values[index] ?? '?'}`)
          .join(', '),
        outputs: settlement.outputs
          .map(({ script, value }) => `${addressOf(asset, script)} ${value}`)
          .join(', '),
        fee: fee === undefined ? 'unknown' : fee.toString(),
      },
      facts,
    },
  };
}
