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
import { Interface } from 'ethers';
import { createChains } from '../../src/chains/index.js';
import { decide } from '../../src/core/decide.js';
import { Rulebook } from '../../src/core/policy/rulebook.js';
import type { Ledger } from '../../src/core/ports.js';
import { inspectKeyFile } from '../../src/keys/key-file.js';
import { loadVoteKeys, voteKeyRing } from '../../src/keys/vote-keys.js';
import { parseBody } from '../../src/protocols/iofinnet/body.js';
import { readCall } from '../../src/protocols/iofinnet/contract.js';
import { requestOf } from '../../src/protocols/iofinnet/iofinnet.js';
import { readNonce } from '../../src/protocols/iofinnet/nonce.js';
import { readOperation } from '../../src/protocols/iofinnet/operation.js';
import { receiveRpc } from '../../src/protocols/iofinnet/rpc.js';
import { signedVote, type Vote } from '../../src/protocols/iofinnet/vote.js';
import { APPROVAL, keygenArgument, signArgument, transactionArgument } from '../support/approval-contract.js';
import { MoodyLedger, virtualDeadline, Witness } from '../support/ports.js';
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

const SETTINGS = {
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
    const operation = readOperation(parseBody(Buffer.from(JSON.stringify(body))), SETTINGS);
    expect(operation.id).toBe(body.id);
    expect(operation.voting).toBe(true);
    expect(operation.subject.kind).toBe(KINDS[String(body.__typename)] ?? 'transaction');
  });
});

const SAMPLE_ORGANISATION = 'ap3hsaaaa1koxjkbaaaaavso';

interface CallSample {
  readonly name: string;
  readonly layout: 'R1' | 'R2';
  readonly calldata: string;
  /** What a decoder does that takes it for R1 and encodes it again. */
  readonly strict_r1: 'accept' | 'refuse';
}

/** The older vendor's contract is asked in both layouts; ethers encodes what the folder does not give. */
const calls: readonly CallSample[] =
  folder === undefined
    ? [
        {
          name: 'keygen',
          layout: 'R1',
          strict_r1: 'accept',
          calldata: APPROVAL.encodeFunctionData('approvedKeygenReshare', [keygenArgument()]),
        },
        {
          name: 'sign operation',
          layout: 'R1',
          strict_r1: 'accept',
          calldata: APPROVAL.encodeFunctionData('approvedSignOp', [signArgument()]),
        },
        ...(['R1', 'R2'] as const).map(
          (layout): CallSample => ({
            name: `transaction ${layout}`,
            layout,
            strict_r1: layout === 'R1' ? 'accept' : 'refuse',
            calldata: APPROVAL.encodeFunctionData('approvedTx', [
              transactionArgument(layout, {}, { SourceUrl: 'https://dapp.example' }),
            ]),
          }),
        ),
      ]
    : JSON.parse(vector('03_derived_smart_contract_abi_vectors.json')).cases;

describe.each(calls.map((call) => [call.name, call] as const))(
  'the call data %s',
  (_, { layout, calldata, strict_r1 }) => {
    const settings = (text: string) => ({ ...SETTINGS, organisation: text });
    const organisation = organisationIn(calldata);

    test('is read in its own layout', () => {
      const operation = readCall(calldata, layout, settings(organisation));
      expect(operation.id).toMatch(/^[A-Za-z0-9_-]+$/);
      expect(operation.subject.stage).toBe('approval');
    });

    test(`is ${strict_r1 === 'accept' ? 'accepted' : 'refused'} where R1 is configured`, () => {
      const read = () => readCall(calldata, 'R1', settings(organisation));
      if (strict_r1 === 'accept') expect(read).not.toThrow();
      else expect(read).toThrow('the call data is not encoded as revision R1');
    });

    test('is refused when a byte is missing or there is one more', () => {
      expect(() => readCall(calldata.slice(0, -2), layout, settings(organisation))).toThrow();
      expect(() => readCall(`${calldata}00`, layout, settings(organisation))).toThrow();
    });
  },
);

/** The organisation that the call data names: the one of the samples, or none. */
function organisationIn(calldata: string): string {
  const text = Buffer.from(calldata.slice(2), 'hex').toString('latin1');
  return text.includes(SAMPLE_ORGANISATION) ? SAMPLE_ORGANISATION : ORGANISATION;
}

