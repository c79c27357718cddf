/** `countersign keys pin`: the same words for the same key, whatever file holds it; OpenSSL says what they are. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { keysCommand } from '../../../src/cli/keys.js';
import { authority, certificate } from '../../support/certificates.js';
import { rejectionOf } from '../../support/errors.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-pins-'));
const root = authority(folder, 'root');
const served = certificate(folder, root, 'DNS:callback.example.com');
const other = certificate(folder, root, 'DNS:other.example.com');
const sh = (commands: string) =>
  execFileSync('sh', ['-e', '-c', commands], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  }).trim();
const PIN = `sha256//${sh(
  `openssl x509 -in ${served.certificate} -pubkey -noout | openssl pkey -pubin -outform der | openssl dgst -sha256 -binary | base64`,
)}`;
const HEX = Buffer.from(PIN.slice('sha256//'.length), 'base64').toString('hex');

let printed = '';
const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
  printed += String(text);
  return true;
});
afterEach(() => {
  printed = '';
});
afterAll(() => {
  write.mockRestore();
  rmSync(folder, { recursive: true });
});

function pin(...args: readonly string[]): Promise<unknown> {
  return keysCommand().parseAsync(['node', 'keys', 'pin', ...args]);
}

function config(tls: string): string {
  const file = join(folder, 'config.yaml');
  writeFileSync(
    file,
    `http: { port: 8443${tls} }
ops: { port: 9090 }
ledger: { kind: embedded, embedded: { file: ledger.db } }
workspaces:
  - name: main
    policyFile: policy.yaml
    cosigners:
      - { name: a, protocol: fireblocks, path: /a, publicKeys: [{ file: a.pem }], answerKey: { file: b.pem, algorithm: RS256 } }
operators: [{ name: alice, publicKeyFile: alice.pub.pem }]
`,
  );
  return file;
}

test('a certificate: the pin, in both forms, and its end', async () => {
  await pin(served.certificate);
  expect(printed.split('\n')).toEqual([
    `${served.certificate}: certificate, P-256 of CN=redis`,
    `pin          ${PIN}`,
    `SPKI SHA-256 ${HEX}`,
    expect.stringMatching(/^ends {9}\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.000Z \(in [12] days\)$/),
    '',
  ]);
});

describe('the same pin from', () => {
  const made = (name: string, command: string) => () => {
    writeFileSync(join(folder, name), `${sh(command)}\n`);
    return join(folder, name);
  };
  test.each<[string, () => string]>([
    ['its private key', () => served.key],
    ['its private key in SEC1 form', made('sec1.pem', `openssl ec -in ${served.key} -param_enc named_curve`)],
    ['its public key', made('public.pem', `openssl pkey -in ${served.key} -pubout`)],
    ['a chain that begins with it', made('chain.pem', `cat ${served.certificate} ${root.certificate}`)],
    [
      'its renewal with the same key',
      made('renewed.pem', `openssl req -x509 -key ${served.key} -days 9 -subj /CN=renewed`),
    ],
  ])('%s', async (_, file) => {
    await pin(served.certificate, file(), '--json');
    const { same, pins } = JSON.parse(printed);
    expect({ same, pins: pins.map((each: { readonly pin: string }) => each.pin) }).toEqual({
      same: true,
      pins: [PIN, PIN],
    });
  });
});

test('a next certificate with another key: it says so, and fails', async () => {
  const problem = await rejectionOf(pin(served.certificate, other.certificate, served.key));
  expect(problem).toMatchObject({ code: 'CHECK_FAILED' });
  expect(problem.message).toBe(
    `${other.certificate}: not the key of ${served.certificate}; co-signers that pin it refuse every connection with the other, and their transactions fail`,
  );
  expect(printed.match(/^pin .*$/gm)).toHaveLength(3);
});

test('one that has ended', async () => {
  sh(
    `openssl req -new -key ${served.key} -subj /CN=ended | openssl x509 -req -signkey ${served.key} -days -1 -out ended.pem`,
  );
  await pin(join(folder, 'ended.pem'));
  expect(printed).toContain('(IT HAS ENDED)');
});

describe('a configuration', () => {
  test('names the certificate', async () => {
    copyFileSync(served.certificate, join(folder, 'served.pem'));
    const file = config(', tls: { certificateFile: served.pem, keyFile: served.key }');
    await pin('--config', file, served.key, '--json');
    expect(JSON.parse(printed)).toMatchObject({
      same: true,
      pins: [{ file: join(folder, 'served.pem'), pin: PIN }, { file: served.key }],
    });
  });

  test('without TLS names none', async () => {
    expect((await rejectionOf(pin('--config', config('')))).message).toBe(
      `${join(folder, 'config.yaml')}: http.tls is not there, so a proxy ends TLS; name its certificate file`,
    );
  });
});

describe('what it cannot read', () => {
  test.each<[string, string | undefined, string]>([
    ['nothing is named', undefined, 'name a certificate, a key, or --config'],
    ['no such file', 'none.pem', 'cannot read FILE: ENOENT'],
    ['a folder', '.', 'cannot read FILE: EISDIR'],
    ['text', 'config.yaml', 'key file FILE: it holds neither a certificate nor a key in PEM form'],
    [
      'a damaged one',
      'damaged.pem',
      'key file FILE: its PEM content is damaged, or of a kind that is not supported',
    ],
  ])('%s', async (_, name, message) => {
    config('');
    writeFileSync(
      join(folder, 'damaged.pem'),
      '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n',
    );
    const file = name === undefined ? undefined : join(folder, name);
    const problem = await rejectionOf(file === undefined ? pin() : pin(file));
    expect(problem.message).toBe(message.replace('FILE', file ?? ''));
  });
});
