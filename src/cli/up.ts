/** `countersign up`: a whole cluster on this machine, for an afternoon. */
import { existsSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { createChains } from '../chains/index.js';
import { loadConfig, readText } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import { statementSigner } from '../keys/operators.js';
import { openLedger } from '../ledger/index.js';
import { accept, ledgerSettings } from '../replica.js';
import { activatePolicy } from './activate.js';
import { type Balancer, startBalancer } from './balancer.js';
import { startClusterOps } from './cluster-ops.js';
import {
  type DevelopmentDir,
  type LedgerKind,
  prepareDirectory,
  rememberLedgerKind,
  writeConfig,
} from './development-dir.js';
import { portOption, wholeNumber } from './options.js';
import { findRedisServer, type PrivateRedis, startPrivateRedis } from './private-redis.js';
import { ReplicaProcess } from './replica-process.js';

interface UpOptions {
  readonly dir: string;
  readonly httpPort: number;
  readonly opsPort: number;
  readonly replicas: number;
  readonly ledger?: LedgerKind;
  readonly config?: string;
  readonly policy?: string;
  readonly json?: boolean;
}

const HOST = '127.0.0.1';
const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

export function upCommand(): Command {
  return new Command('up')
    .description('start a development cluster: keys, ledger, policy and replicas behind one port')
    .option('--dir <folder>', 'where everything it makes is kept', 'var')
    .addOption(portOption('--http-port <port>', 'the port that co-signers talk to').default(8080))
    .addOption(
      portOption(
        '--ops-port <port>',
        'readiness and metrics of all replicas; replica i is on this + i',
      ).default(9090),
    )
    .option('--replicas <number>', 'how many replicas', (text) => wholeNumber(text, 1, 32), 3)
    .addOption(
      new Option(
        '--ledger <kind>',
        'redis needs redis-server or valkey-server on the PATH; embedded needs nothing and is for one machine',
      ).choices(['redis', 'embedded']),
    )
    .option('--config <file>', 'use this configuration instead of a generated one')
    .option('--policy <file>', 'use this policy instead of the example')
    .option('--json', 'print one JSON object when ready')
    .action(up);
}

async function up(options: UpOptions): Promise<void> {
  const say = (line: string): void => {
    if (options.json !== true) process.stdout.write(`${line}\n`);
  };
  const cleanup: (() => Promise<unknown>)[] = [];
  const stop = stopOnSignal(cleanup, say);
  try {
    const directory = await prepareDirectory(options.dir, options.policy);
    const config = await configure(directory, options, { say, cleanup });
    const replicas = await startReplicas(config, options, { directory, say, cleanup });
    if (stop.requested) return;
    const balancer = await startBalancer(HOST, options.httpPort, () => backendsOf(replicas));
    cleanup.push(() => balancer.close());
    const ops = await startClusterOps(HOST, options.opsPort, () =>
      replicas.map(({ name, opsPort }) => ({ name, url: `http://${HOST}:${opsPort}` })),
    );
    cleanup.push(async () => closeServer(ops));
    const description = (): UpDescription => describe(config, directory, { balancer, replicas, options });
    for (const replica of replicas) replica.onStarted = () => writeDescription(directory, description());
    writeDescription(directory, description());
    if (options.json === true) process.stdout.write(`${JSON.stringify(description())}\n`);
    else say(summary(description(), directory));
  } catch (error) {
    await runAll(cleanup);
    throw error;
  }
}

/** The configuration the replicas run with, its ledger started, made if new, and its policy active. */
async function configure(
  directory: DevelopmentDir,
  options: UpOptions,
  { say, cleanup }: Stage,
): Promise<{ file: string; config: Config }> {
  if (options.config !== undefined) {
    const file = resolve(options.config);
    const config = loadConfig(file);
    await prepareLedgers(config, directory, options, { fresh: false, say });
    return { file, config };
  }
  const kind = chooseLedger(directory, options);
  const fresh = directory.ledgerKind === undefined;
  if (kind === 'embedded') {
    say(
      'Ledger     embedded (SQLite): for this one machine only; a cluster on several machines needs Redis.',
    );
    writeConfig(directory, { kind }, { http: options.httpPort, ops: options.opsPort });
  } else {
    const redis = await startRedis(directory, cleanup);
    say(
      `Ledger     Redis: a private ${basename(findRedisServer() ?? 'redis-server')} at ${redis.url}, append-only file in ${join(directory.dir, 'redis')}`,
    );
    writeConfig(
      directory,
      { kind, url: redis.url, passwordFile: redis.passwordFile },
      { http: options.httpPort, ops: options.opsPort },
    );
  }
  const config = loadConfig(directory.configFile);
  await prepareLedgers(config, directory, options, { fresh, say });
  rememberLedgerKind(directory.dir, kind);
  return { file: directory.configFile, config };
}

interface Stage {
  readonly say: (line: string) => void;
  readonly cleanup: (() => Promise<unknown>)[];
}

function chooseLedger({ dir, ledgerKind }: DevelopmentDir, { ledger: wanted }: UpOptions): LedgerKind {
  if (wanted !== undefined && ledgerKind !== undefined && wanted !== ledgerKind) {
    throw new CountersignError(
      'USAGE',
      `${dir} was made with the ${ledgerKind} ledger; its decisions are there. Choose another --dir, or remove this one.`,
    );
  }
  const kind = wanted ?? ledgerKind ?? (findRedisServer() === undefined ? 'embedded' : 'redis');
  if (kind === 'redis' && findRedisServer() === undefined) {
    throw new CountersignError(
      'ENVIRONMENT',
      'neither redis-server nor valkey-server is on the PATH: install one (apt install redis-server, brew install redis), or use --ledger embedded',
    );
  }
  return kind;
}

async function startRedis(directory: DevelopmentDir, cleanup: Stage['cleanup']): Promise<PrivateRedis> {
  const redis = await startPrivateRedis(findRedisServer() ?? '', directory.dir);
  cleanup.push(() => redis.stop());
  return redis;
}

/** An empty store is no ledger: one is made only together with the folder, never silently over a lost one. */
async function prepareLedgers(
  config: Config,
  directory: DevelopmentDir,
  options: UpOptions,
  { fresh, say }: { readonly fresh: boolean; readonly say: Stage['say'] },
): Promise<void> {
  for (const workspace of config.workspaces) {
    const ledger = openLedger(workspace.name, ledgerSettings(config));
    try {
      if (fresh) await ledger.init();
      const source = options.policy === undefined ? workspace.policyFile : directory.policyFile;
      if (!existsSync(directory.operatorKeyFile)) continue;
      const { changed, version } = await activatePolicy({
        ledger,
        chains: createChains(workspace.assetsFile === undefined ? {} : { assetsFile: workspace.assetsFile }),
        workspace: workspace.name,
        document: { text: readText(source), source },
        sign: await statementSigner(directory.operatorKeyFile),
        startEmpty: [],
        accept: (policy) => accept({ policy }, config),
      });
      say(`Policy     ${source} (${version.slice(0, 12)}${changed ? ', now active' : ''})`);
    } finally {
      await ledger.close();
    }
  }
}

async function startReplicas(
  { file }: { readonly file: string },
  options: UpOptions,
  { directory, say, cleanup }: Stage & { readonly directory: DevelopmentDir },
): Promise<readonly ReplicaProcess[]> {
  const replicas = Array.from({ length: options.replicas }, (_, index) => {
    const name = `replica-${index + 1}`;
    return new ReplicaProcess({
      name,
      main: MAIN,
      configFile: file,
      logFile: join(directory.logFolder, `${name}.log`),
      opsPort: options.opsPort + index + 1,
      onExit: (which, how) => say(`${which} ended (${how}); starting it again`),
    });
  });
  cleanup.push(() => Promise.all(replicas.map((replica) => replica.stop())));
  await Promise.all(replicas.map((replica) => replica.start()));
  return replicas;
}

function backendsOf(replicas: readonly ReplicaProcess[]) {
  return replicas
    .filter((replica) => replica.listening)
    .map(({ httpPort }) => ({ host: HOST, port: httpPort }));
}

/** What tools need to drive the cluster; kept as DIR/up.json. */
interface UpDescription {
  readonly http: string;
  readonly ops: string;
  readonly ledger: LedgerKind;
  readonly replicas: number;
  readonly cosigners: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly url: string;
    readonly privateKeyFile: string | null;
    readonly signerIds: readonly string[];
    readonly signers: readonly { readonly id: string; readonly stages: readonly string[] }[];
  }[];
  readonly answerPublicKeyFile: string | null;
  readonly policyFile: string;
  readonly configFile: string;
  readonly replicaUrls: readonly string[];
  readonly replicaOps: readonly string[];
  readonly replicaPids: readonly number[];
}

