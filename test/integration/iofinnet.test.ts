/** Virtual Signers over HTTP, on a real replica: what they are told, byte for byte, and what strangers can do. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { EMBEDDED } from '../support/deployment.js';
import { ask, type VotingDeployment, writeVotingDeployment } from '../support/iofinnet-deployment.js';
import { type RunningReplica, startReplica } from '../support/replica.js';
import { legacyTransfer, nonceHeaders, vaultCreation, voteIn } from '../support/virtual-signer.js';

const PAYEE = '0x1111111111111111111111111111111111111111';
/** As EIP-55 writes it. */
const DOLLAR_PAYEE = '0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed';
const USDC = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
const CONTRACT = '0xdac17f958d2ee523a2206206994597c13d831ec7';

const POLICY = `version: 1
limits:
  ether: { sum: native, max: '10', window: { rolling: 24h }, per: [asset] }
  tokens: { sum: native, max: '10', window: { rolling: 24h }, per: [asset] }
  dollars: { sum: usd, max: '500', window: { rolling: 24h } }
rules:
  - name: abstain
    match: { kind: transaction, stage: approval, asset: [ETH], amount: { min: '5' } }
    effect: ignore
  - name: pay
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH], source: { type: VAULT }, destination: { address: '${PAYEE}' } }
    limits: [ether]
    verify: if-present
    effect: approve
  - name: no-verify
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH], destination: { address: '0x2222222222222222222222222222222222222222' } }
    effect: approve
  - name: pay-in-dollars
    match: { kind: transaction, asset: [ETH], destination: { address: '${DOLLAR_PAYEE}' } }
    limits: [dollars]
    verify: if-present
    effect: approve
  - name: vaults
    match: { kind: keygen, vault: { threshold: { min: '2' }, device: [device0, device1, device2] } }
    effect: approve
  - name: permits
    match: { kind: sign, contract: [{ address: '${USDC}' }], destination: { address: '${PAYEE}' } }
    limits: [tokens]
    effect: approve
  - name: messages
    match: { kind: sign, operation: [application/x-eip712+json], contract: [{ address: '${CONTRACT}' }] }
    effect: approve
  - name: approve-all-else-of-no-known-kind
    match: { kind: [sign] , source: { id: nowhere } }
    effect: approve
verification:
  defaults:
    typedData:
      - { chainId: 1, verifyingContract: '${CONTRACT}', primaryTypes: [Mail] }
      - { chainId: 1, verifyingContract: '${USDC}', primaryTypes: [Permit] }
    contracts: [{ chainId: 1, to: '${USDC}', selectors: ['permit(address,address,uint256,uint256,uint8,bytes32,bytes32)'] }]
    approveSpenders: ['${PAYEE}', '${DOLLAR_PAYEE}']
`;

const dir = mkdtempSync(join(tmpdir(), 'countersign-iofinnet-'));
let deployment: VotingDeployment;
let replica: RunningReplica;
let nonces = 1_000;

beforeAll(async () => {
  deployment = writeVotingDeployment(dir, { ledger: EMBEDDED, policy: POLICY, signers: 2, deadline: '20s' });
  replica = await startReplica(deployment);
});

afterAll(async () => {
  await replica.close();
  rmSync(dir, { recursive: true, force: true });
});

function signer(index = 0) {
  const found = deployment.signers[index];
  if (found === undefined) throw new Error('no such signer');
  return found;
}

function newNonce(): string {
  nonces += 1;
  return String(nonces);
}

/** Every request has a nonce of its own, unless a test says otherwise. */
async function vote(body: object, { by = 0, digits = newNonce(), route = '/transaction' } = {}) {
  const { path, key } = signer(by);
  return voteIn(await ask(`${replica.http}${path}${route}`, body, digits), digits, key);
}

let operations = 0;
function operationId(): string {
  operations += 1;
  return `op${operations.toString().padStart(22, '0')}`;
}

