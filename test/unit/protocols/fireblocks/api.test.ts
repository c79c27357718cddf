/** The client against a server that checks every token as the vendor's manual says, over real HTTP and TLS. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import {
  ApiError,
  type FireblocksApiSettings,
  fireblocksApi,
} from '../../../../src/protocols/fireblocks/api.js';
import { authority, certificate } from '../../../support/certificates.js';
import { rsaPair } from '../../../support/cosigner.js';
import { type FakeFireblocksApi, startFakeFireblocksApi } from '../../../support/fake-fireblocks-api.js';

const API_KEY = 'f0e1d2c3-0000-4000-8000-00000000a001';
const VIEWER = 'f0e1d2c3-0000-4000-8000-00000000a002';
const own = rsaPair();
const strange = rsaPair();
const signal = new AbortController().signal;
let server: FakeFireblocksApi;

beforeAll(async () => {
  server = await startFakeFireblocksApi([
    { apiKey: API_KEY, publicKey: own.publicKey },
    { apiKey: VIEWER, publicKey: own.publicKey, isViewer: true },
  ]);
});
afterEach(() => {
  server.mend();
  server.calls.length = 0;
  server.refused.length = 0;
  server.cosigners = [];
  server.listsHandlers = true;
});
afterAll(() => server.close());

function api(more: Partial<FireblocksApiSettings> = {}) {
  const results: string[] = [];
  const client = fireblocksApi({
    origin: server.url,
    apiKey: API_KEY,
    privateKey: own.privateKey,
    timeoutMs: 20_000,
    requestsPerMinute: 60_000,
    called: (result) => void results.push(result),
    ...more,
  });
  return { client, results };
}

/** What went wrong, and the sentence, which must name no secret. */
async function problemOf(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ApiError)) throw new Error(`no ApiError, but ${String(error)}`);
  for (const secret of [API_KEY, VIEWER, 'Bearer', 'eyJ', 'insufficient', 'Unauthorized'])
    expect(error.message).not.toContain(secret);
  return `${error.problem}: ${error.message.replace(server.url, '')}`;
}

describe('a transaction', () => {
  test('is read as the vendor has it, with a token that the vendor accepts', async () => {
    server.transactions.set('tx-1', { id: 'tx-1', status: 'COMPLETED', amountInfo: { amount: '0.10' } });
    const { client, results } = api();
    expect(await client.transaction('tx-1', signal)).toMatchObject({ id: 'tx-1', status: 'COMPLETED' });
    expect(server.refused).toEqual([]);
    expect(results).toEqual(['ok']);
  });

  test('that is not known is undefined', async () => {
    const { client, results } = api();
    expect(await client.transaction('none', signal)).toBeUndefined();
    expect(results).toEqual(['missing']);
  });

  test('whose id is no part of a path stays one: nothing else is asked for', async () => {
    const { client } = api();
    expect(await client.transaction('../cosigners?x=1#/ü', signal)).toBeUndefined();
    expect(server.calls).toEqual(['/v1/transactions/..%2Fcosigners%3Fx%3D1%23%2F%C3%BC']);
    expect(server.refused).toEqual([]);
  });

  test('each call has a token of its own', async () => {
    const { client } = api();
    for (let i = 0; i < 3; i += 1) await client.transaction(`t${i}`, signal);
    expect(server.calls).toHaveLength(3);
    expect(server.refused).toEqual([]);
  });
});

