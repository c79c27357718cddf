/** The paths that co-signers ask at, each with its keys and its protocol. */
import type {
  Config,
  CosignerConfig,
  IofinnetConfig,
  SignedFireblocksConfig,
  UnsignedFireblocksConfig,
} from '../config/schema.js';
import { assert, CountersignError, unreachable } from '../core/errors.js';
import type { KnownKey } from '../core/keys.js';
import type { AnswerKeys, Chains, CosignerKeys, Protocol, VoteKeys } from '../core/ports.js';
import type { Request } from '../core/request.js';
import { DEFAULT_RETRIES, type RetrySchedule } from '../core/waiting.js';
import type { CosignerTiming, Endpoint } from '../http/answering.js';
import { loadAnswerKeys } from '../keys/answer-keys.js';
import { loadCosignerKeys } from '../keys/cosigner-keys.js';
import { loadVoteKeys } from '../keys/vote-keys.js';
import { fireblocksProtocol } from '../protocols/fireblocks/fireblocks.js';
import { fireblocksJsonProtocol } from '../protocols/fireblocks/json-mode.js';
import { iofinnetProtocol } from '../protocols/iofinnet/iofinnet.js';
import { keySetsOf, lifeWarnings } from './key-life.js';

/** The keys of one path, by the protocol that is spoken there. */
export type PathKeys =
  | { readonly cosignerKeys: CosignerKeys; readonly answerKeys: AnswerKeys }
  | { readonly voteKeys: VoteKeys }
  /** Nothing is signed there. */
  | { readonly none: true };

type InWorkspace<Cosigner> = Cosigner & { readonly workspace: string };

/** Co-signers that share a path share a protocol. */
type Sharing =
  | { readonly protocol: 'fireblocks'; readonly cosigners: readonly InWorkspace<SignedFireblocksConfig>[] }
  | { readonly protocol: 'fireblocks-json'; readonly cosigner: InWorkspace<UnsignedFireblocksConfig> }
  | { readonly protocol: 'iofinnet'; readonly cosigner: InWorkspace<IofinnetConfig> };

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys, and keys for the votes of two workspaces, are refused. */
export function loadPathKeys(config: Pick<Config, 'workspaces'>): {
  readonly paths: ReadonlyMap<string, PathKeys>;
  readonly warnings: readonly string[];
} {
  const warnings: string[] = [];
  const voters = new Map<string, InWorkspace<IofinnetConfig>>();
  const paths = [...sharingByPath(config)].map(([path, sharing]) => {
    const { keys, warnings: found } = keysOf(sharing);
    if (sharing.protocol === 'iofinnet') checkVoter(sharing.cosigner, keys, voters);
    warnings.push(...found);
    return [path, keys] as const;
  });
  warnings.push(...lifeWarnings(keySetsOf(config), Date.now()));
  return { paths: new Map(paths), warnings };
}

/** The keys that co-signers sign with, where they sign. */
export function knownKeys(paths: ReadonlyMap<string, PathKeys>): readonly KnownKey[] {
  return [...paths.values()].flatMap((keys) => ('cosignerKeys' in keys ? keys.cosignerKeys.known : []));
}

interface LoadedKeys {
  readonly keys: PathKeys;
  readonly warnings: readonly string[];
}

function keysOf(sharing: Sharing): LoadedKeys {
  switch (sharing.protocol) {
    case 'fireblocks':
      return fireblocksKeys(sharing.cosigners);
    case 'fireblocks-json':
      return { keys: { none: true }, warnings: [] };
    case 'iofinnet':
      return iofinnetKeys(sharing.cosigner);
    default:
      return unreachable(sharing);
  }
}

function fireblocksKeys(cosigners: readonly InWorkspace<SignedFireblocksConfig>[]): LoadedKeys {
  const { answerKeys, warnings } = loadAnswerKeys(
    cosigners.map(({ name, answerKey, answerKeys: others }) => ({
      cosigner: name,
      answerKey,
      answerKeys: others.map(({ file, algorithm, ...when }) => ({ ...when, key: { file, algorithm } })),
    })),
  );
  const cosignerKeys = loadCosignerKeys(
    cosigners.map(({ name, workspace, publicKeys, signers }) => ({
      name,
      workspace,
      publicKeyFiles: publicKeys,
      ...(signers === undefined ? {} : { signers: signers.map(({ id }) => id) }),
    })),
  );
  return { keys: { cosignerKeys, answerKeys }, warnings };
}

function iofinnetKeys({ name, answerKey, requestKeys }: IofinnetConfig): LoadedKeys {
  const { voteKeys, warnings } = loadVoteKeys([
    {
      cosigner: name,
      answerKeyFile: answerKey.file,
      ...(requestKeys === undefined ? {} : { requestKeyFiles: requestKeys.map(({ file }) => file) }),
    },
  ]);
  return { keys: { voteKeys }, warnings };
}

/** A vote says nothing but a nonce, and which content has a nonce only one ledger knows: that of one workspace. */
function checkVoter(
  cosigner: InWorkspace<IofinnetConfig>,
  keys: PathKeys,
  voters: Map<string, InWorkspace<IofinnetConfig>>,
): void {
  assert('voteKeys' in keys, 'a path with keys of another protocol');
  const scope = keys.voteKeys.scopeOf(cosigner.name);
  const other = voters.get(scope) ?? cosigner;
  if (other.workspace !== cosigner.workspace)
    throw new CountersignError(
      'KEY_INVALID',
      `${cosigner.answerKey.file} is the answer key of ${other.name} in the workspace ${other.workspace} too: a vote for one would pass for a vote of the other; give ${cosigner.name} a key of its own`,
    );
  voters.set(scope, cosigner);
}

