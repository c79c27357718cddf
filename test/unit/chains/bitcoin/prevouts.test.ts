import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, test } from '@jest/globals';
import { filePrevouts, rpcPrevouts } from '../../../../src/chains/index.js';

const MAINNET = 'bip122:000000000019d6689c085ae165831e93';
const ONE = `${'11'.repeat(32)}:0`;
const TWO = `${'22'.repeat(32)}:1`;
const signal = new AbortController().signal;

describe('a file', () => {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-prevouts-'));
  afterAll(() => rmSync(folder, { recursive: true }));
  const write = (value: unknown) => {
    const file = join(folder, 'prevouts.json');
    writeFileSync(file, JSON.stringify(value));
    return filePrevouts(file);
  };

  test('gives what it knows and leaves out the rest', async () => {
    const source = write({ [ONE]: { value: '100000', script: '0014ab' } });
    expect([...(await source(MAINNET, [ONE, TWO], signal))]).toEqual([
      [ONE, { value: 100_000n, script: '0014ab' }],
    ]);
  });

  test.each([
    ['a number that is no text', { [ONE]: { value: 1 } }],
    ['an outpoint of another form', { '11:0': { value: '1' } }],
  ])('with %s rejects', async (_, value) => {
    await expect(write(value)(MAINNET, [ONE], signal)).rejects.toThrow();
  });
});

describe('a node', () => {
  let server: Server | undefined;
  afterEach(async () => {
    const closed = new Promise((done) => (server === undefined ? done(undefined) : server.close(done)));
    server?.closeAllConnections();
    await closed;
  });

  /** Answers each call of a batch; undefined: never answers. */
  async function node(answer: (params: readonly unknown[], id: string) => string | undefined) {
    const seen: { authorization: string | undefined } = { authorization: undefined };
    server = createServer((request, response) => {
      seen.authorization = request.headers.authorization;
      let body = '';
      request.on('data', (chunk) => (body += chunk));
      request.on('end', () => {
        const answers = JSON.parse(body).map((call: { params: unknown[]; id: string }) =>
          answer(call.params, call.id),
        );
        if (!answers.includes(undefined)) response.end(`[${answers.join(',')}]`);
      });
    });
    await new Promise<void>((listening) => server?.listen(0, '127.0.0.1', listening));
    const { port } = server.address() as AddressInfo;
    const source = rpcPrevouts({
      url: `http://127.0.0.1:${port}/`,
      chain: MAINNET,
      credentials: async () => 'user:password\n',
      timeoutMs: 300,
    });
    return { source, seen };
  }

  const found = (id: string, value: string) =>
    `{"id":"${id}","error":null,"result":{"value":${value},"scriptPubKey":{"hex":"0014ab"}}}`;
  const missing = (id: string) => `{"id":"${id}","error":null,"result":null}`;

  test('gives exact amounts, also of outputs that a pending transaction spends', async () => {
    const { source, seen } = await node(([txid, , withPool], id) =>
      `${txid}`.startsWith('11') || withPool === false ? found(id, '0.29000000') : missing(id),
    );
    const prevouts = await source(MAINNET, [ONE, TWO], signal);
    expect(prevouts.get(ONE)).toEqual({ value: 29_000_000n, script: '0014ab' });
    expect(prevouts.get(TWO)).toEqual({ value: 29_000_000n, script: '0014ab' });
    expect(seen.authorization).toBe(`Basic ${Buffer.from('user:password').toString('base64')}`);
  });

  test('that does not know an output leaves it out, and knows nothing of other chains', async () => {
    const { source } = await node((_, id) => missing(id));
    expect((await source(MAINNET, [ONE], signal)).size).toBe(0);
    expect((await source('bip122:other', [ONE], signal)).size).toBe(0);
  });

  test.each([
    ['answers with an error', (id: string) => `{"id":"${id}","error":{"code":-1},"result":null}`],
    ['answers with an amount beyond satoshi', (id: string) => found(id, '0.290000001')],
    ['answers with no number', (id: string) => found(id, '"0.29"')],
    ['does not answer in time', () => undefined],
  ])('that %s rejects', async (_, answer) => {
    const { source } = await node((_params, id) => answer(id));
    await expect(source(MAINNET, [ONE], signal)).rejects.toThrow();
  });
});
