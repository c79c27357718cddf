/**
 * Programs that tests need besides Node. Found on the PATH they are used as they are; otherwise the platform's package
 * manager installs them, after saying so; otherwise one sentence says what to do.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

const INSTALLERS = [
  {
    tool: 'apt-get',
    /** @param {string} name */
    steps: (name) => [
      ['apt-get', 'update', '-q'],
      ['apt-get', 'install', '-y', '-q', '--no-install-recommends', name],
    ],
    needsRoot: true,
  },
  {
    tool: 'dnf',
    /** @param {string} name */
    steps: (name) => [['dnf', 'install', '-y', name]],
    needsRoot: true,
  },
  {
    tool: 'apk',
    /** @param {string} name */
    steps: (name) => [['apk', 'add', name]],
    needsRoot: true,
  },
  {
    tool: 'brew',
    /** @param {string} name */
    steps: (name) => [['brew', 'install', name]],
    needsRoot: false,
  },
];

/**
 * Ends the process with 3 when it cannot be had.
 * @param {{ what: string, found: () => boolean, packages: Readonly<Record<string, string>>, sentence: string }} wanted
 */
export function requireProgram({ what, found, packages, sentence }) {
  if (found()) return;
  const giveUp = () => {
    process.stderr.write(`${sentence}\n`);
    process.exit(3);
  };
  const installer = INSTALLERS.find(({ tool }) => tool in packages && isInstalled(tool));
  const prefix = installer?.needsRoot === true && process.getuid?.() !== 0 ? ['sudo', '-n'] : [];
  if (installer === undefined || (prefix.length > 0 && !isInstalled('sudo'))) return giveUp();
  process.stdout.write(
    `The tests need ${what} and none is on the PATH: installing it with ${installer.tool}.\n`,
  );
  for (const step of installer.steps(packages[installer.tool] ?? '')) {
    const [command, ...args] = [...prefix, ...step];
    const { status } = spawnSync(command ?? '', args, {
      stdio: ['ignore', 'ignore', 'inherit'],
      // The tests start servers of their own; the package must not start one at boot.
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' },
    });
    if (status !== 0) giveUp();
  }
  if (!found()) giveUp();
}

/** @param {string} name */
export function isInstalled(name) {
  return (process.env.PATH ?? '').split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}
