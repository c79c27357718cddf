/** What of a message reaches the log, the metrics and the ledger: ids and reasons, never what is secret in it. */

import { Writable } from 'node:stream';
import { expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Rulebook } from '../../../src/core/policy/rulebook.js';
import type { Ledger } from '../../../src/core/ports.js';
import { Answering, observerOf } from '../../../src/http/answering.js';
import { Metrics } from '../../../src/telemetry/metrics.js';
import { testChains } from '../../support/chains.js';
import { type KeyPair, token } from '../../support/cosigner.js';
import {
  CONFIG_CHANGE,
  handler,
  rsaPair,
  signingClaims,
  TRANSACTION,
} from '../../support/fireblocks-handler.js';
import { inbound } from '../../support/inbound.js';
import { type Mood, MoodyLedger, UNAVAILABLE } from '../../support/ports.js';

const cosigner = rsaPair();
const stranger = rsaPair();
const POLICY = 'version: 1\nrules: [{ name: all, match: { kind: transaction }, effect: approve }]';

const SECRETS = ['c0ffee'.repeat(8), 'a word to the auditors', 'hunter2hunter2', '02c0de02c0de'] as const;
const [KEY, NOTE, PASSWORD, BYTES] = SECRETS;

const CLAIMS = signingClaims({
  note: NOTE,
  extraParameters: { message: PASSWORD, contractCallData: BYTES },
  rawTx: [{ keyDerivationPath: '[ 44, 60, 7, 0, 0 ]', rawTx: BYTES, payload: KEY }],
});

async function traceOf(body: string, route = TRANSACTION, mood: Mood = 'works') {
  const { answering, moody, metrics, logged } = answeringIn(mood);
  const answer = await answering.answer({ ...inbound({ body: Buffer.from(body) }), path: `/fb${route}` });
  const log = logged();
  return {
    status: answer?.status,
    log,
    everything: [log, await metrics.registry.metrics(), JSON.stringify(moody.proposals)].join('\n'),
  };
}

function answeringIn(mood: Mood) {
  let log = '';
  const logger = pino(
    { level: 'trace' },
    new Writable({
      write(chunk, _encoding, done) {
        log += String(chunk);
        done();
      },
    }),
  );
  const metrics = new Metrics();
  const moody = new MoodyLedger(POLICY, { commit: [mood] });
  // Deciding calls no other method.
  const ledger = moody as unknown as Ledger;
  const rulebook = new Rulebook(ledger, testChains, {
    authenticate: async () => undefined,
    accept: () => undefined,
    adopted: () => undefined,
  });
  const answering = new Answering({
    endpoints: [{ path: '/fb', shownAs: '/fb', protocol: handler(cosigner, cosigner, SIGNERS).protocol }],
    workspaces: new Map([
      [
        'main',
        {
          chains: testChains,
          ledger,
          rulebook,
          clock: { now: () => 0 },
          observer: observerOf('main', metrics, logger),
        },
      ],
    ]),
    // A ledger that is away is asked again until the deadline; one that answers has time to, however busy the machine is.
    timing: () => ({ deadlineMs: mood === UNAVAILABLE ? 200 : 20_000, retrySupported: true }),
    metrics,
    logger,
  });
  return { answering, moody, metrics, logged: () => log };
}

const SIGNERS = { signers: [{ id: 'signer-1', stages: ['signing', 'approval'] }] } as const;

const signed = (claims: object, { privateKey }: KeyPair = cosigner) => token(claims, privateKey);

test.each<readonly [string, string, string, Mood, number, string]>([
  ['a refused transaction', signed(CLAIMS), TRANSACTION, 'works', 200, 'decided'],
  ['an unreachable ledger', signed(CLAIMS), TRANSACTION, UNAVAILABLE, 200, 'undecided'],
  ['a fault', signed(CLAIMS), TRANSACTION, { fails: new TypeError('x') }, 200, 'fault while deciding'],
  ['a stranger', signed(CLAIMS, stranger), TRANSACTION, 'works', 401, 'message refused'],
  ['a muddle', signed({ ...CLAIMS, asset: [KEY] }), TRANSACTION, 'works', 400, 'message refused'],
  ['no token at all', `${PASSWORD}.${NOTE}`, TRANSACTION, 'works', 401, 'message refused'],
  [
    'a new exchange account',
    signed({
      requestId: 'c-1',
      signerId: 'signer-1',
      type: 'EXCHANGE',
      extraInfo: { apiKey: KEY, note: JSON.stringify({ password: PASSWORD }) },
    }),
    CONFIG_CHANGE,
    'works',
    200,
    'decided',
  ],
])('%s leaves no secret behind', async (_, body, route, mood, status, said) => {
  const trace = await traceOf(body, route, mood);
  expect(trace.status).toBe(status);
  expect(trace.log).toContain(said);
  for (const secret of [...SECRETS, body, ...body.split('.').filter((part) => part.length > 40)])
    expect(trace.everything).not.toContain(secret);
});

test.each<[string, string]>([
  ['/iofinnet/3f8a6c21d94b7e05a1c8f2647b9d0e35/transaction', '/iofinnet/…/transaction'],
  ['//iofinnet/3F8A6C21D94B7E05A1C8F2647B9D0E35', '//iofinnet/…'],
  ['/iofinnet%2F3f8a6c21d94b7e05a1c8f2647b9d0e35/x', '/…/x'],
  [`/${'a/'.repeat(90)}3f8a6c21d94b7e05a1c8f2647b9d0e35`, `/${'a/'.repeat(90)}…`],
  ['/other/v2/config_change_sign_request', '/other/v2/config_change_sign_request'],
])('what is asked at %s, where nobody is, leaves no secret of a path behind', async (path, shown) => {
  const { answering, metrics, logged } = answeringIn('works');
  expect((await answering.answer({ ...inbound({}), path }))?.status).toBe(404);
  // A question by another method than POST.
  expect(answering.refuse(path, 404).status).toBe(404);
  const lines = logged()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).path);
  expect(lines).toEqual([shown, shown]);
  expect(await metrics.registry.metrics()).not.toMatch(/3f8a6c21/i);
});