describe('what goes wrong has a name and no secrets', () => {
  test('another private key', async () => {
    const { client } = api({ privateKey: strange.privateKey });
    expect(await problemOf(client.transaction('tx-1', signal))).toMatch(/^key: .*401, code -7: the API key/);
    expect(server.refused).toEqual(['signature']);
  });

  test('another API key', async () => {
    expect(await problemOf(api({ apiKey: 'x' }).client.transaction('tx-1', signal))).toMatch(/^key: /);
    expect(server.refused).toEqual(['unknown API key']);
  });

  test('a clock that is half a minute late', async () => {
    const { client } = api({ now: () => Date.now() - 31_000 });
    expect(await problemOf(client.transaction('tx-1', signal))).toMatch(/^key: /);
    expect(server.refused).toEqual(['time']);
  });

  test('a role that may not', async () => {
    const { client } = api({ apiKey: VIEWER });
    expect(await problemOf(client.cosigners(signal))).toMatch(/^permission: .*403, code -8: the API user/);
  });

  test.each([
    ['refused', { status: 400, body: '{"message":"secret words","code":11}' }, /400, code 11/],
    ['unavailable', { status: 503, body: '<html>' }, /503: a fault at the vendor/],
    ['answer', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }, /302/],
    ['answer', { status: 200, body: 'not json' }, /is not JSON/],
    ['answer', { status: 200, body: '{"id":"a","id":"b"}' }, /repeated/],
    ['answer', { status: 200, body: '[]' }, /not a JSON object/],
    ['answer', { status: 200, body: '' }, /is not JSON/],
    ['unavailable', 'hang', /no answer in time/],
    ['unavailable', 'hang-in-body', /no answer in time/],
    ['unavailable', 'reset', /no answer \(ECONNRESET\)/],
    ['unavailable', 'endless', /no answer/],
  ] as const)('%s: %j', async (problem, fault, sentence) => {
    server.fault('/v1/transactions', fault);
    const isHanging = typeof fault === 'string' && fault.startsWith('hang');
    const { client, results } = api(isHanging ? { timeoutMs: 400 } : {});
    const said = await problemOf(client.transaction('tx-1', signal));
    expect(said).toMatch(new RegExp(`^${problem}: `));
    expect(said).toMatch(sentence);
    expect(said).not.toContain('secret words');
    expect(results).toEqual([problem]);
  });

  test('an answer longer than any transaction ends long before the time is up', async () => {
    server.fault('/v1/transactions', 'endless');
    expect(await problemOf(api({ timeoutMs: 3_600_000 }).client.transaction('tx-1', signal))).toMatch(
      /more than 2097152 bytes/,
    );
  });

  test('nobody there', async () => {
    const { client } = api({ origin: 'http://127.0.0.1:1' });
    expect(await problemOf(client.transaction('tx-1', signal))).toMatch(/^unavailable: .*ECONNREFUSED/);
  });

  test('whoever waits is told when the caller gives up, and nothing is counted', async () => {
    server.fault('/v1/transactions', 'hang');
    const stopping = new AbortController();
    const { client, results } = api({ timeoutMs: 60_000 });
    const call = client.transaction('tx-1', stopping.signal);
    setTimeout(() => stopping.abort(), 50);
    await expect(call).rejects.toThrow('aborted');
    expect(results).toEqual([]);
  });
});

describe('how often it calls', () => {
  test('as often as configured, however many want to at once', async () => {
    const { client } = api({ requestsPerMinute: 600 });
    const startedAt = performance.now();
    await Promise.all([1, 2, 3, 4].map((n) => client.transaction(`t${n}`, signal)));
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(295);
  });

  test.each([
    ['30', 30_000],
    ['999999', 600_000],
    [undefined, 60_000],
    ['soon', 60_000],
    ['0', 1_000],
  ])('after 429 with retry-after %s it leaves the API alone', async (header, ms) => {
    const headers = header === undefined ? {} : { 'retry-after': header };
    server.fault('/v1/transactions', { status: 429, headers });
    const { client, results } = api();
    const error = await client.transaction('tx-1', signal).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ problem: 'limited', retryAfterMs: ms });
    expect(await problemOf(client.transaction('tx-1', signal))).toMatch(/^limited: .*left alone/);
    expect(server.calls).toHaveLength(1);
    expect(results).toEqual(['limited', 'limited']);
  });

  test('and asks again when that time is over', async () => {
    server.fault('/v1/transactions', { status: 429, headers: { 'retry-after': '1' } });
    const { client } = api();
    await problemOf(client.transaction('tx-1', signal));
    await new Promise((resolve) => setTimeout(resolve, 1_050));
    expect(await client.transaction('tx-1', signal)).toMatchObject({ id: 'tx-1' });
  });
});

