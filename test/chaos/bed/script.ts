/** How a script of test/ is started as a process of its own. */
import { fileURLToPath } from 'node:url';
import type { Launch } from './member.js';

const TYPESCRIPT = new URL('../typescript.js', import.meta.url).href;

/** The root of the project. */
export const ROOT = fileURLToPath(new URL('../../../', import.meta.url));

export function scriptOf(file: string, args: readonly string[] = [], env?: Launch['env']): Launch {
  return {
    command: process.execPath,
    args: ['--import', TYPESCRIPT, file, ...args],
    ipc: true,
    ...(env && { env }),
  };
}
