/** Whatever is done to audit files is found, and the line is named. */
import { cpSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, jest, test } from '@jest/globals';
import { BEGINNING } from '../../../src/audit/line.js';
import { type Further, type Verification, verifyFiles } from '../../../src/audit/verify.js';
import {
  append,
  CHAIN,
  eventAt,
  follow,
  type TestFolder,
  testFolder,
  testKey,
  writtenBy,
} from '../../support/audit.js';

// Thousands of files are written and read: seconds on an idle machine, minutes where everything waits for disk and threads.
jest.setTimeout(900_000);

const key = testKey();
let folder: TestFolder;
let file: string;
let whole: Buffer;
let lines: readonly string[];

beforeAll(async () => {
  // Line 1 opens; then 1 2 3 C, 4 C, C (nothing new), 7 8 C: a recovery dropped events 5 and 6.
  folder = await writtenBy(key, [[1, 2, 3], [4], [], [7, 8]]);
  [file = ''] = folder.files();
  whole = readFileSync(file);
  lines = whole.toString('utf8').split('\n').slice(0, -1);
});
afterAll(() => folder.remove());

const scratch = testFolder();
afterAll(() => scratch.remove());

async function verified(content: Buffer | string, further: Further = {}): Promise<Verification> {
  const path = join(scratch.folder, 'file.jsonl');
  writeFileSync(path, content);
  return verifyFiles([path], key.keys, further);
}

async function brokenLine(content: Buffer | string): Promise<number | undefined> {
  const verification = await verified(content);
  return verification.ok ? undefined : verification.line;
}

function text(of: readonly (string | undefined)[]): string {
  return of.map((line) => `${line}\n`).join('');
}

test('what was written verifies, and is counted', async () => {
  expect(lines).toHaveLength(11);
  expect(await verified(whole)).toMatchObject({
    ok: true,
    lines: 11,
    bytes: whole.length,
    chains: [
      {
        ...CHAIN,
        after: 0,
        sequence: 8,
        events: 6,
        files: 1,
        gaps: [[4, 7]],
        gapCount: 1,
        keys: [key.key.id],
      },
    ],
  });
});

test('a flip of any bit of any byte is found, and its line is named', async () => {
  let offset = 0;
  for (const [index, line] of lines.entries()) {
    const length = Buffer.byteLength(line) + 1;
    for (let at = offset; at < offset + length; at += 1) {
      const bit = 1 << (at % 8);
      const flipped = Buffer.from(whole);
      flipped[at] = (whole[at] ?? 0) ^ bit;
      const verification = await verified(flipped);
      // Without its line feed a line runs into the next one; with one too many it is two.
      const named = verification.ok ? 'nothing' : verification.line;
      if (named !== index + 1)
        throw new Error(`byte ${at} of line ${index + 1}, bit ${bit}: ${JSON.stringify(verification)}`);
    }
    offset += length;
  }
});

test('a line that is removed, doubled or swapped is found', async () => {
  for (let index = 0; index < lines.length; index += 1) {
    const before = lines.slice(0, index);
    const after = lines.slice(index + 1);
    const removed = await brokenLine(text([...before, ...after]));
    expect([index, removed]).not.toEqual([index, undefined]);
    expect([index, await brokenLine(text([...before, lines[index], lines[index], ...after]))]).not.toEqual([
      index,
      undefined,
    ]);
    if (index + 1 < lines.length)
      expect([
        index,
        await brokenLine(text([...before, lines[index + 1], lines[index], ...lines.slice(index + 2)])),
      ]).not.toEqual([index, undefined]);
  }
});

test('cut off anywhere but behind a checkpoint it is found; there, only by who knows how far it went', async () => {
  const ends: number[] = [];
  for (let length = 0; length < whole.length; length += 1)
    if ((await brokenLine(whole.subarray(0, length))) === undefined) ends.push(length);
  const checkpoints = lines.flatMap((line, index) =>
    line.startsWith('{"audit":') ? [Buffer.byteLength(text(lines.slice(0, index + 1)))] : [],
  );
  expect(ends).toEqual(checkpoints.slice(0, -1));
});

test('a line of somebody who has not the key is found', async () => {
  const { lines: forged, position } = follow(BEGINNING, [
    eventAt(1, { decision: { effect: 'reject' } }),
    eventAt(2),
    eventAt(3),
  ]);
  expect(await brokenLine(text([lines[0], ...forged, ...lines.slice(4)]))).toBe(4);
  const other = await writtenBy(testKey(), [[1, 2, 3]]);
  const theirs = readFileSync(other.files()[0] ?? '', 'utf8').split('\n');
  expect(await verified(text([lines[0], ...forged, theirs[4]]))).toMatchObject({
    ok: false,
    line: 5,
    problem: expect.stringContaining('it is signed with a key that was not given'),
  });
  const renamed = theirs[4]
    ?.replace(/"key":"\w+"/, `"key":"${key.key.id}"`)
    .replace(/"hash":"\w+"/, `"hash":"${position.hash}"`);
  expect(await verified(text([lines[0], ...forged, renamed]))).toMatchObject({
    line: 5,
    problem: 'its signature does not verify',
  });
  other.remove();
});

test.each<[string, string | Buffer, number, string]>([
  ['nothing', '', 1, 'the file is empty'],
  ['an empty line', '\n', 1, 'it is empty'],
  ['other text', 'hello\n', 1, 'it is neither an event nor a checkpoint'],
  ['bytes that are no text', Buffer.from([0xff, 0xfe, 0x0a]), 1, 'it is neither an event nor a checkpoint'],
])('%s is no audit file', async (_, content, line, problem) => {
  expect(await verified(content)).toEqual({ ok: false, file: expect.any(String), line, problem });
});

