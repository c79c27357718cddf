/** What the policy sees of requests that are no transactions: changes of a workspace's set-up, and of its vaults. */
import { isDecimal, toBaseUnits } from '../amount.js';
import { type ConfigChangeRequest, canonicalJson, type VaultRequest } from '../request.js';

const MAX_EXTRA_ENTRIES = 64;
/** Longer values are unknown: facts are kept in the journal. */
const MAX_VALUE_LENGTH = 1024;
/** More devices than any vault has: beyond it they are unknown. */
const MAX_DEVICES = 1000;

export interface ChangeFacts {
  readonly type: string;
  readonly extraInfo: Readonly<Record<string, string>>;
  /** False: there are entries that are not known, because they are too many or too long. */
  readonly whole: boolean;
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

export function changeFacts({ type, extraInfo }: ConfigChangeRequest): ChangeFacts {
  const entries = Object.entries(extraInfo);
  const known = entries.slice(0, MAX_EXTRA_ENTRIES).flatMap(([key, value]): [string, string][] => {
    const text = typeof value === 'string' ? value : canonicalJson(value);
    return key.length <= MAX_VALUE_LENGTH && text.length <= MAX_VALUE_LENGTH ? [[key, text]] : [];
  });
  return { type, extraInfo: Object.fromEntries(known), whole: known.length === entries.length };
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
            ...{ id: id || null, uuid: uuid || null, weight: weightOf(weight) },
          })),
  };
}

function weightOf(text: string | undefined): string | null {
  const whole = text !== undefined && isDecimal(text) ? toBaseUnits(text, 0) : undefined;
  return whole?.ok === true ? whole.units.toString() : null;
}

/**
 * Why nobody may approve this vault, whatever a rule says; undefined when one may. A vault that one device opens alone
 * is no shared vault, and of one whose weights are not known nobody can say that it is.
 */
export function vaultRefusal({
  threshold,
  devices,
}: VaultFacts): 'VAULT_UNKNOWN' | 'DEVICE_SUFFICES' | undefined {
  if (threshold === null || devices === null || devices.length === 0) return 'VAULT_UNKNOWN';
  // One device may be listed several times, under either of its names.
  const weights = new Map<string, bigint>();
  for (const { id, uuid, weight } of devices) {
    if (weight === null || (id === null && uuid === null)) return 'VAULT_UNKNOWN';
    for (const name of [id === null ? [] : [`id ${id}`], uuid === null ? [] : [`uuid ${uuid}`]].flat())
      weights.set(name, (weights.get(name) ?? 0n) + BigInt(weight));
  }
  return [...weights.values()].some((weight) => weight >= BigInt(threshold)) ? 'DEVICE_SUFFICES' : undefined;
}
