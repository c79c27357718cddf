/** Keys, policy and configuration of a run, as an operator would write them. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { generateKeyFiles } from '../../../src/keys/generate.js';
import { keySet, vendorKey, WORKSPACE_ID } from '../../support/webhook-vendor.js';
import type { VendorSettings } from '../cosigner/vendor.js';
import type { VirtualSignerKeys } from '../cosigner/virtual-signers.js';
import {
  type CosignerName,
  ORGANISATION,
  SIGNERS,
  VIRTUAL_SIGNERS,
  VOTED_ETHER,
} from '../workload/errands.js';
import { GROUP } from './sentinels.js';

export type Mode = 'witness' | 'fence' | 'naive';

export const COSIGNERS: readonly CosignerName[] = ['cosigner-a', 'cosigner-b'];

export interface Deployment {
  readonly configFile: string;
  readonly operatorKeyFile: string;
  readonly answerPublicKeyFile: string;
  readonly answerKeyFile: string;
  readonly cosignerKeyFile: (name: CosignerName) => string;
  readonly cosignerPublicKeyFile: (name: CosignerName) => string;
  readonly virtualSigners: readonly VirtualSignerKeys[];
  /** What the vendor signs its notifications with. */
  readonly vendorKey: Pick<VendorSettings, 'kid' | 'keyFile'>;
}

export const HOOK_PATH = '/hooks/fireblocks';

export interface Stores {
  readonly mode: Mode;
  /** Ports of the proxy. */
  readonly redis: readonly number[];
  readonly sentinels: readonly number[];
  readonly witnesses: readonly number[];
}

export function writeDeployment(folder: string, policy: string, stores: Stores): Deployment {
  const keys = join(folder, 'keys');
  mkdirSync(keys, { recursive: true });
  for (const name of [...COSIGNERS, 'answer']) writeRsaPair(join(keys, name));
  for (const name of ['operator', ...VIRTUAL_SIGNERS]) generateKeyFiles('ed25519', join(keys, `${name}.pem`));
  const virtualSigners = VIRTUAL_SIGNERS.map((name) => ({
    name,
    path: `/iofinnet/${randomBytes(16).toString('hex')}`,
    answerPublicKeyFile: join(keys, `${name}.pub.pem`),
  }));
  const vendor = vendorKey('vendor-1');
  writeFileSync(join(keys, 'vendor.pem'), pem(vendor.privateKey, 'pkcs8'), { mode: 0o600 });
  writeFileSync(join(keys, 'vendor.jwks.json'), keySet(vendor));
  writeFileSync(join(folder, 'policy.yaml'), policy);
  const configFile = join(folder, 'config.yaml');
  writeFileSync(configFile, stringify(configOf(stores, virtualSigners)));
  return {
    configFile,
    operatorKeyFile: join(keys, 'operator.pem'),
    answerKeyFile: join(keys, 'answer.pem'),
    answerPublicKeyFile: join(keys, 'answer.pub.pem'),
    cosignerKeyFile: (name) => join(keys, `${name}.pem`),
    cosignerPublicKeyFile: (name) => join(keys, `${name}.pub.pem`),
    virtualSigners,
    vendorKey: { kid: vendor.kid, keyFile: join(keys, 'vendor.pem') },
  };
}

function configOf(stores: Stores, virtualSigners: readonly VirtualSignerKeys[]) {
  const signers = Object.entries(SIGNERS).flatMap(([stage, ids]) =>
    ids.map((id) => ({ id, stages: [stage] })),
  );
  return {
    http: { host: '127.0.0.1', port: 0 },
    ops: { host: '127.0.0.1', port: 0 },
    webhooks: { host: '127.0.0.1', port: 0 },
    deadline: '20s',
    ledger: { kind: 'redis', ...ledgerOf(stores) },
    workspaces: [
      {
        name: 'main',
        policyFile: 'policy.yaml',
        webhooks: {
          path: HOOK_PATH,
          workspaceIds: [WORKSPACE_ID],
          jwks: { file: 'keys/vendor.jwks.json' },
        },
        cosigners: [
          ...COSIGNERS.map((name) => ({
            name,
            protocol: 'fireblocks',
            path: `/${name}`,
            publicKeys: [{ file: `keys/${name}.pub.pem` }],
            signers,
            answerKey: { file: 'keys/answer.pem', algorithm: 'RS256' },
          })),
          ...virtualSigners.map(({ name, path }) => ({
            name,
            protocol: 'iofinnet',
            path,
            organisation: ORGANISATION,
            answerKey: { file: `keys/${name}.pem`, algorithm: 'Ed25519' },
            networks: ['127.0.0.0/8'],
            assets: { [VOTED_ETHER]: 'ETH' },
            amounts: 'decimal',
          })),
        ],
      },
    ],
    operators: [{ name: 'chaos', publicKeyFile: 'keys/operator.pub.pem' }],
  };
}

function ledgerOf({ mode, redis, sentinels, witnesses }: Stores) {
  const at = (port: number | undefined) => `redis://127.0.0.1:${port}`;
  if (mode === 'fence') return { redis: { url: at(redis[0]) }, durability: { mode: 'fence' } };
  return {
    redis: { sentinel: { name: GROUP, nodes: sentinels.map((port) => `127.0.0.1:${port}`) } },
    durability: { mode: 'witness', witnesses: witnesses.map((port) => ({ url: at(port) })) },
  };
}

function writeRsaPair(file: string): void {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(`${file}.pem`, pem(privateKey, 'pkcs8'), { mode: 0o600 });
  writeFileSync(`${file}.pub.pem`, pem(publicKey, 'spki'));
}

function pem(key: KeyObject, type: 'pkcs8' | 'spki'): string | Buffer {
  return type === 'pkcs8' ? key.export({ type, format: 'pem' }) : key.export({ type, format: 'pem' });
}
