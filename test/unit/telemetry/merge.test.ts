import { expect, test } from '@jest/globals';
import { mergeMetrics } from '../../../src/telemetry/merge.js';

const text = (value: number): string =>
  [
    '# HELP requests_total Requests.',
    '# TYPE requests_total counter',
    `requests_total{answer="approve"} ${value}`,
    '# HELP in_flight Now.',
    '# TYPE in_flight gauge',
    `in_flight ${value}`,
    '',
  ].join('\n');

test('samples of several replicas stand together under one header, told apart by a label', () => {
  expect(
    mergeMetrics(
      new Map([
        ['replica-1', text(1)],
        ['replica-2', text(2)],
        ['replica-3', ''],
      ]),
    ),
  ).toBe(
    [
      '# HELP requests_total Requests.',
      '# TYPE requests_total counter',
      'requests_total{replica="replica-1",answer="approve"} 1',
      'requests_total{replica="replica-2",answer="approve"} 2',
      '# HELP in_flight Now.',
      '# TYPE in_flight gauge',
      'in_flight{replica="replica-1"} 1',
      'in_flight{replica="replica-2"} 2',
      '',
    ].join('\n'),
  );
});
