/** A deployment whose vendor has a REST API: signing requests without bytes to verify, and what the API knows of them. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { type KeyPair, rsaPair, token } from './cosigner.js';
import { type Deployment, deliver, type Settings, writeDeployment } from './deployment.js';
import { type FakeFireblocksApi, startFakeFireblocksApi } from './fake-fireblocks-api.js';
import { signingClaims } from './fireblocks-handler.js';
import { metricFamilies, type Sample } from './prometheus.js';

export const SIGNER = 'f0e1d2c3-0000-4000-8000-00000000b001';
export const VIEWER = 'f0e1d2c3-0000-4000-8000-00000000a001';
export const ADMIN = 'f0e1d2c3-0000-4000-8000-00000000a002';

/** Approves so many transfers at the signing stage, whatever their bytes are. */
export function approvingAtMost(count: number): string {
  return `version: 1
limits: { few: { sum: count, max: '${count}', window: lifetime } }
rules:
  - name: approve-all
    match: { kind: transaction, operation: [TRANSFER] }
    verify: off
    limits: [few]
    effect: approve
`;
}

export interface VendorDeployment extends Deployment {
  readonly fake: FakeFireblocksApi;
  readonly api: KeyPair;
  /** The answer to a request for a signature: the action, and the reason of a rejection. */
  ask(origin: string, id: string, claims?: object): Promise<string>;
  /** Changes the configuration document. */
  configure(change: (workspace: Workspace) => void): void;
  close(): Promise<void>;
}

interface Workspace {
  api?: Record<string, unknown>;
  unfinishedAfter?: string;
  cosigners: Record<string, unknown>[];
}

export async function writeVendorDeployment(
  dir: string,
  settings: Omit<Settings, 'policy'> & { readonly policy?: string },
): Promise<VendorDeployment> {
  const deployment = writeDeployment(dir, { policy: approvingAtMost(100), ...settings });
  const api = rsaPair();
  const fake = await startFakeFireblocksApi([
    { apiKey: VIEWER, publicKey: api.publicKey, isViewer: true },
    { apiKey: ADMIN, publicKey: api.publicKey },
  ]);
  const { privateKey } = api;
  writeFileSync(join(dir, 'keys/api.pem'), privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  writeFileSync(join(dir, 'keys/viewer.id'), `${VIEWER}\n`);
  writeFileSync(join(dir, 'keys/admin.id'), ADMIN);
  const configure = (change: (workspace: Workspace) => void): void => {
    const config = parse(readFileSync(deployment.configFile, 'utf8')) as { workspaces: [Workspace] };
    change(config.workspaces[0]);
    writeFileSync(deployment.configFile, stringify(config));
  };
  configure((workspace) => {
    Object.assign(workspace.cosigners[0] ?? {}, { signers: [{ id: SIGNER, stages: ['signing'] }] });
    workspace.api = {
      url: `${fake.url}/v1`,
      apiKeyFile: 'keys/viewer.id',
      privateKeyFile: 'keys/api.pem',
      timeout: '3s',
      requestsPerMinute: 1_000,
    };
  });
  return {
    ...deployment,
    fake,
    api,
    configure,
    close: () => fake.close(),
    async ask(origin, id, claims = {}) {
      const about = { txId: id, requestId: id, signerId: SIGNER, ...claims };
      const reply = await deliver(origin, token(signingClaims(about), deployment.cosigner.privateKey));
      const { action, rejectionReason } = deployment.read(reply, id);
      return rejectionReason === undefined ? action : `${action} ${rejectionReason}`;
    },
  };
}

/** A transaction as the REST API has it. */
export function vendorTransaction(id: string, status: string, more: object = {}): object {
  const now = Date.now();
  return {
    id,
    status,
    subStatus: '',
    txHash: '',
    operation: 'TRANSFER',
    assetId: 'ETH',
    createdAt: now - 1_000,
    lastUpdated: now,
    source: { type: 'VAULT_ACCOUNT', id: '7' },
    ...more,
  };
}

/** Every sample of these replicas. */
export async function samplesOf(ops: readonly string[]): Promise<readonly Sample[]> {
  const pages = await Promise.all(
    ops.map(async (origin) =>
      fetch(`${origin}/metrics`)
        .then((response) => response.text())
        .catch(() => ''),
    ),
  );
  return pages
    .filter((page) => page !== '')
    .flatMap((page) => [...metricFamilies(page).values()].flatMap(({ samples }) => samples));
}

export function total(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number {
  return valuesOf(samples, name, labels).reduce((sum, value) => sum + value, 0);
}

export function valuesOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): readonly number[] {
  return samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .map(({ value }) => value);
}
