/** Files that change under a running replica: taken whole when they have settled, refused with an alarm, never half. */
import {
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { Reloading } from '../../../src/replica/reloading.js';
import { ReloadMetrics } from '../../../src/telemetry/reload-metrics.js';
import { eventually } from '../../support/deployment.js';

let dir: string;
const running: Reloading[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersign-reloading-'));
});
afterEach(async () => {
  for (const reloading of running.splice(0)) await reloading.stop();
  rmSync(dir, { recursive: true, force: true });
});

function setting({ pollMs = 20, settleMs = 5 } = {}) {
  const registry = new Registry();
  const lines: Record<string, unknown>[] = [];
  const logger = pino({ level: 'debug' }, { write: (line: string) => void lines.push(JSON.parse(line)) });
  const reloading = new Reloading({ logger, metrics: new ReloadMetrics(registry), pollMs, settleMs });
  running.push(reloading);
  const values = async (name: string) =>
    Object.fromEntries(
      ((await registry.getSingleMetric(name)?.get())?.values ?? []).map(({ labels, value }) => [
        Object.values(labels).join(' '),
        value,
      ]),
    );
  return {
    reloading,
    lines,
    errors: () => lines.filter(({ level }) => level === 50),
    reloads: () => values('countersign_reloads_total'),
    failed: () => values('countersign_reload_failed'),
  };
}

/** A part that is the concatenation of its files, each of which must end with a full stop. */
function sentences(name: string, ...files: readonly string[]) {
  const part = {
    name,
    taken: '',
    reloads: 0,
    files: () => files,
    reload: async () => {
      part.reloads += 1;
      const texts = files.map((file) => readFileSync(file, 'utf8'));
      const half = files.find((_, index) => !texts[index]?.endsWith('.'));
      if (half !== undefined) throw new Error(`${half.split('/').at(-1)} is half a sentence`);
      part.taken = texts.join(' ');
    },
  };
  return part;
}

function write(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}

test('a file that changes is taken, once, and what does not change is left alone', async () => {
  const { reloading, reloads, lines } = setting();
  const changing = sentences('changing', write('a', 'One.'));
  const still = sentences('still', write('b', 'Still.'));
  reloading.add(changing);
  reloading.add(still);
  reloading.start();
  await eventually('the first look takes everything', () => (still.reloads === 1 ? true : undefined));
  write('a', 'Two.');
  await eventually('it is taken', () => (changing.taken === 'Two.' ? true : undefined));
  await sleep(100);
  expect({ changing: changing.reloads, still: still.reloads }).toEqual({ changing: 2, still: 1 });
  expect(await reloads()).toEqual({
    'changing ok': 1,
    'changing failed': 0,
    'still ok': 0,
    'still failed': 0,
  });
  expect(lines).toEqual([
    expect.objectContaining({ msg: 'reloaded', part: 'changing', changed: [join(dir, 'a')] }),
  ]);
});

test('a swapped link to a folder is a change of the files behind it, as Kubernetes replaces a Secret', async () => {
  const { reloading } = setting();
  for (const version of ['..1', '..2']) {
    mkdirSync(join(dir, version));
    writeFileSync(join(dir, version, 'key'), `Version ${version}.`);
  }
  symlinkSync('..1', join(dir, '..data'));
  symlinkSync('..data/key', join(dir, 'key'));
  const part = sentences('secret', join(dir, 'key'));
  reloading.add(part);
  reloading.start();
  await eventually('the first version', () => (part.taken === 'Version ..1.' ? true : undefined));
  symlinkSync('..2', join(dir, '..data_tmp'));
  renameSync(join(dir, '..data_tmp'), join(dir, '..data'));
  await eventually('the second version', () => (part.taken === 'Version ..2.' ? true : undefined));
});

test('what is refused leaves the old one in force, is told once, and is forgotten when it is mended', async () => {
  const { reloading, errors, reloads, failed } = setting();
  const part = sentences('keys', write('a', 'One.'));
  reloading.add(part);
  reloading.start();
  await eventually('the first look', () => (part.taken === 'One.' ? true : undefined));
  write('a', 'Tw');
  await eventually('the alarm', () => (errors().length > 0 ? true : undefined));
  await sleep(100);
  expect(part.taken).toBe('One.');
  expect(errors()).toEqual([
    expect.objectContaining({
      part: 'keys',
      problem: 'a is half a sentence',
      msg: 'not reloaded: what was in force stays so',
    }),
  ]);
  expect({ ...(await reloads()), ...(await failed()) }).toEqual({ 'keys ok': 0, 'keys failed': 1, keys: 1 });
  write('a', 'Two.');
  await eventually('it is mended', () => (part.taken === 'Two.' ? true : undefined));
  await eventually('no alarm', async () => ((await failed()).keys === 0 ? true : undefined));
  expect(await reloads()).toEqual({ 'keys ok': 1, 'keys failed': 1 });
});

