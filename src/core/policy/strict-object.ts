/** Building blocks of schemas for documents that people write. */
import { z } from 'zod';
import { nearestOf } from './spelling.js';

/** An object without other keys; a misspelled one is told what was probably meant. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === 'invalid_type')
        return issue.input === undefined ? 'is missing' : 'must be a mapping of keys to values';
      if (issue.code !== 'unrecognized_keys') return undefined;
      // One line for each key: document.ts gives each its own place.
      return issue.keys.map((key) => `unknown key${suggestion(key, Object.keys(shape))}`).join('\n');
    },
  });
}

function suggestion(key: string, known: readonly string[]): string {
  const nearest = nearestOf(key, known);
  return nearest === undefined ? `; known are ${known.join(', ')}` : `; did you mean ${nearest}?`;
}

export function oneOf<const Values extends readonly [string, ...string[]]>(values: Values) {
  return z.enum(values, {
    error: ({ input }) =>
      input === undefined
        ? `is missing; one of ${values.join(', ')}`
        : `must be one of ${values.join(', ')}${typeof input === 'string' ? meant(input, values) : ''}`,
  });
}

/** A question that names the word probably meant; empty when none is near. */
export function meant(input: string, values: readonly string[]): string {
  const nearest = nearestOf(input, values);
  return nearest === undefined ? '' : `; did you mean ${nearest}?`;
}