describe('co-signers and their API users', () => {
  const handler = { url: 'https://x.example/own', publicKey: 'PEM' };

  test('come in pages, all of them', async () => {
    const users = ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, callbackHandler: handler }));
    server.cosigners = [
      { id: 'c1', name: 'one', users },
      { id: 'c2', users: [], archived: true },
      { id: 'c3', users: [] },
    ];
    const { client } = api();
    expect(await client.cosigners(signal)).toEqual([
      { id: 'c1', name: 'one', archived: false },
      { id: 'c2', archived: true },
      { id: 'c3', archived: false },
    ]);
    expect((await client.users('c1', signal)).map(({ id }) => id)).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect(server.calls).toContain('/v1/cosigners/c1/api_keys?pageCursor=4');
    expect(server.refused).toEqual([]);
  });

  test('a list that shows no handler proves nothing: the API user is asked for', async () => {
    server.listsHandlers = false;
    server.cosigners = [{ id: 'c1', users: [{ id: 'a', callbackHandler: handler }, { id: 'b' }] }];
    expect(await api().client.users('c1', signal)).toEqual([
      { id: 'a', handler },
      { id: 'b', handler: undefined },
    ]);
  });

  test.each([null, {}, { url: '' }, { url: null }])('%j is no handler', async (callbackHandler) => {
    server.cosigners = [{ id: 'c1', users: [{ id: 'a', callbackHandler }] }];
    expect(await api().client.users('c1', signal)).toEqual([{ id: 'a', handler: undefined }]);
  });

  test.each(['https://x.example', ['x'], { url: 7 }])(
    '%j is not taken for no handler',
    async (callbackHandler) => {
      server.cosigners = [{ id: 'c1', users: [{ id: 'a', callbackHandler }] }];
      expect(await problemOf(api().client.users('c1', signal))).toMatch(/^answer: .*not a page of entries/);
    },
  );

  test.each([
    ['no list', '{"data":{}}'],
    ['an entry without an id', '{"data":[{"archived":false}]}'],
    ['an entry that is none', '{"data":["c1"]}'],
  ])('%s is not taken for an empty list', async (_, body) => {
    server.fault('/v1/cosigners', { status: 200, body });
    expect(await problemOf(api().client.cosigners(signal))).toMatch(/^answer: .*not a page of entries/);
  });

  test('pages that lead back to one another end', async () => {
    server.fault('/v1/cosigners', { status: 200, body: '{"data":[{"id":"c1"}],"next":"again"}' }, true);
    expect(await problemOf(api().client.cosigners(signal))).toMatch(/^answer: .*do not end/);
    expect(server.calls).toHaveLength(2);
  });

  test('an answer about another API user is none', async () => {
    server.cosigners = [{ id: 'c1', users: [{ id: 'a' }] }];
    server.fault('/v1/cosigners/c1/api_keys/a', { status: 200, body: '{"id":"b"}' });
    expect(await problemOf(api().client.users('c1', signal))).toMatch(/^answer: .*not about this API user/);
  });
});

describe('over TLS', () => {
  const made = mkdtempSync(join(tmpdir(), 'countersign-api-'));
  afterAll(() => rmSync(made, { recursive: true }));

  test('only a certificate that somebody vouches for, for this name', async () => {
    const ca = authority(made, 'ca');
    const serve = async (names: string) => {
      const { certificate: file, key } = certificate(made, ca, names);
      const tls = { cert: readFileSync(file, 'utf8'), key: readFileSync(key, 'utf8') };
      return startFakeFireblocksApi([{ apiKey: API_KEY, publicKey: own.publicKey }], tls);
    };
    const [good, other] = await Promise.all([serve('DNS:localhost'), serve('DNS:elsewhere')]);
    try {
      const vouched = { ca: readFileSync(ca.certificate, 'utf8') };
      const { client } = api({ ...vouched, origin: good.url });
      expect(await client.transaction('none', signal)).toBeUndefined();
      expect(good.calls).toHaveLength(1);
      for (const [settings, code] of [
        [{ origin: good.url }, 'UNABLE_TO_VERIFY_LEAF_SIGNATURE'],
        [{ ...vouched, origin: other.url }, 'ERR_TLS_CERT_ALTNAME_INVALID'],
      ] as const)
        expect(await problemOf(api(settings).client.transaction('none', signal))).toContain(code);
      expect([...good.calls.slice(1), ...other.calls]).toEqual([]);
    } finally {
      await Promise.all([good.close(), other.close()]);
    }
  });
});
