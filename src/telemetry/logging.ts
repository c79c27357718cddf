/** One JSON line per event on standard output. Keys, tokens and raw messages never reach it. */
import { type Logger, pino } from 'pino';

export type { Logger };

export function createLogger(level: string, replica: string | undefined): Logger {
  return pino({
    level,
    base: replica === undefined ? {} : { replica },
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label) => ({ level: label }) },
  });
}
