/** Who is listened to at a Virtual Signer's path: the checks of caller.test.ts, where they have to stand. */
import { describe, expect, test } from '@jest/globals';
import type { InboundMessage } from '../../../../src/core/ports.js';
import { voteKeyRing } from '../../../../src/keys/vote-keys.js';
import { type IofinnetOptions, iofinnetProtocol } from '../../../../src/protocols/iofinnet/iofinnet.js';
import { inbound } from '../../../support/inbound.js';
import { ed25519Pair, legacyTransfer, nonceHeaders, ORGANISATION } from '../../../support/virtual-signer.js';

const CERTIFICATE = 'ab'.repeat(32);
const keys = { cosigner: 'vs', answerKey: ed25519Pair().privateKey, requestKeys: [ed25519Pair().publicKey] };

function receive(message: Partial<InboundMessage>, options: Partial<IofinnetOptions> = {}) {
  const protocol = iofinnetProtocol({
    name: 'vs',
    workspace: 'main',
    organisation: ORGANISATION,
    networks: ['10.1.0.0/16'],
    assets: {},
    transferPlaces: {},
    decimalsOf: () => 18,
    voteKeys: voteKeyRing([keys]),
    contract: { revision: 'R1', address: `0x${'c5'.repeat(20)}`, chainId: '1' },
    ...options,
  });
  const body = Buffer.from(JSON.stringify(legacyTransfer()));
  return protocol.receive(
    inbound({ route: '/transaction', address: '10.1.2.3', headers: nonceHeaders('1'), body, ...message }),
  );
}

describe.each(['/transaction', '/reshare', '/rpc', '/other', ''])('at the route "%s"', (route) => {
  test.each<[string, Partial<InboundMessage>, Partial<IofinnetOptions>]>([
    ['another network', { address: '10.2.0.1' }, {}],
    ['a connection without certificate', {}, { clientCertificates: [CERTIFICATE] }],
    ['somebody who does not sign', {}, { signsRequests: true }],
  ])('%s learns nothing', async (_, message, options) => {
    expect(await receive({ ...message, route }, options)).toMatchObject({
      kind: 'refused',
      status: 401,
      code: 'UNAUTHENTICATED',
    });
  });
});

test.each<[string, string]>([
  ['/transaction', 'request'],
  ['/reshare', 'request'],
  ['/rpc', 'batch'],
])('at the route %s the Virtual Signer is heard', async (route, kind) => {
  const message = { route, certificateSha256: () => CERTIFICATE };
  expect(await receive(message, { clientCertificates: [CERTIFICATE] })).toMatchObject({ kind });
});

test('two that share an answer key share their nonces, and others do not', async () => {
  const scopeOf = async (voteKeys: IofinnetOptions['voteKeys']) => {
    const received = await receive({}, { voteKeys });
    return received.kind === 'request' ? received.request.unsigned?.nonce?.scope : undefined;
  };
  const own = await scopeOf(voteKeyRing([keys]));
  expect(own).toMatch(/^[0-9a-f]{32}$/);
  expect(await scopeOf(voteKeyRing([{ ...keys }]))).toBe(own);
  expect(await scopeOf(voteKeyRing([{ ...keys, answerKey: ed25519Pair().privateKey }]))).not.toBe(own);
});
