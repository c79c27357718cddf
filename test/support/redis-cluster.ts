/** A Redis Cluster as processes on free ports of 127.0.0.1, and the ways a slot moves in it. */
import { freePorts } from './cluster.js';
import { eventually } from './eventually.js';
import { type RedisServer, startRedis } from './redis-server.js';

const SLOTS = 16_384;
/** After this silence the others take a node for down. */
const NODE_TIMEOUT_MS = 2000;
const MEETING_MS = 15_000;

export interface ClusterNode extends RedisServer {
  /** What the Cluster calls it. */
  readonly id: string;
}

export interface ClusterBed {
  readonly primaries: readonly ClusterNode[];
  /** The first is the replica of the first primary, and so on. */
  readonly replicas: readonly ClusterNode[];
  /** `host:port` of every node. */
  readonly nodes: readonly string[];
  /** The primary that owns the slot of a key, as a node that lives sees it. */
  ownerOf(key: string): Promise<ClusterNode>;
  /** Hands a slot and its keys to another primary, and resolves when all nodes know. */
  move(key: string, to: ClusterNode): Promise<void>;
  stop(): Promise<void>;
}

export interface ClusterOptions {
  readonly primaries?: number;
  readonly replicas?: boolean;
  readonly settings?: Readonly<Record<string, string>>;
  /** What each node has for itself. */
  readonly own?: () => Promise<Readonly<Record<string, string>>>;
  /** The port under which the others and clients know a node. */
  readonly announce?: (server: RedisServer) => Promise<number>;
}

export async function startCluster({
  primaries: count = 3,
  replicas: withReplicas = true,
  settings = {},
  own = async () => ({}),
  announce,
}: ClusterOptions = {}): Promise<ClusterBed> {
  const all = await Promise.all(
    Array.from({ length: withReplicas ? 2 * count : count }, async () =>
      startNode({ ...settings, ...(await own()) }),
    ),
  );
  if (announce !== undefined)
    for (const node of all)
      await node.command('CONFIG', 'SET', 'cluster-announce-port', String(await announce(node)));
  const primaries = all.slice(0, count);
  const replicas = all.slice(count);
  const [first] = primaries;
  if (first === undefined) throw new Error('a Cluster without nodes');
  const share = Math.ceil(SLOTS / count);
  for (const [index, node] of primaries.entries()) {
    const last = Math.min(SLOTS, (index + 1) * share) - 1;
    await node.command('CLUSTER', 'ADDSLOTSRANGE', String(index * share), String(last));
  }
  // A node that is too slow to be met is forgotten, and has to be met again.
  await eventually(async () => {
    for (const { port, bus } of all.slice(1))
      await first.command('CLUSTER', 'MEET', '127.0.0.1', String(port), String(bus));
    await Promise.all(all.map((node) => eventually(() => isWhole(node, all.length), MEETING_MS)));
  });
  for (const [index, node] of replicas.entries())
    await node.command('CLUSTER', 'REPLICATE', primaries[index]?.id ?? '');
  for (const node of replicas)
    await eventually(async () => {
      if (!String(await node.command('INFO')).includes('master_link_status:up'))
        throw new Error('not in sync');
    });
  const ownerOf = async (key: string) => {
    const slot = Number(await first.command('CLUSTER', 'KEYSLOT', key).catch(() => slotElsewhere(all, key)));
    const owners = await Promise.all(all.map((node) => ownsSlot(node, slot)));
    const owner = all[owners.indexOf(true)];
    if (owner === undefined) throw new Error(`nobody owns slot ${slot}`);
    return owner;
  };
  return {
    primaries,
    replicas,
    nodes: all.map(({ port }) => `127.0.0.1:${port}`),
    ownerOf,
    move: async (key, to) => moveSlot(key, { from: await ownerOf(key), to, all }),
    async stop() {
      await Promise.all(all.map((node) => node.stop()));
    },
  };
}

async function startNode(
  settings: Readonly<Record<string, string>>,
): Promise<ClusterNode & { readonly bus: number }> {
  // The default, ten thousand above the port, may not exist.
  const bus = await freePorts(1);
  const server = await startRedis({
    settings: {
      'cluster-enabled': 'yes',
      'cluster-port': String(bus),
      'cluster-node-timeout': String(NODE_TIMEOUT_MS),
      'repl-diskless-sync-delay': '0',
      ...settings,
    },
  });
  const id = String(await server.command('CLUSTER', 'MYID'));
  // The pid of a server changes, so it is no copy.
  return Object.assign(Object.create(server) as RedisServer, { id, bus });
}

async function isWhole(node: ClusterNode, nodes: number): Promise<void> {
  const info = String(await node.command('CLUSTER', 'INFO'));
  if (!info.includes('cluster_state:ok') || !info.includes(`cluster_known_nodes:${nodes}\r`))
    throw new Error('the Cluster is not whole');
}

async function slotElsewhere(all: readonly ClusterNode[], key: string): Promise<unknown> {
  return Promise.any(all.map((node) => node.command('CLUSTER', 'KEYSLOT', key)));
}

/** Whether a node itself believes that it is a primary that owns the slot. */
async function ownsSlot(node: ClusterNode, slot: number): Promise<boolean> {
  const text = await node.command('CLUSTER', 'NODES').catch(() => '');
  const own = String(text)
    .split('\n')
    .find((line) => line.includes('myself,master'));
  const ranges = own?.split(' ').slice(8) ?? [];
  return ranges.some((range) => {
    const [from = NaN, to = from] = range.split('-').map(Number);
    return from <= slot && slot <= to;
  });
}

async function moveSlot(
  key: string,
  {
    from,
    to,
    all,
  }: { readonly from: ClusterNode; readonly to: ClusterNode; readonly all: readonly ClusterNode[] },
): Promise<void> {
  const slot = String(await from.command('CLUSTER', 'KEYSLOT', key));
  await to.command('CLUSTER', 'SETSLOT', slot, 'IMPORTING', from.id);
  await from.command('CLUSTER', 'SETSLOT', slot, 'MIGRATING', to.id);
  const keys = (await from.command('CLUSTER', 'GETKEYSINSLOT', slot, '1000')) as readonly string[];
  if (keys.length > 0)
    await from.command('MIGRATE', '127.0.0.1', String(to.port), '', '0', '5000', 'KEYS', ...keys);
  for (const node of [to, from, ...all]) {
    await node.command('CLUSTER', 'SETSLOT', slot, 'NODE', to.id).catch(() => undefined);
  }
  await eventually(async () => {
    if (!(await ownsSlot(to, Number(slot)))) throw new Error('the slot has not arrived');
  });
}
