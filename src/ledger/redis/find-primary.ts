/**
 * Finds a primary that may move: the one that Sentinels name, or the one of a Cluster that owns the ledger's slot. There
 * is one ordinary connection to it, and each time that is made anew the primary is looked for anew. The clients of
 * ioredis for Sentinel and Cluster are not used: the latter sends a command again after MOVED, ASK, TRYAGAIN and
 * CLUSTERDOWN, routes commands without a key (INFO, CONFIG GET) to any node, and neither lets a password change.
 */
import { createConnection } from 'node:net';
import { setTimeout as pause } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { AbstractConnector, Redis, type RedisOptions } from 'ioredis';
import { messageOf } from '../../core/errors.js';
import type { Access, ClusterConnection, SentinelConnection } from './connection.js';

interface Address {
  readonly host: string;
  readonly port: number;
}

/** An address, and in words how many of those who were asked name it, and why the others do not. */
interface Named extends Address {
  readonly says: string;
}

/** Rejects with a sentence that names everybody who was asked: {@link NobodyNames}. */
export type FindPrimary = () => Promise<Named>;

export class NobodyNames extends Error {}

const ANSWER_MS = 1000;
const PAUSE_MS = 200;
const LONGEST_PAUSE_MS = 2000;
const DISCONNECT_MS = 100;

export interface ConnectorSettings {
  readonly tls: Access['tls'];
  /** Told the `host:port` that is connected to, and who says that it is the primary. */
  readonly onFound: (address: string, says: string) => void;
}

/** For the option of this name: looks for the primary until there is one, or until the connection is closed. */
export function connectorTo(
  find: FindPrimary,
  { tls, onFound }: ConnectorSettings,
): NonNullable<RedisOptions['Connector']> {
  return class extends AbstractConnector {
    private fault: (error: Error) => void = () => {};
    private found = '';

    constructor() {
      super(DISCONNECT_MS);
    }

    /** Who was asked may not have noticed yet that this server is the primary no more. */
    override check({ role = 'master' }: { readonly role?: string }): boolean {
      if (role === 'master') return true;
      this.fault(new Error(`${this.found}, said to be the primary, has the role ${role}`));
      return false;
    }

    override async connect(emit: (event: string, error: Error) => void) {
      this.connecting = true;
      this.fault = (error) => emit('error', error);
      for (;;) {
        const address = await find().catch(this.fault);
        // To ioredis a rejection is the end; only somebody who closes the connection wants that.
        if (!this.connecting) throw new Error('the connection is closed');
        if (address !== undefined) return this.dial(address);
        await pause(PAUSE_MS);
      }
    }

    private dial({ says, ...address }: Named) {
      this.found = nameOf(address);
      onFound(this.found, says);
      const stream = tls === undefined ? createConnection(address) : connectTls({ ...address, ...tls });
      stream.once('error', (error) => {
        this.firstError = error;
      });
      this.stream = stream;
      return stream;
    }
  };
}

/** The primary that Sentinels name. */
export function primaryOfSentinels({ sentinel }: SentinelConnection): FindPrimary {
  const { name, nodes } = sentinel;
  return () =>
    mostNamed(
      nodes,
      { who: 'Sentinels', nobody: `no Sentinel names the primary "${name}"` },
      async (node) => {
        const found = await ask(node, sentinel, (client) =>
          client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', name),
        );
        if (!Array.isArray(found)) throw new Error(`knows no primary named "${name}"`);
        return { host: String(found[0]), port: Number(found[1]) };
      },
    );
}

/** The primary of a Cluster that owns the slot of this key. */
export function primaryOfCluster(settings: ClusterConnection, key: string): FindPrimary {
  const { nodes } = settings.cluster;
  const words = { who: 'nodes', nobody: 'no node of the Cluster says where the ledger is' };
  return () =>
    mostNamed(nodes, words, async (node) => {
      const [slot, slots] = await ask(node, settings, (client) =>
        Promise.all([client.call('CLUSTER', 'KEYSLOT', key), client.call('CLUSTER', 'SLOTS')]),
      );
      return ownerOf(Number(slot), slots, addressOf(node).host);
    });
}

/**
 * `CLUSTER SLOTS` is a list of [first, last, [host, port, …] of the primary, …]. Without a host it is the one that was
 * asked (cluster-preferred-endpoint-type unknown-endpoint).
 */
function ownerOf(slot: number, slots: unknown, asked: string): Address {
  const ranges: readonly unknown[] = Array.isArray(slots) ? slots : [];
  for (const range of ranges) {
    if (!Array.isArray(range) || !(Number(range[0]) <= slot && slot <= Number(range[1]))) continue;
    const [host, port] = Array.isArray(range[2]) ? range[2] : [];
    if (host === '?') throw new Error(`announces no host name for the node that owns slot ${slot}`);
    return { host: String(host ?? '') || asked, port: Number(port) };
  }
  throw new Error(`says that nobody serves slot ${slot}`);
}