if (folder !== undefined)
  test('the selectors are those of the published interface', () => {
    const abi = new Interface(vector('Approval.abi.json'));
    const { selectors } = JSON.parse(vector('03_derived_smart_contract_abi_vectors.json'));
    for (const name of ['approvedKeygenReshare', 'approvedTx', 'approvedSignOp']) {
      expect(abi.getFunction(name)?.selector).toBe(selectors[`${name}(bytes)`]);
      for (const kind of ['bytes', 'string'])
        expect(() => readCall(selectors[`${name}(${kind})`], 'R1', SETTINGS)).toThrow('revision R1');
    }
  });

/** What the vendor's sample contract decides about amounts and thresholds, in the words of a policy that looks at nothing else. */
const SAMPLE_POLICY = `version: 1
rules:
  - name: rejected-amount
    match: { kind: transaction, amount: { min: '0.00666', max: '0.00666' } }
    effect: reject
  - name: abstained-amount
    match: { kind: transaction, stage: approval, amount: { min: '0.00999', max: '0.00999' } }
    effect: ignore
  - name: others
    match: { kind: transaction, asset: [ETH] }
    verify: off
    effect: approve
  - name: abstained-threshold
    match: { kind: keygen, vault: { threshold: { min: '9', max: '9' } } }
    effect: ignore
  - name: rejected-threshold
    match: { kind: keygen, vault: { threshold: { min: '10' } } }
    effect: reject
  - name: vaults
    match: { kind: keygen, vault: { threshold: { min: '2' }, device: [6f9e1c22-4503-bdb0-bcaa-ed8c553845a7] } }
    effect: approve
  - name: messages
    match: { kind: sign }
    verify: off
    effect: approve
`;

/** The contract's uint8 for call data that is asked at an instant at which the samples are still open. */
async function contractVote(calldata: string): Promise<string> {
  const address = `0x${'c5'.repeat(20)}`;
  const received = receiveRpc(
    Buffer.from(
      JSON.stringify({
        jsonrpc: '2.0',
        id: 1,
        method: 'eth_call',
        params: [{ to: address, data: calldata }],
      }),
    ),
    {
      contract: { revision: 'R1', address, chainId: '1' },
      settings: {
        organisation: organisationIn(calldata),
        transferPlaces: {},
        assets: { asset1: 'ETH' },
        amounts: 'base-units',
        decimalsOf: () => 18,
      },
      requestOf: (operation) =>
        requestOf(operation, { name: 'vs', workspace: 'main', organisation: 'o' }, undefined),
    },
  );
  if (received.kind !== 'batch') throw new Error('it is no call');
  const nowMs = Date.parse('2025-11-07T15:11:00Z');
  const ledger = new MoodyLedger(SAMPLE_POLICY) as unknown as Ledger;
  const chains = createChains();
  const rulebook = new Rulebook(ledger, chains, {
    authenticate: async () => undefined,
    accept: () => undefined,
    adopted: () => undefined,
  });
  const ports = {
    chains,
    ledger,
    rulebook,
    clock: { now: () => nowMs },
    observer: new Witness(),
  };
  const outcomes = received.requests.map((request) => decide(request, ports, virtualDeadline(1_000)));
  return JSON.parse(String(received.answer(await Promise.all(outcomes)).body)).result;
}

if (folder !== undefined) {
  const { cases, return_words } = JSON.parse(vector('03_derived_smart_contract_abi_vectors.json'));
  const words: readonly string[] = [return_words.APPROVE, return_words.REJECT, return_words.ABSTAIN];
  type Case = CallSample & { readonly expect: number };
  const ofKind = (kind: RegExp) =>
    (cases as readonly Case[])
      .filter(({ name }) => kind.test(name))
      .map((each) => [each.name, each] as const);

  test.each(ofKind(/^tx amount \d+ ->|^reshare/))(
    '%s, by a policy that says so',
    async (_, { calldata, expect: vote }) => {
      expect(await contractVote(calldata)).toBe(words[vote]);
    },
  );

  // The sample contract approves some of these: a vault that one device opens, and an operation without a known end.
  test.each(ofKind(/^(keygen|signop)/))('%s is never approved here', async (_, { calldata }) => {
    expect(await contractVote(calldata)).toBe(return_words.REJECT);
  });
}
