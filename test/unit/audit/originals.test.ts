/** Originals in sealed lines, and a writer whose disk is full, gone or late, or that was killed. */
import { appendFileSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { compactDecrypt } from 'jose';
import { originalsFilesIn } from '../../../src/audit/file.js';
import { newSeal, readOriginal } from '../../../src/audit/original.js';
import { Originals } from '../../../src/audit/originals.js';
import { eventually } from '../../support/deployment.js';
import { idsOf, openAll, originalAt, recipientPair, type Seen, seen } from '../../support/originals.js';

const { recipient, privateKey } = recipientPair();

const folders: string[] = [];
afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-originals-'));
  folders.push(folder);
  return folder;
}

function keeper(directory: string, bounds = {}) {
  const observer = seen();
  const roomy = { messages: 10_000, bytes: 1e7, fileBytes: 1e7 };
  return {
    observer,
    originals: new Originals({ directory, recipient, observer, bounds: { ...roomy, ...bounds } }),
  };
}

const written = (observer: Seen, count: number, withinMs = 45_000) =>
  eventually(`${count} were not written`, () => (observer.count >= count ? true : undefined), withinMs);
const numbers = (count: number) => Array.from({ length: count }, (_, number) => number);
const ids = (count: number) => numbers(count).map((number) => `r${number}`);

function lineOf(number: number, change = {}, seal = newSeal(recipient)): string {
  return seal(originalAt(number, change)).trimEnd();
}

async function opened(line: string, key = privateKey) {
  const shown = readOriginal(Buffer.from(line));
  return typeof shown === 'string' ? shown : shown.open(key);
}