describe('an operation', () => {
  test('that the policy approves is approved, by every signer, with every nonce, and charged once', async () => {
    const body = legacyTransfer({ id: operationId(), amountOriginal: '1' });
    expect(await vote(body)).toBe('approved');
    expect(await vote({ ...body, updatedAt: 'later', voting: { votes: [1] } }, { by: 1 })).toBe('approved');
    expect(await vote(body, { digits: '9223372036854775806', route: '/reshare' })).toBe('approved');
    expect(await replica.metric('countersign_decisions_total')).toBe(1);
    expect(await replica.metric('countersign_limit_used_ratio')).toBe(0.1);
  });

  test.each<[string, object, string]>([
    ['of an unlisted address', { receivingAddress: `0x${'3'.repeat(40)}` }, 'rejected'],
    ['whose second address differs', { transaction: { toAddress: `0x${'3'.repeat(40)}` } }, 'abstain'],
    ['of an unlisted asset', { asset: { id: 'assetaaa0000000000000002' } }, 'rejected'],
    ['of an asset that calls itself ETH', { asset: { id: 'ETH' } }, 'rejected'],
    ['that a rule leaves to others', { amountOriginal: '7' }, 'abstain'],
    ['without an amount', { amountOriginal: null }, 'abstain'],
    ['without bytes where the rule needs them', { receivingAddress: `0x${'2'.repeat(40)}` }, 'rejected'],
    ['that signs what a dApp asked for', { metadata: { signerInputV1: '{}' } }, 'abstain'],
    ['with call data', { metadata: { contractData: '0xa9059cbb' } }, 'abstain'],
    ['with call data in another form', { metadata: { contractData: { data: '0x' } } }, 'abstain'],
    ['within the dollars', { receivingAddress: DOLLAR_PAYEE, amountUsd: '100' }, 'approved'],
    ['of unknown worth', { receivingAddress: DOLLAR_PAYEE, amountUsd: null }, 'rejected'],
    [
      'that a dApp asked for, where no operation is named',
      { receivingAddress: DOLLAR_PAYEE, amountUsd: '1', metadata: { signerInputV1: { to: 'x' } } },
      'abstain',
    ],
    ['without an end', { expiresAt: 'soon' }, 'rejected'],
    ['of an unknown type', { __typename: 'OperationSomethingNew_v4' }, 'abstain'],
    ['of the current generation', { __typename: 'OperationTransferOut_v3' }, 'abstain'],
  ])('%s: %s', async (_, change, expected) => {
    expect(await vote(legacyTransfer({ id: operationId(), ...change }))).toBe(expected);
  });

  test('that has expired gets no vote, also when it was approved before', async () => {
    const id = operationId();
    const soonMs = Date.now() + 12_000;
    const body = legacyTransfer({ id, expiresAt: new Date(soonMs).toISOString(), amountOriginal: '0.1' });
    expect(await vote(body)).toBe('approved');
    await new Promise((resolve) => setTimeout(resolve, soonMs + 100 - Date.now()));
    expect(await vote(body)).toBe('no vote: 503');
  });

  test('whose voting is over gets no vote', async () => {
    expect(await vote(legacyTransfer({ id: operationId(), transactionRequestStatus: 'SIGNING' }))).toBe(
      'no vote: 503',
    );
  });
});

describe('a vault', () => {
  test.each<[string, object, string]>([
    ['of listed devices, none of which suffices', vaultCreation(), 'approved'],
    ['with a threshold below the floor', vaultCreation({}, 1), 'rejected'],
    ['that one device opens alone', vaultCreation({}, 2, [1, 2]), 'rejected'],
    ['with a device that is not listed', vaultCreation({}, 3, [1, 1, 1, 1]), 'rejected'],
    ['without devices', vaultCreation({}, 2, []), 'rejected'],
    ['with a threshold that is no number', vaultCreation({}, 'two'), 'rejected'],
    ['of another typename', vaultCreation({ __typename: 'OperationReshare_v3' }), 'rejected'],
  ])('%s: %s', async (_, body, expected) => {
    expect(await vote({ ...body, id: operationId() }, { route: '/reshare' })).toBe(expected);
  });
});

const MAIL = {
  types: { Mail: [{ name: 'contents', type: 'string' }] },
  primaryType: 'Mail',
  domain: { name: 'Mail', chainId: 1, verifyingContract: CONTRACT },
  message: { contents: 'hello' },
};

/** EIP-2612: 6 USDC, unless it says otherwise. */
function permit(change: object = {}): string {
  const [address, uint256] = ['address', 'uint256'].map((type) => (name: string) => ({ name, type }));
  const named = [
    address?.('owner'),
    address?.('spender'),
    uint256?.('value'),
    uint256?.('nonce'),
    uint256?.('deadline'),
  ];
  return JSON.stringify({
    types: { Permit: named },
    primaryType: 'Permit',
    domain: { chainId: 1, verifyingContract: USDC },
    message: { owner: USDC, spender: PAYEE, value: '6000000', nonce: 0, deadline: 1, ...change },
  });
}

