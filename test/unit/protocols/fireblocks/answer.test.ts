import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import type { Decision, FinalEffect, Outcome } from '../../../../src/core/decision.js';
import type { Request } from '../../../../src/core/request.js';
import { answerKeyRing } from '../../../../src/keys/answer-keys.js';
import { cosignerKeyRing } from '../../../../src/keys/cosigner-keys.js';
import { fireblocksProtocol } from '../../../../src/protocols/fireblocks/fireblocks.js';
import { headerOf, payloadOf, token, verifies } from '../../../support/cosigner.js';
import {
  approvalClaims,
  handler,
  rsaPair,
  signingClaims,
  TRANSACTION,
} from '../../../support/fireblocks-handler.js';
import { inbound, requestIn } from '../../../support/inbound.js';

const cosigner = rsaPair();
const answerer = rsaPair();
const signers = [{ id: 'signer-1', stages: ['approval', 'signing'] as const }];
const { protocol, transaction, configChange } = handler(cosigner, answerer, { signers });

const signing = await transaction(signingClaims({ txId: 'tx', requestId: 'tx-7' }));
const approval = await transaction(approvalClaims({ txId: 'tx', requestId: 'tx-7' }));
const change = await configChange({ requestId: 'tx-7', type: 'ADD_USER', signerId: 'signer-1' });

function decided(effect: FinalEffect, sentence = 'Rule "small" says so.', flags: object = {}): Outcome {
  const decision: Decision = {
    effect,
    reason: 'RULE_REJECTS',
    sentence,
    sequence: 9,
    decidedAtMs: 1,
    policyVersion: 'v',
  };
  return { kind: 'decided', decision, repeated: false, conflict: false, ...flags };
}

const undecided: Outcome = { kind: 'undecided', reason: 'LEDGER_UNAVAILABLE', sentence: 'Undecided.' };

async function answered(request: Request, outcome: Outcome): Promise<string> {
  const { status, contentType, body } = await protocol.answer(request, outcome);
  expect({ status, contentType }).toEqual({ status: 200, contentType: 'application/jwt' });
  const jws = String(body);
  expect(verifies(jws, answerer.publicKey)).toBe(true);
  expect(headerOf(jws)).toBe('{"alg":"RS256","typ":"JWT"}');
  return payloadOf(jws);
}

test.each<readonly [string, Request, Outcome, string]>([
  ['an approval at signing', signing, decided('approve'), '{"action":"APPROVE","requestId":"tx-7"}'],
  ['an approval at approval', approval, decided('approve'), '{"action":"APPROVE","requestId":"tx-7"}'],
  ['an approval of a change', change, decided('approve'), '{"action":"APPROVE","requestId":"tx-7"}'],
  [
    'a rejection',
    signing,
    decided('reject'),
    '{"action":"REJECT","requestId":"tx-7","rejectionReason":"Rule \\"small\\" says so."}',
  ],
  [
    'a rejection without a sentence',
    signing,
    decided('reject', ' \n '),
    '{"action":"REJECT","requestId":"tx-7"}',
  ],
  ['an abstention at approval', approval, decided('ignore'), '{"action":"IGNORE","requestId":"tx-7"}'],
  ['an abstention from a change', change, decided('ignore'), '{"action":"IGNORE","requestId":"tx-7"}'],
  [
    'an abstention at signing, which there is not',
    signing,
    decided('ignore'),
    '{"action":"RETRY","requestId":"tx-7"}',
  ],
  ['no decision at signing', signing, undecided, '{"action":"RETRY","requestId":"tx-7"}'],
  ['no decision at approval', approval, undecided, '{"action":"RETRY","requestId":"tx-7"}'],
])('%s', async (_, request, outcome, payload) => {
  expect(await answered(request, outcome)).toBe(payload);
});

test('a repeated decision is answered like the first, to the byte', async () => {
  for (const request of [signing, approval]) {
    const first = await protocol.answer(request, decided('reject'));
    const again = await protocol.answer({ ...request }, decided('reject', undefined, { repeated: true }));
    expect(again).toEqual(first);
  }
});

describe('the reason of a rejection', () => {
  test.each([
    ['is cut at 200 characters', 'x'.repeat(300), 'x'.repeat(200)],
    ['is cut between characters', `${'x'.repeat(199)}😀😀`, `${'x'.repeat(199)}😀`],
    ['is one line', 'a\r\n\u0000b\u2028c\u0085d', 'a b c d'],
    ['is well-formed', 'a\ud800b', 'a\ufffdb'],
  ])('%s', async (_, sentence, reason) => {
    expect(JSON.parse(await answered(signing, decided('reject', sentence))).rejectionReason).toBe(reason);
  });
});

test('the request id is echoed verbatim', async () => {
  const requestId = ' "Ü-😀\\ / 7 ';
  const request = await transaction(signingClaims({ requestId }));
  expect(JSON.parse(await answered(request, undecided)).requestId).toBe(requestId);
});

test('some signers have answer keys of their own, RS256 or ES256', async () => {
  const own = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const identity = { name: 'a', workspace: 'main' };
  const mixed = fireblocksProtocol({
    cosigners: [identity],
    cosignerKeys: cosignerKeyRing([
      { ...identity, publicKeys: [{ key: cosigner.publicKey, file: 'a.pem' }] },
    ]),
    answerKeys: answerKeyRing([
      {
        cosigner: 'a',
        answerKey: answerer.privateKey,
        answerKeys: [{ signers: ['signer-2'], key: own.privateKey }],
      },
    ]),
  });
  const jwsFor = async (signerId: string | undefined) => {
    const body = Buffer.from(token(signingClaims({ signerId }), cosigner.privateKey));
    const request = requestIn(await mixed.receive(inbound({ route: TRANSACTION, body })));
    return String((await mixed.answer(request, undecided)).body);
  };
  const special = await jwsFor('signer-2');
  expect(headerOf(special)).toBe('{"alg":"ES256","typ":"JWT"}');
  expect(verifies(special, own.publicKey)).toBe(true);
  for (const signerId of ['signer-1', undefined]) {
    expect(verifies(await jwsFor(signerId), answerer.publicKey)).toBe(true);
  }
});
