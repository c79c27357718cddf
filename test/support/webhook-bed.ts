/** Replicas of the built program that receive notifications, a vendor that sends them, and a ledger to look into. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { withLedger } from '../../src/cli/ledger.js';
import type { Ledger } from '../../src/core/ports.js';
import { type Command, countersign, outcomeOf } from './command.js';
import { type Deployment, EMBEDDED, type Settings, writeDeployment } from './deployment.js';
import { type RedisServer, startRedis } from './redis-server.js';
import {
  type KeyServer,
  keyServer,
  keySet,
  signatureOf,
  type VendorKey,
  vendorKey,
  WORKSPACE_ID,
} from './webhook-vendor.js';

export const HOOK_PATH = '/hooks/fireblocks';

export interface ServingReplica {
  readonly command: Command;
  readonly http: string;
  readonly ops: string;
  /** The URL of the workspace's notifications. */
  readonly hooks: string;
  /** Lines of its log so far. */
  readonly log: () => readonly Readonly<Record<string, unknown>>[];
}

export interface WebhookBed {
  readonly dir: string;
  readonly deployment: Deployment;
  readonly redis: RedisServer | undefined;
  readonly keys: KeyServer;
  readonly vendor: VendorKey;
  readonly stranger: VendorKey;
  readonly replicas: readonly ServingReplica[];
  readonly serve: () => Promise<ServingReplica>;
  readonly look: <T>(use: (ledger: Ledger) => Promise<T>) => Promise<T>;
  readonly stop: () => Promise<void>;
}

export interface BedSettings {
  /** `witnesses`: on Redis, which three more of them keep. */
  readonly kind: 'redis' | 'witnesses' | 'embedded';
  readonly policy: string;
  readonly replicas: number;
  /** Over the webhooks section of the workspace. */
  readonly webhooks?: object;
  /** Over the workspace. */
  readonly workspace?: object;
  /** Over the section webhooks. */
  readonly server?: object;
  /** Over the document. */
  readonly document?: object;
  readonly settings?: Partial<Settings>;
}

export async function startBed({ kind, policy, replicas, ...more }: BedSettings): Promise<WebhookBed> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-webhooks-'));
  const redis = kind === 'embedded' ? undefined : await startRedis();
  const witnesses = await Promise.all(
    Array.from({ length: kind === 'witnesses' ? 3 : 0 }, () => startRedis()),
  );
  const vendor = vendorKey('vendor-1');
  const keys = await keyServer(keySet(vendor), { 'cache-control': 'max-age=3600' });
  const ledger = redis === undefined ? EMBEDDED : ({ kind: 'redis', redis: { url: redis.url } } as const);
  const durability = { mode: 'witness', witnesses: witnesses.map(({ url }) => ({ url })) };
  const deployment = writeDeployment(dir, { ledger, policy, ...more.settings });
  const { configFile, operatorKeyFile } = deployment;
  const config = parse(readFileSync(configFile, 'utf8'));
  Object.assign(config, more.document);
  if (witnesses.length > 0) Object.assign(config.ledger, { durability });
  config.webhooks = { host: '127.0.0.1', port: 0, ...more.server };
  Object.assign(config.workspaces[0], {
    webhooks: { path: HOOK_PATH, workspaceIds: [WORKSPACE_ID], jwks: { url: keys.url }, ...more.webhooks },
    ...more.workspace,
  });
  writeFileSync(configFile, stringify(config));
  const commands: Command[] = [];
  const serve = async () => {
    const replica = await startServing(configFile);
    commands.push(replica.command);
    return replica;
  };
  let closeLedger = async (): Promise<void> => undefined;
  const stop = async () => {
    await closeLedger();
    for (const command of commands) command.signal('SIGTERM');
    await Promise.all(commands.map(({ ended }) => ended));
    await keys.stop();
    await redis?.stop();
    await Promise.all(witnesses.map((witness) => witness.stop()));
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    const made = await outcomeOf(['ledger', 'init', '--config', configFile]);
    const active = await outcomeOf([
      'policy',
      'activate',
      deployment.policyFile,
      '--config',
      configFile,
      '--key',
      operatorKeyFile,
    ]);
    if (made.code !== 0 || active.code !== 0) throw new Error(JSON.stringify({ made, active }));
    const started = await Promise.all(Array.from({ length: replicas }, serve));
    const stranger = vendorKey('stranger');
    const { look, close } = await openLedgerOf(configFile);
    closeLedger = close;
    return { dir, deployment, redis, keys, vendor, stranger, serve, look, stop, replicas: started };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** One connection for all that is looked up. */
async function openLedgerOf(
  configFile: string,
): Promise<{ readonly look: WebhookBed['look']; readonly close: () => Promise<void> }> {
  const { promise: opened, resolve: open } = Promise.withResolvers<Ledger>();
  const { promise: finished, resolve: finish } = Promise.withResolvers<void>();
  const ended = withLedger({ config: configFile }, async (ledger) => {
    open(ledger);
    await finished;
  });
  const ledger = await Promise.race([opened, ended.then(() => Promise.reject(new Error('it ended early')))]);
  return {
    look: (use) => use(ledger),
    close: () => {
      finish();
      return ended;
    },
  };
}

async function startServing(configFile: string): Promise<ServingReplica> {
  const command = countersign(['serve', '--config', configFile]);
  await command.says('replica listens');
  const lines: Readonly<Record<string, unknown>>[] = [];
  let read = 0;
  const log = () => {
    const whole = command.stdout().slice(read, command.stdout().lastIndexOf('\n') + 1);
    read += whole.length;
    for (const line of whole.split('\n')) if (line !== '') lines.push(JSON.parse(line));
    return lines;
  };
  const { http, ops, webhooks } = log().find(({ msg }) => msg === 'replica listens') ?? {};
  return {
    command,
    log,
    http: `http://127.0.0.1:${http}`,
    ops: `http://127.0.0.1:${ops}`,
    hooks: `http://127.0.0.1:${webhooks}${HOOK_PATH}`,
  };
}

/** One delivery of an honest vendor: the status and the body it is answered with. */
export async function notify(
  { hooks }: Pick<ServingReplica, 'hooks'>,
  body: string,
  key: VendorKey,
): Promise<string> {
  return post(hooks, body, { 'fireblocks-webhook-signature': signatureOf(body, key) });
}

export async function post(url: string, body: string, headers: Record<string, string> = {}): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    body,
    headers: { 'content-type': 'application/json', ...headers },
  });
  return `${response.status} ${(await response.text()).trim()}`;
}

/** The value of each series of a metric, by its labels as they are printed; none when there is no such metric. */
export async function series(
  { ops }: Pick<ServingReplica, 'ops'>,
  name: string,
): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${ops}/metrics`)).text();
  const found = new Map<string, number>();
  for (const line of text.split('\n')) {
    const [, labels = '', value = ''] = new RegExp(`^${name}(?:\\{(.*)\\})? (\\S+)$`).exec(line) ?? [];
    if (value !== '') found.set(labels, Number(value));
  }
  return found;
}
