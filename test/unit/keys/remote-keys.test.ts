/** Against a real server: what is cached, when it is asked, and what strangers can make of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { RemoteKeys, type RemoteKeysSettings } from '../../../src/keys/remote-keys.js';
import { eventually } from '../../support/eventually.js';
import { type KeyServer, keyServer, keySet, thumbprint, vendorKey } from '../../support/webhook-vendor.js';

const one = vendorKey('one');
const two = vendorKey('two');
const open: { stop(): unknown }[] = [];
afterEach(async () => {
  for (const each of open.splice(0).reverse()) await each.stop();
});

async function serving(body: string, headers?: Record<string, string>): Promise<KeyServer> {
  const server = await keyServer(body, headers);
  open.push(server);
  return server;
}

/** A fetch has long enough for a busy machine, unless a test says otherwise. */
function keysFrom(url: string, { times, ...settings }: Partial<RemoteKeysSettings> = {}) {
  const told: string[] = [];
  const keys = new RemoteKeys({
    url,
    observer: {
      loaded: (count, left) => told.push(['loaded', count, ...left].join(' ')),
      failed: (problem) => told.push(problem),
    },
    times: { fetch: 60_000, ...times },
    ...settings,
  });
  open.push(keys);
  return { keys, told };
}

const isKey = (found: unknown) => typeof found === 'object';

test('the set is fetched once, whoever asks, and strangers’ ids fetch it no more', async () => {
  const server = await serving(keySet(one));
  const { keys } = keysFrom(server.url);
  keys.start();
  const found = await Promise.all(['one', 'one', 'one', 'nobody'].map((kid) => keys.keyOf(kid)));
  expect(found.map(isKey)).toEqual([true, true, true, false]);
  for (let index = 0; index < 50; index += 1) expect(await keys.keyOf(`stranger-${index}`)).toBe('unknown');
  expect(server.asked()).toBe(1);
  expect(keys.loadedAtMs).toBeGreaterThan(Date.now() - 10_000);
});

test('a new id is looked for again when the last fetch is long enough ago, once for all who ask', async () => {
  const server = await serving(keySet(one));
  const { keys } = keysFrom(server.url, { times: { unknown: 1_500 } });
  const startedAt = performance.now();
  keys.start();
  expect(isKey(await keys.keyOf('one'))).toBe(true);
  server.answer({ body: keySet(one, two), delayMs: 50 });
  const answers = new Set<unknown>();
  await eventually(async () => {
    const found = await Promise.all(Array.from({ length: 20 }, () => keys.keyOf('two')));
    for (const each of found) if (!isKey(each)) answers.add(each);
    expect(found.every(isKey)).toBe(true);
  });
  expect(performance.now() - startedAt).toBeGreaterThanOrEqual(1_500);
  answers.delete('unknown');
  expect([...answers]).toEqual([]);
  expect(server.asked()).toBe(2);
});

test('the known keys stay in use while the server is away, and who signs with others is not called a forger', async () => {
  const server = await serving(keySet(one), { 'cache-control': 'public, max-age=1' });
  const { keys, told } = keysFrom(server.url, { times: { shortest: 50, unknown: 100, retry: 50 } });
  keys.start();
  expect(isKey(await keys.keyOf('one'))).toBe(true);
  server.answer({ status: 500 });
  await eventually(async () => expect(told).toContain('the server of the keys answers 500'));
  await sleep(150);
  expect(isKey(await keys.keyOf('one'))).toBe(true);
  expect(await keys.keyOf('two')).toBe('unavailable');
  server.answer({ body: keySet(two) });
  await eventually(async () => expect(isKey(await keys.keyOf('two'))).toBe(true));
  // What the vendor has taken back is believed no more.
  expect(isKey(await keys.keyOf('one'))).toBe(false);
});

test('it is fetched again when it is as old as the server says, within bounds', async () => {
  const server = await serving(keySet(one), { 'cache-control': 'max-age=0' });
  const { keys } = keysFrom(server.url, { times: { shortest: 1_000 } });
  keys.start();
  await keys.keyOf('one');
  await sleep(100);
  expect(server.asked()).toBe(1);
  await eventually(async () => expect(server.asked()).toBeGreaterThanOrEqual(3));
  const long = await serving(keySet(one), { 'cache-control': 'max-age=999999999' });
  const other = keysFrom(long.url, { times: { longest: 100 } });
  other.keys.start();
  await eventually(async () => expect(long.asked()).toBeGreaterThanOrEqual(2));
});

test.each([
  ['a redirection', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }, 'redirect'],
  ['too much', { body: ' '.repeat(70_000) }, 'larger than 65536 bytes'],
  ['something else', { body: '<html>' }, 'it is not JSON'],
  ['no answer in time', { body: keySet(one), delayMs: 60_000 }, 'aborted due to timeout'],
  ['other keys than the pinned', { body: keySet(two) }, 'not one of the pinned keys'],
])('%s is no key set: nothing can be said then', async (_what, response, problem) => {
  const server = await serving('');
  server.answer(response);
  const { keys, told } = keysFrom(server.url, {
    pins: [thumbprint(one)],
    times: { fetch: 'delayMs' in response ? 1_000 : 60_000, retry: 60_000 },
  });
  keys.start();
  expect(await keys.keyOf('one')).toBe('unavailable');
  expect(told.join()).toContain(problem);
  expect(keys.loadedAtMs).toBeUndefined();
});

test('nobody there: it is tried again, ever more slowly, until it works', async () => {
  const gone = await keyServer('');
  await gone.stop();
  const { keys, told } = keysFrom(gone.url, { times: { retry: 20, slowest: 80 } });
  keys.start();
  await eventually(async () => expect(told.length).toBeGreaterThanOrEqual(3));
  expect(told[0]).toContain('ECONNREFUSED');
  keys.stop();
  const before = told.length;
  await sleep(200);
  expect(told.length).toBe(before);
});
