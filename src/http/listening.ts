/** Ports that cannot be had. */
import { CountersignError, messageOf } from '../core/errors.js';

/** For an operator to mend: another port, or the other program. */
export function cannotListen(host: string, port: number, cause: unknown): CountersignError {
  const code = (cause as NodeJS.ErrnoException | null)?.code;
  const why = code === 'EADDRINUSE' ? 'another program listens there' : (code ?? messageOf(cause));
  return new CountersignError('ENVIRONMENT', `cannot listen on ${host}:${port}: ${why}`, { cause });
}
