/**
 * The vendor's published answer and what was derived from its rules, from the folder named by COUNTERSIGN_VECTORS;
 * without it, the same statements about an answer of this file's own. The published key is used here and nowhere else:
 * the loaders refuse it.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { inspectKeyFile } from '../../src/keys/key-file.js';
import { loadVoteKeys, voteKeyRing } from '../../src/keys/vote-keys.js';
import { parseBody } from '../../src/protocols/iofinnet/body.js';
import { readNonce } from '../../src/protocols/iofinnet/nonce.js';
import { readOperation } from '../../src/protocols/iofinnet/operation.js';
import { signedVote, type Vote } from '../../src/protocols/iofinnet/vote.js';
import {
  ed25519Pair,
  legacyTransfer,
  ORGANISATION,
  vaultCreation,
  voteIn,
} from '../support/virtual-signer.js';

const folder = process.env.COUNTERSIGN_VECTORS;

function vector(name: string): string {
  return readFileSync(join(folder ?? '', 'iofinnet', name), 'utf8');
}

/** PKCS#8 (RFC 8410) of a 32-byte seed. */
function keyOfSeed(hex: string): KeyObject {
  const der = Buffer.from(`302e020100300506032b657004220420${hex}`, 'hex');
  return createPrivateKey({ key: der, format: 'der', type: 'pkcs8' });
}

interface Answer {
  readonly body_utf8: string;
  readonly body_hex: string;
  readonly digest_header: string;
  readonly signing_string: string;
  readonly signature_b64: string;
  readonly headers: Readonly<Record<string, string>>;
}

const key =
  folder === undefined ? ed25519Pair().privateKey : keyOfSeed(vector('published-sample-key.seed.hex.txt'));
const ring = voteKeyRing([{ cosigner: 'vs', answerKey: key }]);

function vote(status: Vote, digits: string) {
  return signedVote(status, digits, (text) => ring.sign('vs', text));
}

if (folder === undefined) {
  test.each<[Vote, string]>([
    ['approved', '83727271'],
    ['rejected', '0'],
    ['abstain', '9223372036854775806'],
  ])('%s for the nonce %s is what a Virtual Signer would obey', async (status, digits) => {
    const { headers = {}, contentType, body, status: code } = await vote(status, digits);
    const reply = { status: code, headers: { ...headers, 'content-type': contentType }, body: String(body) };
    expect(voteIn(reply, digits, createPublicKey(key))).toBe(status);
  });
} else {
  const published = JSON.parse(vector('01_published_approve_vector.json'));
  const derived = JSON.parse(vector('02_derived_vectors.json'));
  const answers: readonly [string, Vote, string, Answer][] = [
    ['the published answer', 'approved', '83727271', published.response],
    ['rejected', 'rejected', '3827271', derived.rejected],
    ['abstain', 'abstain', '83727271', derived.abstain],
    ['the largest nonce', 'approved', '9223372036854775806', derived.max_nonce],
  ];

  test.each(answers)('%s is reproduced byte for byte', async (_, status, digits, expected) => {
    const answer = await vote(status, digits);
    expect(Buffer.from(answer.body).toString('hex')).toBe(expected.body_hex);
    expect({ contentType: answer.contentType, ...answer.headers }).toEqual({
      contentType: expected.headers['Content-Type'],
      digest: expected.digest_header,
      signature: expected.headers.Signature,
    });
  });

  test('a compact body would be signed in the same way', async () => {
    const { signing_string, signature_b64 } = derived.compact_json as Answer;
    expect(Buffer.from(await ring.sign('vs', signing_string)).toString('base64')).toBe(signature_b64);
  });

  test("the published request's nonce is read from its headers", () => {
    const headers = Object.fromEntries(
      Object.entries<string>(published.request_headers).map(([name, value]) => [name.toLowerCase(), value]),
    );
    expect(readNonce(headers)).toEqual({ ok: true, digits: '83727271' });
  });

  test('the published key is refused, and known for what it is', () => {
    const file = join(tmpdir(), `published-${process.pid}.pem`);
    writeFileSync(file, key.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
    expect(() => loadVoteKeys([{ cosigner: 'vs', answerKeyFile: file }])).toThrow(
      'its private half is published in the io.finnet samples',
    );
    expect(inspectKeyFile(file).published).toBe('the io.finnet samples');
  });
}

const settings = {
  organisation: ORGANISATION,
  transferPlaces: {},
  assets: {},
  decimalsOf: () => undefined,
};

interface Sample {
  readonly name: string;
  readonly body: Readonly<Record<string, unknown>>;
}

const samples: readonly Sample[] =
  folder === undefined
    ? [
        { name: 'create vault v3', body: vaultCreation() },
        { name: 'transaction, legacy generation', body: legacyTransfer() },
        { name: 'unknown typename', body: { __typename: 'OperationSomethingNew_v4', id: 'op1' } },
      ]
    : JSON.parse(vector('04_derived_sample_bodies.json')).cases;

const KINDS: Readonly<Record<string, string>> = {
  OperationCreateVault_v3: 'keygen',
  OperationReshare_v3: 'reshare',
  ReshareRequest: 'reshare',
  OperationSign: 'sign',
};

describe.each(samples.map(({ name, body }) => [name, body] as const))('the sample body %s', (_, body) => {
  test('is an operation of its kind, with its id', () => {
    const operation = readOperation(parseBody(Buffer.from(JSON.stringify(body))), settings);
    expect(operation.id).toBe(body.id);
    expect(operation.voting).toBe(true);
    expect(operation.subject.kind).toBe(KINDS[String(body.__typename)] ?? 'transaction');
  });
});