function describe(
  { file, config }: { readonly file: string; readonly config: Config },
  directory: DevelopmentDir,
  {
    balancer,
    replicas,
    options,
  }: {
    readonly balancer: Balancer;
    readonly replicas: readonly ReplicaProcess[];
    readonly options: UpOptions;
  },
): UpDescription {
  const http = `http://${HOST}:${balancer.port}`;
  const cosigners = config.workspaces.flatMap((workspace) => workspace.cosigners);
  return {
    http,
    ops: `http://${HOST}:${options.opsPort}`,
    ledger: config.ledger.kind,
    replicas: replicas.length,
    cosigners: cosigners.map(({ name, protocol, path, publicKeys, signers = [] }) => ({
      name,
      protocol,
      url: `${http}${path}`,
      privateKeyFile: otherHalf(publicKeys[0]?.file, '.pub.pem', '.pem'),
      signerIds: signers.map((signer) => signer.id),
      signers,
    })),
    answerPublicKeyFile: otherHalf(cosigners[0]?.answerKey.file, '.pem', '.pub.pem'),
    policyFile:
      options.policy === undefined
        ? (config.workspaces[0]?.policyFile ?? directory.policyFile)
        : directory.policyFile,
    configFile: file,
    replicaUrls: replicas.map(({ httpPort }) => `http://${HOST}:${httpPort}`),
    replicaOps: replicas.map(({ opsPort }) => `http://${HOST}:${opsPort}`),
    replicaPids: replicas.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
  };
}

