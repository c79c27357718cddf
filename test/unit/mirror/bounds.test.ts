/** However long a mirror runs and whatever it is sent, it holds no more than it may. */
import { expect, test } from '@jest/globals';
import type { DecisionPorts } from '../../../src/core/decide.js';
import { undecided } from '../../../src/core/decision.js';
import type { Class } from '../../../src/mirror/compare.js';
import type { Copy } from '../../../src/mirror/copy.js';
import { type Comparison, Examiner, type Listener } from '../../../src/mirror/examiner.js';
import { HandlerKeys } from '../../../src/mirror/handler-answer.js';
import { CopyQueue } from '../../../src/mirror/queue.js';
import { subjectOf } from '../../../src/mirror/subject.js';
import { Tally } from '../../../src/mirror/tally.js';
import { rsaPair, token } from '../../support/cosigner.js';
import { approvalClaims, handler } from '../../support/fireblocks-handler.js';
import { signingRequest } from '../../support/signing-requests.js';

const cosigner = rsaPair();
const NOBODY = { id: 'nobody', stages: ['signing'] } as const;

/** Every request is of an API user that is not listed, and so undecided before any ledger is asked. */
function setting() {
  const clock = { ms: 0 };
  const events: string[] = [];
  const listener: Listener = {
    decided: () => undefined,
    compared: ({ class: found }) => events.push(found),
    unanswered: ({ requestId }) => events.push(`unanswered ${requestId}`),
    unasked: () => events.push('unasked'),
    stranger: (problem) => events.push(problem),
    faulted: (problem) => events.push(`fault ${problem}`),
  };
  const examiner = new Examiner({
    ears: [{ path: '/a', protocol: handler(cosigner, cosigner, { signers: [NOBODY] }).protocol }],
    workspaces: new Map([['main', {} as DecisionPorts]]),
    handlerKeys: new HandlerKeys([]),
    deadlineMs: 1_000,
    listener,
    now: () => clock.ms,
  });
  const request = (id: string): Copy => ({
    request: {
      path: '/a/v2/tx_sign_request',
      body: token(approvalClaims({ txId: id, requestId: id }), cosigner.privateKey),
    },
  });
  const answer = (requestId: string): Copy => ({
    answer: { body: JSON.stringify({ action: 'RETRY', requestId }) },
  });
  return { clock, events, examiner, request, answer };
}

test('a request waits a minute for its answer, and an answer for its request', async () => {
  const { clock, events, examiner, request, answer } = setting();
  await examiner.take(request('early'));
  await examiner.take(answer('unknown'));
  clock.ms = 59_000;
  await examiner.take(request('late'));
  expect(events).toEqual([]);
  clock.ms = 61_000;
  await examiner.take(answer('late'));
  // It is JSON, and the co-signer wants a JWT.
  expect(events).toEqual(['nonsense', 'unanswered early', 'unasked']);
});

test('of more than two thousand that wait the oldest are told of and let go', async () => {
  const { events, examiner, request, answer } = setting();
  for (let index = 0; index < 2_010; index += 1) await examiner.take(answer(`a-${index}`));
  expect(events).toEqual(Array.from({ length: 10 }, () => 'unasked'));
  await examiner.take(request('a-5'));
  await examiner.take(request('a-50'));
  examiner.end();
  expect(events.slice(10, 11)).toEqual(['nonsense']);
  expect(events.filter((event) => event === 'unanswered a-5')).toHaveLength(1);
});

test('an answer that is longer than any is not kept', async () => {
  const { events, examiner } = setting();
  const body = JSON.stringify({ requestId: 'x', action: 'RETRY', padding: 'x'.repeat(20_000) });
  await examiner.take({ answer: { body } });
  expect(events).toEqual(['unasked']);
});

test('a fault while one is examined is told, and the next one is examined', async () => {
  const { events, examiner, request } = setting();
  const broken = { ...request('x'), answer: { body: null as unknown as string } };
  await examiner.take(broken);
  await examiner.take(request('y'));
  examiner.end();
  expect(events).toEqual([expect.stringMatching(/^fault /), 'unanswered y']);
});

test('the queue ends by count and by size, and lets go of what was taken', async () => {
  const queue = new CopyQueue();
  const copy = (length: number): Copy => ({ answer: { body: 'x'.repeat(length) } });
  for (let index = 0; index < 2_000; index += 1) expect(queue.push(copy(1))).toBe(true);
  expect(queue.push(copy(1))).toBe(false);
  const taken = queue[Symbol.asyncIterator]();
  await taken.next();
  expect(queue.push(copy(1))).toBe(true);

  const large = new CopyQueue();
  for (let index = 0; index < 4; index += 1) expect(large.push(copy(16 * 1024 * 1024))).toBe(true);
  expect(large.push(copy(1))).toBe(false);
  large.end();
  expect(large.push(copy(0))).toBe(false);
  let count = 0;
  for await (const _ of large) count += 1;
  expect(count).toBe(4);
});

test('groups beyond a thousand are counted together', () => {
  const told: Comparison[] = [];
  const tally = new Tally(
    (difference) => told.push(difference),
    () => undefined,
  );
  const difference = (what: string): Comparison => ({
    class: 'undecided' satisfies Class,
    subject: { ...subjectOf(signingRequest()), what },
    ours: { action: 'RETRY', outcome: undecided('SIGNER_NOT_LISTED') },
    theirs: { ok: true, action: 'REJECT', requestId: 'x' },
  });
  for (let index = 0; index < 1_500; index += 1) tally.compared(difference(`asset ${index}`));
  const { bySubject, byRule, classes } = tally.summary();
  expect(bySubject).toHaveLength(1_001);
  expect(bySubject[0]).toEqual({ name: '(others)', classes: { undecided: 500 } });
  expect(byRule).toEqual([{ name: 'SIGNER_NOT_LISTED', classes: { undecided: 1_500 } }]);
  expect(classes.undecided).toBe(1_500);
  expect(told).toHaveLength(1_500);
});

test('what is shown of a request moves no cursor and fills no page', () => {
  const request = signingRequest({ asset: `E\u001b[31m${'T'.repeat(500)}`, operation: 'TRANS\nFER' });
  expect(subjectOf(request).what).toMatch(/^TRANS FER E \[31mT{74} to VAULT 1$/);
});
