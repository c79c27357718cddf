import { CountersignError } from '../../src/core/errors.js';

/** The failure that the work ends with. */
export function errorOf(work: () => unknown): CountersignError {
  try {
    work();
  } catch (error) {
    if (error instanceof CountersignError) return error;
    throw error;
  }
  throw new Error('nothing failed');
}

export async function rejectionOf(work: Promise<unknown>): Promise<CountersignError> {
  const error = await work.then(
    () => new Error('nothing failed'),
    (reason: unknown) => reason,
  );
  if (error instanceof CountersignError) return error;
  throw error;
}
