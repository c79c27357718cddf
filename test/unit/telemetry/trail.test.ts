import { expect, test } from '@jest/globals';
import { readTraceParent, type Step, type TraceParent, Trail } from '../../../src/telemetry/trail.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';

test('a W3C traceparent is read', () => {
  expect(readTraceParent(`00-${TRACE}-${SPAN}-01`)).toEqual({ traceId: TRACE, spanId: SPAN, flags: 1 });
  // A later version may say more (section 2.2.3 of the recommendation: what is known of it still holds).
  expect(readTraceParent(`cc-${TRACE}-${SPAN}-00-more`)).toEqual({ traceId: TRACE, spanId: SPAN, flags: 0 });
});

test.each([
  ['nothing', undefined],
  ['empty text', ''],
  ['no trace', `00-${'0'.repeat(32)}-${SPAN}-01`],
  ['no span', `00-${TRACE}-${'0'.repeat(16)}-01`],
  ['upper case', `00-${TRACE.toUpperCase()}-${SPAN}-01`],
  ['the version that is none', `ff-${TRACE}-${SPAN}-01`],
  ['more than version 00 has', `00-${TRACE}-${SPAN}-01-more`],
  ['too short', `00-${TRACE.slice(1)}-${SPAN}-01`],
  ['two headers joined', `00-${TRACE}-${SPAN}-01, 00-${TRACE}-${SPAN}-01`],
  ['a log line of their own', `00-${TRACE}-${SPAN}-01\n{"msg":"decided"}`],
  ['far too long', `cc-${TRACE}-${SPAN}-00-${'x'.repeat(10_000)}`],
])('%s is no traceparent', (_, header) => {
  expect(readTraceParent(header)).toBeUndefined();
});

test('a request is known by its caller’s trace id, and by one of its own otherwise', () => {
  expect(Trail.of(`00-${TRACE}-${SPAN}-01`, undefined).traceId).toBe(TRACE);
  const own = [Trail.of(undefined, undefined), Trail.of('nonsense', undefined)].map((trail) => trail.traceId);
  for (const id of own) expect(id).toMatch(/^[0-9a-f]{32}$/);
  expect(own[0]).not.toBe(own[1]);
});

test('the time of each step is taken, of attempts together, and of those that fail', async () => {
  const trail = Trail.of(undefined, undefined);
  const work = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
  await trail.during('commit', () => work(20));
  await trail.during('commit', () => work(20));
  expect(trail.during('evaluate', () => 7)).toBe(7);
  const failure = new Error('x');
  expect(() =>
    trail.during('examine', () => {
      throw failure;
    }),
  ).toThrow(failure);
  await expect(trail.during('answer', () => Promise.reject(failure))).rejects.toBe(failure);
  expect([...trail.elapsedMs.keys()].sort()).toEqual(['answer', 'commit', 'evaluate', 'examine']);
  expect(trail.elapsedMs.get('commit')).toBeGreaterThan(35);
});

test('a tracer is told each step, and what became of it', async () => {
  const told: unknown[] = [];
  const trail = Trail.of(`00-${TRACE}-${SPAN}-01`, (parent) => {
    told.push(parent?.spanId);
    return {
      context: { traceId: parent?.traceId ?? '', spanId: 'b7ad6b7169203331', flags: 1 },
      begin: (step: Step) => {
        told.push(`begin ${step}`);
        return (failure) => told.push(`end ${step}${failure === undefined ? '' : ': failed'}`);
      },
      end: (attributes) => told.push(attributes),
    };
  });
  expect(trail.traceResponse).toBe(`00-${TRACE}-b7ad6b7169203331-01`);
  expect(Trail.of(`00-${TRACE}-${SPAN}-01`, undefined).traceResponse).toBeUndefined();
  trail.during('receive', () => 1);
  await expect(trail.during('commit', () => Promise.reject(new Error('x')))).rejects.toThrow('x');
  trail.end({ answer: 'retry' });
  expect(told).toEqual([
    ...[SPAN, 'begin receive', 'end receive', 'begin commit', 'end commit: failed'],
    { answer: 'retry' },
  ]);
});

test('requests of one message are of one trace, below the message', () => {
  const parents: unknown[] = [];
  const tracer = (parent: TraceParent | undefined) => {
    parents.push(parent?.spanId);
    const context = { traceId: parent?.traceId ?? '', spanId: `b7ad6b716920333${parents.length}`, flags: 1 };
    return { context, begin: () => () => undefined, end: () => undefined };
  };
  const message = Trail.of(`00-${TRACE}-${SPAN}-01`, tracer);
  expect([message.below(tracer).traceId, message.below(tracer).traceId]).toEqual([TRACE, TRACE]);
  expect(parents).toEqual([SPAN, 'b7ad6b7169203331', 'b7ad6b7169203331']);
  const untold = Trail.of(undefined, undefined);
  expect(untold.below(undefined).traceId).toBe(untold.traceId);
});
