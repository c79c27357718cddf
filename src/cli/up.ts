/** `countersign up`: a whole cluster on this machine, for an afternoon. */

import { mkdirSync } from 'node:fs';
import type { Server } from 'node:http';
import { basename, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { loadConfig } from '../config/load.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import type { Ledger } from '../core/ports.js';
import { openLedger } from '../ledger/index.js';
import { loadKeys } from '../replica/replica.js';
import { ledgerSettings } from '../replica/stores.js';
import { activatePolicyFile } from './activate.js';
import { startBalancer } from './balancer.js';
import { startClusterOps } from './cluster-ops.js';
import {
  type DevelopmentDir,
  type LedgerKind,
  prepareDirectory,
  rememberLedgerKind,
  writeConfig,
} from './development-dir.js';
import { lockDirectory } from './directory-lock.js';
import { portOption, wholeNumber } from './options.js';
import { findRedisServer, startPrivateRedis } from './private-redis.js';
import { ReplicaProcess } from './replica-process.js';
import { Takedown } from './takedown.js';
import {
  describeCluster,
  otherHalf,
  summary,
  type UpDescription,
  writeDescription,
} from './up-description.js';

interface UpOptions {
  readonly dir: string;
  readonly httpPort: number;
  readonly opsPort: number;
  readonly replicas: number;
  readonly virtualSigners: number;
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
        1,
      ).default(9090),
    )
    .option('--replicas <number>', 'how many replicas', (text) => wholeNumber(text, 1, 32), 3)
    .addOption(
      new Option(
        '--ledger <kind>',
        'redis needs redis-server or valkey-server on the PATH; embedded needs nothing and is for one machine',
      ).choices(['redis', 'embedded']),
    )
    .option(
      '--virtual-signers <number>',
      'io.finnet Virtual Signers beside the two Fireblocks co-signers',
      (text) => wholeNumber(text, 0, 32),
      0,
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
  const takedown = new Takedown();
  takedown.onSignal(() => say('\nStopping: finishing what is in flight …'));
  try {
    await start(options, { say, takedown });
  } catch (error) {
    // What a signal took down while it was coming up did not fail.
    if (takedown.signalled) return;
    await takedown.run();
    throw error;
  }
}

interface Stage {
  readonly say: (line: string) => void;
  readonly takedown: Takedown;
}

/** What others depend on comes first, and so is taken down last; a port that is taken is found out before anything. */
async function start(options: UpOptions, stage: Stage): Promise<void> {
  const { takedown } = stage;
  const dir = resolve(options.dir);
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const unlock = lockDirectory(dir);
  takedown.add(async () => unlock());

  let replicas: readonly ReplicaProcess[] = [];
  const balancer = await startBalancer(HOST, options.httpPort, () => backendsOf(replicas));
  takedown.add(() => balancer.close());
  const ops = await startClusterOps(HOST, options.opsPort, () =>
    replicas.map(({ name, opsPort }) => ({ name, url: `http://${HOST}:${opsPort}` })),
  );
  takedown.add(() => closeServer(ops));

  const directory = prepareDirectory(dir, options);
  const configured = await configure(directory, options, stage);
  replicas = replicasOf(configured, options, { directory, say: stage.say });
  takedown.add(() => Promise.all(replicas.map((replica) => replica.stop())));
  await Promise.all(replicas.map((replica) => replica.start()));

  const describe = (): UpDescription =>
    describeCluster({
      host: HOST,
      httpPort: balancer.port,
      opsPort: options.opsPort,
      ...configured,
      replicas,
    });
  for (const replica of replicas) replica.onStarted = () => writeDescription(dir, describe());
  writeDescription(dir, describe());
  process.stdout.write(`${options.json === true ? JSON.stringify(describe()) : summary(describe(), dir)}\n`);
}

interface Configured {
  readonly config: Config;
  readonly configFile: string;
  readonly policyFile: string;
}

/** The configuration the replicas run with: its ledger is up, made if the folder is new, and a policy is active. */
async function configure(directory: DevelopmentDir, options: UpOptions, stage: Stage): Promise<Configured> {
  const configFile = options.config === undefined ? directory.configFile : resolve(options.config);
  if (options.config === undefined) await generateConfig(directory, options, stage);
  const config = loadConfig(configFile);
  refuseOtherLedger(config, configFile, options);
  // A replica would refuse them as well, and only its log would say why.
  loadKeys(config);
  const policyFile =
    options.policy === undefined
      ? (config.workspaces[0]?.policyFile ?? directory.policyFile)
      : directory.policyFile;
  for (const workspace of config.workspaces) {
    await prepareLedger(
      config,
      { ...workspace, ...(options.policy === undefined ? {} : { policyFile }) },
      { directory, say: stage.say },
    );
  }
  rememberLedgerKind(directory.dir, config.ledger.kind);
  return { config, configFile, policyFile };
}

