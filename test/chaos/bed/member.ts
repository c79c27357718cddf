/** One process of the bed: started, killed, stopped and started again at will; it never outlives the run. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';

export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** A channel for messages, for processes that are scripts of ours. */
  readonly ipc?: boolean;
}

/** The kernel ends the child when we end, even by SIGKILL. Part of util-linux; without it `exit` below must do. */
const TIED = existsSync('/usr/bin/setpriv') ? ['/usr/bin/setpriv', '--pdeathsig', 'KILL'] : [];

const alive = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of alive) child.kill('SIGKILL');
});

export class Member {
  readonly name: string;
  /** Told when it ends and nobody here has killed it. */
  onCrash: (how: string) => void = () => {};
  onMessage: (message: unknown) => void = () => {};
  readonly #launch: () => Launch;
  readonly #logFile: string;
  #child: ChildProcess | undefined;
  #killed = false;

  constructor(name: string, logFile: string, launch: () => Launch) {
    this.name = name;
    this.#logFile = logFile;
    this.#launch = launch;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  get running(): boolean {
    return this.#child !== undefined && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  start(): void {
    const { command, args, env, ipc } = this.#launch();
    const [first = command, ...rest] = [...TIED, command, ...args];
    const log = openSync(this.#logFile, 'a', 0o600);
    const child = spawn(first, rest, {
      stdio: ['ignore', log, log, ...(ipc === true ? (['ipc'] as const) : [])],
      env: { ...process.env, ...env },
    });
    closeSync(log);
    this.#child = child;
    this.#killed = false;
    alive.add(child);
    child.on('message', (message) => this.onMessage(message));
    child.once('error', (error) => this.onCrash(error.message));
    child.once('exit', (code, signal) => {
      alive.delete(child);
      if (!this.#killed) this.onCrash(signal ?? `code ${code}`);
    });
  }

  send(message: object): void {
    if (this.#child?.connected === true) this.#child.send(message);
  }

  /** Resolves when it is gone. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    this.#killed = true;
    if (child === undefined || !this.running) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    // One that was stopped hears nothing else before it is continued.
    child.kill('SIGCONT');
    await ended;
  }

  suspend(): void {
    this.#child?.kill('SIGSTOP');
  }

  resume(): void {
    this.#child?.kill('SIGCONT');
  }

  /** Whether the kernel has stopped it, which a signal sent to it does not prove. */
  get suspended(): boolean {
    try {
      return /^State:\s+[Tt]/m.test(readFileSync(`/proc/${this.pid}/status`, 'utf8'));
    } catch {
      return false;
    }
  }
}
