/** Two epochs of one ledger, key by key, in steps: what the ledger holds, and what its journal makes of it. */
import type { KeyDifference } from '../../core/fence.js';
import type { Connection } from './connection.js';
import { epochsPattern, epochsPrefix } from './keys.js';
import type { Marks } from './primary.js';

/** A rolling counter: entries whose time is over count for nothing, whenever they are dropped. */
export interface Expiring {
  /** The key that says when each entry was counted. */
  readonly times: string;
  readonly lengthMs: number;
}

export interface Comparison {
  /** Epochs. */
  readonly ledger: number;
  readonly journal: number;
  /** By the names of keys in the journal's epoch. */
  readonly expiring: ReadonlyMap<string, Expiring>;
  readonly nowMs: number;
  /** What differed before, which may be because decisions were made meanwhile; otherwise all that either has. */
  readonly again?: readonly Found[];
}

/** A key that differs. */
export interface Found extends KeyDifference {
  /** Entries that do; undefined when there are too many to be looked at one by one. */
  readonly names: readonly string[] | undefined;
}

interface Place {
  readonly workspace: string;
  readonly connection: Connection;
}

const SCAN_KEYS = 500;
const PAGE_ENTRIES = 500;
const MAX_NAMES = 10_000;

/** The journal itself is what is compared with; nothing is pending where no witnesses are. */
const NOT_COMPARED = ['journal', 'pending'];

/** Keys that differ, by name. */
export async function differencesOf(place: Place, comparison: Comparison): Promise<readonly Found[]> {
  const found: Found[] = [];
  const keys =
    comparison.again ?? (await namesOf(place, comparison)).map((key) => ({ key, names: undefined }));
  for (const { key, names } of keys) {
    const difference = await differenceOf(place, comparison, { key, names });
    if (difference !== undefined) found.push(difference);
  }
  return found;
}

/** Versions that the ledger's own record has otherwise than its journal. */
export function versionDifferences(
  ledger: Pick<Marks, 'policy' | 'freezes'>,
  journal: Marks,
): readonly KeyDifference[] {
  return (['policy', 'freezes'] as const)
    .filter((name) => ledger[name] !== journal[name])
    .map((name) => ({
      key: `version of ${name}`,
      missing: 0,
      added: 0,
      different: 1,
      total: { ledger: String(ledger[name]), journal: String(journal[name]) },
    }));
}

/** Removes the keys of these epochs, a step at a time. */
export async function removeEpochs(place: Place, isOver: (epoch: number) => boolean): Promise<void> {
  for await (const { epoch, name } of scan(place)) {
    if (isOver(epoch)) await place.connection.call('UNLINK', [name]);
  }
}

async function namesOf(place: Place, { ledger, journal }: Comparison): Promise<readonly string[]> {
  const keys = new Set<string>();
  for await (const { epoch, key } of scan(place)) {
    if ((epoch === ledger || epoch === journal) && !NOT_COMPARED.includes(key)) keys.add(key);
  }
  return [...keys].sort();
}

async function* scan({ workspace, connection }: Place) {
  const prefix = epochsPrefix(workspace);
  let cursor = '0';
  do {
    const command = [cursor, 'MATCH', epochsPattern(workspace), 'COUNT', String(SCAN_KEYS)];
    const [next, names] = (await connection.call('SCAN', command)) as [string, readonly string[]];
    for (const name of names) {
      const rest = name.slice(prefix.length);
      const epoch = Number.parseInt(rest, 10);
      yield { name, epoch, key: rest.slice(`${epoch}:`.length) };
    }
    cursor = next;
  } while (cursor !== '0');
}

async function differenceOf(
  { workspace, connection }: Place,
  { ledger, journal, expiring, nowMs }: Comparison,
  { key, names }: Pick<Found, 'key' | 'names'>,
): Promise<Found | undefined> {
  const prefix = epochsPrefix(workspace);
  const rolling = expiring.get(`${prefix}${journal}:${key}`);
  const side = (epoch: number): Side =>
    sideOf(connection, `${prefix}${epoch}:${key}`, {
      kind: kindOf(key),
      ...(rolling && {
        expiring: {
          times: `${prefix}${epoch}:${rolling.times.slice(`${prefix}${journal}:`.length)}`,
          beforeMs: nowMs - rolling.lengthMs,
        },
      }),
    });
  const [own, other] = [side(ledger), side(journal)];
  const differing = { missing: new Set<string>(), added: new Set<string>(), different: new Set<string>() };
  for await (const page of names === undefined ? namesIn(own, other) : [names]) {
    const [mine, theirs] = await Promise.all([own.look(page), other.look(page)]);
    for (const [index, name] of page.entries()) {
      const [one, another] = [mine[index] ?? null, theirs[index] ?? null];
      if (one === another) continue;
      differing[one === null ? 'missing' : another === null ? 'added' : 'different'].add(name);
    }
  }
  const { missing, added, different } = differing;
  const total = { ledger: await own.total(), journal: await other.total() };
  const count = missing.size + added.size + different.size;
  if (total.ledger === total.journal && count === 0) return undefined;
  return {
    key,
    missing: missing.size,
    added: added.size,
    different: different.size,
    ...(/^(held|members):/.test(key) && { total }),
    names: count > MAX_NAMES ? undefined : [...missing, ...added, ...different],
  };
}