export interface SentinelWatch {
  /** Those that do not answer now, each with why; none that was not given the time to. */
  silent(): readonly string[];
  end(): void;
}

/**
 * Tells when the Sentinels have made another server the primary: the old one may live on, cut off from them, and would
 * be asked until it finds out.
 *
 * @param onSwitch told the `host:port` of the new primary, by each Sentinel when it learns of it
 */
export function watchSentinels(
  { sentinel }: SentinelConnection,
  onSwitch: (primary: string) => void,
): SentinelWatch {
  const faults = new Map<string, string>();
  const clients = sentinel.nodes.map((node) => {
    const client = new Redis({
      ...questionOptions(node, sentinel),
      autoResubscribe: false,
      retryStrategy: (attempt) => Math.min(PAUSE_MS * attempt, LONGEST_PAUSE_MS),
    });
    client.on('error', (error) => faults.set(node, messageOf(error)));
    client.on('close', () => refreshPassword(client, sentinel));
    client.on('ready', () => {
      const heard = () => faults.delete(node);
      client.subscribe('+switch-master').then(heard, (error) => faults.set(node, messageOf(error)));
    });
    client.on('message', (_, text: string) => {
      // Name, host and port of the old one, host and port of the new one.
      const [name, , , host = '', port] = text.split(' ');
      if (name === sentinel.name) onSwitch(nameOf({ host, port: Number(port) }));
    });
    return client;
  });
  return {
    silent: () => [...faults].map(([node, fault]) => `${node}: ${fault}`),
    end() {
      for (const client of clients) client.disconnect();
    },
  };
}

/** For the next connection. */
export function refreshPassword(client: Redis, { password }: Access): void {
  try {
    client.options.password = password?.() ?? client.options.password;
  } catch {
    // The one that was known may still be right; if it is not, Redis says so.
  }
}

/** What of {@link Access} goes into the options of ioredis. */
export function accessOptions({ username, password, tls }: Access) {
  const secret = password?.();
  return {
    ...(username === undefined ? {} : { username }),
    ...(secret === undefined ? {} : { password: secret }),
    ...(tls === undefined ? {} : { tls }),
  };
}

/** The address that more than half name, as soon as they do; otherwise, when all have spoken, the one that most name. */
function mostNamed(
  nodes: readonly string[],
  { who, nobody }: { readonly who: string; readonly nobody: string },
  question: (node: string) => Promise<Address>,
): Promise<Named> {
  const votes = new Map<string, Address[]>();
  const faults: string[] = [];
  const named = (address: Address, count: number): Named => ({
    ...address,
    says: [`${count} of ${nodes.length} ${who}`, ...faults].join('; '),
  });
  return new Promise((resolve, reject) => {
    const settle = async (node: string) => {
      try {
        const address = await question(node);
        const same = [...(votes.get(nameOf(address)) ?? []), address];
        votes.set(nameOf(address), same);
        if (2 * same.length > nodes.length) resolve(named(address, same.length));
      } catch (error) {
        faults.push(`${node}: ${messageOf(error)}`);
      }
    };
    void Promise.all(nodes.map(settle)).then(() => {
      const [most = []] = [...votes.values()].sort((one, other) => other.length - one.length);
      const [address] = most;
      if (address === undefined) reject(new NobodyNames(`${nobody} (${faults.join('; ')})`));
      else resolve(named(address, most.length));
    });
  });
}

/** Asks one node on a connection of its own. */
async function ask<T>(node: string, access: Access, question: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({
    ...questionOptions(node, access),
    lazyConnect: true,
    retryStrategy: () => null,
  });
  let fault: unknown;
  client.on('error', (error) => {
    fault = error;
  });
  try {
    await client.connect();
    return await question(client);
  } catch (error) {
    throw fault ?? error;
  } finally {
    client.disconnect();
  }
}

function questionOptions(node: string, access: Access) {
  return {
    ...addressOf(node),
    ...accessOptions(access),
    enableReadyCheck: false,
    enableOfflineQueue: false,
    maxRetriesPerRequest: 0,
    disableClientInfo: true,
    connectTimeout: ANSWER_MS,
    commandTimeout: ANSWER_MS,
    disconnectTimeout: DISCONNECT_MS,
  } as const satisfies RedisOptions;
}

/** `host:port`, `[::1]:port` */
function addressOf(node: string): Address {
  const colon = node.lastIndexOf(':');
  return { host: node.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(node.slice(colon + 1)) };
}

function nameOf({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
}
