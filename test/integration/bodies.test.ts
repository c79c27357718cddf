/** What strangers and broken machines send: a constant refusal, a count, and nothing in the ledger. */
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { rsaPair, token } from '../support/cosigner.js';
import { approving, type Deployment, deliver, EMBEDDED, writeDeployment } from '../support/deployment.js';
import { type RunningReplica, startReplica } from '../support/replica.js';

const LIMIT = 65_536;
/** More than the buffers between two processes hold. */
const LARGE = 16 * 1_024 * 1_024;
const dir = mkdtempSync(join(tmpdir(), 'countersign-bodies-'));
let deployment: Deployment;
let replica: RunningReplica;
let slow: readonly Promise<{ readonly heard: string; readonly seconds: number }>[];

beforeAll(async () => {
  deployment = writeDeployment(dir, { ledger: EMBEDDED, policy: approving(), bodyLimit: '64KiB' });
  replica = await startReplica(deployment);
  slow = [trickle(1_000), trickle(LIMIT + 1)];
});

afterAll(async () => {
  await replica?.close();
  rmSync(dir, { recursive: true, force: true });
});

const PATH = '/own/v2/tx_sign_request';

interface Sent {
  readonly method?: string;
  readonly path?: string;
  readonly body?: string;
}

async function send({ method = 'POST', path = PATH, body }: Sent): Promise<readonly [number, string]> {
  const response = await fetch(`${replica.http}${path}`, { method, ...(body === undefined ? {} : { body }) });
  expect([...response.headers.keys()]).not.toContain('server');
  return [response.status, await response.text()];
}

/** Raw text on a connection of its own; resolves to all that came back until it was closed. */
function exchange(text: string): Promise<string> {
  const socket = connect(Number(new URL(replica.http).port), '127.0.0.1');
  socket.write(text);
  return heardOf(socket);
}

async function heardOf(socket: Socket): Promise<string> {
  let heard = '';
  socket.setEncoding('latin1').on('data', (piece) => {
    heard += piece;
  });
  socket.on('error', () => undefined);
  await once(socket, 'close');
  return heard;
}

/** A request whose body never ends: a byte now and then, so that the connection looks alive. */
async function trickle(length: number) {
  const startedAt = performance.now();
  const socket = connect(Number(new URL(replica.http).port), '127.0.0.1');
  socket.write(`POST ${PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: ${length}\r\n\r\n`);
  const timer = setInterval(() => socket.write('a'), 500);
  socket.once('close', () => clearInterval(timer));
  const heard = await heardOf(socket);
  return { heard, seconds: (performance.now() - startedAt) / 1_000 };
}

describe('a body that is no message is refused in the same words, whatever is wrong with it', () => {
  const stranger = rsaPair();
  const honest = () => deployment.request('honest');
  const cases: readonly (readonly [string, () => Sent, readonly [number, string]])[] = [
    ['no body', () => ({}), [401, 'unauthorized\n']],
    ['an empty body', () => ({ body: '' }), [401, 'unauthorized\n']],
    ['blanks', () => ({ body: ' \n ' }), [401, 'unauthorized\n']],
    ['JSON', () => ({ body: '{"requestId":"a"}' }), [401, 'unauthorized\n']],
    ["a stranger's token", () => ({ body: token({}, stranger.privateKey) }), [401, 'unauthorized\n']],
    ['two tokens', () => ({ body: `${honest()}\n${honest()}` }), [401, 'unauthorized\n']],
    ['a token and more', () => ({ body: `${honest()}.a` }), [401, 'unauthorized\n']],
    [
      'a token without claims',
      () => ({ body: token({}, deployment.cosigner.privateKey) }),
      [400, 'bad request\n'],
    ],
    ['a body above the limit', () => ({ body: 'a'.repeat(LIMIT + 1) }), [413, 'too large\n']],
    ['a body of the limit', () => ({ body: 'a'.repeat(LIMIT) }), [401, 'unauthorized\n']],
    ['another path', () => ({ path: '/elsewhere', body: honest() }), [404, 'not found\n']],
    ['the root', () => ({ path: '/', body: honest() }), [404, 'not found\n']],
    ['the base alone', () => ({ path: '/own', body: honest() }), [404, 'not found\n']],
    ['a path below it', () => ({ path: `${PATH}/more`, body: honest() }), [404, 'not found\n']],
    [
      'a path that only begins like it',
      () => ({ path: '/owner/v2/tx_sign_request', body: honest() }),
      [404, 'not found\n'],
    ],
    ['a path that is no path', () => ({ path: '/%zz', body: honest() }), [400, 'bad request\n']],
    ['a very long path', () => ({ path: `/${'a'.repeat(8_000)}`, body: honest() }), [404, 'not found\n']],
    ['GET', () => ({ method: 'GET' }), [404, 'not found\n']],
    ['PUT', () => ({ method: 'PUT', body: honest() }), [404, 'not found\n']],
    ['DELETE', () => ({ method: 'DELETE' }), [404, 'not found\n']],
  ];

  test.each(cases)('%s', async (_, sent, expected) => {
    const before = await replica.sequence();
    const paths = await replica.metric('countersign_unknown_paths_total');
    expect(await send(sent())).toEqual(expected);
    expect(await replica.sequence()).toBe(before);
    const unknown = expected[0] === 404 ? 1 : 0;
    expect(await replica.metric('countersign_unknown_paths_total')).toBe(paths + unknown);
  });
});