test('a line without end is refused before it fills the memory', async () => {
  await expect(verified(Buffer.alloc(40 * 1024 * 1024, 'a'))).rejects.toMatchObject({
    code: 'FILE_UNREADABLE',
  });
});

describe('several files', () => {
  let many: TestFolder;
  let files: readonly string[];
  beforeAll(async () => {
    many = await writtenBy(
      key,
      [
        [1, 2],
        [3, 4],
        [5, 6],
        [7, 8],
      ],
      1,
    );
    files = many.files();
  });
  afterAll(() => many.remove());

  test('are one chain, in whatever order they are named', async () => {
    expect(files).toHaveLength(5);
    const expected = { ok: true, chains: [{ after: 0, sequence: 8, events: 8, files: 5, gapCount: 0 }] };
    expect(await verifyFiles(files, key.keys)).toMatchObject(expected);
    expect(await verifyFiles([...files].reverse(), key.keys)).toMatchObject(expected);
  });

  test('are missed when they are not the last; the first is said to be missing', async () => {
    expect(await verifyFiles(files.slice(1), key.keys)).toMatchObject({
      ok: true,
      chains: [{ after: 2, sequence: 8 }],
    });
    expect(await verifyFiles(files.toSpliced(2, 1), key.keys)).toMatchObject({
      ok: false,
      file: files[3],
      line: 1,
      problem: 'the events after 4, up to 6, are missing: no file holds them',
    });
  });

  test('that two exporters wrote at once overlap, and are one chain', async () => {
    const both = testFolder();
    cpSync(many.folder, both.folder, { recursive: true });
    const second = testFolder();
    const sink = second.open(key);
    const from = await append(await begun(sink, BEGINNING), BEGINNING, [[1], [2, 3, 4, 5]]);
    await append(sink, from, [[6, 7, 8, 9]]);
    await sink.close();
    const all = [...many.files(), ...second.files()];
    expect(await verifyFiles(all, key.keys)).toMatchObject({
      ok: true,
      chains: [{ after: 0, sequence: 9, events: 9 }],
    });
    // The same again, but one of them was shown another event 4.
    const third = testFolder();
    const fork = third.open(key);
    await fork.begin(BEGINNING);
    const other = follow(
      BEGINNING,
      [1, 2, 3, 4].map((n) => eventAt(n, n === 4 ? { forged: true } : {})),
    );
    await fork.append(other.lines, other.position);
    await fork.close();
    expect(await verifyFiles([...many.files(), ...third.files()], key.keys)).toMatchObject({
      ok: false,
      problem: expect.stringContaining('event 4 is another one than in another file'),
    });
    for (const each of [both, second, third]) each.remove();
  });

  test('of another ledger are a chain of their own', async () => {
    const elsewhere = testFolder();
    const sink = elsewhere.open(key, { chain: { ...CHAIN, ledger: 'another-ledger' } });
    await append(await begun(sink, BEGINNING), BEGINNING, [[1]]);
    await sink.close();
    const verification = await verifyFiles([...files, ...elsewhere.files()], key.keys);
    expect(verification).toMatchObject({
      ok: true,
      chains: [{ sequence: 8 }, { ledger: 'another-ledger', sequence: 1 }],
    });
    elsewhere.remove();
  });

  test('a mark that the ledger keeps is looked for', async () => {
    const position = follow(
      BEGINNING,
      [1, 2, 3].map((n) => eventAt(n)),
    ).position;
    expect(await verifyFiles(files, key.keys, { mark: position })).toMatchObject({ ok: true });
    expect(await verifyFiles(files, key.keys, { mark: { ...position, hash: 'f'.repeat(64) } })).toMatchObject(
      { ok: false },
    );
  });
});

test('lines that a stream repeats after an interruption are one chain with what was there', async () => {
  const stream = text(lines.slice(0, 6));
  const again = testFolder();
  const sink = again.open(key);
  const at3 = follow(
    BEGINNING,
    [1, 2, 3].map((n) => eventAt(n)),
  ).position;
  await sink.begin(at3);
  await append(sink, at3, [[4, 7]]);
  await sink.close();
  const second = readFileSync(again.files()[0] ?? '', 'utf8');
  expect(await verified(stream + second)).toMatchObject({
    ok: false,
    line: 7,
    problem: expect.stringContaining('--collected'),
  });
  const collected = { collected: true };
  expect(await verified(stream + second, collected)).toMatchObject({
    ok: true,
    chains: [{ sequence: 7, events: 5 }],
  });
  // What was interrupted, and never covered, must be what came again.
  const altered = stream.replace('"sequence":4}', '"sequence":5}');
  expect(altered).not.toBe(stream);
  expect(await verified(altered + second, collected)).toMatchObject({
    ok: false,
    problem: expect.stringContaining('event 4 is another one'),
  });
  // Nor may lines stand there that the next run has no like of, under a number that no event has.
  const gapped = follow(at3, [eventAt(9)]).lines[0] ?? '';
  const until3 = stream.slice(0, stream.indexOf('{"sequence":4,'));
  expect(await verified(`${until3}${gapped}\n${second}`, collected)).toMatchObject({
    ok: false,
    line: 6,
    problem: expect.stringContaining('no checkpoint covers it'),
  });
  again.remove();
});

async function begun<T extends { begin(position: typeof BEGINNING): Promise<void> }>(
  sink: T,
  position: typeof BEGINNING,
): Promise<T> {
  await sink.begin(position);
  return sink;
}

test('closed files are read-only', async () => {
  const many = await writtenBy(key, [[1], [2]], 1);
  expect(many.files().map((path) => (statSync(path).mode & 0o777).toString(8))).toEqual([
    '400',
    '400',
    '600',
  ]);
  many.remove();
});
