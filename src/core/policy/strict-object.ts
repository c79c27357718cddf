/** Building blocks of schemas for documents that people write. */
import { z } from 'zod';
import { nearestOf } from '../document.js';

/** An object without other keys. */
export function strict<Shape extends z.ZodRawShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: ({ code, input }) =>
      code !== 'invalid_type'
        ? undefined
        : input === undefined
          ? 'is missing'
          : 'must be a mapping of keys to values',
  });
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
