import { once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import { DEADLINE_PASSED } from '../../../src/core/ports.js';
import { deadlineAfter } from '../../../src/http/deadline.js';

describe('a deadline', () => {
  test('lets work that ends in time through, and its failure too', async () => {
    const deadline = deadlineAfter(60_000);
    await expect(deadline.within(Promise.resolve('done'))).resolves.toBe('done');
    await expect(deadline.within(Promise.reject(new Error('broken')))).rejects.toThrow('broken');
  });

  test('does not wait for work that ends later, whatever becomes of it', async () => {
    const deadline = deadlineAfter(30);
    const late = new Promise<string>((_, reject) => setTimeout(() => reject(new Error('too late')), 80));
    await expect(deadline.within(late)).resolves.toBe(DEADLINE_PASSED);
    await expect(late).rejects.toThrow('too late');
  });

  test('cuts a pause short, and aborts its signal', async () => {
    const deadline = deadlineAfter(30);
    await deadline.pause(3_600_000);
    expect(deadline.remainingMs()).toBeLessThanOrEqual(2);
    if (!deadline.signal.aborted) await once(deadline.signal, 'abort');
    expect(deadline.signal.aborted).toBe(true);
  });

  test('that has passed already still answers', async () => {
    await expect(deadlineAfter(-5).within(new Promise(() => undefined))).resolves.toBe(DEADLINE_PASSED);
  });
});
