/**
 * The tests need a Redis or Valkey server and nothing else. Found on the PATH it is used as it is; otherwise the
 * platform's package manager installs it, after saying so; otherwise one sentence says what to do.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const INSTALLERS = [
  {
    tool: 'apt-get',
    steps: [
      ['apt-get', 'update', '-q'],
      ['apt-get', 'install', '-y', '-q', '--no-install-recommends', 'redis-server'],
    ],
    needsRoot: true,
  },
  { tool: 'dnf', steps: [['dnf', 'install', '-y', 'valkey']], needsRoot: true },
  { tool: 'apk', steps: [['apk', 'add', 'redis']], needsRoot: true },
  { tool: 'brew', steps: [['brew', 'install', 'redis']], needsRoot: false },
];

if (!isInstalled('redis-server') && !isInstalled('valkey-server')) install();

function install() {
  const installer = INSTALLERS.find(({ tool }) => isInstalled(tool));
  const prefix = installer?.needsRoot === true && process.getuid?.() !== 0 ? ['sudo', '-n'] : [];
  if (installer === undefined || (prefix.length > 0 && !isInstalled('sudo'))) giveUp();
  process.stdout.write(
    `The tests need Redis and none is on the PATH: installing it with ${installer.tool}.\n`,
  );
  for (const step of installer.steps) {
    const [command, ...args] = [...prefix, ...step];
    const { status } = spawnSync(command, args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      // The tests start servers of their own; the package must not start one at boot.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
    if (status !== 0) giveUp();
  }
  if (!isInstalled('redis-server') && !isInstalled('valkey-server')) giveUp();
}

function giveUp() {
  process.stderr.write(
    'The tests need redis-server or valkey-server on the PATH: install one, e.g. with `sudo apt-get install redis-server` or `brew install redis`.\n',
  );
  process.exit(3);
}

function isInstalled(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
