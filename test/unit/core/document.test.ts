import { expect, test } from '@jest/globals';
import { nearestOf } from '../../../src/core/document.js';

test.each([
  ['efect', 'effect'],
  ['EFFECT', 'effect'],
  ['mach', 'match'],
  ['limts', 'limits'],
  ['colour', undefined],
  ['m', undefined],
  ['', undefined],
  ['x'.repeat(10_000), undefined],
])('%s', (word, expected) => expect(nearestOf(word, ['effect', 'match', 'limits'])).toBe(expected));