describe('data to be signed', () => {
  const signing = (signingData: object, source = 'vaultaaa0000000000000001') => ({
    __typename: 'OperationSign',
    id: operationId(),
    signingData,
    details: { expiresAt: new Date(Date.now() + 60_000).toISOString(), vault: { id: source } },
  });
  const EIP712 = 'application/x-eip712+json';

  test.each<[string, object, string]>([
    ['listed typed data', { data: JSON.stringify(MAIL), contentType: EIP712 }, 'approved'],
    [
      'typed data for another chain',
      {
        data: JSON.stringify({ ...MAIL, domain: { ...MAIL.domain, chainId: 137 } }),
        contentType: EIP712,
      },
      'rejected',
    ],
    [
      'typed data of another type',
      { data: JSON.stringify({ ...MAIL, primaryType: 'Permit' }), contentType: EIP712 },
      'rejected',
    ],
    ['a permit', { data: permit(), contentType: EIP712 }, 'approved'],
    ['another one, for which its limit has no room', { data: permit(), contentType: EIP712 }, 'rejected'],
    ['one within the limit', { data: permit({ value: '4000000' }), contentType: EIP712 }, 'approved'],
    [
      'one for whom no rule names',
      { data: permit({ spender: DOLLAR_PAYEE, value: 0 }), contentType: EIP712 },
      'rejected',
    ],
    [
      'one for a stranger',
      { data: permit({ spender: CONTRACT, value: 0 }), contentType: EIP712 },
      'rejected',
    ],
    ['hex', { data: '68656c6c6f', contentType: 'application/octet-stream+hex' }, 'rejected'],
    ['base64', { data: 'aGVsbG8=', contentType: 'application/octet-stream+base64' }, 'rejected'],
    ['text', { data: 'hello', contentType: 'text/plain' }, 'rejected'],
    ['data of no known type', { data: JSON.stringify(MAIL) }, 'rejected'],
    ['no data', { contentType: EIP712 }, 'rejected'],
  ])('%s: %s', async (_, signingData, expected) => {
    expect(await vote(signing(signingData))).toBe(expected);
  });

  test.each(['application/octet-stream+hex', 'application/octet-stream+base64', 'text/plain'])(
    'as %s is rejected where only the bytes stand against it',
    async (contentType) => {
      expect(await vote(signing({ data: '68656c6c6f20776f726c6421', contentType }, 'nowhere'))).toBe(
        'rejected',
      );
    },
  );
});

describe('what a stranger can do on a network that is allowed', () => {
  test('an approvable operation does not give him the nonce of another', async () => {
    const digits = '55555555555';
    expect(await vote(legacyTransfer({ id: operationId(), amountOriginal: '0.1' }), { digits })).toBe(
      'approved',
    );
    const before = await replica.metric('countersign_conflicts_total');
    const other = legacyTransfer({ id: operationId(), amountOriginal: '0.2' });
    expect(await vote(other, { digits })).toBe('no vote: 409');
    expect(await replica.metric('countersign_conflicts_total')).toBe(before + 1);
    // Neither is it refused under it: nobody can tell which of the two the Virtual Signer asked about.
    const refused = legacyTransfer({ id: operationId(), receivingAddress: `0x${'3'.repeat(40)}` });
    expect(await vote(refused, { digits })).toBe('no vote: 409');
    // Under a nonce of its own it is approved all the same.
    expect(await vote(other)).toBe('approved');
  });

  test('a standing approval that is repeated takes its nonce as well', async () => {
    const body = legacyTransfer({ id: operationId(), amountOriginal: '0.1' });
    expect(await vote(body)).toBe('approved');
    const digits = '66666666666';
    expect(await vote(body, { digits })).toBe('approved');
    expect(await vote(legacyTransfer({ id: operationId(), amountOriginal: '0.1' }), { digits })).toBe(
      'no vote: 409',
    );
  });

  test('a refusal burns neither the operation nor the nonce', async () => {
    const id = operationId();
    const digits = '77777777777';
    expect(await vote(legacyTransfer({ id, receivingAddress: `0x${'3'.repeat(40)}` }), { digits })).toBe(
      'rejected',
    );
    expect(await vote({ __typename: 'OperationSign', id }, { digits })).toBe('rejected');
    expect(await vote(legacyTransfer({ id, amountOriginal: '0.1' }), { digits })).toBe('approved');
  });

  test.each<[string, object]>([
    ['its end', { expiresAt: undefined }],
    ['its worth', { amountUsd: undefined }],
    ['its true worth', { amountUsd: '1000000' }],
    ['the case of its address', { receivingAddress: DOLLAR_PAYEE.replace('aAeb', 'AaEB') }],
    ['a small x in its address', { receivingAddress: DOLLAR_PAYEE.replace('0x', '0X') }],
  ])(
    'an operation that he shows without %s is refused, and approved all the same when it is asked about',
    async (_, change) => {
      const body = legacyTransfer({ id: operationId(), receivingAddress: DOLLAR_PAYEE, amountUsd: '1' });
      expect(await vote({ ...body, ...change })).toBe('rejected');
      expect(await vote(body)).toBe('approved');
    },
  );

  test('an operation that he makes cheap is judged, and charged, at its true worth', async () => {
    const body = legacyTransfer({ id: operationId(), receivingAddress: DOLLAR_PAYEE, amountUsd: '1' });
    const used = () => replica.metric('countersign_limit_used_ratio');
    expect(await vote({ ...body, id: operationId() })).toBe('approved');
    const before = await used();
    expect(await vote(body)).toBe('approved');
    expect(await vote({ ...body, amountUsd: '501' })).toBe('rejected');
    expect(await vote({ ...body, amountUsd: '20' })).toBe('approved');
    // Valued a little lower for the next signer: still the same operation.
    expect(await vote({ ...body, amountUsd: '19.5' }, { by: 1 })).toBe('approved');
    expect(await vote({ ...body, amountUsd: '20.00' })).toBe('approved');
    expect((await used()) - before).toBeCloseTo(20 / 500, 6);
  });

  test('an id that was approved is not approved with other content', async () => {
    const id = operationId();
    expect(await vote(legacyTransfer({ id, amountOriginal: '0.1' }))).toBe('approved');
    const before = await replica.metric('countersign_conflicts_total');
    const other = legacyTransfer({ id, amountOriginal: '0.2' });
    expect(await vote(other)).toBe('no vote: 409');
    expect(await vote(other)).toBe('no vote: 409');
    expect(await replica.metric('countersign_conflicts_total')).toBe(before + 2);
    expect(await vote(legacyTransfer({ id, amountOriginal: '0.1' }))).toBe('approved');
  });

  test('each signer has nonces of its own, as it has a key of its own', async () => {
    const digits = '88888888888';
    expect(await vote(legacyTransfer({ id: operationId(), amountOriginal: '0.1' }), { digits })).toBe(
      'approved',
    );
    const other = legacyTransfer({ id: operationId(), amountOriginal: '0.1' });
    expect(await vote(other, { digits, by: 1 })).toBe('approved');
  });
});

