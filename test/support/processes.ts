/** Which processes there are, so that a test can show that it left none behind. */
import { execFileSync } from 'node:child_process';

export interface ProcessEntry {
  readonly pid: number;
  readonly parent: number;
  /** Ended, and not yet collected by its parent. */
  readonly ended: boolean;
  readonly commandLine: string;
}

/** All processes of this machine, by POSIX `ps`. */
export function processTable(): readonly ProcessEntry[] {
  const text = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,ppid=,stat=,args='], { encoding: 'utf8' });
  return text.split('\n').flatMap((line) => {
    const [, pid, parent, state, commandLine = ''] = /^\s*(\d+)\s+(\d+)\s+(\S+)\s*(.*)/.exec(line) ?? [];
    if (pid === undefined || parent === undefined || state === undefined) return [];
    return [{ pid: Number(pid), parent: Number(parent), ended: state.startsWith('Z'), commandLine }];
  });
}

/** Children of this process, and theirs. */
export function descendantsOf(pid: number): readonly number[] {
  const table = processTable();
  const found: number[] = [];
  let generation = [pid];
  while (generation.length > 0) {
    const parents = new Set(generation);
    generation = table.filter(({ parent }) => parents.has(parent)).map((entry) => entry.pid);
    found.push(...generation);
  }
  return found;
}

/** @param texts of which each command line has one: a process that ended long ago may have left its id to a stranger */
export function living(pids: Iterable<number>, texts: readonly string[] = ['']): readonly number[] {
  const wanted = new Set(pids);
  return processTable()
    .filter(({ pid, ended }) => wanted.has(pid) && !ended)
    .filter(({ commandLine }) => texts.some((text) => commandLine.includes(text)))
    .map(({ pid }) => pid);
}

/** One that has ended meanwhile is none the worse for it. */
export function kill(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // In a test's realm it is no instance of Error.
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}

/** Living processes whose command line holds this text: everything that `up` starts names its folder. */
export function processesNaming(text: string): readonly string[] {
  const table = execFileSync('ps', ['-A', '-ww', '-o', 'pid=,stat=,args='], { encoding: 'utf8' });
  return table.split('\n').filter((line) => line.includes(text) && !/^\s*\d+\s+Z/.test(line));
}
