import { describe, expect, test } from '@jest/globals';
import { CountersignError } from '../../../src/core/errors.js';
import { Readiness, type ReadinessCheck } from '../../../src/http/readiness.js';

const check = (name: string, problem: ReadinessCheck['problem']): ReadinessCheck => ({ name, problem });

describe('a readiness check', () => {
  const readiness = new Readiness([
    check('fine', async () => undefined),
    check('wrong', async () => 'Set `appendonly yes`.'),
    check('failing', async () => {
      throw new CountersignError('LEDGER_UNAVAILABLE', 'Redis did not answer');
    }),
    check('broken', () => {
      throw new Error('at once');
    }),
    check('silent', () => new Promise(() => undefined)),
  ]);

  test.each<[string, string | undefined]>([
    ['fine', undefined],
    ['wrong', 'Set `appendonly yes`.'],
    ['failing', 'Redis did not answer'],
    ['broken', 'at once'],
    ['silent', 'no answer within 1000 ms'],
    ['draining', undefined],
    ['never-heard-of', 'unknown check'],
  ])('%s: %s', async (name, problem) => {
    expect(await readiness.problemOf(name)).toBe(problem);
  });

  test('is named, and draining is one of them', () => {
    expect(readiness.names).toEqual(['fine', 'wrong', 'failing', 'broken', 'silent', 'draining']);
  });
});

test('a replica that drains is not ready, and stays so', async () => {
  const readiness = new Readiness([check('fine', async () => undefined)]);
  readiness.drain();
  readiness.drain();
  expect(await readiness.problemOf('draining')).toBe('shutting down');
  expect(await readiness.problemOf('fine')).toBeUndefined();
});
