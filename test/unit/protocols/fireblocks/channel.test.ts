/** Which messages a path takes, by how the co-signer was set up at the vendor and where it calls from. */
import { describe, expect, test } from '@jest/globals';
import type { Decision, Outcome } from '../../../../src/core/decision.js';
import type { Protocol } from '../../../../src/core/ports.js';
import { answerKeyRing } from '../../../../src/keys/answer-keys.js';
import { cosignerKeyRing } from '../../../../src/keys/cosigner-keys.js';
import { fireblocksProtocol } from '../../../../src/protocols/fireblocks/fireblocks.js';
import { fireblocksJsonProtocol } from '../../../../src/protocols/fireblocks/json-mode.js';
import { rsaPair, token } from '../../../support/cosigner.js';
import { approvalClaims, signingClaims } from '../../../support/fireblocks-handler.js';
import { inbound, requestIn } from '../../../support/inbound.js';

const [a, b] = [rsaPair(), rsaPair()];
const identity = (name: string) => ({ name, workspace: 'main' });
const HERE = { networks: ['127.0.0.1'] };
const THERE = { networks: ['10.9.0.0/16'] };
const LISTED = 'ab'.repeat(32);

/** Two that sign and share a path, each from where it is. */
function signing(
  ofA: object | undefined,
  ofB: object | undefined,
): Protocol & { readonly tried: () => number } {
  const ring = cosignerKeyRing([
    { ...identity('a'), publicKeys: [{ key: a.publicKey, file: 'a.pem' }] },
    { ...identity('b'), publicKeys: [{ key: b.publicKey, file: 'b.pem' }] },
  ]);
  let tried = 0;
  const protocol = fireblocksProtocol({
    cosigners: [
      { ...identity('a'), ...(ofA && { connection: ofA }) },
      { ...identity('b'), ...(ofB && { connection: ofB }) },
    ],
    cosignerKeys: {
      known: ring.known,
      verify(jws) {
        tried += 1;
        return ring.verify(jws);
      },
    },
    answerKeys: answerKeyRing([{ cosigner: 'a', answerKey: a.privateKey }]),
  });
  return { ...protocol, tried: () => tried };
}

const STRANGER = {
  kind: 'refused',
  status: 401,
  code: 'UNAUTHENTICATED',
  reason: 'CALLER',
} as const;
const ask = (protocol: Protocol, body: string, more: object = {}) =>
  protocol.receive(inbound({ route: '/v2/tx_sign_request', body: Buffer.from(body), ...more }));
const by = (pair: typeof a) => token(signingClaims(), pair.privateKey);

describe('co-signers that sign, and share a path', () => {
  test('each is heard from its own network only', async () => {
    const protocol = signing(HERE, THERE);
    expect(await ask(protocol, by(a))).toMatchObject({ kind: 'request', request: { cosigner: 'a' } });
    expect(await ask(protocol, by(b), { address: '10.9.1.1' })).toMatchObject({ kind: 'request' });
    const problem = 'the request comes from a network that is not listed';
    expect(await ask(protocol, by(b))).toEqual({ ...STRANGER, problem });
    expect(await ask(protocol, by(a), { address: '10.9.1.1' })).toEqual({ ...STRANGER, problem });
  });

  test('no key is tried for a caller that none of them may be', async () => {
    const protocol = signing(HERE, THERE);
    for (const route of ['/v2/tx_sign_request', '/tx_sign_request', '/x'])
      expect(await ask(protocol, by(a), { address: '10.8.1.1', route })).toMatchObject(STRANGER);
    expect(protocol.tried()).toBe(0);
    await ask(protocol, by(a));
    expect(protocol.tried()).toBe(1);
  });

  test('one without a list is heard from anywhere, and the other is not for it', async () => {
    const protocol = signing(undefined, THERE);
    expect(await ask(protocol, by(a), { address: '203.0.113.1' })).toMatchObject({ kind: 'request' });
    expect(await ask(protocol, by(b), { address: '203.0.113.1' })).toMatchObject(STRANGER);
  });

  test('a client certificate is demanded where one is listed', async () => {
    const protocol = signing({ clientCertificates: [LISTED] }, undefined);
    const shows = (digest: string | undefined) => ({ certificateSha256: () => digest });
    expect(await ask(protocol, by(a), shows(LISTED))).toMatchObject({ kind: 'request' });
    const problem = 'the connection shows no listed client certificate';
    for (const shown of [undefined, 'cd'.repeat(32)])
      expect(await ask(protocol, by(a), shows(shown))).toEqual({ ...STRANGER, problem });
    expect(await ask(protocol, by(b), shows(undefined))).toMatchObject({ kind: 'request' });
  });
});

describe('a co-signer in plain JSON', () => {
  const signers = [{ id: 'signer-1', stages: ['signing', 'approval'] as const }];
  const protocol = fireblocksJsonProtocol({ ...identity('plain'), signers, connection: HERE });
  const plainly = (claims: object, more: object = {}) =>
    ask(protocol, JSON.stringify(claims), { route: '/tx_sign_request', ...more });

  test('asks for the same as one that signs, and nobody vouches for it', async () => {
    for (const claims of [signingClaims(), approvalClaims()]) {
      const anonymous = requestIn(await plainly(claims));
      const signed = requestIn(await ask(signing({}, {}), token(claims, a.privateKey)));
      const { doubt: _doubt, ...expected } = { ...signed, cosigner: 'plain', anonymous: true };
      expect({ ...anonymous, stage: '' }).toEqual({ ...expected, stage: '' });
      expect(signed).not.toHaveProperty('anonymous');
    }
  });

  test.each([
    ['/v2/tx_sign_request', 'a path of signed messages, where mode: json is configured'],
    ['/v2/config_change_sign_request', 'a path of signed messages, where mode: json is configured'],
    ['/tx_sign_request/', 'no message arrives at this path'],
    ['', 'no message arrives at this path'],
  ])('nothing arrives at %p', async (route, problem) => {
    expect(await plainly(signingClaims(), { route })).toMatchObject({
      status: 404,
      code: 'PATH_UNKNOWN',
      problem: expect.stringContaining(problem),
    });
  });

  test('is heard from its network only, whatever is asked there', async () => {
    for (const route of ['/tx_sign_request', '/v2/tx_sign_request', '/x'])
      expect(await plainly(signingClaims(), { address: '10.8.1.1', route })).toMatchObject(STRANGER);
  });

  test('is answered with the bare object', async () => {
    const request = requestIn(await plainly(signingClaims()));
    const decision: Decision = {
      effect: 'reject',
      reason: 'RULE_REJECTS',
      sentence: 'Rejected by rule x.',
      sequence: 1,
      decidedAtMs: 0,
      policyVersion: 'v',
    };
    const decided: Outcome = { kind: 'decided', decision, repeated: false, conflict: false };
    const { requestId } = request;
    expect(await protocol.answer(request, decided)).toEqual({
      status: 200,
      contentType: 'application/json',
      body: JSON.stringify({ action: 'REJECT', requestId, rejectionReason: 'Rejected by rule x.' }),
    });
  });
});

test.each([
  ['/tx_sign_request', 'a path of plain JSON, where mode: jwt is configured'],
  ['/config_change_sign_request', 'a path of plain JSON, where mode: jwt is configured'],
])('nothing arrives at %p where messages are signed', async (route, problem) => {
  expect(await ask(signing({}, {}), by(a), { route })).toMatchObject({
    status: 404,
    code: 'PATH_UNKNOWN',
    problem: expect.stringContaining(problem),
  });
});
