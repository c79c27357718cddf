/** What a person sees who configures a channel that would not be one. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { configWarnings, loadConfig } from '../../src/config/load.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-channel-config-'));
afterAll(() => rmSync(folder, { recursive: true }));

type Fields = Readonly<Record<string, unknown>>;

const KEYED = {
  publicKeys: [{ file: 'a.pub.pem' }],
  answerKey: { file: 'answer.pem', algorithm: 'RS256' },
};
const JWT: Fields = { name: 'signing', protocol: 'fireblocks', path: '/signing', ...KEYED };
const JSON_MODE: Fields = {
  name: 'plain',
  protocol: 'fireblocks',
  path: '/plain',
  mode: 'json',
  allowUnauthenticatedJson: true,
  networks: ['10.1.0.0/16'],
};
const TLS = { certificateFile: 'a.pem', keyFile: 'a.key' };

function document(cosigners: readonly Fields[], tls?: Fields): string {
  return stringify({
    http: { port: 8443, ...(tls && { tls }) },
    ops: { port: 9090 },
    ledger: { kind: 'embedded', embedded: { file: 'ledger.db' } },
    workspaces: [{ name: 'main', policyFile: 'policy.yaml', cosigners }],
    operators: [{ name: 'alice', publicKeyFile: 'alice.pub.pem' }],
  });
}

function load(cosigners: readonly Fields[], tls?: Fields) {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, document(cosigners, tls));
  return loadConfig(file);
}

/** Without folder and lines. */
function problemOf(cosigners: readonly Fields[], tls?: Fields): string {
  try {
    load(cosigners, tls);
  } catch (error) {
    return (error as Error).message
      .replaceAll(`${folder}/`, '')
      .replaceAll(/^config\.yaml:\d+: /gm, '')
      .replaceAll('workspaces[0].cosigners', 'cosigners');
  }
  return 'no problem';
}

const without = (fields: Fields, ...names: readonly string[]): Fields =>
  Object.fromEntries(Object.entries(fields).filter(([name]) => !names.includes(name)));
const certified = { clientCertificates: ['AB'.repeat(32)] };

const NO_OPT_IN =
  'cosigners[0].mode: json needs allowUnauthenticatedJson: true, because no message proves who asks; choose jwt where the co-signer can (the vendor’s options 1, 4, 5)';
const NO_CALLER =
  'cosigners[0].mode: json needs networks or clientCertificates: nothing else tells a co-signer from a stranger';
const NOT_TOLD_APART = 'path: another co-signer has this path, and nothing would tell them apart';

