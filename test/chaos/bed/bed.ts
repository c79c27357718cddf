/**
 * The bed: real processes on loopback, and one proxy between them all.
 *
 *   2 co-signers, their vendor, 3 Virtual Signers → HAProxy → 3 replicas → Redis primary + 2 replicas, found through 3 Sentinels
 *                                                                        → 3 witnesses
 *
 * Mode `fence` has one standalone Redis instead; mode `naive` has handlers without a fence instead of the replicas.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { freePorts, MAIN } from '../../support/cluster.js';
import type { LimitFacts } from '../workload/limits.js';
import { compileClock, hasClocks } from './clock.js';
import { type Deployment, HOOK_PATH, type Mode, writeDeployment } from './deployment.js';
import { haproxy } from './haproxy.js';
import { Member } from './member.js';
import { RedisNode } from './redis-node.js';
import { naiveReplica, replicaLaunch } from './replicas.js';
import { Sentinel } from './sentinels.js';
import { Switchboard } from './switchboard.js';

const REPLICAS = 3;
/** Far more than a busy machine needs: what never comes is all that it tells. */
const START_MS = 90_000;

export interface BedSettings {
  readonly mode: Mode;
  readonly policy: string;
  /** For the control, which reads no policy. */
  readonly limits: readonly LimitFacts[];
  readonly onCrash: (name: string, how: string) => void;
}

export class Bed {
  readonly mode: Mode;
  readonly folder: string;
  readonly deployment: Deployment;
  readonly switchboard: Switchboard;
  readonly nodes: readonly RedisNode[];
  readonly sentinels: readonly Sentinel[];
  readonly witnesses: readonly RedisNode[];
  readonly replicas: readonly Member[];
  readonly balancer: Member;
  /** Where co-signers send their requests. */
  readonly origin: string;
  /** Where their vendor sends its notifications. */
  readonly hooks: string;
  readonly #httpPorts: readonly number[];
  readonly #opsPorts: readonly number[];
  /** Port of the proxy → the node behind it. */
  readonly #announced: ReadonlyMap<number, RedisNode>;
  readonly #plan: Parameters<Switchboard['start']>[0];

