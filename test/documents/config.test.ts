import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.js';
import { retriesOf } from '../../src/replica/endpoints.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

const GOOD = `http: { port: 8080 }
ops: { port: 9090 }
ledger:
  kind: redis
  redis: { url: redis://127.0.0.1:6379 }
workspaces:
  - name: main
    policyFile: policy.yaml
    cosigners:
      - name: cosigner-a
        protocol: fireblocks
        path: /fireblocks
        publicKeys: [{ file: keys/a.pub.pem }]
        signers:
          - { id: one }
          - { id: two, stages: [approval] }
        answerKey: { file: keys/answer.pem, algorithm: RS256 }
operators:
  - { name: alice, publicKeyFile: keys/alice.pub.pem }
`;

function load(text: string) {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return loadConfig(file);
}

/** The message as a person sees it, without the folder. */
function problemOf(text: string): string {
  try {
    load(text);
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
  return 'no problem';
}

test('defaults are the safe ones, and file names are relative to the document', () => {
  const config = load(GOOD);
  expect(config.deadline).toBe(20_000);
  expect(config.http).toEqual({
    host: '0.0.0.0',
    port: 8080,
    bodyLimit: 4 * 1024 * 1024,
    trustedProxies: [],
  });
  expect(config.ledger).toMatchObject({ retention: 90 * 86_400_000, durability: { mode: 'fence' } });
  const [cosigner] = config.workspaces[0]?.cosigners ?? [];
  if (cosigner?.protocol !== 'fireblocks' || cosigner.mode !== 'jwt')
    throw new Error('it is of another protocol');
  expect(cosigner.retrySupported).toBe(true);
  expect(retriesOf(cosigner)).toEqual({ intervalMs: 180_000, attempts: 20, totalMs: 3_600_000 });
  expect(cosigner.signers?.map(({ stages }) => stages)).toEqual([['signing'], ['approval']]);
  expect(cosigner.answerKey.file).toBe(join(folder, 'keys/answer.pem'));
  expect(config.operators[0]?.publicKeyFile).toBe(join(folder, 'keys/alice.pub.pem'));
});

test('keys have a time, in any time zone, and one without is valid for ever', () => {
  const text = GOOD.replace(
    '[{ file: keys/a.pub.pem }]',
    "[{ file: a.pem, notAfter: 2027-03-01T09:00:00+01:00 }, { file: b.pem, notBefore: '2027-03-01T07:30:00.5Z' }]",
  ).replace(
    'algorithm: RS256 }',
    'algorithm: RS256 }\n        answerKeys: [{ file: c.pem, algorithm: ES256, notBefore: 2027-03-01T00:00:00Z }]',
  );
  const [cosigner] = load(text).workspaces[0]?.cosigners ?? [];
  expect(cosigner).toMatchObject({
    publicKeys: [
      { file: join(folder, 'a.pem'), notAfter: Date.UTC(2027, 2, 1, 8) },
      { file: join(folder, 'b.pem'), notBefore: Date.UTC(2027, 2, 1, 7, 30, 0, 500) },
    ],
    answerKeys: [{ file: join(folder, 'c.pem'), notBefore: Date.UTC(2027, 2, 1) }],
  });
});

describe('what a person sees when the time of a key is wrong', () => {
  const NO_INSTANT = 'notAfter: must be an instant such as 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00';
  const key = (rest: string) => GOOD.replace('{ file: keys/a.pub.pem }', `{ file: a.pem, ${rest} }`);
  const answers = (...keys: readonly string[]) =>
    GOOD.replace(
      'algorithm: RS256 }',
      `algorithm: RS256 }\n        answerKeys: [${keys.map((each) => `{ file: b.pem, algorithm: RS256${each} }`).join(', ')}]`,
    );
  const TWO = 'two answer keys that begin at the same instant';
  const AT = 'notBefore: 2027-01-01T00:00:00Z';
  test.each<[string, string, string]>([
    ['no offset', key('notAfter: 2027-03-01T09:00:00'), NO_INSTANT],
    ['a day', key('notAfter: 2027-03-01'), NO_INSTANT],
    ['no such day', key('notAfter: 2027-02-30T09:00:00Z'), NO_INSTANT],
    ['no such hour', key('notAfter: 2027-02-03T25:00:00Z'), NO_INSTANT],
    ['a number', key('notAfter: 1803801600'), NO_INSTANT],
    ['a blank', key('notAfter: 2027-03-01 09:00:00Z'), NO_INSTANT],
    [
      'an end before the beginning',
      key('notBefore: 2027-03-01T09:00:00+01:00, notAfter: 2027-03-01T08:00:00Z'),
      'publicKeys[0].notAfter: must be later than notBefore: the key is never valid',
    ],
    [
      'an end of an answer key before its beginning',
      answers(`, ${AT}, notAfter: 2026-12-31T00:00:00Z`),
      'answerKeys[0].notAfter: must be later than notBefore: the key is never valid',
    ],
    [
      'two for one signer',
      answers(', signers: [one]', ', signers: [two, one]'),
      `gives the signer "one" ${TWO}`,
    ],
    [
      'two at one instant in two time zones',
      answers(`, signers: [one], ${AT}`, ', signers: [one], notBefore: 2027-01-01T01:00:00+01:00'),
      `gives the signer "one" ${TWO}`,
    ],
    ['two for all', answers('', ''), `gives signers that none lists ${TWO}`],
  ])('%s', (_, text, message) => {
    expect(problemOf(text)).toContain(message);
  });

  test('two for one signer that begin at different instants are fine', () => {
    const text = answers(', signers: [one]', `, signers: [one], ${AT}`, `, ${AT}`);
    expect(problemOf(text)).toBe('no problem');
  });
});

describe('what a person sees when the document is wrong', () => {
  const line = (text: string, find: string | RegExp, replace: string): string => text.replace(find, replace);
  test.each<[string, string, string]>([
    [
      'a misspelled key',
      line(GOOD, 'policyFile', 'policyfile'),
      'config.yaml:8: workspaces[0].policyfile: unknown key; did you mean policyFile?',
    ],
    [
      'a missing key',
      line(GOOD, '    policyFile: policy.yaml\n', ''),
      'config.yaml:7: workspaces[0].policyFile: is missing',
    ],
    [
      'a bad duration',
      `${GOOD}deadline: 20\n`,
      'config.yaml:20: deadline: Invalid input: expected string, received number',
    ],
    [
      'a deadline no co-signer waits for',
      `${GOOD}deadline: 40s\n`,
      'config.yaml:20: deadline: must be between 100ms and 28s: co-signers give up at 30s',
    ],
    [
      'a path with a slash at its end',
      line(GOOD, '/fireblocks', '/fireblocks/'),
      'config.yaml:12: workspaces[0].cosigners[0].path: must be a path such as /fireblocks, without a slash at its end',
    ],
    [
      'an unknown protocol',
      line(GOOD, 'protocol: fireblocks', 'protocol: cobo'),
      'config.yaml:11: workspaces[0].cosigners[0].protocol: must have a protocol: fireblocks or iofinnet',
    ],
    [
      'no ledger kind',
      line(GOOD, '  kind: redis\n', ''),
      'config.yaml:4: ledger.kind: must have a kind: redis or embedded',
    ],
    [
      'a signer listed twice',
      line(GOOD, 'id: two', 'id: one'),
      'workspaces[0].cosigners[0].signers: lists a signer twice',
    ],
    ['equal ports', line(GOOD, '9090', '8080'), 'config.yaml:2: ops.port: must differ from http.port'],
    [
      'no operator',
      line(GOOD, /operators:\n.*\n/, 'operators: []\n'),
      'config.yaml:18: operators: Too small: expected array to have >=1 items',
    ],
    ['a key twice', `${GOOD}ops: { port: 1 }\n`, 'config.yaml:20: Map keys must be unique'],
    ['no YAML', 'http: [', 'config.yaml:1: '],
    ['an alias bomb', `${GOOD}logging: &a [*a]\n`, 'config.yaml:'],
    [
      'an interval that the vendor does not have',
      line(GOOD, 'path: /fireblocks', 'path: /fireblocks\n        retries: { interval: 20s }'),
      'cosigners[0].retries.interval: must be between 30s and 1h',
    ],
    [
      'a longer total than the vendor has',
      line(GOOD, 'path: /fireblocks', 'path: /fireblocks\n        retries: { total: 49h }'),
      'cosigners[0].retries.total: must be between 30s and 48h',
    ],
    [
      'an interval that is longer than the total',
      line(GOOD, 'path: /fireblocks', 'path: /fireblocks\n        retries: { interval: 1h, total: 30m }'),
      'cosigners[0].retries.interval: must not be longer than total',
    ],
    [
      'no attempt',
      line(GOOD, 'path: /fireblocks', 'path: /fireblocks\n        retries: { attempts: 0 }'),
      'cosigners[0].retries.attempts: Too small',
    ],
    [
      'retries of a co-signer that does not ask again',
      line(
        GOOD,
        'path: /fireblocks',
        'path: /fireblocks\n        retrySupported: false\n        retries: { attempts: 2 }',
      ),
      'cosigners[0].retries: says how it asks again, and retrySupported: false that it does not',
    ],
    ['an empty document', '', 'config.yaml:1: Invalid input: expected object, received null'],
  ])('%s', (_, text, message) => {
    expect(problemOf(text)).toContain(message);
  });

  test('two co-signers of one name', () => {
    const document = parse(GOOD);
    document.workspaces[0].cosigners.push(document.workspaces[0].cosigners[0]);
    expect(problemOf(stringify(document, { aliasDuplicateObjects: false }))).toContain(
      'workspaces[0].cosigners[1].name: the co-signer "cosigner-a" is already defined',
    );
  });

  test('no file', () => {
    expect(() => loadConfig(join(folder, 'none.yaml'))).toThrow(/^cannot read .*none\.yaml: ENOENT$/);
  });
});

describe('the REST API of the vendor', () => {
  const withApi = (api: object, more: object = {}) => {
    const document = parse(GOOD) as { workspaces: [Record<string, unknown>] };
    const keys = { apiKeyFile: 'keys/viewer.id', privateKeyFile: 'keys/viewer.pem' };
    Object.assign(
      document.workspaces[0],
      { api: { ...keys, url: 'https://api.fireblocks.io', ...api } },
      more,
    );
    return stringify(document);
  };

  test('is not called without a section, and with one asks for nothing by itself', () => {
    expect(load(GOOD).workspaces[0]).toMatchObject({ unfinishedAfter: 86_400_000 });
    expect(load(GOOD).workspaces[0]?.api).toBeUndefined();
    const { api } = load(withApi({})).workspaces[0] ?? {};
    expect(api).toEqual({
      url: 'https://api.fireblocks.io',
      timeout: 10_000,
      requestsPerMinute: 60,
      apiKeyFile: join(folder, 'keys/viewer.id'),
      privateKeyFile: join(folder, 'keys/viewer.pem'),
    });
    const swept = load(withApi({ sweep: {}, doctor: {} })).workspaces[0]?.api;
    expect(swept).toMatchObject({ sweep: { after: 3_600_000, every: 300_000 }, doctor: {} });
    expect(swept?.doctor?.every).toBeUndefined();
  });

  test.each([
    ['https://eu-api.fireblocks.io/v1', 'https://eu-api.fireblocks.io'],
    ['https://eu-api.fireblocks.io/v1/', 'https://eu-api.fireblocks.io'],
    ['https://relay.example:8443', 'https://relay.example:8443'],
    ['http://127.0.0.1:8080/v1', 'http://127.0.0.1:8080'],
    ['http://[::1]:8080', 'http://[::1]:8080'],
  ])('%s is %s', (url, origin) => {
    expect(load(withApi({ url })).workspaces[0]?.api?.url).toBe(origin);
  });

  test.each([
    'http://api.fireblocks.io',
    'http://127.0.0.1.evil.example',
    'http://localhost.evil.example',
    'https://user:secret@api.fireblocks.io',
    'https://api.fireblocks.io/v2',
    'https://api.fireblocks.io/v1?x=1',
    'https://api.fireblocks.io/#x',
    'ftp://api.fireblocks.io',
    'api.fireblocks.io',
  ])('%s is refused', (url) => {
    expect(problemOf(withApi({ url }))).toMatch(/workspaces\[0\]\.api\.url: must be https:\/\/host/);
  });

  test.each([
    [{ requestsPerMinute: 0 }, /requestsPerMinute/],
    [{ requestsPerMinute: 1_001 }, /requestsPerMinute/],
    [{ timeout: '10m' }, /timeout: must be between 100ms and 1m/],
    [{ sweep: { every: '0s' } }, /every: must be between 1s and 1d/],
    [{ sweep: { after: '31d' } }, /after: must be between 1s and 30d/],
    [{ doctor: { apiKeyFile: 'keys/admin.id' } }, /doctor: needs both of apiKeyFile and privateKeyFile/],
    [{ apiKey: 'secret' }, /apiKey/],
  ])('%j is refused', (api, message) => {
    expect(problemOf(withApi(api))).toMatch(message);
  });
});
