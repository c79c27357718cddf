/**
 * The tests on a control plane need etcd and the programs of Kubernetes. They are built once, at pinned versions, through Go's
 * module proxy, into the cache folder of this user; later runs only look whether they are there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cacheFolder } from '../chart/require-helm.js';

const KUBERNETES = '1.36.3';
/** What the programs print as their version; helm compares it with the chart's `kubeVersion`. */
const STAMP = 'k8s.io/component-base/version';
const PACKAGES = [
  ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubectl'].map(
    (name) => `k8s.io/kubernetes/cmd/${name}`,
  ),
  'go.etcd.io/etcd/server/v3',
];

/** Go names a program for the last part of its package's path. */
const PROGRAMS = { etcd: 'server' } as const;

const folder = cacheFolder(`kubernetes-v${KUBERNETES}`);

export function controlPlanePath(name: string): string {
  return join(folder, 'bin', name in PROGRAMS ? PROGRAMS[name as keyof typeof PROGRAMS] : name);
}

function go(args: readonly string[], env: Readonly<Record<string, string>> = {}): string {
  const { status, error, stdout } = spawnSync('go', args, {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, GOFLAGS: '-mod=mod', GOWORK: 'off', CGO_ENABLED: '0', ...env },
  });
  if (status === 0) return stdout;
  const reason = error === undefined ? '' : ` (${error.message})`;
  process.stderr.write(
    `go ${args[0]} failed${reason}: the tests on a control plane build Kubernetes ${KUBERNETES} with Go.\n`,
  );
  process.exit(3);
}

/**
 * Kubernetes is published as one module that names its parts at v0.0.0, for they lie beside it in its own workspace. Each part is
 * published too, at v0 instead of v1 with the same numbers.
 */
function writeModule(): void {
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'go.mod'), 'module controlplane\n');
  const { GoMod, GoVersion } = JSON.parse(go(['list', '-m', '-json', `k8s.io/kubernetes@v${KUBERNETES}`]));
  const module = readFileSync(GoMod, 'utf8');
  const parts = [...module.matchAll(/^\s(k8s\.io\/\S+) v0\.0\.0$/gm)].map(([, part]) => part);
  const [, etcd] = /^\sgo\.etcd\.io\/etcd\/client\/v3 (\S+)/m.exec(module) ?? [];
  const lines = [
    'module controlplane',
    `go ${GoVersion}`,
    `require k8s.io/kubernetes v${KUBERNETES}`,
    `require go.etcd.io/etcd/server/v3 ${etcd}`,
    ...parts.map((part) => `replace ${part} => ${part} v${KUBERNETES.replace(/^1/, '0')}`),
  ];
  writeFileSync(join(folder, 'go.mod'), `${lines.join('\n')}\n`);
}

function build(): void {
  const started = performance.now();
  process.stdout.write(
    `Building Kubernetes ${KUBERNETES} and etcd, once: on two cores this takes a quarter of an hour.\n`,
  );
  writeModule();
  const [major, minor] = KUBERNETES.split('.');
  const stamps = [
    `${STAMP}.gitVersion=v${KUBERNETES}`,
    `${STAMP}.gitMajor=${major}`,
    `${STAMP}.gitMinor=${minor}`,
  ];
  const flags = ['-s', '-w', ...stamps.map((stamp) => `-X ${stamp}`)].join(' ');
  go(['install', `-ldflags=${flags}`, ...PACKAGES], { GOBIN: join(folder, 'bin') });
  process.stdout.write(`Built in ${Math.round((performance.now() - started) / 1_000)} s.\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const programs = ['etcd', ...PACKAGES.slice(0, 4).map((each) => each.split('/').at(-1) ?? '')];
  if (!programs.every((name) => existsSync(controlPlanePath(name)))) build();
}