describe('messages that are no question', () => {
  const send = (
    headers: Readonly<Record<string, string | readonly string[]>>,
    body: string | object = '{}',
  ) => ask(`${replica.http}${signer().path}/transaction`, body, headers);
  const good = nonceHeaders('1');

  test.each<[string, Readonly<Record<string, string | readonly string[]>>]>([
    ['no nonce', { 'content-type': 'application/json' }],
    ['two nonces', { ...good, 'vs-nonce': '2' }],
    ['one header twice', { 'vs-nonce': ['1', '1'] }],
    ['a nonce that is too large', { 'vs-nonce': '9223372036854775807' }],
    ['a nonce with a leading zero', { 'vs-nonce': '01' }],
    ['a negative nonce', { 'vs-nonce': '-1' }],
    ['a signature request without nonce', { 'vs-nonce': '1', 'accept-signature': 'sig1=("digest")' }],
    ['two nonces in one header', { 'accept-signature': 'sig1=();nonce=1;nonce=1' }],
  ])('%s: 400', async (_, headers) => {
    expect((await send(headers, legacyTransfer())).status).toBe(400);
  });

  test.each<[string, string | object]>([
    ['no JSON', 'x'],
    ['a list', []],
    ['a member twice', '{"id":"a","id":"b"}'],
    ['no type', { id: 'a' }],
    ['no id', { __typename: 'OperationSign' }],
    ['an id that is none', legacyTransfer({ id: 'a/b' })],
    ['an id of another type', legacyTransfer({ id: 7 })],
    ['another organisation', legacyTransfer({ organisationId: 'orgbbbbb0000000000000001' })],
    ['nesting without end', '['.repeat(100)],
  ])('%s: 400', async (_, body) => {
    expect((await send(good, body)).status).toBe(400);
  });

  test('another route: 404; the path alone: 404; another path: 404', async () => {
    const { path } = signer();
    for (const tail of [
      `${path}/other`,
      path,
      `${path}x/transaction`,
      '/iofinnet/transaction',
      `${path}/rpc`,
    ])
      expect((await ask(`${replica.http}${tail}`, legacyTransfer(), good)).status).toBe(404);
  });

  test('a forwarded address counts for nothing where no proxy is trusted', async () => {
    const reply = await send(
      { ...good, 'x-forwarded-for': '203.0.113.9' },
      legacyTransfer({ id: operationId(), amountOriginal: '0.01' }),
    );
    expect(reply.status).toBe(200);
  });
});
