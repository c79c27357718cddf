/** A primary, its replicas and the Sentinels that watch over them, as processes on free ports of 127.0.0.1. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from './cluster.js';
import { eventually } from './eventually.js';
import { commandOn, findBinary, killChild, launch, type RedisServer, startRedis } from './redis-server.js';

/** What the Sentinels call the primary. */
export const PRIMARY_NAME = 'countersign';

const SENTINELS = 3;
const QUORUM = 2;
/** After this silence a Sentinel takes the primary for down. */
const DOWN_AFTER_MS = 1500;
const FAILOVER_TIMEOUT_MS = 3000;

export interface SentinelBed {
  /** The first of them began as the primary. */
  readonly servers: readonly RedisServer[];
  readonly sentinels: readonly SentinelServer[];
  /** `host:port` of every Sentinel. */
  readonly nodes: readonly string[];
  /** The server that the first Sentinel names. */
  primary(): Promise<RedisServer>;
  /** The one that it names when it is not this one any more. */
  otherPrimary(old: RedisServer): Promise<RedisServer>;
  stop(): Promise<void>;
}

export interface SentinelServer {
  readonly port: number;
  kill(signal: NodeJS.Signals): Promise<void>;
  /** On the same port, with what it has learned. */
  restart(): Promise<void>;
  command(...words: readonly [string, ...string[]]): Promise<unknown>;
  stop(): Promise<void>;
}

export interface SentinelOptions {
  readonly replicas?: number;
  /** Of the data servers. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Lines of each Sentinel's file. */
  readonly sentinelLines?: readonly string[];
  /** With these lines each Sentinel has a TLS port besides, and {@link SentinelBed.nodes} are those. */
  readonly tlsLines?: readonly string[];
  /** Each Sentinel's own password. */
  readonly sentinelPassword?: string;
  /** Where the Sentinels believe the primary to be; may be a proxy in front of it. */
  readonly via?: (primary: RedisServer) => Promise<number>;
}

export async function startSentinels({
  replicas = 2,
  settings = {},
  sentinelLines = [],
  tlsLines,
  sentinelPassword,
  via = async ({ port }) => port,
}: SentinelOptions = {}): Promise<SentinelBed> {
  const common = { 'repl-diskless-sync-delay': '0', ...settings };
  const first = await startRedis({ settings: common });
  const rest = await Promise.all(
    Array.from({ length: replicas }, () =>
      startRedis({ settings: { ...common, replicaof: `127.0.0.1 ${first.port}` } }),
    ),
  );
  const servers = [first, ...rest];
  // Sentinels ask for replicas when they meet the primary, and then only every ten seconds.
  for (const replica of rest)
    await eventually(async () => {
      if (!String(await replica.command('INFO')).includes('master_link_status:up'))
        throw new Error('not in sync');
    });
  const monitored = await via(first);
  const lines = [
    `sentinel monitor ${PRIMARY_NAME} 127.0.0.1 ${monitored} ${QUORUM}`,
    `sentinel down-after-milliseconds ${PRIMARY_NAME} ${DOWN_AFTER_MS}`,
    `sentinel failover-timeout ${PRIMARY_NAME} ${FAILOVER_TIMEOUT_MS}`,
    ...(sentinelPassword === undefined
      ? []
      : [`requirepass ${sentinelPassword}`, `sentinel sentinel-pass ${sentinelPassword}`]),
    ...sentinelLines,
  ];
  const access = sentinelPassword === undefined ? {} : { password: sentinelPassword };
  const sentinels = await Promise.all(
    Array.from({ length: SENTINELS }, async () => {
      if (tlsLines === undefined) return startSentinel(lines, access);
      const tlsPort = await freePorts(1);
      return { ...(await startSentinel([`tls-port ${tlsPort}`, ...tlsLines, ...lines], access)), tlsPort };
    }),
  );
  await Promise.all(sentinels.map((sentinel) => eventually(() => knowsAll(sentinel, replicas))));
  const primary = async () => {
    const [asked] = sentinels;
    const named = await asked?.command('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', PRIMARY_NAME);
    const port = Array.isArray(named) ? Number(named[1]) : 0;
    const found = servers.find((server) => server.port === port);
    if (found === undefined) throw new Error(`the Sentinel names port ${port}`);
    return found;
  };
  return {
    servers,
    sentinels,
    nodes: sentinels.map((each) => `127.0.0.1:${'tlsPort' in each ? each.tlsPort : each.port}`),
    primary,
    otherPrimary: (old) =>
      eventually(async () => {
        const found = await primary();
        if (found === old) throw new Error('no fail-over');
        return found;
      }),
    async stop() {
      await Promise.all([...sentinels, ...servers].map((each) => each.stop()));
    },
  };
}

async function startSentinel(
  lines: readonly string[],
  access: { readonly password?: string },
): Promise<SentinelServer> {
  const port = await freePorts(1);
  const directory = mkdtempSync(join(tmpdir(), 'countersign-sentinel-'));
  const file = join(directory, 'sentinel.conf');
  writeFileSync(file, `port ${port}\nbind 127.0.0.1\ndir ${directory}\n${lines.join('\n')}\n`);
  const start = () => launch(port, findBinary(), [file, '--sentinel']);
  let child = await start();
  const kill = (signal: NodeJS.Signals) => killChild(child, signal);
  return {
    port,
    kill,
    async restart() {
      await kill('SIGKILL');
      child = await start();
    },
    command: (...words) => commandOn(port, access, words),
    async stop() {
      await kill('SIGKILL');
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

async function knowsAll(sentinel: SentinelServer, replicas: number): Promise<void> {
  const reply = await sentinel.command('SENTINEL', 'MASTER', PRIMARY_NAME);
  const words = Array.isArray(reply) ? reply.map(String) : [];
  const fieldOf = (name: string) => words[words.indexOf(name) + 1];
  const known = [fieldOf('num-slaves'), fieldOf('num-other-sentinels'), fieldOf('flags')].join(' ');
  if (known !== `${replicas} ${SENTINELS - 1} master`) throw new Error(`a Sentinel knows ${known}`);
}