describe('plain JSON', () => {
  test.each<[string, readonly Fields[], string]>([
    ['without the opt-in', [without(JSON_MODE, 'allowUnauthenticatedJson')], NO_OPT_IN],
    [
      'with half an opt-in',
      [{ ...JSON_MODE, allowUnauthenticatedJson: false }],
      'cosigners[0].allowUnauthenticatedJson: must be true, or absent',
    ],
    ['from anywhere', [without(JSON_MODE, 'networks')], NO_CALLER],
    [
      'with nothing',
      [without(JSON_MODE, 'networks', 'allowUnauthenticatedJson')],
      `${NO_OPT_IN}\n${NO_CALLER}`,
    ],
    [
      'from every address',
      [{ ...JSON_MODE, networks: ['10.0.0.0/8', '::/0'] }],
      'cosigners[0].networks: holds every address: with mode: json anybody could ask',
    ],
    [
      'with a certificate that nobody shows',
      [{ ...JSON_MODE, ...certified }],
      'cosigners[0].clientCertificates: needs http.tls.clientCaFile: nobody shows a certificate otherwise',
    ],
    [
      'with public keys',
      [{ ...JSON_MODE, publicKeys: KEYED.publicKeys }],
      'cosigners[0].publicKeys: belongs to mode: jwt; in plain JSON nothing is signed',
    ],
    [
      'with an answer key',
      [{ ...JSON_MODE, answerKey: KEYED.answerKey }],
      'cosigners[0].answerKey: belongs to mode: jwt; in plain JSON nothing is signed',
    ],
    [
      'with answer keys for signers',
      [{ ...JSON_MODE, answerKeys: [{ ...KEYED.answerKey, signers: ['a'] }] }],
      'cosigners[0].answerKeys: belongs to mode: jwt; in plain JSON nothing is signed',
    ],
    [
      'at the path of another in plain JSON',
      [JSON_MODE, { ...JSON_MODE, name: 'other' }],
      `cosigners[1].${NOT_TOLD_APART}`,
    ],
    [
      'at the path of one that signs',
      [JWT, { ...JSON_MODE, path: '/signing' }],
      `cosigners[1].${NOT_TOLD_APART}`,
    ],
    ['before one that signs', [{ ...JSON_MODE, path: '/signing' }, JWT], `cosigners[1].${NOT_TOLD_APART}`],
    ['in a mode that is none', [{ ...JSON_MODE, mode: 'xml' }], 'cosigners[0].mode: must be jwt or json'],
  ])('%s is refused', (_, cosigners, message) => {
    expect(problemOf(cosigners)).toBe(message);
  });

  test('with a network, or a certificate from anywhere, it is taken, and shouted about', () => {
    const config = load(
      [JSON_MODE, { ...without(JSON_MODE, 'networks'), ...certified, name: 'b', path: '/b' }],
      {
        ...TLS,
        clientCaFile: 'ca.pem',
      },
    );
    expect(configWarnings(config)).toEqual([
      'CALLERS ARE NOT AUTHENTICATED: co-signer plain of workspace main speaks plain JSON (mode: json), so whoever calls from 10.1.0.0/16 is answered as if they were it, under whatever signer they name, and can fill limits.',
      'CALLERS ARE NOT AUTHENTICATED: co-signer b of workspace main speaks plain JSON (mode: json), so whoever shows a listed certificate is answered as if they were it, under whatever signer they name, and can fill limits.',
    ]);
    expect(config.workspaces[0]?.cosigners[1]).toMatchObject({ clientCertificates: ['ab'.repeat(32)] });
  });
});

describe('signed messages', () => {
  test.each<[string, Fields, string]>([
    ['without public keys', without(JWT, 'publicKeys'), 'cosigners[0].publicKeys: is missing'],
    ['without an answer key', without(JWT, 'answerKey'), 'cosigners[0].answerKey: is missing'],
    [
      'with the opt-in',
      { ...JWT, allowUnauthenticatedJson: true },
      'cosigners[0].allowUnauthenticatedJson: belongs to mode: json',
    ],
    [
      'with a network that is none',
      { ...JWT, networks: ['10.1.0.0/33'] },
      'cosigners[0].networks[0]: must be a network such as 10.1.0.0/16 or fd00::/8',
    ],
    [
      'with a certificate that nobody shows',
      { ...JWT, ...certified },
      'cosigners[0].clientCertificates: needs http.tls.clientCaFile: nobody shows a certificate otherwise',
    ],
  ])('%s are refused', (_, cosigner, message) => {
    expect(problemOf([cosigner])).toBe(message);
  });

  test('may be narrowed to networks and certificates, and share a path', () => {
    const narrow = { ...JWT, ...certified, networks: ['10.1.0.0/16', '0.0.0.0/0'] };
    expect(problemOf([narrow, { ...narrow, name: 'b' }], { ...TLS, clientCaFile: 'ca.pem' })).toBe(
      'no problem',
    );
  });
});

describe('http.tls', () => {
  test('is safe unless it says otherwise', () => {
    expect(load([JWT], TLS).http.tls).toEqual({
      certificateFile: join(folder, 'a.pem'),
      keyFile: join(folder, 'a.key'),
      minVersion: 'TLSv1.2',
      keepKey: true,
    });
  });

  test.each<[string, Fields, string]>([
    ['an old version', { ...TLS, minVersion: 'TLSv1.1' }, 'http.tls.minVersion: '],
    [
      'certificates of nobody',
      { ...TLS, clientCertificates: 'required' },
      'http.tls.clientCertificates: needs http.tls.clientCaFile: no certificate is asked for otherwise',
    ],
  ])('%s: refused', (_, tls, message) => {
    expect(problemOf([JWT], tls)).toContain(message);
  });
});
