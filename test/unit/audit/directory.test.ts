/** A folder of audit files whose writer was killed at any byte, or met a full disk, or somebody else's hand. */
import {
  appendFileSync,
  copyFileSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterEach, describe, expect, test } from '@jest/globals';
import { openDirectory } from '../../../src/audit/directory.js';
import { BEGINNING } from '../../../src/audit/line.js';
import { eventsOf } from '../../../src/audit/read.js';
import { verifyFiles } from '../../../src/audit/verify.js';
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

const key = testKey();
const opened: TestFolder[] = [];
afterEach(() => {
  for (const folder of opened.splice(0)) folder.remove();
});

async function written(pieces: readonly (readonly number[])[], maxFileBytes?: number): Promise<TestFolder> {
  const folder = await writtenBy(key, pieces, maxFileBytes);
  opened.push(folder);
  return folder;
}

const positionAfter = (...sequences: readonly number[]) =>
  follow(
    BEGINNING,
    sequences.map((sequence) => eventAt(sequence)),
  ).position;

test('a writer that was killed at any byte of a piece goes on behind the last checkpoint', async () => {
  const folder = await written([
    [1, 2],
    [3, 4],
  ]);
  const [file = ''] = folder.files();
  const whole = readFileSync(file);
  const opening = whole.indexOf('\n') + 1;
  const second = whole.indexOf('{"sequence":3,');
  for (let length = 0; length <= whole.length; length += 1) {
    writeFileSync(file, whole.subarray(0, length));
    const sink = folder.open(key);
    const found = await sink.resume();
    if (length < opening) {
      // Not even the first line was there: nothing is left of it.
      expect([length, found, readdirSync(dirname(file)).includes(file)]).toEqual([length, undefined, false]);
      await sink.begin(BEGINNING);
    } else {
      const reached =
        length === whole.length
          ? positionAfter(1, 2, 3, 4)
          : length >= second
            ? positionAfter(1, 2)
            : BEGINNING;
      expect([length, found?.position]).toEqual([length, reached]);
    }
    const from = found?.position ?? BEGINNING;
    await append(sink, from, [[1, 2, 3, 4, 5].filter((sequence) => sequence > from.sequence)]);
    await sink.close();
    const verification = await verifyFiles(folder.files(), key.keys);
    expect([length, verification]).toMatchObject([
      length,
      { ok: true, chains: [{ after: 0, sequence: 5, events: 5 }] },
    ]);
    for (const path of folder.files()) rmSync(path);
  }
  expect(folder.problems).toEqual([]);
});

test('rubbish behind the last checkpoint, as a lost page leaves it, is cut off', async () => {
  const folder = await written([[1, 2]]);
  const [file = ''] = folder.files();
  appendFileSync(file, Buffer.concat([Buffer.alloc(5_000), Buffer.from('\n{"sequence":9\n\n')]));
  const sink = folder.open(key);
  expect(await sink.resume()).toEqual({ position: positionAfter(1, 2), previous: positionAfter(1).hash });
  await append(sink, positionAfter(1, 2), [[3]]);
  await sink.close();
  expect(await verifyFiles([file], key.keys)).toMatchObject({ ok: true, chains: [{ sequence: 3 }] });
});

test('damage before a checkpoint is no crash: the file stays as it is, and is named', async () => {
  const folder = await written([[1, 2], [3]]);
  const [file = ''] = folder.files();
  const altered = readFileSync(file, 'utf8').replace('"sequence":1}', '"sequence":2}');
  writeFileSync(file, altered);
  const sink = folder.open(key);
  expect(await sink.resume()).toBeUndefined();
  expect(folder.problems).toEqual([expect.stringContaining(`${file}:2: its SHA-256 is `)]);
  await sink.begin(positionAfter(1, 2, 3));
  await append(sink, positionAfter(1, 2, 3), [[4]]);
  await sink.close();
  expect(readFileSync(file, 'utf8')).toBe(altered);
  expect(await verifyFiles(folder.files(), key.keys)).toMatchObject({ ok: false, file, line: 2 });
});