/** The entries of both, those of the second that the first has too twice. */
async function* namesIn(one: Side, other: Side): AsyncGenerator<readonly string[]> {
  yield* one.names();
  yield* other.names();
}

/** One key in one epoch. */
interface Side {
  names(): AsyncIterable<readonly string[]>;
  /** The values of these entries; null for those that it has not, or whose time is over. */
  look(names: readonly string[]): Promise<readonly (string | null)[]>;
  /** How much is used of a counter; of anything else nothing. */
  total(): Promise<string>;
}

interface SideSettings {
  readonly kind: 'text' | 'hash' | 'held' | 'times';
  readonly expiring?: { readonly times: string; readonly beforeMs: number };
}

function kindOf(key: string): SideSettings['kind'] {
  if (key === 'policy') return 'text';
  const kind = /^(held|times|members):/.exec(key)?.[1];
  if (kind === undefined) return 'hash';
  return kind === 'held' ? 'held' : 'times';
}

function sideOf(connection: Connection, name: string, { kind, expiring }: SideSettings): Side {
  switch (kind) {
    case 'text':
      return textSide(connection, name);
    case 'hash':
      return hashSide(connection, name);
    case 'held':
      return heldSide(connection, name, expiring);
    case 'times':
      return timesSide(connection, name, expiring?.beforeMs ?? Number.NEGATIVE_INFINITY);
  }
}

function textSide(connection: Connection, name: string): Side {
  return {
    async *names() {
      yield [''];
    },
    look: async () => [(await connection.call('GET', [name])) as string | null],
    total: async () => '',
  };
}

function hashSide(connection: Connection, name: string): Side {
  return {
    async *names() {
      let cursor = '0';
      do {
        const command = [name, cursor, 'COUNT', String(PAGE_ENTRIES)];
        const [next, flat] = (await connection.call('HSCAN', command)) as [string, readonly string[]];
        yield flat.filter((_, index) => index % 2 === 0);
        cursor = next;
      } while (cursor !== '0');
    },
    async look(names) {
      return names.length === 0 ? [] : textsOf(await connection.call('HMGET', [name, ...names]));
    },
    total: async () => '',
  };
}

/** Members of a limit that counts different ones, or when entries of a rolling one were counted. */
function timesSide(connection: Connection, name: string, beforeMs: number): Side {
  return {
    async *names() {
      for (let start = 0; ; start += PAGE_ENTRIES) {
        const range = [String(start), String(start + PAGE_ENTRIES - 1)];
        const page = (await connection.call('ZRANGE', [name, ...range])) as readonly string[];
        yield page;
        if (page.length < PAGE_ENTRIES) return;
      }
    },
    async look(names) {
      if (names.length === 0) return [];
      const scores = textsOf(await connection.call('ZMSCORE', [name, ...names]));
      return scores.map((at) => (at === null || Number(at) < beforeMs ? null : at));
    },
    async total() {
      const from = beforeMs === Number.NEGATIVE_INFINITY ? '-inf' : String(beforeMs);
      return String(await connection.call('ZCOUNT', [name, from, '+inf']));
    },
  };
}

/** Under the empty name stands the total of all; see counters.lua. */
function heldSide(connection: Connection, name: string, expiring: SideSettings['expiring']): Side {
  const all = hashSide(connection, name);
  /** Whose time is over: few, for they are dropped whenever something is counted. */
  const expired = async (): Promise<bigint> => {
    let sum = 0n;
    for (let start = 0; expiring !== undefined; start += PAGE_ENTRIES) {
      const limit = ['LIMIT', String(start), String(PAGE_ENTRIES)];
      const range = [expiring.times, '-inf', `(${expiring.beforeMs}`, ...limit];
      const page = (await connection.call('ZRANGEBYSCORE', range)) as readonly string[];
      for (const amount of await all.look(page)) if (isNatural(amount)) sum += BigInt(amount);
      if (page.length < PAGE_ENTRIES) break;
    }
    return sum;
  };
  return {
    async *names() {
      for await (const page of all.names()) yield page.filter((entry) => entry !== '');
    },
    async look(names) {
      if (expiring === undefined || names.length === 0) return all.look(names);
      const amounts = await all.look(names);
      const times = textsOf(await connection.call('ZMSCORE', [expiring.times, ...names]));
      return amounts.map((amount, index) => {
        const at = times[index] ?? null;
        return at !== null && Number(at) < expiring.beforeMs ? null : amount;
      });
    },
    async total() {
      const total = (await all.look(['']))[0] ?? '0';
      return isNatural(total) ? String(BigInt(total) - (await expired())) : 'no number';
    },
  };
}

function textsOf(reply: unknown): readonly (string | null)[] {
  return reply as readonly (string | null)[];
}

function isNatural(text: string | null): text is string {
  return text !== null && /^\d+$/.test(text);
}
