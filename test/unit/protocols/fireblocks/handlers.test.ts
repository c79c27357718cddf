/** What the vendor shows of each API user, and what is to be thought of it: cases as data. */
import { createHash, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import {
  checkHandlers,
  type ExpectedCosigner,
  type HandlerResult,
} from '../../../../src/protocols/fireblocks/handlers.js';
import type { VendorHandler, VendorUser } from '../../../../src/protocols/fireblocks/pairing.js';
import { rsaPair } from '../../../support/cosigner.js';

const ours = rsaPair().publicKey;
const tls = rsaPair().publicKey;
const theirs = rsaPair().publicKey;

const der = (key: KeyObject) => key.export({ type: 'spki', format: 'der' });
const pem = (key: KeyObject) => String(key.export({ type: 'spki', format: 'pem' }));
const hash = (key: KeyObject) => createHash('sha256').update(der(key));

const EAST: ExpectedCosigner = {
  name: 'east',
  signers: ['s1', 's2'],
  path: '/fb/east',
  callbackUrl: undefined,
  answerKeys: (signer) => [hash(signer === 's2' ? tls : ours).digest('hex')],
};
const EXACT = { ...EAST, callbackUrl: 'https://Approve.Example/fb/east/' };
const URL_OF = 'https://approve.example/fb/east';

function resultOf(
  handler: VendorHandler | undefined,
  { expected = EAST, pin = hash(tls).digest('hex') as string | null, user = 's1' } = {},
): HandlerResult | undefined {
  const users: VendorUser[] = [{ id: user, handler }];
  const findings = checkHandlers([{ cosigner: { id: 'c1', archived: false }, users }], {
    expected: [expected],
    pin: pin ?? undefined,
  });
  return findings.find((finding) => finding.user === user)?.result;
}

test('one without a handler is told of in capitals, whoever it is', () => {
  for (const user of ['s1', 'stranger']) expect(resultOf(undefined, { user })).toBe('missing');
  const [finding] = checkHandlers(
    [{ cosigner: { id: 'c1', name: 'East 1', archived: false }, users: [{ id: 's1', handler: undefined }] }],
    { expected: [EAST], pin: undefined },
  );
  expect(finding).toMatchObject({
    cosigner: 'East 1',
    sentence: expect.stringContaining('NO CALLBACK HANDLER'),
  });
});

describe('where it asks', () => {
  test.each([
    ['ok', EAST, URL_OF],
    ['ok', EAST, 'https://proxy.example/prefix/fb/east/'],
    ['other-url', EAST, 'https://approve.example/fb/west'],
    ['other-url', EAST, 'https://approve.example/xfb/eastern'],
    ['other-url', EAST, 'not a url'],
    ['ok', EXACT, URL_OF],
    ['ok', EXACT, 'https://APPROVE.example:443/fb/east/'],
    ['other-url', EXACT, 'http://approve.example/fb/east'],
    ['other-url', EXACT, 'https://approve.example:8443/fb/east'],
    ['other-url', EXACT, 'https://approve.example.evil.example/fb/east'],
    ['other-url', EXACT, 'https://proxy.example/prefix/fb/east'],
    ['other-url', EXACT, 'https://approve.example/fb/east?x=1'],
  ] as const)('%s: %j at %s', (result, expected, url) => {
    expect(resultOf({ url, publicKey: pem(ours) }, { expected })).toBe(result);
  });
});

describe('whose answers it trusts', () => {
  const base64 = hash(tls).digest('base64');
  const hex = hash(tls).digest('hex');
  const colons = (hex.match(/../g) ?? []).join(':').toUpperCase();

  test.each([
    ['ok', 'our key in PEM', { publicKey: pem(ours) }],
    ['ok', 'our key in the base64 of its DER', { publicKey: der(ours).toString('base64') }],
    ['other-key', 'another key', { publicKey: pem(theirs) }],
    ['unchecked', 'a key that cannot be read', { publicKey: 'key' }],
    ['unchecked', 'nothing', {}],
    ['ok', 'our pin in hex', { certPublicKeyHash: hex }],
    ['ok', 'our pin with colons', { certPublicKeyHash: colons }],
    ['ok', 'our pin in base64', { certPublicKeyHash: base64 }],
    ['ok', 'our pin as curl has it', { certPublicKeyHash: `sha256//${base64}` }],
    ['other-key', 'another pin', { certPublicKeyHash: hash(theirs).digest('hex') }],
    ['unchecked', 'a pin that cannot be read', { certPublicKeyHash: 'pin' }],
    [
      'other-key',
      'our key and another pin',
      { publicKey: pem(ours), certPublicKeyHash: hash(theirs).digest('hex') },
    ],
    ['other-key', 'our pin and another key', { publicKey: pem(theirs), certPublicKeyHash: hex }],
    ['ok', 'our key and our pin', { publicKey: pem(ours), certPublicKeyHash: hex }],
  ] as const)('%s: %s', (result, _, shown) => {
    expect(resultOf({ url: URL_OF, ...shown })).toBe(result);
  });

  test('each signer has its own', () => {
    expect(resultOf({ url: URL_OF, publicKey: pem(tls) }, { user: 's2' })).toBe('ok');
    expect(resultOf({ url: URL_OF, publicKey: pem(ours) }, { user: 's2' })).toBe('other-key');
  });

  test('a pin is not compared where TLS ends elsewhere', () => {
    const checked = { certPublicKeyHash: hash(theirs).digest('hex') };
    expect(resultOf({ url: URL_OF, ...checked }, { pin: null })).toBe('unchecked');
  });
});

describe('who is there', () => {
  const handler = { url: URL_OF, publicKey: pem(ours) };
  const users = (...ids: readonly string[]) => ids.map((id) => ({ id, handler }));
  const found = (...parts: Parameters<typeof checkHandlers>) =>
    checkHandlers(...parts).map(({ result, cosigner, user }) => `${result} ${cosigner} ${user}`);

  test('a stranger at a co-signer of ours, a signer that is paired nowhere, and others of another co-signer', () => {
    const paired = [
      { cosigner: { id: 'c1', archived: false }, users: users('s1', 'x') },
      { cosigner: { id: 'c2', archived: false }, users: users('y') },
      { cosigner: { id: 'c3', archived: true }, users: [{ id: 's2', handler: undefined }] },
    ];
    expect(found(paired, { expected: [EAST], pin: undefined })).toEqual([
      ...['ok c1 s1', 'unknown-user c1 x', 'unchecked c2 y', 'unknown-signer east s2'],
    ]);
  });

  test('a co-signer without a list of signers takes any, at its path and with its key', () => {
    const open = { ...EAST, signers: undefined };
    const paired = [
      {
        cosigner: { id: 'c1', archived: false },
        users: [
          { id: 'a', handler },
          { id: 'b', handler: { ...handler, publicKey: pem(theirs) } },
          { id: 'c', handler: { ...handler, url: 'https://elsewhere.example/' } },
        ],
      },
    ];
    expect(found(paired, { expected: [open], pin: undefined })).toEqual([
      ...['ok c1 a', 'other-key c1 b', 'unchecked c1 c'],
    ]);
  });
});
