/** What the vendor should have, from a configuration: which key signs for whom now, and what is pinned. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { loadConfig } from '../../../../src/config/load.js';
import { generateKeyFiles } from '../../../../src/keys/generate.js';
import { readPinned } from '../../../../src/keys/pins.js';
import { spkiSha256 } from '../../../../src/keys/published-keys.js';
import { expectedHandlers } from '../../../../src/replica/vendor/handler-checking.js';
import { authority, certificate } from '../../../support/certificates.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-expected-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const key = (name: string) => generateKeyFiles('p256', join(dir, `${name}.pem`)).spkiSha256;
const keys = { main: key('main'), own: key('own'), former: key('former'), next: key('next') };

function expectedOf(cosigner: object, tls?: object) {
  const file = join(dir, 'config.yaml');
  const base = { name: 'east', protocol: 'fireblocks', path: '/fb' };
  writeFileSync(
    file,
    stringify({
      http: { port: 8080, ...(tls && { tls }) },
      ops: { port: 9090 },
      ledger: { kind: 'embedded', embedded: { file: 'ledger.db' } },
      workspaces: [
        {
          name: 'other',
          policyFile: 'p.yaml',
          cosigners: [{ ...base, name: 'else', path: '/else', ...cosigner }],
        },
        { name: 'main', policyFile: 'p.yaml', cosigners: [{ ...base, ...cosigner }] },
      ],
      operators: [{ name: 'alice', publicKeyFile: 'a.pub.pem' }],
    }),
  );
  return expectedHandlers('main', loadConfig(file));
}

const ES256 = (file: string, more: object = {}) => ({ file: `${file}.pem`, algorithm: 'ES256', ...more });
const SIGNED = { publicKeys: [{ file: 'c.pub.pem' }], answerKey: ES256('main') };

test('the key that signs now, for this signer or for all', () => {
  const answerKeys = [
    ES256('own', { signers: ['one'] }),
    ES256('former', { notAfter: '2020-01-01T00:00:00Z' }),
    ES256('next', { notBefore: '2099-01-01T00:00:00Z' }),
  ];
  const { expected, pin } = expectedOf({ ...SIGNED, answerKeys, signers: [{ id: 'one' }, { id: 'two' }] });
  expect(expected.map(({ name }) => name)).toEqual(['east']);
  expect(expected[0]?.answerKeys('one')).toEqual([keys.own]);
  expect(expected[0]?.answerKeys('two')).toEqual([keys.main]);
  expect(expected[0]?.signers).toEqual(['one', 'two']);
  expect(pin).toBeUndefined();
});

test('in plain JSON no key, and what is pinned is the key of the certificate that is shown first', () => {
  const tls = certificate(dir, authority(dir, 'ca'), 'DNS:callback.example');
  const json = { mode: 'json', allowUnauthenticatedJson: true, networks: ['10.0.0.0/8'] };
  const { expected, pin } = expectedOf(json, { certificateFile: tls.certificate, keyFile: tls.key });
  expect(expected[0]?.answerKeys('one')).toEqual([]);
  expect(pin).toBe(spkiSha256(readPinned(tls.key).key));
});

test('a key that cannot be read is no key that is not compared', () => {
  expect(() => expectedOf({ ...SIGNED, answerKey: ES256('none') })).toThrow(/no such file/);
});
