/** A configuration in which Virtual Signers ask, beside a Fireblocks co-signer of the same workspace. */
import { type KeyObject, randomBytes } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type KeyPair, rsaPair } from './cosigner.js';
import type { Settings } from './deployment.js';
import { ed25519Pair, nonceHeaders, ORGANISATION, type SignedReply } from './virtual-signer.js';

/** The vendor's id of ether. */
export const ETHER = 'assetaaa0000000000000001';

export interface VotingDeployment {
  readonly configFile: string;
  readonly operatorKeyFile: string;
  /** Paths of the Virtual Signers; each has a key of its own. */
  readonly signers: readonly { readonly path: string; readonly key: KeyObject; readonly name: string }[];
  /** The Fireblocks co-signer, whose only API user signs. */
  readonly fireblocks: KeyPair;
  readonly fireblocksAnswer: KeyPair;
}

export interface VotingSettings extends Pick<Settings, 'ledger' | 'policy' | 'deadline'> {
  readonly signers?: number;
  /** Members of each Virtual Signer's section, instead of those below. */
  readonly section?: object;
  readonly http?: object;
}

export const FIREBLOCKS_SIGNER = 'fireblocks-signer';

export function writeVotingDeployment(
  dir: string,
  { ledger, policy, deadline, signers: count = 1, section = {}, http = {} }: VotingSettings,
): VotingDeployment {
  const keys = join(dir, 'keys');
  mkdirSync(keys, { recursive: true });
  const signers = Array.from({ length: count }, (_, index) => {
    const { privateKey, publicKey } = ed25519Pair();
    const name = `vs-${index + 1}`;
    const file = { mode: 0o600 };
    writeFileSync(join(keys, `${name}.pem`), privateKey.export({ type: 'pkcs8', format: 'pem' }), file);
    writeFileSync(join(keys, `${name}.pub.pem`), publicKey.export({ type: 'spki', format: 'pem' }));
    return { name, path: `/iofinnet/${randomBytes(16).toString('hex')}`, key: publicKey };
  });
  const fireblocks = rsaPair();
  const fireblocksAnswer = rsaPair();
  writeFileSync(join(keys, 'fb.pub.pem'), fireblocks.publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(join(keys, 'fb.pem'), fireblocks.privateKey.export({ type: 'pkcs8', format: 'pem' }), {
    mode: 0o600,
  });
  writeFileSync(
    join(keys, 'fb-answer.pem'),
    fireblocksAnswer.privateKey.export({ type: 'pkcs8', format: 'pem' }),
    { mode: 0o600 },
  );
  writeFileSync(
    join(keys, 'fb-answer.pub.pem'),
    fireblocksAnswer.publicKey.export({ type: 'spki', format: 'pem' }),
  );
  generateKeyFiles('ed25519', join(keys, 'operator.pem'));
  writeFileSync(join(dir, 'voting-policy.yaml'), policy);
  const configFile = join(dir, 'voting-config.yaml');
  const config = {
    http: { host: '127.0.0.1', port: 0, bodyLimit: '256KiB', ...http },
    ops: { host: '127.0.0.1', port: 0 },
    ledger,
    workspaces: [
      {
        name: 'main',
        policyFile: 'voting-policy.yaml',
        cosigners: [
          ...signers.map(({ name, path }) => ({
            name,
            protocol: 'iofinnet',
            path,
            organisation: ORGANISATION,
            answerKey: { file: `keys/${name}.pem`, algorithm: 'Ed25519' },
            networks: ['127.0.0.0/8'],
            assets: { [ETHER]: 'ETH' },
            amounts: 'decimal',
            ...(deadline === undefined ? {} : { deadline }),
            ...section,
          })),
          {
            name: 'fb',
            protocol: 'fireblocks',
            path: '/fireblocks',
            publicKeys: [{ file: 'keys/fb.pub.pem' }],
            signers: [{ id: FIREBLOCKS_SIGNER, stages: ['signing'] }],
            answerKey: { file: 'keys/fb-answer.pem', algorithm: 'RS256' },
          },
        ],
      },
    ],
    operators: [{ name: 'operator', publicKeyFile: 'keys/operator.pub.pem' }],
  };
  writeFileSync(configFile, stringify(config));
  return { configFile, operatorKeyFile: join(keys, 'operator.pem'), signers, fireblocks, fireblocksAnswer };
}

/** One request of a Virtual Signer, with headers as they arrive: nothing is read for us. */
export function ask(
  url: string,
  body: string | Buffer | object,
  headers: Readonly<Record<string, string | readonly string[]>> | string,
): Promise<SignedReply> {
  const bytes =
    typeof body === 'string' || Buffer.isBuffer(body) ? Buffer.from(body) : Buffer.from(JSON.stringify(body));
  const sent = typeof headers === 'string' ? nonceHeaders(headers) : headers;
  return new Promise((resolve, reject) => {
    const call = request(url, {
      method: 'POST',
      headers: { ...sent, 'content-length': bytes.length },
      timeout: 30_000,
    });
    call.on('error', reject);
    call.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      // A replica that is killed may cut it in the middle.
      response.on('error', reject);
      const plain = Object.fromEntries(
        Object.entries(response.headers).map(([name, value]) => [name, String(value)]),
      );
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: plain,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    call.end(bytes);
  });
}