/** The path as logs and metrics show it: the last segment of a Virtual Signer's is a secret. */
export function shownPath({ protocol, path, name }: CosignerConfig): string {
  return protocol === 'iofinnet' ? `${path.slice(0, path.lastIndexOf('/'))}/(${name})` : path;
}

/** @param chainsOf the chains of a workspace, by its name */
export function endpointsOf(
  config: Pick<Config, 'workspaces'>,
  keys: ReadonlyMap<string, PathKeys>,
  chainsOf: (workspace: string) => Chains,
): Endpoint[] {
  const endpoints = [...sharingByPath(config)].map(([path, sharing]): Endpoint => {
    const own = keys.get(path);
    assert(own !== undefined, 'a path without keys');
    if (sharing.protocol === 'fireblocks')
      return { path, shownAs: path, protocol: openFireblocks(sharing.cosigners, own) };
    if (sharing.protocol === 'fireblocks-json')
      return { path, shownAs: path, protocol: openFireblocksJson(sharing.cosigner) };
    const { cosigner } = sharing;
    const protocol = openIofinnet(cosigner, own, chainsOf(cosigner.workspace));
    return { path, shownAs: shownPath(cosigner), protocol };
  });
  // The longest path first, so that /fireblocks/eu is not taken for a route below /fireblocks.
  return endpoints.sort((one, other) => other.path.length - one.path.length);
}

function openFireblocks(cosigners: readonly InWorkspace<SignedFireblocksConfig>[], keys: PathKeys): Protocol {
  assert('cosignerKeys' in keys, 'a path with keys of another protocol');
  return fireblocksProtocol({ cosigners: cosigners.map(askerOf), ...keys });
}

function openFireblocksJson(cosigner: InWorkspace<UnsignedFireblocksConfig>): Protocol {
  return fireblocksJsonProtocol(askerOf(cosigner));
}

function askerOf({
  name,
  workspace,
  signers,
  networks,
  clientCertificates,
}: InWorkspace<SignedFireblocksConfig | UnsignedFireblocksConfig>) {
  return {
    name,
    workspace,
    ...(signers !== undefined && { signers }),
    connection: {
      ...(networks !== undefined && { networks }),
      ...(clientCertificates !== undefined && { clientCertificates }),
    },
  };
}

function openIofinnet(cosigner: InWorkspace<IofinnetConfig>, keys: PathKeys, chains: Chains): Protocol {
  assert('voteKeys' in keys, 'a path with keys of another protocol');
  const { name, workspace, organisation, networks, clientCertificates, assets, amounts, contract } = cosigner;
  const { expiresAt, ...transferPlaces } = cosigner.transferFields;
  return iofinnetProtocol({
    name,
    workspace,
    organisation,
    networks,
    assets,
    transferPlaces,
    voteKeys: keys.voteKeys,
    signsRequests: cosigner.requestKeys !== undefined,
    transferExpiry: expiresAt,
    decimalsOf: (asset) => chains.asset(asset)?.decimals,
    ...(clientCertificates === undefined ? {} : { clientCertificates }),
    ...(amounts === undefined ? {} : { amounts }),
    ...(contract === undefined ? {} : { contract }),
  });
}

function sharingByPath({ workspaces }: Pick<Config, 'workspaces'>): Map<string, Sharing> {
  const paths = new Map<string, Sharing>();
  for (const { name: workspace, cosigners } of workspaces)
    for (const cosigner of cosigners) {
      const { path } = cosigner;
      if (cosigner.protocol === 'iofinnet') {
        paths.set(path, { protocol: 'iofinnet', cosigner: { ...cosigner, workspace } });
        continue;
      }
      if (cosigner.mode === 'json') {
        paths.set(path, { protocol: 'fireblocks-json', cosigner: { ...cosigner, workspace } });
        continue;
      }
      const known = paths.get(path);
      const others = known?.protocol === 'fireblocks' ? known.cosigners : [];
      paths.set(path, { protocol: 'fireblocks', cosigners: [...others, { ...cosigner, workspace }] });
    }
  return paths;
}

/** How long a co-signer goes on asking; undefined: it does not know "ask again". Nobody knows how often a Virtual Signer asks. */
export function retriesOf(cosigner: CosignerConfig): RetrySchedule | undefined {
  if (cosigner.protocol === 'iofinnet') return { ...DEFAULT_RETRIES, attempts: undefined };
  if (!cosigner.retrySupported) return undefined;
  const { interval, attempts, total } = cosigner.retries ?? {};
  return {
    intervalMs: interval ?? DEFAULT_RETRIES.intervalMs,
    attempts: attempts ?? DEFAULT_RETRIES.attempts,
    totalMs: total ?? DEFAULT_RETRIES.totalMs,
  };
}

export function timingOf(config: Config): (request: Request) => CosignerTiming {
  const timings = new Map(
    config.workspaces.flatMap(({ name, cosigners }) =>
      cosigners.map((cosigner) => [
        `${name} ${cosigner.name}`,
        {
          deadlineMs: cosigner.deadline ?? config.deadline,
          // A Virtual Signer that gets no vote asks again, as far as anybody knows.
          retrySupported: cosigner.protocol === 'iofinnet' || cosigner.retrySupported,
        },
      ]),
    ),
  );
  return ({ workspace, cosigner }) =>
    timings.get(`${workspace} ${cosigner}`) ?? { deadlineMs: config.deadline, retrySupported: true };
}
