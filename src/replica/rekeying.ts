/**
 * Who asks with which keys, and which keys answer, taken from the configuration document again while the replica runs.
 *
 * Keys, signers and networks stand behind the endpoints of a replica, which are replaced in one assignment: a message meets
 * the old ones or the new ones, and what was received under the old ones is answered by them.
 */
import { isDeepStrictEqual } from 'node:util';
import { contradictionsOf, loadConfig, readText } from '../config/load.js';
import type { Config, CosignerConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import type { Chains } from '../core/ports.js';
import type { Answering, Outlets } from '../http/answering.js';
import type { Metrics } from '../telemetry/metrics.js';
import { endpointsOf, knownKeys, loadPathKeys } from './endpoints.js';
import { type KeySet, keySetsOf } from './key-life.js';
import { type Contents, changesOf, contentsOf, type ReloadedPart } from './reloading.js';
import { watchKeys } from './watching.js';

/** The fields of a co-signer that are taken; everything else of a document needs a restart. */
const TAKEN: ReadonlySet<string> = new Set([
  'publicKeys',
  'requestKeys',
  'answerKey',
  'answerKeys',
  'signers',
  'networks',
  'clientCertificates',
]);

/** A log line names no more fields than these. */
const MAX_NAMED = 20;

export interface RekeyingParts extends Pick<Outlets, 'logger'> {
  readonly answering: Answering;
  readonly metrics: Metrics;
  /** The chains of a workspace, by its name. */
  readonly chainsOf: (workspace: string) => Chains;
  /** What was told when the keys were read first. */
  readonly warnings: readonly string[];
}

export class Rekeying {
  /** What was told already: reloads that find the same say nothing new. */
  #told: readonly string[];
  #pending: readonly string[] = [];
  /** What a replica reads when it starts and never again: field → file, and what was in them then. */
  readonly #readOnce: ReadonlyMap<string, string>;
  readonly #atStart: Promise<Contents>;

  constructor(
    /** What is in force. */
    private running: Config,
    private readonly parts: RekeyingParts,
  ) {
    this.#told = parts.warnings;
    this.#readOnce = filesReadOnce(running);
    this.#atStart = contentsOf([...this.#readOnce.values()]);
  }

  /** The configuration as it is in force. */
  get inForce(): Config {
    return this.running;
  }

  /** The document and the key files it names, as they are in force. */
  part(configFile: string): ReloadedPart {
    const { reloads } = this.parts.metrics;
    reloads.document(readText(configFile));
    return {
      name: 'configuration',
      files: () => [
        ...new Set([configFile, ...keySetsOf(this.running).flatMap(filesOf), ...this.#readOnce.values()]),
      ],
      reload: async () => {
        const replaced = await this.#replaced();
        const text = readText(configFile);
        this.#take(loadConfig(configFile), replaced);
        reloads.document(text);
      },
    };
  }

  /** The fields whose files hold something else than when they were read. */
  async #replaced(): Promise<readonly string[]> {
    const files = [...this.#readOnce.values()];
    const changed = changesOf(await this.#atStart, await contentsOf(files));
    return [...this.#readOnce].filter(([, file]) => changed.includes(file)).map(([field]) => field);
  }

  /** Throws CONFIG_INVALID, FILE_UNREADABLE or KEY_INVALID, and then nothing has changed. */
  #take(next: Config, replaced: readonly string[]): void {
    const { answering, metrics, chainsOf } = this.parts;
    const { config, pending } = takenFrom(next, this.running);
    const { paths, warnings } = loadPathKeys(config);
    answering.endpoints = endpointsOf(config, paths, chainsOf);
    this.running = config;
    watchKeys(metrics, config, knownKeys(paths));
    this.#tell(warnings, [...pending, ...replaced]);
  }

  #tell(warnings: readonly string[], pending: readonly string[]): void {
    const { logger, metrics } = this.parts;
    for (const warning of warnings) if (!this.#told.includes(warning)) logger.warn(warning);
    this.#told = warnings;
    metrics.reloads.restartNeeded(pending.length > 0);
    if (pending.length > 0 && !isDeepStrictEqual(pending, this.#pending))
      logger.warn(
        { fields: pending.slice(0, MAX_NAMED) },
        'the configuration document, or a file that it names there, has changed: needs a restart',
      );
    this.#pending = pending;
  }
}

/** Operators, and keys and certificates of what speaks with others: field → file. */
export function filesReadOnce({
  operators,
  audit,
  ledger,
  locks,
  workspaces,
}: Config): ReadonlyMap<string, string> {
  // The file of the embedded ledger is the ledger itself, and changes with every decision.
  const { embedded: _, ...stores } = { embedded: undefined, ...ledger };
  const own = workspaces.map(({ assetsFile, api, webhooks }) => ({
    assetsFile,
    api,
    webhooks: { legacyKeyFile: webhooks?.legacyKeyFile },
  }));
  return new Map(namedFiles({ operators, audit, ledger: stores, locks, workspaces: own }, ''));
}

/** A password is read again for each connection. */
function namedFiles(section: unknown, path: string): readonly (readonly [string, string])[] {
  if (!isBranch(section)) return [];
  return Object.entries(section).flatMap(([name, value]): readonly (readonly [string, string])[] => {
    const at = Array.isArray(section) ? `${path}[${name}]` : path === '' ? name : `${path}.${name}`;
    if (typeof value !== 'string') return namedFiles(value, at);
    return /^file$|File$/.test(name) && name !== 'passwordFile' ? [[at, value]] : [];
  });
}

function filesOf({ asking, otherwise, answering }: KeySet): readonly string[] {
  return [...asking, otherwise, ...answering].map(({ file }) => file);
}

/** The running document with what is taken of the next one, and the fields in which they still differ. */
export function takenFrom(
  next: Config,
  running: Config,
): { readonly config: Config; readonly pending: readonly string[] } {
  const workspaces = running.workspaces.map((workspace) => {
    const others = next.workspaces.find(({ name }) => name === workspace.name)?.cosigners ?? [];
    return { ...workspace, cosigners: workspace.cosigners.map((each) => withKeysOf(others, each)) };
  });
  const config = { ...running, workspaces };
  const [problem] = contradictionsOf(config);
  if (problem !== undefined)
    throw new CountersignError(
      'CONFIG_INVALID',
      `what can be taken without a restart does not go with what cannot: ${problem.message}`,
    );
  return { config, pending: differencesOf(next, config) };
}

/** Another one comes with other fields, and takes a restart. */
function channelOf(cosigner: CosignerConfig): string {
  return cosigner.protocol === 'iofinnet' ? cosigner.protocol : `${cosigner.protocol} ${cosigner.mode}`;
}

function withKeysOf(others: readonly CosignerConfig[], running: CosignerConfig): CosignerConfig {
  const next = others.find((each) => each.name === running.name && channelOf(each) === channelOf(running));
  if (next === undefined) return running;
  const kept = Object.entries(running).filter(([field]) => !TAKEN.has(field));
  const taken = Object.entries(next).filter(([field]) => TAKEN.has(field));
  return Object.fromEntries([...kept, ...taken]) as CosignerConfig;
}

/** The paths of what differs, e.g. `http.port`, `workspaces[0].cosigners`: values may be secrets and are not named. */
function differencesOf(one: unknown, other: unknown, path = ''): readonly string[] {
  if (isDeepStrictEqual(one, other)) return [];
  if (!isBranch(one) || !isBranch(other) || Array.isArray(one) !== Array.isArray(other)) return [path];
  if (Array.isArray(one) && Array.isArray(other) && one.length !== other.length) return [path];
  const fields = [...new Set([...Object.keys(one), ...Object.keys(other)])];
  return fields.flatMap((field) => {
    const at = Array.isArray(one) ? `${path}[${field}]` : path === '' ? field : `${path}.${field}`;
    return differencesOf(Reflect.get(one, field), Reflect.get(other, field), at);
  });
}

function isBranch(value: unknown): value is object {
  return typeof value === 'object' && value !== null;
}
