import { describe, expect, it } from '@jest/globals';
import { Progress } from '../../../src/simulator/progress.js';
import { reportText } from '../../../src/simulator/report.js';
import { percentile, Tally } from '../../../src/simulator/tally.js';

const SAMPLE = { requestId: 'r-1', asked: 'sign 1 ETH from vault 0 to VAULT 1' };

describe('the report', () => {
  it('says what was asked, how it was answered, and why', () => {
    const tally = new Tally();
    tally.asked('happy', 2);
    tally.delivered('happy', 'APPROVE', 1.04);
    tally.delivered('happy', 'REJECT', 20);
    tally.reasoned('APPROVE', { ...SAMPLE, reason: '' });
    tally.reasoned('REJECT', { ...SAMPLE, requestId: 'r-2', reason: 'limit a-day is full: 90 of 100' });
    tally.reasoned('REJECT', { ...SAMPLE, requestId: 'r-3', reason: 'limit a-day is full: 99.5 of 100' });
    const lines = reportText({ ...tally.summary(), elapsedMs: 1_000 }).split('\n');
    expect(lines).toEqual([
      'scenario  asks  deliveries  APPROVE  REJECT  RETRY  IGNORE  refused  lost  wrong  p50 ms  p99 ms  max ms',
      'happy        2           2        1       1      ·       ·        ·     ·      ·     1.0    20.0    20.0',
      '',
      '2 requests, 2 deliveries in 1.0 s (2 a second).',
      '',
      'Why:',
      '      2 × REJECT: limit a-day is full: 90 of 100',
      '          e.g. r-2: sign 1 ETH from vault 0 to VAULT 1',
      '      1 × APPROVE',
      '          e.g. r-1: sign 1 ETH from vault 0 to VAULT 1',
      '',
      'Every answer was as it should be.',
      '',
    ]);
  });

  it('shows wrong answers, fifty at most', () => {
    const tally = new Tally();
    for (let index = 0; index < 60; index += 1) {
      tally.violated({ scenario: 'happy', requestId: `r-${index}`, problem: 'the status is 500, not 200' });
    }
    const text = reportText(tally.summary());
    expect(text).toContain('WRONG ANSWERS: 60\n  happy · r-0: the status is 500, not 200\n');
    expect(text).toContain('  … and 10 more\n');
    expect(text).not.toContain('r-50');
  });

  it.each([
    [[], 0],
    [[7], 7],
    [[1, 2, 3, 4], 2],
  ])('takes the median of %j as %d', (values, median) => {
    expect(percentile(values, 50)).toBe(median);
  });
});

describe('the progress', () => {
  const counts = { APPROVE: 3, REJECT: 1, RETRY: 0, IGNORE: 0, refused: 0, lost: 2, violations: 1 };

  it('is a plain line a second where nobody can draw over it', async () => {
    const written: string[] = [];
    const progress = new Progress({ write: (text: string) => written.push(text) }, 10);
    progress.show(4, counts);
    await new Promise((resolve) => setTimeout(resolve, 1_020));
    progress.show(5, counts);
    progress.show(6, counts);
    progress.end();
    expect(written).toHaveLength(1);
    expect(written[0]).toMatch(/^5\/10 {2}\d+\/s {2}3 approved, 1 rejected, 2 lost, 1 WRONG\n$/);
  });

  it('is a bar on a terminal', async () => {
    const written: string[] = [];
    const progress = new Progress({ isTTY: true, write: (text: string) => written.push(text) }, 10);
    await new Promise((resolve) => setTimeout(resolve, 120));
    progress.show(5, counts);
    expect(written[0]).toMatch(
      // biome-ignore lint/suspicious/noControlCharactersInRegex: this is what a terminal is told.
      /^\r\[#{12}\.{12}\] 5\/10 {2}\d+\/s {2}3 approved, 1 rejected, 2 lost, 1 WRONG\x1b\[K$/,
    );
  });
});