test('the alarm ends when the old files are put back, byte for byte', async () => {
  const { reloading, errors, failed } = setting();
  const part = sentences('keys', write('a', 'One.'));
  reloading.add(part);
  reloading.start();
  await eventually('the first look', () => (part.taken === 'One.' ? true : undefined));
  write('a', 'Tw');
  await eventually('the alarm', () => (errors().length > 0 ? true : undefined));
  write('a', 'One.');
  await eventually('no alarm', async () => ((await failed()).keys === 0 ? true : undefined));
});

test('a state that lasts for a look or two calls nobody: a key whose certificate is still on its way', async () => {
  const { reloading, errors, lines, reloads } = setting({ pollMs: 60_000 });
  const part = sentences('tls', write('key', 'Key one.'), write('certificate', 'For key one.'));
  reloading.add(part);
  reloading.start();
  // Each start is one look: the next is as far away as the poll says.
  write('certificate', 'For key');
  await reloading.stop();
  reloading.start();
  await reloading.stop();
  expect({ errors: errors(), reloads: await reloads() }).toEqual({
    errors: [],
    reloads: { 'tls ok': 0, 'tls failed': 0 },
  });
  write('certificate', 'For key two.');
  reloading.start();
  await reloading.stop();
  expect(part.taken).toBe('Key one. For key two.');
  expect(lines.filter(({ level }) => level === 50)).toEqual([]);
});

test('whoever asks is told at once, of success and of failure, whether or not anything changed', async () => {
  const { reloading, reloads, errors } = setting({ pollMs: 60_000 });
  const part = sentences('keys', write('a', 'One.'));
  reloading.add(part);
  await reloading.now();
  expect(await reloads()).toEqual({ 'keys ok': 1, 'keys failed': 0 });
  write('a', 'Tw');
  await reloading.now();
  await reloading.now();
  expect(errors()).toHaveLength(2);
  expect(await reloads()).toEqual({ 'keys ok': 1, 'keys failed': 2 });
});

test('files that are being written are not taken', async () => {
  const { reloading, errors } = setting({ pollMs: 60_000, settleMs: 100 });
  const part = sentences('keys', write('a', 'One.'));
  reloading.add(part);
  // Again and again, so that some of it falls between the two looks, whenever the first one is.
  let number = 0;
  const writing = setInterval(() => {
    number += 1;
    write('a', `Sentence ${number}.`);
  }, 5);
  await reloading.now();
  clearInterval(writing);
  expect({ reloads: part.reloads, errors: errors().length }).toEqual({ reloads: 0, errors: 1 });
  await reloading.now();
  expect(part.taken).toBe(`Sentence ${number}.`);
});

test('a document that names another file is looked at by its new names from then on', async () => {
  const { reloading, lines } = setting();
  const other = write('other', 'Other.');
  const document = write('document', 'a');
  write('a', 'One.');
  let named = 'a';
  let taken = '';
  reloading.add({
    name: 'configuration',
    files: () => [document, join(dir, named)],
    reload: async () => {
      named = readFileSync(document, 'utf8');
      taken = readFileSync(join(dir, named), 'utf8');
    },
  });
  reloading.start();
  await eventually('the first look', () => (taken === 'One.' ? true : undefined));
  writeFileSync(document, 'other');
  await eventually('the other file', () => (taken === 'Other.' ? true : undefined));
  await sleep(200);
  expect(lines.map(({ msg }) => msg)).toEqual(['reloaded']);
  writeFileSync(other, 'Changed.');
  await eventually('its change', () => (taken === 'Changed.' ? true : undefined));
});

test('what only a new document names is waited for, although nothing that is in force changes when it comes', async () => {
  const { reloading, errors, failed } = setting();
  const document = write('document', 'a');
  write('a', 'One.');
  let named = 'a';
  let taken = '';
  reloading.add({
    name: 'configuration',
    files: () => [document, join(dir, named)],
    reload: async () => {
      const next = readFileSync(document, 'utf8');
      taken = readFileSync(join(dir, next), 'utf8');
      named = next;
    },
  });
  reloading.start();
  await eventually('the first look', () => (taken === 'One.' ? true : undefined));
  writeFileSync(document, 'late');
  await eventually('the alarm', () => (errors().length > 0 ? true : undefined));
  write('late', 'Late.');
  await eventually('it is taken', () => (taken === 'Late.' ? true : undefined));
  await eventually('no alarm', async () => ((await failed()).configuration === 0 ? true : undefined));
});

test('a file that is missing when its document names it is taken when it comes', async () => {
  const { reloading, errors } = setting();
  const file = join(dir, 'late');
  const part = sentences('keys', file);
  reloading.add(part);
  reloading.start();
  await eventually('the alarm', () => (errors().length > 0 ? true : undefined));
  writeFileSync(file, 'Here.');
  await eventually('it is taken', () => (part.taken === 'Here.' ? true : undefined));
});
