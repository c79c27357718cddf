/** Co-signers of all channel options behind replicas that serve TLS by themselves: real processes, real certificates. */
import type { KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { withLedger } from '../../src/cli/ledger.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type Command, countersign } from './command.js';
import { rsaPair, token } from './cosigner.js';
import { approvalClaims } from './fireblocks-handler.js';

export const APPROVER = 'approver';
export const HOST = 'callback.example.com';

export interface ChannelReplica {
  readonly command: Command;
  /** Without a path. */
  readonly origin: string;
  readonly ops: string;
  /** Options of curl that lead the host's name here. */
  readonly resolve: readonly string[];
  readonly configFile: string;
  readonly answerKey: KeyObject;
  /** What a co-signer of mode jwt sends. */
  readonly signed: (claims: object) => string;
  /** The value of one series; 0 when it is not there. */
  readonly metric: (series: string) => Promise<number>;
  readonly events: () => Promise<number>;
  /** Takes changed files now. Rejects when the log says something else of it. */
  readonly reload: (says: string) => Promise<void>;
  readonly stop: () => Promise<void>;
}

export interface ChannelSettings {
  readonly tls: Readonly<Record<string, unknown>>;
  /** Members of each co-signer beside what all have; the name is its path too. */
  readonly cosigners: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  readonly policy: string;
  /** Further sections of the document. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const SIGNERS = [{ id: APPROVER, stages: ['approval', 'signing'] }];

/** Writes keys and configuration into the folder, and makes the ledger. */
export async function writeChannels(dir: string, { tls, cosigners, policy, more }: ChannelSettings) {
  const keys = join(dir, 'keys');
  mkdirSync(keys, { recursive: true });
  const [cosigner, answer] = [rsaPair(), rsaPair()];
  writeFileSync(join(keys, 'cosigner.pub.pem'), cosigner.publicKey.export({ type: 'spki', format: 'pem' }));
  const answerPem = answer.privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(keys, 'answer.pem'), answerPem, { mode: 0o600 });
  // Whoever plays the co-signer has the other halves.
  const cosignerPem = cosigner.privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(keys, 'cosigner.pem'), cosignerPem, { mode: 0o600 });
  writeFileSync(join(keys, 'answer.pub.pem'), answer.publicKey.export({ type: 'spki', format: 'pem' }));
  generateKeyFiles('ed25519', join(keys, 'operator.pem'));
  writeFileSync(join(dir, 'policy.yaml'), policy);
  const configFile = join(dir, 'config.yaml');
  const config = {
    http: { host: '127.0.0.1', port: 0, bodyLimit: '64KiB', tls },
    ops: { host: '127.0.0.1', port: 0 },
    ledger: { kind: 'embedded', embedded: { file: 'ledger.db' } },
    workspaces: [
      {
        name: 'main',
        policyFile: 'policy.yaml',
        cosigners: Object.entries(cosigners).map(([name, own]) => ({
          name,
          protocol: 'fireblocks',
          path: `/${name}`,
          signers: SIGNERS,
          ...(own.mode === 'json'
            ? { allowUnauthenticatedJson: true }
            : {
                publicKeys: [{ file: 'keys/cosigner.pub.pem' }],
                answerKey: { file: 'keys/answer.pem', algorithm: 'RS256' },
              }),
          ...own,
        })),
      },
    ],
    operators: [{ name: 'operator', publicKeyFile: 'keys/operator.pub.pem' }],
    ...more,
  };
  writeFileSync(configFile, stringify(config));
  await withLedger({ config: configFile }, async (ledger, workspace, loaded) => {
    await ledger.init();
    const privateKeyFile = join(keys, 'operator.pem');
    await activatePolicyFile({ config: loaded, workspace, ledger, privateKeyFile, startEmpty: [] });
  });
  return { configFile, cosigner, answer };
}

/** Starts the built program on them. */
export async function startChannelReplica(dir: string, settings: ChannelSettings): Promise<ChannelReplica> {
  const { configFile, cosigner, answer } = await writeChannels(dir, settings);
  const command = countersign(['serve', '--config', configFile]);
  await command.says('replica listens');
  const lines = () => command.stdout().split('\n');
  const ports = JSON.parse(lines().find((line) => line.includes('replica listens')) ?? '{}');
  const ops = `http://127.0.0.1:${ports.ops}`;
  return {
    command,
    ops,
    configFile,
    answerKey: answer.publicKey,
    origin: `https://${HOST}:${ports.http}`,
    resolve: ['--resolve', `${HOST}:${ports.http}:127.0.0.1`],
    signed: (claims) => token(claims, cosigner.privateKey),
    async metric(series) {
      const text = await (await fetch(`${ops}/metrics`)).text();
      const line = text.split('\n').find((each) => each.startsWith(`${series} `));
      return line === undefined ? 0 : Number(line.slice(series.length + 1));
    },
    events: () => withLedger({ config: configFile }, async (ledger) => (await ledger.state()).sequence),
    async reload(says) {
      const before = lines().length - 1;
      command.signal('SIGHUP');
      const endsAt = performance.now() + 60_000;
      const heard = () => lines().slice(before).join('\n');
      // The first and the last of the parts: a look that somebody asked for tells of each, and one that the replica took by
      // itself, which may come first, of what changed.
      while (!/"part":"configuration".*\n(?:.*\n)*?.*"part":"http\.tls".*\n/.test(heard())) {
        if (performance.now() > endsAt) throw new Error(`it took nothing:\n${command.stdout()}`);
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      if (!heard().includes(says)) throw new Error(`it did not say ${says}, but:\n${heard()}`);
    },
    async stop() {
      command.signal('SIGTERM');
      await command.ended;
    },
  };
}

/** An approval question; one id, one question. */
export function question(id: string, more: object = {}): Record<string, unknown> {
  return approvalClaims({ txId: id, requestId: id, signerId: APPROVER, ...more });
}
