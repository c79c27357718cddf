/**
 * A Kubernetes of this test alone, on loopback: etcd, the API server with its admission, the controllers and the scheduler are the
 * real ones. There are no kubelets: kubelets.ts says what they would.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toolPath } from '../chart/require-helm.js';
import { freePorts } from '../support/cluster.js';
import { eventually } from '../support/deployment.js';
import { controlPlanePath } from './require-control-plane.js';

const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
const START_TIMEOUT_MS = 90_000;

export interface Said {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ControlPlane {
  readonly dir: string;
  /** Rejects when kubectl does. `input` is a document for `--filename -`. */
  readonly kubectl: (args: readonly string[], input?: string) => Promise<string>;
  /** Asks the API server as kubelets do. Rejects when it refuses; a pod that is gone meanwhile is undefined. */
  readonly api: (method: 'GET' | 'PATCH' | 'DELETE', path: string, body?: object) => Promise<unknown>;
  /** Never rejects. */
  readonly run: (tool: 'kubectl' | 'helm', args: readonly string[], input?: string) => Promise<Said>;
  readonly stop: () => Promise<void>;
}

export async function startControlPlane(): Promise<ControlPlane> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-kubernetes-'));
  const children: ChildProcess[] = [];
  const start = (name: string, args: readonly string[]) => {
    const log = openSync(join(dir, `${name}.log`), 'w');
    const child = spawn(controlPlanePath(name), args, { stdio: ['ignore', log, log], cwd: dir });
    closeSync(log);
    children.push(child);
  };
  const stop = async () => {
    for (const child of children.reverse()) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(dir, { recursive: true, force: true });
  };
  const run: ControlPlane['run'] = (tool, args, input) => runTool(dir, [tool, ...args], input);
  const kubectl: ControlPlane['kubectl'] = async (args, input) => {
    const { code, stdout, stderr } = await run('kubectl', args, input);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${stderr}`);
    return stdout;
  };
  try {
    const origin = await startPrograms(dir, start);
    await eventually(
      'the API server is not ready',
      async () => ((await run('kubectl', ['get', '--raw', '/readyz'])).stdout === 'ok' ? true : undefined),
      START_TIMEOUT_MS,
    );
    const api: ControlPlane['api'] = (method, path, body) => ask(origin, { method, path, body });
    return { dir, kubectl, api, run, stop };
  } catch (error) {
    const log = readFileSync(join(dir, 'kube-apiserver.log'), 'utf8').slice(-2_000);
    await stop();
    throw new Error(`the control plane does not start: ${log}`, { cause: error });
  }
}

async function startPrograms(
  dir: string,
  start: (name: string, args: readonly string[]) => void,
): Promise<string> {
  const first = await freePorts(4);
  const [etcd, peer, api, proxy] = [first, first + 1, first + 2, first + 3];
  const etcdUrl = `http://127.0.0.1:${etcd}`;
  const peerUrl = `http://127.0.0.1:${peer}`;
  start('etcd', [
    ...['--data-dir', join(dir, 'etcd'), '--unsafe-no-fsync'],
    ...['--listen-client-urls', etcdUrl, '--advertise-client-urls', etcdUrl],
    ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
    ...['--initial-cluster', `default=${peerUrl}`],
  ]);
  const token = writeCredentials(dir);
  const certificate = join(dir, 'certificates/apiserver.crt');
  start('kube-apiserver', [
    ...['--etcd-servers', etcdUrl, '--cert-dir', join(dir, 'certificates')],
    ...['--bind-address', '127.0.0.1', '--advertise-address', '127.0.0.1', '--secure-port', String(api)],
    ...['--endpoint-reconciler-type', 'none', '--service-cluster-ip-range', '10.96.0.0/16'],
    ...['--authorization-mode', 'RBAC', '--token-auth-file', join(dir, 'tokens.csv')],
    ...['--service-account-issuer', 'https://kubernetes.default.svc'],
    ...['--service-account-key-file', join(dir, 'accounts.pub')],
    ...['--service-account-signing-key-file', join(dir, 'accounts.key')],
  ]);
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigOf(`https://127.0.0.1:${api}`, { certificate, token }));
  const client = ['--kubeconfig', kubeconfig, '--leader-elect=false', '--secure-port=0'];
  await eventually('the API server made no certificate', () => readIfThere(certificate), START_TIMEOUT_MS);
  start('kube-controller-manager', [
    ...client,
    ...['--service-account-private-key-file', join(dir, 'accounts.key'), '--root-ca-file', certificate],
    // No kubelet renews its lease here; a node is down when a test says so.
    '--node-monitor-grace-period=24h',
  ]);
  start('kube-scheduler', client);
  start('kubectl', ['proxy', '--kubeconfig', kubeconfig, '--port', String(proxy)]);
  return `http://127.0.0.1:${proxy}`;
}

async function ask(
  origin: string,
  {
    method,
    path,
    body,
  }: { readonly method: string; readonly path: string; readonly body?: object | undefined },
): Promise<unknown> {
  const reply = await fetch(`${origin}${path}`, {
    method,
    headers: { 'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json' },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  if (reply.status === 404) return undefined;
  if (!reply.ok) throw new Error(`${method} ${path}: ${reply.status} ${await reply.text()}`);
  return reply.json();
}

/** A user of the group that may do everything; returns the token. */
function writeCredentials(dir: string): string {
  const accounts = generateKeyPairSync('rsa', {
    modulusLength: 2_048,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs1', format: 'pem' },
  });
  writeFileSync(join(dir, 'accounts.key'), accounts.privateKey, { mode: 0o600 });
  writeFileSync(join(dir, 'accounts.pub'), accounts.publicKey);
  const token = randomBytes(24).toString('hex');
  writeFileSync(join(dir, 'tokens.csv'), `${token},test,test,system:masters\n`, { mode: 0o600 });
  return token;
}

function kubeconfigOf(
  server: string,
  { certificate, token }: { readonly certificate: string; readonly token: string },
): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Config',
    'current-context': 'test',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority': certificate } }],
    users: [{ name: 'test', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'test' } }],
  });
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8') || undefined;
  } catch {
    return undefined;
  }
}

function runTool(
  dir: string,
  [tool, ...args]: readonly ['kubectl' | 'helm', ...string[]],
  input?: string,
): Promise<Said> {
  return new Promise((resolve) => {
    const child = execFile(
      tool === 'helm' ? toolPath('helm') : controlPlanePath(tool),
      args,
      {
        maxBuffer: MAX_OUTPUT_BYTES,
        env: {
          ...process.env,
          KUBECONFIG: join(dir, 'kubeconfig'),
          KUBECACHEDIR: join(dir, 'cache'),
          HELM_CACHE_HOME: join(dir, 'helm'),
          HELM_CONFIG_HOME: join(dir, 'helm'),
        },
      },
      (error, stdout, stderr) =>
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), stdout, stderr }),
    );
    child.stdin?.end(input ?? '');
  });
}
