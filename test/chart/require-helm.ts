/**
 * The tests of the chart need the real helm and a validator with the schemas of Kubernetes. Both are built once, at pinned
 * versions, through Go's module proxy, into the cache folder of this user; later runs only look whether they are there.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

interface Tool {
  readonly name: string;
  readonly module: string;
  readonly version: string;
}

const TOOLS: readonly Tool[] = [
  { name: 'helm', module: 'helm.sh/helm/v3/cmd/helm', version: 'v3.22.0' },
  { name: 'kubectl-validate', module: 'sigs.k8s.io/kubectl-validate', version: 'v0.0.4' },
];

/** Where a tool of this version stands. */
export function toolPath(name: string): string {
  const tool = TOOLS.find((candidate) => candidate.name === name);
  if (tool === undefined) throw new Error(`the tests of the chart use no ${name}`);
  return join(folderOf(tool), tool.name);
}

function folderOf({ name, version }: Tool): string {
  return cacheFolder(`${name}-${version}`);
}

/** A folder of this user for what is built once. */
export function cacheFolder(name: string): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'countersign', name);
}

function install(tool: Tool): void {
  const { name, module, version } = tool;
  const started = performance.now();
  process.stdout.write(`Building ${name} ${version}, once: this takes minutes.\n`);
  const { status, error } = spawnSync('go', ['install', '-ldflags=-s', `${module}@${version}`], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, GOBIN: folderOf(tool), CGO_ENABLED: '0' },
  });
  if (status !== 0) {
    const reason = error === undefined ? '' : ` (${error.message})`;
    process.stderr.write(
      `The tests of the chart build ${name} with Go 1.25 or newer, and that failed${reason}: install Go, or put ${name} ${version} at ${toolPath(name)}.\n`,
    );
    process.exit(3);
  }
  process.stdout.write(`Built ${name} in ${Math.round((performance.now() - started) / 1_000)} s.\n`);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const tool of TOOLS) if (!existsSync(toolPath(tool.name))) install(tool);
}
