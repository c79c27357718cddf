/** The folder of `countersign up`: development keys, a policy to start from, and a configuration. */
import { createHash } from 'node:crypto';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stringify } from 'yaml';
import { generateKeyFiles, publicFileOf } from '../keys/generate.js';

export type LedgerKind = 'redis' | 'embedded';

export interface DevelopmentDir {
  readonly dir: string;
  /** Names of the io.finnet Virtual Signers. */
  readonly virtualSigners: readonly string[];
  readonly configFile: string;
  readonly policyFile: string;
  readonly operatorKeyFile: string;
  readonly logFolder: string;
  /** The kind of ledger this folder was made with; undefined when it has just been made. */
  readonly ledgerKind: LedgerKind | undefined;
}

/** Two, because the example policy has two people lift a freeze. */
const OPERATORS = [
  { name: 'development', keyFile: 'keys/operator.pem' },
  { name: 'development-2', keyFile: 'keys/operator-2.pem' },
] as const;

/** API users of the development co-signers: one for signing and one for approving each, as one should have it. */
const COSIGNERS = [
  {
    name: 'cosigner-a',
    signers: [
      { id: 'a0000000-0000-4000-8000-000000000001', stages: ['signing'] },
      { id: 'a0000000-0000-4000-8000-000000000002', stages: ['approval'] },
    ],
  },
  {
    name: 'cosigner-b',
    signers: [
      { id: 'b0000000-0000-4000-8000-000000000001', stages: ['signing'] },
      { id: 'b0000000-0000-4000-8000-000000000002', stages: ['approval'] },
    ],
  },
] as const;

const EXAMPLE_POLICY = fileURLToPath(new URL('../../deploy/examples/policy.yaml', import.meta.url));

const CONFIG_HEADER = `# Written by \`countersign up\` at every start. For production, copy it, replace the keys, and run \`countersign serve\`.
`;

/** Makes what is missing and leaves what is there. */
export function prepareDirectory(
  folder: string,
  {
    policy: policyFile,
    virtualSigners: count,
  }: { readonly policy?: string; readonly virtualSigners: number },
): DevelopmentDir {
  const dir = resolve(folder);
  const keys = join(dir, 'keys');
  const logFolder = join(dir, 'log');
  for (const each of [dir, keys, logFolder]) mkdirSync(each, { recursive: true, mode: 0o700 });
  generateIfMissing(join(keys, 'answer.pem'), 'rsa');
  for (const { keyFile } of OPERATORS) generateIfMissing(join(dir, keyFile), 'ed25519');
  for (const { name } of COSIGNERS) generateIfMissing(join(keys, `${name}.pem`), 'rsa');
  const virtualSigners = Array.from({ length: count }, (_, index) => `virtual-signer-${index + 1}`);
  for (const name of virtualSigners) generateIfMissing(join(keys, `${name}.pem`), 'ed25519');
  const ownPolicy = join(dir, 'policy.yaml');
  if (policyFile === undefined && !existsSync(ownPolicy)) copyFileSync(EXAMPLE_POLICY, ownPolicy);
  return {
    dir,
    virtualSigners,
    configFile: join(dir, 'config.yaml'),
    policyFile: policyFile === undefined ? ownPolicy : resolve(policyFile),
    operatorKeyFile: join(dir, OPERATORS[0].keyFile),
    logFolder,
    ledgerKind: readLedgerKind(dir),
  };
}

/** Remembered, because the other kind of ledger would be an empty one: everything decided so far would be forgotten. */
export function rememberLedgerKind(dir: string, kind: LedgerKind): void {
  writeFileSync(join(dir, 'ledger.kind'), `${kind}\n`);
}

export function writeConfig(
  { dir, configFile, policyFile, virtualSigners }: DevelopmentDir,
  ledger:
    | { readonly kind: 'embedded' }
    | { readonly kind: 'redis'; readonly url: string; readonly passwordFile: string },
  ports: { readonly http: number; readonly ops: number },
): void {
  const config = {
    http: { host: '127.0.0.1', port: ports.http },
    ops: { host: '127.0.0.1', port: ports.ops },
    deadline: '20s',
    ledger:
      ledger.kind === 'embedded'
        ? { kind: 'embedded', embedded: { file: 'ledger.db' } }
        : { kind: 'redis', redis: { url: ledger.url, passwordFile: relative(dir, ledger.passwordFile) } },
    workspaces: [
      {
        name: 'main',
        policyFile: relative(dir, policyFile),
        cosigners: [
          ...COSIGNERS.map(({ name, signers }) => ({
            name,
            protocol: 'fireblocks',
            mode: 'jwt',
            path: '/fireblocks',
            publicKeys: [{ file: `keys/${name}.pub.pem` }],
            signers,
            answerKey: { file: 'keys/answer.pem', algorithm: 'RS256' },
          })),
          ...virtualSigners.map((name) => virtualSignerSection(dir, name)),
        ],
      },
    ],
    operators: OPERATORS.map(({ name, keyFile }) => ({ name, publicKeyFile: publicFileOf(keyFile) })),
    logging: { level: 'info' },
  };
  writeFileSync(configFile, CONFIG_HEADER + stringify(config), { mode: 0o600 });
}

/** The simulator is the only one to call it, from this machine, and calls ether by its own name. */
function virtualSignerSection(dir: string, name: string) {
  const keyFile = `keys/${name}.pem`;
  // A secret that stays the same at every start, because the key does.
  const secret = createHash('sha256')
    .update(readFileSync(join(dir, keyFile)))
    .digest('hex')
    .slice(0, 32);
  return {
    name,
    protocol: 'iofinnet',
    path: `/iofinnet/${secret}`,
    organisation: 'development',
    answerKey: { file: keyFile, algorithm: 'Ed25519' },
    networks: ['127.0.0.0/8'],
    assets: { 'development-ether': 'ETH' },
    amounts: 'decimal',
    contract: { revision: 'R1', address: `0x${'c5'.repeat(20)}` },
  };
}

function generateIfMissing(file: string, type: 'rsa' | 'ed25519'): void {
  if (!existsSync(file)) generateKeyFiles(type, file);
}

function readLedgerKind(dir: string): LedgerKind | undefined {
  const file = join(dir, 'ledger.kind');
  if (!existsSync(file)) return undefined;
  return readFileSync(file, 'utf8').trim() === 'embedded' ? 'embedded' : 'redis';
}
