/** Who may ask: networks, certificates, and signatures should there be some. */
import { createHash, sign } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { voteKeyRing } from '../../../../src/keys/vote-keys.js';
import { type CallerSettings, callerCheck } from '../../../../src/protocols/iofinnet/caller.js';
import { cpuClock } from '../../../support/cpu-clock.js';
import { inbound } from '../../../support/inbound.js';
import { ed25519Pair } from '../../../support/virtual-signer.js';

const CERTIFICATE = 'ab'.repeat(32);

describe('a network', () => {
  test.each<[string, string, boolean]>([
    ['10.1.0.0/16', '10.1.255.255', true],
    ['10.1.0.0/16', '10.2.0.0', false],
    ['10.1.0.0/16', '::ffff:10.1.2.3', true],
    ['10.1.0.0/16', '::ffff:10.2.2.3', false],
    ['10.1.2.3', '10.1.2.3', true],
    ['10.1.2.3', '10.1.2.4', false],
    ['fd00::/8', 'fd12::1', true],
    ['fd00::/8', 'fe80::1', false],
    ['fd00::/8', '10.1.2.3', false],
    ['0.0.0.0/0', '203.0.113.9', true],
    ['0.0.0.0/0', 'localhost', false],
    ['0.0.0.0/0', '', false],
  ])('%s and a request from %s: %s', (network, address, allowed) => {
    const problem = callerCheck({ networks: [network] })(inbound({ address }));
    expect(problem).toBe(allowed ? undefined : 'the request comes from a network that is not listed');
  });
});

const anywhere: CallerSettings = { networks: ['0.0.0.0/0'] };

describe('a client certificate', () => {
  const check = callerCheck({ ...anywhere, clientCertificates: [CERTIFICATE] });

  test.each<[string, string | undefined, boolean]>([
    ['the listed one', CERTIFICATE, true],
    ['another', 'cd'.repeat(32), false],
    ['none', undefined, false],
  ])('%s', (_, shown, allowed) => {
    expect(check(inbound({ certificateSha256: () => shown })) === undefined).toBe(allowed);
  });
});

describe('a signed request', () => {
  const vendor = ed25519Pair();
  const stranger = ed25519Pair();
  const ring = voteKeyRing([
    {
      cosigner: 'vs',
      answerKey: ed25519Pair().privateKey,
      requestKeys: [ed25519Pair().publicKey, vendor.publicKey],
    },
  ]);
  const check = callerCheck({ ...anywhere, verify: (text, signature) => ring.verify('vs', text, signature) });
  const body = Buffer.from('{"id":"op1"}');
  const digest = `SHA-512=${createHash('sha512').update(body).digest('base64')}`;
  const signed = (covered: string, key = vendor.privateKey, headers: Record<string, string> = {}) => {
    const all: Record<string, string> = {
      'content-type': 'application/json',
      digest,
      'vs-nonce': '7',
      ...headers,
    };
    const text = covered
      .split(' ')
      .map((name) => `${name}: ${all[name]}`)
      .join('\n');
    const encoded = sign(null, Buffer.from(text), key).toString('base64');
    const signature = `keyId="k",algorithm="hs2019",headers="${covered}",signature="${encoded}"`;
    return inbound({ body, headers: { ...all, signature } });
  };

  test('is accepted, whatever else it covers', () => {
    expect(check(signed('content-type digest'))).toBeUndefined();
    expect(check(signed('vs-nonce content-type digest'))).toBeUndefined();
  });

  test('that is no signature, however long, costs next to nothing', () => {
    const spent = cpuClock();
    expect(check(inbound({ body, headers: { digest, signature: 'a'.repeat(100_000) } }))).toBe(
      'the request is not signed',
    );
    expect(spent()).toBeLessThan(1_000);
  });

  test.each<[string, Parameters<typeof check>[0], string]>([
    ['without signature', inbound({ body, headers: { digest } }), 'the request is not signed'],
    [
      'by a stranger',
      signed('content-type digest', stranger.privateKey),
      'no configured key verifies the signature',
    ],
    [
      'over the content type alone',
      signed('content-type'),
      'the signature does not cover the digest of the body',
    ],
    [
      'over a header that is not there',
      signed('digest host'),
      'the signature covers a header that is not there',
    ],
    [
      'with another body',
      { ...signed('content-type digest'), body: Buffer.from('{}') },
      'the Digest header is not that of the body',
    ],
  ])('%s is refused', (_, message, problem) => {
    expect(check(message)).toBe(problem);
  });
});
