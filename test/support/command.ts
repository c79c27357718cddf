/** The built program as a person runs it: what it prints, how it ends, and that it does not outlive the test. */
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAIN } from './cluster.js';
import { kill } from './processes.js';

const END_TIMEOUT_MS = 150_000;

export interface Ended {
  /** The exit code, or the signal that ended it. */
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

export interface Command {
  readonly pid: number;
  readonly stdout: () => string;
  readonly stderr: () => string;
  readonly ended: Promise<Ended>;
  readonly signal: (signal: NodeJS.Signals) => void;
  /** Resolves when standard output or standard error holds the text. */
  readonly says: (text: string) => Promise<void>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

export function countersign(args: readonly string[], env: NodeJS.ProcessEnv = process.env): Command {
  const child = spawn(process.execPath, [MAIN, ...args], { stdio: ['ignore', 'pipe', 'pipe'], env });
  running.add(child);
  const heard = { stdout: '', stderr: '' };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    heard.stdout += text;
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    heard.stderr += text;
  });
  let isOver = false;
  const ended = new Promise<Ended>((resolve) => {
    child.once('close', (code, signal) => {
      running.delete(child);
      isOver = true;
      resolve({ code: code ?? signal ?? 'unknown', ...heard });
    });
  });
  const pid = child.pid ?? 0;
  return {
    pid,
    stdout: () => heard.stdout,
    stderr: () => heard.stderr,
    ended,
    signal: (signal) => kill(pid, signal),
    async says(text) {
      const endsAt = performance.now() + END_TIMEOUT_MS;
      while (!`${heard.stdout}${heard.stderr}`.includes(text)) {
        // It may have ended before its last words were read.
        if (isOver || performance.now() > endsAt) {
          throw new Error(`it never said ${JSON.stringify(text)}, but:\n${heard.stdout}${heard.stderr}`);
        }
        await sleep(20);
      }
    },
  };
}

/** For a command that ends by itself; one that does not is killed, and its code is the signal. */
export async function outcomeOf(args: readonly string[], env?: NodeJS.ProcessEnv): Promise<Ended> {
  const command = countersign(args, env);
  const timer = setTimeout(() => command.signal('SIGKILL'), END_TIMEOUT_MS);
  const ended = await command.ended;
  clearTimeout(timer);
  return ended;
}