  /** @param first of the free ports in a row that {@link portsOf} counts */
  constructor({ mode, policy, limits, onCrash }: BedSettings, first: number) {
    this.mode = mode;
    this.folder = mkdtempSync(join(tmpdir(), 'countersign-chaos-'));
    const { nodes, sentinels, witnesses } = SIZES[mode];
    let next = first;
    const take = (count: number) => Array.from({ length: count }, () => next++);
    const real = {
      redis: take(nodes),
      sentinels: take(sentinels),
      witnesses: take(witnesses),
      http: take(REPLICAS),
      hooks: take(REPLICAS),
    };
    const ports = {
      redis: take(nodes),
      sentinels: take(sentinels),
      witnesses: take(witnesses),
      http: take(REPLICAS),
      hooks: take(REPLICAS),
    };
    this.#httpPorts = real.http;
    this.#opsPorts = take(REPLICAS);
    const [balancerPort = 0, hooksPort = 0] = take(2);
    this.#plan = {
      listeners: [
        ...listeners('redis', ports.redis, real.redis),
        ...listeners('sentinel', ports.sentinels, real.sentinels),
        ...listeners('witness', ports.witnesses, real.witnesses),
        ...listeners('replica', ports.http, real.http),
        ...listeners('replica', ports.hooks, real.hooks),
      ],
      sources: {
        ...sources('redis', 2, nodes),
        ...sources('sentinel', 3, sentinels),
        ...sources('replica', 4, REPLICAS),
      },
    };
    mkdirSync(join(this.folder, 'log'));
    this.deployment = writeDeployment(this.folder, policy, { mode, ...ports });
    const clockLibrary = hasClocks ? compileClock(this.folder) : undefined;
    this.switchboard = new Switchboard(join(this.folder, 'log/proxy.log'));
    this.nodes = real.redis.map((port, index) => {
      const follows: Readonly<Record<string, string>> =
        index === 0 ? {} : { replicaof: `127.0.0.1 ${ports.redis[0]}` };
      const settings = {
        ...DATA_NODE[mode],
        ...follows,
        'bind-source-addr': `127.0.2.${index + 1}`,
        'replica-announce-ip': '127.0.0.1',
        'replica-announce-port': String(ports.redis[index]),
      };
      return new RedisNode({ name: `redis-${index + 1}`, folder: this.folder, port, settings, clockLibrary });
    });
    this.#announced = new Map(this.nodes.map((node, index) => [ports.redis[index] ?? 0, node]));
    this.sentinels = real.sentinels.map(
      (port, index) =>
        new Sentinel({
          name: `sentinel-${index + 1}`,
          folder: this.folder,
          port,
          announcedPort: ports.sentinels[index] ?? 0,
          sourceAddress: `127.0.3.${index + 1}`,
          primaryPort: ports.redis[0] ?? 0,
        }),
    );
    this.witnesses = real.witnesses.map((port, index) => {
      const settings = { appendfsync: 'always' };
      return new RedisNode({ name: `witness-${index + 1}`, folder: this.folder, port, settings });
    });
    this.replicas = real.http.map((port, index) => {
      const name = `replica-${index + 1}`;
      const seat = {
        name,
        httpPort: port,
        opsPort: this.#opsPorts[index] ?? 0,
        webhookPort: real.hooks[index] ?? 0,
        sourceAddress: `127.0.4.${index + 1}`,
      };
      const launch = () =>
        mode === 'naive'
          ? naiveReplica(this.deployment, { ...seat, sentinels: ports.sentinels, limits })
          : replicaLaunch(MAIN, this.deployment, seat);
      return new Member(name, join(this.folder, `log/${name}.log`), launch);
    });
    this.balancer = haproxy(
      this.folder,
      { cosigners: balancerPort, vendor: hooksPort },
      this.replicas.map(({ name }, index) => ({
        name,
        port: ports.http[index] ?? 0,
        hooksPort: ports.hooks[index] ?? 0,
        opsPort: this.#opsPorts[index] ?? 0,
      })),
    );
    this.origin = `http://127.0.0.1:${balancerPort}`;
    this.hooks = `http://127.0.0.1:${hooksPort}${HOOK_PATH}`;
    for (const member of this.members) member.onCrash = (how) => onCrash(member.name, how);
  }

  get members(): readonly Member[] {
    const servers = [...this.nodes, ...this.sentinels, ...this.witnesses].map(({ member }) => member);
    return [this.switchboard.member, ...servers, ...this.replicas, this.balancer];
  }

  /** Everything up, the ledger made, the policy active. */
  async start(): Promise<void> {
    await this.switchboard.start(this.#plan);
    await Promise.all([...this.nodes, ...this.witnesses].map((node) => node.start()));
    for (const { member } of this.sentinels) member.start();
    await this.whole(START_MS);
    if (this.mode !== 'naive') {
      const { configFile, operatorKeyFile } = this.deployment;
      this.countersign('ledger', 'init', '--config', configFile);
      this.countersign('policy', 'activate', '--config', configFile, '--key', operatorKeyFile);
    }
    for (const replica of this.replicas) replica.start();
    await Promise.all(this.#opsPorts.map((port) => listening(port)));
    this.balancer.start();
    await until('HAProxy finds no replica', START_MS, async () => {
      const { status } = await fetch(`${this.origin}/nobody/v2/tx_sign_request`, { method: 'POST' });
      return status === 404;
    });
  }

  /** Where one replica takes requests, past the balancer. */
  replicaOrigin(index: number): string {
    return `http://127.0.0.1:${this.#httpPorts[index] ?? 0}`;
  }

  /** Resolves when this replica takes requests again. */
  replicaListens(index: number): Promise<void> {
    return listening(this.#opsPorts[index] ?? 0);
  }

  /** A command of the built program; what it prints. */
  countersign(...args: readonly string[]): string {
    return execFileSync(process.execPath, [MAIN, ...args], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
  }

  /** The node that most Sentinels name; without Sentinels there is only one. */
  async primary(): Promise<RedisNode | undefined> {
    if (this.sentinels.length === 0) return this.nodes[0];
    const named = await Promise.all(this.sentinels.map((sentinel) => sentinel.primaryPort()));
    const port = named.find((one) => one !== undefined && named.filter((other) => other === one).length >= 2);
    return port === undefined ? undefined : this.#announced.get(port);
  }

  /** Resolves when every process runs and the stores are as they should be. Rejects with what is missing. */
  async whole(timeoutMs: number): Promise<void> {
    let missing = 'nothing was looked at';
    const isWhole = async () => {
      missing = (await this.#missing()) ?? '';
      return missing === '';
    };
    await until(() => `the bed did not become whole again: ${missing}`, timeoutMs, isWhole);
  }

  async #missing(): Promise<string | undefined> {
    if (this.sentinels.length === 0) {
      const role = (await this.nodes[0]?.info('replication'))?.get('role');
      return role === 'master' ? undefined : 'Redis does not answer';
    }
    const primary = await this.primary();
    if (primary === undefined) return 'the Sentinels do not agree on a primary';
    const named = await Promise.all(this.sentinels.map((sentinel) => sentinel.primaryPort()));
    if (new Set(named).size !== 1) return 'one Sentinel names another primary';
    const information = await primary.info('replication');
    if (information.get('role') !== 'master') return `${primary.name} is named and is no primary`;
    const online = [...information.values()].filter((value) => value.includes('state=online')).length;
    if (online !== this.nodes.length - 1) return `${primary.name} has ${online} replicas`;
    const seen = await Promise.all(this.sentinels.map((sentinel) => sentinel.seesEverybody()));
    return seen.every(Boolean) ? undefined : 'a Sentinel misses somebody';
  }

  /** Ends everything and removes the folder unless it is kept. */
  async stop({ keep }: { readonly keep: boolean }): Promise<void> {
    await Promise.all([...this.members].reverse().map((member) => member.kill()));
    if (!keep) rmSync(this.folder, { recursive: true, force: true });
  }
}

/** How many of each there are. */
const SIZES = {
  witness: { nodes: 3, sentinels: 3, witnesses: 3 },
  naive: { nodes: 3, sentinels: 3, witnesses: 0 },
  fence: { nodes: 1, sentinels: 0, witnesses: 0 },
} as const;

const REPLICATED = {
  appendfsync: 'everysec',
  'repl-diskless-sync': 'yes',
  'repl-diskless-sync-delay': '0',
  'repl-ping-replica-period': '1',
  'repl-timeout': '10',
};
const DATA_NODE = { witness: REPLICATED, naive: REPLICATED, fence: { appendfsync: 'always' } } as const;

/** Ports a bed needs, in a row. */
export function portsOf(mode: Mode): number {
  const { nodes, sentinels, witnesses } = SIZES[mode];
  return 2 * (nodes + sentinels + witnesses + 2 * REPLICAS) + REPLICAS + 2;
}

/** Rejects with the name of a program that has to be installed first. */
export async function makeBed(settings: BedSettings): Promise<Bed> {
  for (const program of ['redis-server', 'haproxy']) {
    const { error } = spawnSync(program, ['-v'], { stdio: 'ignore' });
    if (error !== undefined)
      throw new Error(`${program} is not installed, and the bed needs it (${error.message})`);
  }
  return new Bed(settings, await freePorts(portsOf(settings.mode)));
}

function listeners(kind: string, listen: readonly number[], forward: readonly number[]) {
  return listen.map((port, index) => ({
    name: `${kind}-${index + 1}`,
    listen: port,
    forward: forward[index] ?? 0,
  }));
}

function sources(kind: string, third: number, count: number): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Array.from({ length: count }, (_, index) => [`127.0.${third}.${index + 1}`, `${kind}-${index + 1}`]),
  );
}

/** Resolves when the operations port of a replica says that it takes requests. */
export function listening(opsPort: number): Promise<void> {
  return until(`a replica does not listen on ${opsPort}`, START_MS, async () => {
    const { ok } = await fetch(`http://127.0.0.1:${opsPort}/readyz/draining`);
    return ok;
  });
}

/** Looks again and again; a look that fails is a no. */
export async function until(
  complaint: string | (() => string),
  timeoutMs: number,
  look: () => Promise<boolean>,
): Promise<void> {
  const endsAt = performance.now() + timeoutMs;
  while (!(await look().catch(() => false))) {
    if (performance.now() > endsAt) throw new Error(typeof complaint === 'string' ? complaint : complaint());
    await pause(100);
  }
}
