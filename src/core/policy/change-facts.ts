/** What the policy sees of requests that are no transactions: changes of a workspace's set-up, and of its vaults. */
import { isDecimal, toBaseUnits } from '../amount.js';
import { isList, isObject, objectIn } from '../json.js';
import type { Chains } from '../ports.js';
import { type ConfigChangeRequest, canonicalJson, type Json, type VaultRequest } from '../request.js';
import { canonicalFormOf } from './canonical-address.js';
import { changeFieldsOf, type FieldKind } from './change-types.js';

/** Members of one change, those inside JSON text among them. */
const MAX_EXTRA_ENTRIES = 256;
/** Longer values are unknown: facts are kept in the journal. */
const MAX_VALUE_LENGTH = 1024;
/** Of all values and their names together. */
const MAX_EXTRA_CHARACTERS = 32_768;
/** More devices than any vault has: beyond it they are unknown. */
const MAX_DEVICES = 1000;

export interface ChangeFacts {
  readonly type: string;
  /**
   * The documented members that are known, of those that hold JSON text the members inside, by their paths
   * (`addresses.BTC`, `routingPolicy.crypto.scheme`). Empty where nothing is documented.
   */
  readonly extraInfo: Readonly<Record<string, string>>;
  /** False: there are members that are not known: not documented, too many, too long, or not of their shape. */
  readonly whole: boolean;
  /** Null: not known. */
  readonly addresses: readonly ChangeAddress[] | null;
}

/** An address that a change adds. */
export interface ChangeAddress {
  /** The member that names it. */
  readonly member: 'address' | 'addresses';
  readonly asset: string | null;
  /** Canonical where the asset's chain has a decoder. */
  readonly address: string | null;
}

export interface VaultFacts {
  readonly id: string | null;
  readonly name: string | null;
  /** An integer in decimal text, like every weight. */
  readonly threshold: string | null;
  readonly devices: readonly DeviceFacts[] | null;
}

export interface DeviceFacts {
  readonly id: string | null;
  readonly uuid: string | null;
  readonly weight: string | null;
}

export function changeFacts({ type, extraInfo }: ConfigChangeRequest, chains: Chains): ChangeFacts {
  const fields = changeFieldsOf(type) ?? {};
  const entries = new Entries();
  for (const [name, kind] of Object.entries(fields)) {
    const value = Object.hasOwn(extraInfo, name) ? extraInfo[name] : undefined;
    if (value === undefined || value === null || kind === 'secret') continue;
    const shown = shownOf(kind, value);
    if (shown === undefined) entries.cut();
    else entries.add(name, shown);
  }
  // Whoever looks at all of it must know that there is more.
  const documented = Object.keys(extraInfo).every((name) => Object.hasOwn(fields, name));
  const whole = documented && !entries.isCut;
  return { type, extraInfo: entries.known(), whole, addresses: addressesOf(fields, entries, chains) };
}

/** Undefined: it is not of its shape. */
function shownOf(kind: FieldKind, value: Json): Json | undefined {
  if (kind === 'text' || kind === 'address') return isObject(value) || isList(value) ? undefined : value;
  const inside = objectIn(value);
  const isMap = inside !== undefined && Object.values(inside).every((member) => typeof member === 'string');
  return kind === 'addresses' && !isMap ? undefined : inside;
}

/** Texts by their paths. A path that two members have, because of a dot in a name, is of neither. */
class Entries {
  isCut = false;
  readonly #texts = new Map<string, string | null>();
  #characters = 0;

  add(path: string, value: Json): void {
    if (isObject(value) || isList(value)) {
      const members = Object.entries(value);
      for (const [name, member] of members) {
        if (this.isCut) break;
        this.add(`${path}.${name}`, member);
      }
      return;
    }
    const text = typeof value === 'string' ? value : canonicalJson(value);
    this.#characters += path.length + text.length;
    const fits =
      path.length <= MAX_VALUE_LENGTH &&
      text.length <= MAX_VALUE_LENGTH &&
      this.#characters <= MAX_EXTRA_CHARACTERS &&
      this.#texts.size < MAX_EXTRA_ENTRIES &&
      !this.#texts.has(path);
    if (!fits) this.cut();
    this.#texts.set(path, fits ? text : null);
  }

  cut(): void {
    this.isCut = true;
  }

  known(): Readonly<Record<string, string>> {
    return Object.fromEntries(
      [...this.#texts].flatMap(([path, text]) => (text === null ? [] : [[path, text]])),
    );
  }

  get(path: string): string | null {
    return this.#texts.get(path) ?? null;
  }

  /** All paths below one, those of values that are not known too. */
  *below(path: string): Generator<string> {
    for (const name of this.#texts.keys()) if (name.startsWith(`${path}.`)) yield name.slice(path.length + 1);
  }
}

function addressesOf(
  fields: Readonly<Record<string, FieldKind>>,
  entries: Entries,
  chains: Chains,
): readonly ChangeAddress[] | null {
  const read = (
    member: ChangeAddress['member'],
    asset: string | null,
    text: string | null,
  ): ChangeAddress => {
    const address = asset === null || text === null ? undefined : canonicalFormOf(asset, chains)(text);
    return { member, asset, address: address ?? null };
  };
  if (fields.address !== undefined) {
    return [read('address', entries.get('asset') || null, entries.get('address'))];
  }
  if (fields.addresses === undefined) return [];
  // Of a list that was cut, or could not be read, nobody knows what is missing.
  if (entries.isCut) return null;
  return [...entries.below('addresses')].map((asset) =>
    read('addresses', asset, entries.get(`addresses.${asset}`)),
  );
}

export function vaultFacts({ vault, threshold, devices }: VaultRequest): VaultFacts {
  return {
    id: vault.id || null,
    name: vault.name || null,
    threshold: weightOf(threshold),
    devices:
      devices === undefined || devices.length > MAX_DEVICES
        ? null
        : devices.map(({ id, uuid, weight }) => ({
            id: id || null,
            uuid: uuid || null,
            weight: weightOf(weight),
          })),
  };
}

function weightOf(text: string | undefined): string | null {
  const whole = text !== undefined && isDecimal(text) ? toBaseUnits(text, 0) : undefined;
  return whole?.ok === true ? whole.units.toString() : null;
}

/**
 * Why nobody may approve this vault, whatever a rule says; undefined when one may. A vault that one device opens alone
 * is no shared vault, what is in one that nobody can open is lost, and of one whose weights are not known nobody can say
 * that it is neither.
 */
export function vaultRefusal({
  threshold,
  devices,
}: VaultFacts): 'VAULT_UNKNOWN' | 'DEVICE_SUFFICES' | 'THRESHOLD_UNREACHABLE' | undefined {
  if (threshold === null || devices === null || devices.length === 0) return 'VAULT_UNKNOWN';
  // One device may be listed several times, under either of its names.
  const weights = new Map<string, bigint>();
  let total = 0n;
  for (const { id, uuid, weight } of devices) {
    if (weight === null || (id === null && uuid === null)) return 'VAULT_UNKNOWN';
    for (const name of [id === null ? [] : [`id ${id}`], uuid === null ? [] : [`uuid ${uuid}`]].flat())
      weights.set(name, (weights.get(name) ?? 0n) + BigInt(weight));
    total += BigInt(weight);
  }
  if ([...weights.values()].some((weight) => weight >= BigInt(threshold))) return 'DEVICE_SUFFICES';
  return total < BigInt(threshold) ? 'THRESHOLD_UNREACHABLE' : undefined;
}
