/** What tools need to drive a cluster that `countersign up` started; kept as DIR/up.json. */
import { existsSync, renameSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import type { Config, CosignerConfig, IofinnetConfig, SignedFireblocksConfig } from '../config/schema.js';
import type { LedgerKind } from './development-dir.js';

export interface UpDescription {
  readonly http: string;
  readonly ops: string;
  readonly ledger: LedgerKind;
  readonly replicas: number;
  readonly cosigners: readonly {
    readonly name: string;
    readonly protocol: string;
    readonly url: string;
    /** Of Fireblocks co-signers. */
    readonly mode?: 'jwt' | 'json';
    readonly privateKeyFile: string | null;
    readonly signerIds: readonly string[];
    readonly signers: readonly { readonly id: string; readonly stages: readonly string[] }[];
    /** Of Virtual Signers: what one has to know to play them. */
    readonly voting?: ReturnType<typeof votingOf>;
  }[];
  readonly answerPublicKeyFile: string | null;
  /** What replicas show, where they speak TLS. */
  readonly certificateFile?: string;
  readonly policyFile: string;
  readonly configFile: string;
  readonly replicaUrls: readonly string[];
  readonly replicaOps: readonly string[];
  readonly replicaPids: readonly number[];
}

export interface RunningCluster {
  readonly host: string;
  readonly httpPort: number;
  readonly opsPort: number;
  readonly config: Config;
  readonly configFile: string;
  readonly policyFile: string;
  readonly replicas: readonly {
    readonly httpPort: number;
    readonly opsPort: number;
    readonly pid: number | undefined;
  }[];
}

export function describeCluster({
  host,
  httpPort,
  opsPort,
  config,
  configFile,
  policyFile,
  replicas,
}: RunningCluster): UpDescription {
  const { tls } = config.http;
  const scheme = tls === undefined ? 'http' : 'https';
  const http = `${scheme}://${host}:${httpPort}`;
  const cosigners = config.workspaces.flatMap((workspace) => workspace.cosigners);
  return {
    http,
    ops: `http://${host}:${opsPort}`,
    ledger: config.ledger.kind,
    replicas: replicas.length,
    cosigners: cosigners.map((cosigner) => {
      const { name, protocol, path } = cosigner;
      const signers = (cosigner.protocol === 'fireblocks' ? cosigner.signers : undefined) ?? [];
      const publicKeys = signs(cosigner) ? cosigner.publicKeys : [];
      return {
        name,
        protocol,
        url: `${http}${path}`,
        ...(cosigner.protocol === 'fireblocks' && { mode: cosigner.mode }),
        privateKeyFile: otherHalf(publicKeys[0]?.file, '.pub.pem', '.pem'),
        signerIds: signers.map((signer) => signer.id),
        signers,
        ...(cosigner.protocol === 'iofinnet' ? { voting: votingOf(cosigner) } : {}),
      };
    }),
    answerPublicKeyFile: otherHalf(cosigners.find(signs)?.answerKey.file, '.pem', '.pub.pem'),
    ...(tls !== undefined && { certificateFile: tls.certificateFile }),
    policyFile,
    configFile,
    replicaUrls: replicas.map((replica) => `${scheme}://${host}:${replica.httpPort}`),
    replicaOps: replicas.map((replica) => `http://${host}:${replica.opsPort}`),
    replicaPids: replicas.flatMap(({ pid }) => (pid === undefined ? [] : [pid])),
  };
}

function signs(cosigner: CosignerConfig): cosigner is SignedFireblocksConfig {
  return cosigner.protocol === 'fireblocks' && cosigner.mode === 'jwt';
}

function votingOf({ answerKey, organisation, assets, amounts, contract }: IofinnetConfig) {
  return {
    answerPublicKeyFile: otherHalf(answerKey.file, '.pem', '.pub.pem'),
    organisation,
    assets,
    amounts: amounts ?? null,
    contract: contract ?? null,
  };
}

/** Development key pairs lie side by side; with a configuration of your own the private half may be elsewhere. */
export function otherHalf(file: string | undefined, from: string, to: string): string | null {
  if (file === undefined || !file.endsWith(from)) return null;
  const other = file.slice(0, -from.length) + to;
  return existsSync(other) ? other : null;
}

/** Readers poll this file while replicas come and go: they must never see half of it. */
export function writeDescription(dir: string, description: UpDescription): void {
  const file = join(dir, 'up.json');
  writeFileSync(`${file}.new`, `${JSON.stringify(description)}\n`);
  renameSync(`${file}.new`, file);
}

/** For the person at the terminal: where everything is, and what to type next. */
export function summary(description: UpDescription, dir: string): string {
  const folder = dir === resolve('var') ? '' : ` --dir ${dir}`;
  return [
    `Keys       ${join(dir, 'keys')} (development only)`,
    `Replicas   ${description.replicas}, logs in ${join(dir, 'log')}`,
    `Co-signers ${description.cosigners.map(({ name, url }) => `${name} → ${url}`).join('\n           ')}`,
    `Readiness  ${description.ops}/readyz`,
    `Metrics    ${description.ops}/metrics`,
    '',
    'Ready. In another terminal:',
    '',
    `  npx countersign simulate${folder}`,
    `  npx countersign ledger journal --config ${nearest(description.configFile)}`,
    '',
    'Ctrl-C stops everything.',
  ].join('\n');
}

/** The shorter of the two ways to write a path. */
function nearest(file: string): string {
  const path = relative('.', file);
  return path.length < file.length && !path.startsWith('..') ? path : file;
}