/** Development key pairs lie side by side; with a configuration of your own the private half may be elsewhere. */
function otherHalf(file: string | undefined, from: string, to: string): string | null {
  if (file === undefined || !file.endsWith(from)) return null;
  const other = file.slice(0, -from.length) + to;
  return existsSync(other) ? other : null;
}

function writeDescription({ dir }: DevelopmentDir, description: UpDescription): void {
  writeFileSync(join(dir, 'up.json'), `${JSON.stringify(description)}\n`);
}

function summary(description: UpDescription, { dir, logFolder }: DevelopmentDir): string {
  const folder = dir === resolve('var') ? '' : ` --dir ${dir}`;
  return [
    `Keys       ${join(dir, 'keys')} (development only)`,
    `Replicas   ${description.replicas}, logs in ${logFolder}`,
    `Co-signers ${description.cosigners.map(({ name, url }) => `${name} → ${url}`).join('\n           ')}`,
    `Readiness  ${description.ops}/readyz`,
    `Metrics    ${description.ops}/metrics`,
    '',
    'Ready. In another terminal:',
    '',
    `  npx countersign simulate${folder}`,
    '',
    'Ctrl-C stops everything.',
  ].join('\n');
}

/** The last thing started is the first to stop, so that nothing loses what it depends on. */
function stopOnSignal(cleanup: Stage['cleanup'], say: Stage['say']): { readonly requested: boolean } {
  const state = { requested: false };
  const stop = (): void => {
    if (state.requested) return;
    state.requested = true;
    say('\nStopping: finishing what is in flight …');
    runAll(cleanup).then(
      () => process.exit(0),
      (error: unknown) => {
        process.stderr.write(`countersign: ${String(error)}\n`);
        process.exit(1);
      },
    );
  };
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  return state;
}

async function runAll(cleanup: Stage['cleanup']): Promise<void> {
  for (const step of cleanup.splice(0).reverse()) await step();
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}
