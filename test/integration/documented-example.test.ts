/**
 * The vendor's documentation example over HTTP, from the folder named by COUNTERSIGN_VECTORS; without it, an equal
 * payload signed with a key of its own. The documentation's key is trusted here alone: replicas refuse to load it.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { answerKeyRing } from '../../src/keys/answer-keys.js';
import { cosignerKeyRing } from '../../src/keys/cosigner-keys.js';
import { signingPayload } from '../../src/simulator/transaction.js';
import { payloadOf, rsaPair, token, verifies } from '../support/cosigner.js';
import { EMBEDDED, writeDeployment } from '../support/deployment.js';
import { DOCUMENTED } from '../support/documented-example.js';
import { type RunningReplica, startReplica } from '../support/replica.js';

interface Example {
  readonly key: KeyObject;
  readonly request: string;
  /** Another, with a signature that is none. */
  readonly obfuscated: string;
}

function published(folder: string): Example {
  const vector = (name: string) => readFileSync(join(folder, 'fireblocks', name), 'utf8');
  return {
    key: createPublicKey(vector('published-doc-key.public.pem')),
    request: vector('basic-example.request.jwt'),
    obfuscated: vector('eth-validate.obfuscated-signature.request.jwt'),
  };
}

/** The vendor's example (developers.fireblocks.com/reference/basic-code-example) in our words. */
function selfMade(): Example {
  const payload = signingPayload(DOCUMENTED, undefined);
  const { privateKey, publicKey } = rsaPair();
  const request = token(payload, privateKey);
  const [header, body] = request.split('.');
  return { key: publicKey, request, obfuscated: `${header}.${body}.${'0'.repeat(47)}` };
}

const folder = process.env.COUNTERSIGN_VECTORS;
const example = folder === undefined ? selfMade() : published(folder);
const answer = rsaPair();
const dir = mkdtempSync(join(tmpdir(), 'countersign-example-'));
let replica: RunningReplica;

beforeAll(async () => {
  const policy = readFileSync('deploy/examples/policy.yaml', 'utf8');
  const deployment = writeDeployment(dir, { ledger: EMBEDDED, policy, listsSigners: false });
  const cosigner = { name: 'own', workspace: 'main' };
  const publicKeys = [{ key: example.key, file: 'the documentation' }];
  const keys = {
    cosignerKeys: cosignerKeyRing([{ ...cosigner, publicKeys }]),
    answerKeys: answerKeyRing([{ cosigner: 'own', answerKey: answer.privateKey }]),
  };
  replica = await startReplica(deployment, new Map([['/own', keys]]));
});

afterAll(async () => {
  await replica?.close();
  rmSync(dir, { recursive: true, force: true });
});

/** Exactly these bytes and headers; fetch would add a content type of its own. */
function post(
  body: string,
  headers: Readonly<Record<string, string>>,
): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const url = `${replica.http}/own/v2/tx_sign_request`;
    const call = request(url, { method: 'POST', headers, agent: false }, (response) => {
      const pieces: Buffer[] = [];
      response.on('data', (piece: Buffer) => pieces.push(piece));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(pieces).toString('utf8') }),
      );
    });
    call.on('error', reject);
    call.end(body);
  });
}

describe('the documentation example', () => {
  const { requestId } = JSON.parse(payloadOf(example.request));

  test('is approved by the example policy, in a token that verifies, whatever its content type', async () => {
    const before = await replica.sequence();
    const deliveries: readonly (readonly [string, Readonly<Record<string, string>>])[] = [
      [example.request, { 'content-type': 'application/jwt' }],
      [example.request, {}],
      [`${example.request}\n`, { 'content-type': 'text/plain' }],
      [`${example.request}\r\n`, { 'content-type': 'application/json' }],
      [example.request, { 'content-type': 'application/x-www-form-urlencoded; charset=utf-8' }],
      [example.request, { 'content-type': 'multipart/form-data; boundary=x' }],
      [example.request, { 'content-type': 'no media type at all;;' }],
      [example.request, { 'content-type': 'application/jwt', 'transfer-encoding': 'chunked' }],
      [example.request, { 'content-encoding': 'identity', 'user-agent': '' }],
    ];
    for (const [body, headers] of deliveries) {
      const reply = await post(body, headers);
      expect({ headers, status: reply.status }).toEqual({ headers, status: 200 });
      expect(verifies(reply.body, answer.publicKey)).toBe(true);
      expect(JSON.parse(payloadOf(reply.body))).toEqual({ action: 'APPROVE', requestId });
    }
    // Decided once, however often it was asked.
    expect(await replica.sequence()).toBe(before + 1);
  });

  test('with an obfuscated signature is answered 401, and nothing is written', async () => {
    const before = await replica.sequence();
    expect(await post(example.obfuscated, {})).toEqual({ status: 401, body: 'unauthorized\n' });
    expect(await replica.sequence()).toBe(before);
    expect(await replica.metric('countersign_refused_messages_total')).toBe(1);
  });
});