describe('a line', () => {
  test('shows identifiers only, and any JWE library opens it', async () => {
    const line = lineOf(4);
    const { jwe, ...shown } = JSON.parse(line);
    expect(shown).toEqual({
      at: '2026-03-04T03:00:00.004Z',
      workspace: 'main',
      cosigner: 'a',
      requestId: 'r4',
      sequence: 5,
    });
    const { plaintext, protectedHeader } = await compactDecrypt(jwe, privateKey);
    expect(protectedHeader).toEqual({ alg: 'RSA-OAEP-256', enc: 'A256GCM', kid: recipient.id });
    const sealed = JSON.parse(Buffer.from(plaintext).toString());
    expect(sealed).toEqual({
      ...shown,
      protocol: 'fireblocks',
      request: {
        route: '/v2/tx_sign_request',
        address: '10.0.0.1',
        body: 'the question „4“',
        headers: { 'content-type': 'application/jwt' },
      },
      answer: { status: 200, contentType: 'application/jwt', body: 'the answer „4“' },
    });
    expect(await opened(line)).toEqual(sealed);
  });

  test('keeps bytes, a byte order mark, headers and a certificate as they came, and no event where there was none', async () => {
    const body = Buffer.from('\ufeff{\r\n "a":\t"\\u0000 ü 😀"} ');
    const { request, answer } = originalAt(1);
    const line = lineOf(1, {
      sequence: undefined,
      request: { ...request, body, headers: { signature: 'a="b"' }, certificateSha256: 'ab' },
      answer: { ...answer, headers: { digest: 'x' }, body: Buffer.from('ö') },
    });
    expect(line).not.toContain('sequence');
    const original = await opened(line);
    if (typeof original === 'string') throw new Error(original);
    expect(Buffer.from(original.request.body)).toEqual(body);
    expect(original).toMatchObject({
      request: { headers: { signature: 'a="b"' }, certificateSha256: 'ab' },
      answer: { headers: { digest: 'x' }, body: 'ö' },
    });
    expect(original.sequence).toBeUndefined();
  });

  test('never opens to anything else, whichever of its characters is changed or missing', async () => {
    const line = lineOf(7);
    const whole = await opened(line);
    let found = 0;
    for (let at = 0; at < line.length; at += 1)
      for (const put of ['', line[at] === 'A' ? 'B' : 'A']) {
        const other = await opened(line.slice(0, at) + put + line.slice(at + 1));
        if (typeof other === 'string') found += 1;
        else expect([at, other]).toEqual([at, whole]);
      }
    // The last character of a segment has bits that mean nothing.
    expect(found).toBeGreaterThan(2 * line.length - 10);
  });

  test.each([
    [
      'of another key',
      async () => opened(lineOf(1), recipientPair().privateKey),
      /^it is sealed for another key \(SPKI SHA-256 [0-9a-f]{64}\)$/,
    ],
    [
      'under the name of another',
      async () => opened(lineOf(1).replace('"r1"', '"r2"')),
      /^it is not what was sealed: that is \{.*"requestId":"r1"/,
    ],
    [
      'with what is sealed in another',
      async () => opened(JSON.stringify({ ...JSON.parse(lineOf(1)), jwe: JSON.parse(lineOf(2)).jwe })),
      /^it is not what was sealed/,
    ],
    [
      'that hides its event',
      async () => opened(lineOf(1).replace('"sequence":2,', '')),
      /^it is not what was sealed/,
    ],
    [
      'of another kind',
      async () => opened('{"audit":"checkpoint"}'),
      /^it is not spelled as an original is$/,
    ],
  ])('%s is told apart', async (_, open, problem) => {
    expect(await open()).toMatch(problem);
  });
});

test('lines of one piece share a key and nothing else; pieces do not share one', () => {
  const seal = newSeal(recipient);
  const parts = [lineOf(1, {}, seal), lineOf(1, {}, seal), lineOf(1)].map((line) =>
    JSON.parse(line).jwe.split('.'),
  );
  const distinct = (index: number) => new Set(parts.map((part) => part[index])).size;
  expect([0, 1, 2, 3, 4].map(distinct)).toEqual([1, 2, 3, 3, 3]);
});

describe('a writer', () => {
  test('keeps all, in order, readable for nobody else, and begins a file for each day and size', async () => {
    const folder = join(newFolder(), 'made/by/it');
    const { originals, observer } = keeper(folder, { fileBytes: 30_000 });
    for (const number of numbers(600)) originals.keep(originalAt(number));
    originals.keep(originalAt(600, { atMs: Date.UTC(2026, 2, 5) }));
    originals.keep(originalAt(601, { atMs: Date.UTC(2026, 2, 5, 23, 59) }));
    await written(observer, 602);
    await originals.close();
    expect(idsOf(await openAll(folder, privateKey))).toEqual(ids(602));
    const files = originalsFilesIn([folder]);
    expect(files.map((file) => basename(file).slice(0, 18))).toEqual([
      ...Array.from({ length: files.length - 1 }, () => 'originals-20260304'),
      'originals-20260305',
    ]);
    expect(files.length).toBeGreaterThanOrEqual(4);
    expect(statSync(folder).mode & 0o777).toBe(0o700);
    for (const file of files) {
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readFileSync(file, 'utf8')).not.toMatch(/question|answer|tx_sign/);
    }
    expect([observer.lost, observer.failures]).toEqual([0, []]);
  });

  test('that was killed in the middle of a line is followed by one that begins another file', async () => {
    const folder = newFolder();
    const first = keeper(folder);
    first.originals.keep(originalAt(0));
    await written(first.observer, 1);
    const [file = ''] = originalsFilesIn([folder]);
    appendFileSync(file, lineOf(9).slice(0, 700));
    const second = keeper(folder);
    second.originals.keep(originalAt(1));
    await written(second.observer, 1);
    await Promise.all([first.originals.close(), second.originals.close()]);
    expect(originalsFilesIn([folder])).toHaveLength(2);
    expect(idsOf(await openAll(folder, privateKey))).toEqual(['r0', 'cut off', 'r1']);
  });

  test.each([
    ['messages', { messages: 10 }, 10],
    ['bytes', { bytes: 10 * 1_110 }, 10],
  ])('holds no more %s in memory than it may, and drops what is more', async (_, bounds, room) => {
    const folder = newFolder();
    const { originals, observer } = keeper(folder, bounds);
    for (const number of numbers(25)) originals.keep(originalAt(number));
    expect([observer.lost, observer.count]).toEqual([25 - room, 0]);
    await written(observer, room);
    // There is room again.
    originals.keep(originalAt(room));
    await written(observer, room + 1);
    await originals.close();
    expect(idsOf(await openAll(folder, privateKey))).toEqual(ids(room + 1));
    expect(observer.problems[0]).toBe('more is answered than the disk takes');
  });

  test('whose folder is a file says so at once, keeps trying, and goes on when it is mended', async () => {
    const folder = join(newFolder(), 'originals');
    writeFileSync(folder, '');
    const { originals, observer } = keeper(folder);
    originals.start();
    await eventually('nothing was said', () => observer.failures[0]);
    for (const number of numbers(3)) originals.keep(originalAt(number));
    await eventually('it was not tried again', () => observer.failures[2]);
    expect(observer.failures[2]).toContain('EEXIST');
    rmSync(folder);
    await written(observer, 3);
    await originals.close();
    expect(idsOf(await openAll(folder, privateKey))).toEqual(ids(3));
    expect(observer.lost).toBe(0);
  });

  test('whose folder is removed under it makes it anew', async () => {
    const folder = join(newFolder(), 'originals');
    const { originals, observer } = keeper(folder);
    originals.keep(originalAt(0));
    await written(observer, 1);
    rmSync(folder, { recursive: true });
    originals.keep(originalAt(1));
    await written(observer, 2);
    await originals.close();
    expect(observer.failures).toEqual([expect.stringContaining('was removed')]);
    expect(idsOf(await openAll(folder, privateKey))).toEqual(['r1']);
  });

  test('that cannot write ends soon all the same, and counts what is lost', async () => {
    const folder = join(newFolder(), 'originals');
    writeFileSync(folder, '');
    const { originals, observer } = keeper(folder);
    for (const number of numbers(5)) originals.keep(originalAt(number));
    await originals.close();
    expect([observer.count, observer.lost]).toEqual([0, 5]);
  });

  test('drops a message whose line nobody could read back, and keeps the others', async () => {
    const folder = newFolder();
    const { originals, observer } = keeper(folder, { bytes: 1e8 });
    const { request } = originalAt(0);
    originals.keep(originalAt(0, { request: { ...request, body: Buffer.alloc(13e6, 'x') } }));
    originals.keep(originalAt(1));
    await written(observer, 1);
    await originals.close();
    expect(observer.lost).toBe(1);
    expect(idsOf(await openAll(folder, privateKey))).toEqual(['r1']);
  });
});
