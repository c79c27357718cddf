/** One JSON line per event on standard output; text when a person looks at it. Keys, tokens and raw messages never reach it. */
import { type Logger, pino } from 'pino';
import { pretty } from './pretty.js';

export type { Logger };

export function createLogger(level: string, replica: string | undefined): Logger {
  const options = {
    level,
    base: replica === undefined ? {} : { replica },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
  };
  return process.stdout.isTTY === true
    ? pino(options, { write: (line: string) => void process.stdout.write(pretty(line)) })
    : pino(options);
}
