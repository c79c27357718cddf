/** Somebody's own configuration with keys of its own, and a co-signer that asks under it. */
import type { KeyObject } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { stringify } from 'yaml';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type KeyPair, payloadOf, rsaPair, token, verifies } from './cosigner.js';
import { approvalClaims } from './fireblocks-handler.js';

/** Asks for approvals only, so that its requests need no bytes. */
export const APPROVER = 'approver';

export interface Settings {
  readonly ledger:
    | { readonly kind: 'redis'; readonly redis: { readonly url: string }; readonly durability?: object }
    | { readonly kind: 'embedded'; readonly embedded: { readonly file: string } };
  readonly policy: string;
  /** Without it long enough for a busy machine: a test in which the store goes away says a shorter one. */
  readonly deadline?: string;
  readonly drain?: string;
  readonly bodyLimit?: string;
  readonly retrySupported?: boolean;
  /** False: anybody may ask, for signatures only. */
  readonly listsSigners?: boolean;
  readonly port?: number;
  readonly opsPort?: number;
}

export interface Deployment {
  readonly dir: string;
  readonly configFile: string;
  readonly policyFile: string;
  readonly operatorKeyFile: string;
  readonly cosigner: KeyPair;
  readonly answer: KeyPair;
  /** The token of an approval request; one id, one request. */
  readonly request: (id: string, claims?: object) => string;
  /** The claims of an answer. Throws when it is no answer of this deployment to this request. */
  readonly read: (reply: Reply, id: string) => Answer;
}

export interface Answer {
  readonly action: string;
  readonly requestId: string;
  readonly rejectionReason?: string;
}

export const EMBEDDED = { kind: 'embedded', embedded: { file: 'ledger.db' } } as const;

/** Approves every transfer, as far as the limits go. */
export function approving(limits: Readonly<Record<string, string>> = {}): string {
  return [
    'version: 1',
    `limits: { ${Object.entries(limits)
      .map(([name, limit]) => `${name}: ${limit}`)
      .join(', ')} }`,
    'rules:',
    '  - name: approve-all',
    '    match: { kind: transaction, operation: [TRANSFER] }',
    `    limits: [${Object.keys(limits).join(', ')}]`,
    '    effect: approve',
    '',
  ].join('\n');
}

/** Writes keys, policy and configuration into the folder. */
export function writeDeployment(dir: string, { policy, ledger, ...settings }: Settings): Deployment {
  const keys = join(dir, 'keys');
  mkdirSync(keys, { recursive: true });
  const cosigner = rsaPair();
  const answer = rsaPair();
  writeFileSync(join(keys, 'own-cosigner.pub.pem'), pemOf(cosigner.publicKey));
  writeFileSync(join(keys, 'own-answer.pem'), pemOf(answer.privateKey), { mode: 0o600 });
  generateKeyFiles('ed25519', join(keys, 'own-operator.pem'));
  const policyFile = join(dir, 'own-policy.yaml');
  const configFile = join(dir, 'own-config.yaml');
  writeFileSync(policyFile, policy);
  const { deadline = '20s', drain = '0ms', bodyLimit = '64KiB' } = settings;
  const { retrySupported = true, listsSigners = true } = settings;
  const config = {
    http: { host: '127.0.0.1', port: settings.port ?? 0, bodyLimit },
    ops: { host: '127.0.0.1', port: settings.opsPort ?? 0 },
    deadline,
    drain,
    ledger,
    workspaces: [
      {
        name: 'main',
        policyFile: 'own-policy.yaml',
        cosigners: [
          {
            name: 'own',
            protocol: 'fireblocks',
            path: '/own',
            publicKeys: [{ file: 'keys/own-cosigner.pub.pem' }],
            ...(listsSigners ? { signers: [{ id: APPROVER, stages: ['approval'] }] } : {}),
            answerKey: { file: 'keys/own-answer.pem', algorithm: 'RS256' },
            retrySupported,
          },
        ],
      },
    ],
    operators: [{ name: 'own-operator', publicKeyFile: 'keys/own-operator.pub.pem' }],
  };
  writeFileSync(configFile, stringify(config));
  return {
    dir,
    configFile,
    policyFile,
    operatorKeyFile: join(keys, 'own-operator.pem'),
    cosigner,
    answer,
    request: (id, claims = {}) => requestOf(id, cosigner.privateKey, claims),
    read: (reply, id) => answerTo(reply, id, answer.publicKey),
  };
}

function requestOf(id: string, key: KeyObject, claims: object): string {
  return token(approvalClaims({ txId: id, requestId: id, signerId: APPROVER, ...claims }), key);
}

export interface Reply {
  readonly status: number;
  readonly body: string;
  readonly elapsedMs: number;
}

/** One delivery to the only path of a deployment. Rejects when no answer comes. */
export async function deliver(origin: string, body: string, timeoutMs = 30_000): Promise<Reply> {
  const started = performance.now();
  const response = await fetch(`${origin}/own/v2/tx_sign_request`, {
    method: 'POST',
    body,
    signal: AbortSignal.timeout(timeoutMs),
  });
  const text = await response.text();
  return { status: response.status, body: text, elapsedMs: performance.now() - started };
}

function answerTo({ status, body }: Reply, id: string, key: KeyObject): Answer {
  if (status !== 200 || !verifies(body, key)) throw new Error(`no signed answer, but ${status} ${body}`);
  const claims = JSON.parse(payloadOf(body)) as Answer;
  if (claims.requestId !== id) throw new Error(`the answer is for ${claims.requestId}`);
  return claims;
}

function pemOf(key: KeyObject): string | Buffer {
  return key.type === 'private'
    ? key.export({ type: 'pkcs8', format: 'pem' })
    : key.export({ type: 'spki', format: 'pem' });
}

/** What `/readyz` says is wrong, by the name of the check; empty when it is ready. */
export async function problemsOf(ops: string): Promise<Readonly<Record<string, string>>> {
  const response = await fetch(`${ops}/readyz`);
  const { error = {} } = (await response.json()) as {
    readonly error?: Readonly<Record<string, { readonly problem?: string }>>;
  };
  const problems = Object.entries(error).map(([name, { problem = '' }]) => [name, problem] as const);
  if ((response.status === 200) !== (problems.length === 0))
    throw new Error(`${response.status} with ${problems.length} problems`);
  return Object.fromEntries(problems);
}

/** Looks until there is something to see, or throws the complaint. */
export async function eventually<T>(
  complaint: string,
  look: () => Promise<T | undefined> | T | undefined,
  timeoutMs = 45_000,
): Promise<T> {
  const endsAt = performance.now() + timeoutMs;
  for (;;) {
    const seen = await look();
    if (seen !== undefined) return seen;
    if (performance.now() > endsAt) throw new Error(complaint);
    await sleep(50);
  }
}
