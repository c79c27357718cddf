/** Clocks of Redis servers that can be set while they run; see clock.c. */
import { execFileSync } from 'node:child_process';
import { closeSync, constants, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const SOURCE = fileURLToPath(new URL('./clock.c', import.meta.url));

/** Clocks can be set where programs can be preloaded and there is a compiler. */
export const hasClocks = process.platform === 'linux' && hasCompiler();

function hasCompiler(): boolean {
  try {
    execFileSync('cc', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

/** Compiles into this folder. Returns the library to preload. */
export function compileClock(folder: string): string {
  const library = join(folder, 'clock.so');
  execFileSync('cc', ['-shared', '-fPIC', '-O2', '-Wall', '-Wextra', '-Werror', '-o', library, SOURCE], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return library;
}

export class Clock {
  readonly #file: string;
  readonly #library: string;

  constructor(library: string, file: string) {
    this.#library = library;
    this.#file = file;
    this.set(0);
  }

  get environment(): Readonly<Record<string, string>> {
    return { LD_PRELOAD: this.#library, CHAOS_CLOCK_FILE: this.#file };
  }

  /** At once. The eight bytes are written in place, because the process looks at this very file. */
  set(offsetSeconds: number): void {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(offsetSeconds));
    const file = openSync(this.#file, constants.O_RDWR | constants.O_CREAT);
    writeSync(file, bytes, 0, 8, 0);
    closeSync(file);
  }
}