async function generateConfig(
  directory: DevelopmentDir,
  options: UpOptions,
  { say, takedown }: Stage,
): Promise<void> {
  const ports = { http: options.httpPort, ops: options.opsPort };
  if (chooseLedger(directory, options) === 'embedded') {
    say(
      'Ledger     embedded (SQLite): for this one machine only; a cluster on several machines needs Redis.',
    );
    writeConfig(directory, { kind: 'embedded' }, ports);
    return;
  }
  const executable = findRedisServer();
  if (executable === undefined) {
    throw new CountersignError(
      'ENVIRONMENT',
      'neither redis-server nor valkey-server is on the PATH: install one (apt install redis-server, brew install redis), or use --ledger embedded',
    );
  }
  const redis = await startPrivateRedis(executable, directory.dir, (how) =>
    say(`Redis ended (${how}); starting it again`),
  );
  takedown.add(() => redis.stop());
  await redis.ready;
  say(
    `Ledger     Redis: a private ${basename(executable)} at ${redis.url}, append-only file in ${join(directory.dir, 'redis')}`,
  );
  writeConfig(directory, { kind: 'redis', url: redis.url, passwordFile: redis.passwordFile }, ports);
}

function chooseLedger({ dir, ledgerKind }: DevelopmentDir, { ledger: wanted }: UpOptions): LedgerKind {
  if (wanted !== undefined && ledgerKind !== undefined && wanted !== ledgerKind) {
    throw new CountersignError(
      'USAGE',
      `${dir} was made with the ${ledgerKind} ledger; its decisions are there. Choose another --dir, or remove this one.`,
    );
  }
  return wanted ?? ledgerKind ?? (findRedisServer() === undefined ? 'embedded' : 'redis');
}

function refuseOtherLedger(config: Config, configFile: string, { ledger: wanted }: UpOptions): void {
  if (wanted === undefined || wanted === config.ledger.kind) return;
  throw new CountersignError(
    'USAGE',
    `--ledger ${wanted} contradicts ${configFile}, whose ledger is ${config.ledger.kind}.`,
  );
}

/** An empty store is no ledger: one is made only together with the folder, never silently in place of a lost one. */
async function prepareLedger(
  config: Config,
  workspace: WorkspaceConfig,
  { directory, say }: { readonly directory: DevelopmentDir; readonly say: Stage['say'] },
): Promise<void> {
  const ledger = openLedger(workspace.name, ledgerSettings(config));
  try {
    if (directory.ledgerKind === undefined) await initUnlessThere(ledger);
    const privateKeyFile = config.operators
      .map(({ publicKeyFile }) => otherHalf(publicKeyFile, '.pub.pem', '.pem'))
      .find((file) => file !== null);
    if (privateKeyFile === undefined) {
      say(
        `Policy     left as it is: no operator's private key lies beside the public ones of ${workspace.name}`,
      );
      return;
    }
    const { changed, version } = await activatePolicyFile({
      config,
      workspace,
      ledger,
      privateKeyFile,
      startEmpty: [],
    });
    say(`Policy     ${workspace.policyFile} (${version.slice(0, 12)}${changed ? ', now active' : ''})`);
  } finally {
    await ledger.close();
  }
}

/** A configuration of your own may name a ledger that is in use already. */
async function initUnlessThere(ledger: Ledger): Promise<void> {
  try {
    await ledger.init();
  } catch (error) {
    if (!(error instanceof CountersignError && error.code === 'LEDGER_EXISTS')) throw error;
  }
}

function replicasOf(
  { config, configFile }: Configured,
  options: UpOptions,
  { directory, say }: { readonly directory: DevelopmentDir; readonly say: Stage['say'] },
): readonly ReplicaProcess[] {
  return Array.from({ length: options.replicas }, (_, index) => {
    const name = `replica-${index + 1}`;
    return new ReplicaProcess({
      name,
      main: MAIN,
      configFile,
      logFile: join(directory.logFolder, `${name}.log`),
      httpPort: 0,
      opsPort: options.opsPort + index + 1,
      // No balancer stands before this one: the first replica has the port of the configuration.
      ...(config.webhooks && { webhookPort: index === 0 ? config.webhooks.port : 0 }),
      drainMs: config.drain,
      onExit: (which, how) => say(`${which} ended (${how}); starting it again`),
    });
  });
}

function backendsOf(replicas: readonly ReplicaProcess[]) {
  return replicas
    .filter((replica) => replica.listening)
    .map(({ httpPort }) => ({ host: HOST, port: httpPort }));
}

function closeServer(server: Server): Promise<void> {
  return new Promise((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
}
