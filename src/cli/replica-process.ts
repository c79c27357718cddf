/** One replica of `countersign up` as a process, started again when it dies. */
import { type ChildProcess, fork } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { CountersignError } from '../core/errors.js';

/** What a replica tells the process that started it. */
export interface ReplicaReady {
  readonly type: 'ready';
  readonly httpPort: number;
  readonly opsPort: number;
}

export interface ReplicaOptions {
  readonly name: string;
  readonly main: string;
  readonly configFile: string;
  readonly logFile: string;
  /** 0: any free port; a restarted replica gets the same one again. */
  readonly httpPort: number;
  readonly opsPort: number;
  /** Absent: it receives no notifications. */
  readonly webhookPort?: number;
  /** How long it keeps its door open after it was told to stop. */
  readonly drainMs: number;
  readonly onExit: (name: string, how: string) => void;
}

const RESTART_PAUSE_MS = 300;
const START_TIMEOUT_MS = 90_000;
/** Longer than any request lives. */
const STOP_TIMEOUT_MS = 35_000;

export class ReplicaProcess {
  readonly name: string;
  httpPort: number;
  /** Called each time it has come up again. */
  onStarted: () => void = () => undefined;
  #child: ChildProcess | undefined;
  #stopping = false;
  #listening = false;

  constructor(private readonly options: ReplicaOptions) {
    this.name = options.name;
    this.httpPort = options.httpPort;
  }

  get opsPort(): number {
    return this.options.opsPort;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  /** Whether connections should be sent to it. */
  get listening(): boolean {
    return this.#listening;
  }

  async start(): Promise<void> {
    const { main, configFile, logFile, opsPort, webhookPort, name } = this.options;
    const log = openSync(logFile, 'a', 0o600);
    const args = [
      'serve',
      '--config',
      configFile,
      '--replica',
      name,
      '--http-port',
      `${this.httpPort}`,
      '--ops-port',
      `${opsPort}`,
      ...(webhookPort === undefined ? [] : ['--webhook-port', `${webhookPort}`]),
    ];
    const child = fork(main, args, { stdio: ['ignore', log, log, 'ipc'], detached: true });
    closeSync(log);
    this.#child = child;
    child.once('exit', (code, signal) => this.#ended(child, signal ?? `code ${code}`));
    const ready = await new Promise<ReplicaReady>((resolve, reject) => {
      const problem = (how: string) => new CountersignError('ENVIRONMENT', `${name} ${how}; see ${logFile}`);
      const timer = setTimeout(() => {
        child.kill('SIGKILL');
        reject(problem('did not start in time'));
      }, START_TIMEOUT_MS);
      child.once('exit', (code) => {
        clearTimeout(timer);
        reject(problem(`ended with code ${code} while starting`));
      });
      child.once('message', (message) => {
        clearTimeout(timer);
        resolve(message as ReplicaReady);
      });
    });
    this.httpPort = ready.httpPort;
    this.#listening = true;
  }

  async stop(): Promise<void> {
    this.#stopping = true;
    this.#listening = false;
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
    child.kill('SIGTERM');
    await Promise.race([
      ended,
      sleep(this.options.drainMs + STOP_TIMEOUT_MS, undefined, { ref: false }).then(() =>
        child.kill('SIGKILL'),
      ),
    ]);
    await ended;
  }

  #ended(child: ChildProcess, how: string): void {
    if (this.#child !== child) return;
    const wasListening = this.#listening;
    this.#listening = false;
    // One that never came up is not tried again: its configuration will not mend itself.
    if (this.#stopping || !wasListening) return;
    this.options.onExit(this.name, how);
    this.#restart();
  }

  #restart(): void {
    sleep(RESTART_PAUSE_MS)
      .then(async () => {
        if (this.#stopping) return;
        await this.start();
        this.onStarted();
      })
      .catch(() => this.#restartUnlessStopping());
  }

  #restartUnlessStopping(): void {
    if (!this.#stopping) this.#restart();
  }
}