test('a full file is followed by another one, and a crash between the two loses nothing', async () => {
  const folder = await written([[1], [2], [3]], 1);
  const files = folder.files();
  expect(files.map((path) => Number(/journal-(\d+)-/.exec(path)?.[1]))).toEqual([0, 1, 2, 3]);
  // Killed while it opened the last one.
  truncateSync(files[3] ?? '', 10);
  const sink = folder.open(key);
  expect((await sink.resume())?.position).toEqual(positionAfter(1, 2, 3));
  await append(sink, positionAfter(1, 2, 3), [[4]]);
  await sink.close();
  const verification = await verifyFiles(folder.files(), key.keys);
  expect(verification).toMatchObject({ ok: true, chains: [{ after: 0, sequence: 4, events: 4 }] });
});

test('one process writes at a time; the next may when it ends', async () => {
  const folder = await written([[1]]);
  const settings = { directory: folder.folder, key: key.key, chain: CHAIN, damaged: () => undefined };
  const sink = folder.open(key);
  expect(openDirectory(settings)).toBeUndefined();
  await sink.close();
  const next = openDirectory(settings);
  expect(next).toBeDefined();
  await next?.close();
});

describe('somebody else’s hand', () => {
  test('a file that grew is not written to', async () => {
    const folder = await written([[1]]);
    const sink = folder.open(key);
    await sink.resume();
    appendFileSync(folder.files()[0] ?? '', 'x');
    await expect(append(sink, positionAfter(1), [[2]])).rejects.toMatchObject({
      code: 'ENVIRONMENT',
      message: expect.stringContaining('somebody else'),
    });
    await sink.close();
  });

  test('nor is one that was removed', async () => {
    const folder = await written([[1]]);
    const sink = folder.open(key);
    await sink.resume();
    rmSync(folder.files()[0] ?? '');
    await expect(append(sink, positionAfter(1), [[2]])).rejects.toMatchObject({
      message: expect.stringContaining('was removed'),
    });
    await sink.close();
  });

  test('a file of another ledger under our name is not gone on with', async () => {
    const folder = await written([[1]]);
    const other = testFolder();
    opened.push(other);
    const sink = other.open(key, { chain: { ...CHAIN, workspace: 'test' } });
    await sink.begin(BEGINNING);
    await sink.close();
    const [ours = ''] = folder.files();
    renameSync(ours, `${ours}.away`);
    copyFileSync(other.files()[0] ?? '', ours);
    const again = folder.open(key);
    expect(await again.resume()).toBeUndefined();
    expect(folder.problems).toEqual([expect.stringContaining('it is of another ledger')]);
    await again.close();
  });
});

test('half a piece, as a full disk leaves it, is cut off', async () => {
  const folder = await written([[1]]);
  const [file = ''] = folder.files();
  const whole = readFileSync(file);
  // What a write that ran out of space leaves: the beginning of a piece.
  appendFileSync(
    file,
    follow(positionAfter(1), [eventAt(2)])
      .lines.join('\n')
      .slice(0, 50),
  );
  const sink = folder.open(key);
  expect((await sink.resume())?.position).toEqual(positionAfter(1));
  expect(readFileSync(file)).toEqual(whole);
  await sink.close();
});

test('events are read back as they were, each once, also where files overlap', async () => {
  const folder = await written(
    [
      [1, 2],
      [3, 4],
    ],
    1,
  );
  const second = await written([[1], [2, 3], [4, 5]]);
  const events = [];
  for await (const event of eventsOf([...second.files(), ...folder.files()], key.keys)) events.push(event);
  expect(events).toEqual(
    [1, 2, 3, 4, 5].map((sequence) => {
      const { atMs, type, body } = eventAt(sequence);
      return { sequence, atMs, type, bodyText: JSON.stringify(body) };
    }),
  );
  truncateSync(join(folder.files()[1] ?? ''), 100);
  await expect(eventsOf(folder.files(), key.keys).next()).rejects.toMatchObject({ code: 'CHECK_FAILED' });
});