test.each([
  ['with its length', `content-length: ${LARGE}`, 'a'.repeat(LARGE)],
  ['in pieces', 'transfer-encoding: chunked', `${LARGE.toString(16)}\r\n${'a'.repeat(LARGE)}\r\n0\r\n\r\n`],
])('whoever sends a body above the limit to its end reads the refusal: %s', async (_, header, body) => {
  const socket = connect(Number(new URL(replica.http).port), '127.0.0.1');
  const failed: unknown[] = [];
  socket.on('error', (error) => failed.push(error));
  socket.write(`POST ${PATH} HTTP/1.1\r\nhost: a\r\n${header}\r\n\r\n${body}`);
  expect(await heardOf(socket)).toMatch(/^HTTP\/1\.1 413 Payload Too Large\r\n/);
  expect(failed).toEqual([]);
});

describe('a connection that is no HTTP is closed in the same words', () => {
  test.each([
    ['another protocol', 'SSH-2.0-OpenSSH_9.2\r\n\r\n'],
    ['two lengths', `POST ${PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab`],
    [
      'a length and pieces',
      `POST ${PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\nab`,
    ],
    [
      'headers without end',
      `POST ${PATH} HTTP/1.1\r\nhost: a\r\n${`x: ${'a'.repeat(1_000)}\r\n`.repeat(20)}`,
    ],
  ])('%s', async (_, text) => {
    const heard = await exchange(text);
    expect(heard).toMatch(/^HTTP\/1\.1 400 Bad Request\r\n/);
    expect(heard.endsWith('\r\n\r\nbad request\n')).toBe(true);
  });
});

test('a client that goes away in the middle of its body leaves nothing behind', async () => {
  const before = await replica.sequence();
  const socket = connect(Number(new URL(replica.http).port), '127.0.0.1');
  socket.end(`POST ${PATH} HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\n${'a'.repeat(100)}`);
  await heardOf(socket);
  expect(await replica.sequence()).toBe(before);
  expect(await replica.metric('countersign_requests_in_flight')).toBe(0);
});

test('the replica is none the worse for any of it', async () => {
  const reply = await deliver(replica.http, deployment.request('after'));
  expect(deployment.read(reply, 'after')).toEqual({ action: 'APPROVE', requestId: 'after' });
});

test.each([
  ['a body that trickles in is cut off after the time it has', 0],
  ['also when it is above the limit and would only be thrown away', 1],
])('%s', async (_, index) => {
  const { heard, seconds } = (await slow[index]) ?? { heard: '', seconds: 0 };
  expect(seconds).toBeGreaterThan(10);
  expect(heard).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\n/);
  expect(heard.endsWith('\r\n\r\nbad request\n')).toBe(true);
});
