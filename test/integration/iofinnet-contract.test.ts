/** The contract mode on a real replica, with ethers as the client that a Virtual Signer would be. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Contract, JsonRpcProvider, Transaction } from 'ethers';
import fc from 'fast-check';
import { APPROVAL, keygenArgument, signArgument, transactionArgument } from '../support/approval-contract.js';
import { EMBEDDED } from '../support/deployment.js';
import { runs } from '../support/fuzz-runs.js';
import { ask, type VotingDeployment, writeVotingDeployment } from '../support/iofinnet-deployment.js';
import { type RunningReplica, startReplica } from '../support/replica.js';

const [APPROVE, REJECT, ABSTAIN] = [0n, 1n, 2n];
const ADDRESS = '0x00000000000000000000000000000000000000C5';
const PAYEE = `0x${'1'.repeat(40)}`;
const CAREFUL_PAYEE = `0x${'2'.repeat(40)}`;

const POLICY = `version: 1
limits:
  ether: { sum: native, max: '1', window: { rolling: 24h }, per: [asset] }
rules:
  - name: abstain
    match: { kind: transaction, stage: approval, asset: [ETH], amount: { min: '5' } }
    effect: ignore
  - name: ask-later
    match: { kind: transaction, stage: approval, asset: [ETH], amount: { min: '4' } }
    effect: retry
  - name: pay
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH], destination: { address: '${PAYEE}' } }
    limits: [ether]
    verify: if-present
    effect: approve
  - name: pay-by-bytes
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH], destination: { address: '${CAREFUL_PAYEE}' } }
    effect: approve
  - name: vaults
    match: { kind: keygen, vault: { threshold: { min: '2' }, device: [uuid-0, uuid-1, uuid-2] } }
    effect: approve
  - name: texts
    match: { kind: sign, operation: [text/plain] }
    effect: approve
verification:
  defaults: { allowPersonalSign: true, requireFee: false }
`;

const dir = mkdtempSync(join(tmpdir(), 'countersign-contract-'));
let deployment: VotingDeployment;
let replica: RunningReplica;
const providers: JsonRpcProvider[] = [];

beforeAll(async () => {
  const section = { amounts: 'base-units', contract: { revision: 'R1', address: ADDRESS, chainId: '137' } };
  deployment = writeVotingDeployment(dir, { ledger: EMBEDDED, policy: POLICY, section, deadline: '20s' });
  replica = await startReplica(deployment);
});

afterAll(async () => {
  for (const provider of providers) provider.destroy();
  await replica.close();
  rmSync(dir, { recursive: true, force: true });
});

function url(): string {
  return `${replica.http}${deployment.signers[0]?.path}/rpc`;
}

function provider(): JsonRpcProvider {
  const made = new JsonRpcProvider(url());
  providers.push(made);
  return made;
}

function contract(address = ADDRESS): Contract {
  return new Contract(address, APPROVAL, provider());
}

/** The uint8 that the contract returns. */
async function approved(name: string, argument: string): Promise<bigint> {
  return (await contract().getFunction(name).staticCall(argument)) as bigint;
}

/** An unsigned transfer of 0.5 ether. */
function bytesTo(to: string): string {
  const fees = { maxFeePerGas: 10n ** 9n, maxPriorityFeePerGas: 1n, gasLimit: 21_000n };
  return Transaction.from({ type: 2, chainId: 1, nonce: 0, to, value: 5n * 10n ** 17n, ...fees })
    .unsignedSerialized;
}

describe('a client of the contract', () => {
  test('finds the chain and the contract', async () => {
    expect((await provider().getNetwork()).chainId).toBe(137n);
    expect(await provider().getBlockNumber()).toBe(1);
    expect(await provider().getCode(ADDRESS)).toBe('0x00');
    expect(await provider().getCode(PAYEE)).toBe('0x');
    expect(await provider().send('net_version', [])).toBe('137');
  });

  test.each<[string, () => string, bigint]>([
    ['a transfer within the policy', () => transactionArgument('R1'), APPROVE],
    [
      'to somebody else',
      () => transactionArgument('R1', { Id: 'tx2', ReceivingAddress: `0x${'3'.repeat(40)}` }),
      REJECT,
    ],
    [
      'that a rule leaves to others',
      () => transactionArgument('R1', { Id: 'tx3', AmountOriginal: '5000000000000000000' }),
      ABSTAIN,
    ],
    [
      'beyond a limit',
      () => transactionArgument('R1', { Id: 'tx4', AmountOriginal: '600000000000000000' }),
      REJECT,
    ],
    [
      'of a type that is not known',
      () => transactionArgument('R1', { Id: 'tx5', Typename: 'Other' }),
      ABSTAIN,
    ],
    [
      'with bytes that agree',
      () =>
        transactionArgument('R1', {
          Id: 'tx6',
          ReceivingAddress: CAREFUL_PAYEE,
          RawTransaction: bytesTo(CAREFUL_PAYEE),
        }),
      APPROVE,
    ],
    [
      'with bytes that pay somebody else',
      () =>
        transactionArgument('R1', {
          Id: 'tx7',
          ReceivingAddress: CAREFUL_PAYEE,
          RawTransaction: bytesTo(PAYEE),
        }),
      REJECT,
    ],
    [
      'without bytes where they are needed',
      () => transactionArgument('R1', { Id: 'tx8', ReceivingAddress: CAREFUL_PAYEE }),
      REJECT,
    ],
    [
      'with call data',
      () => transactionArgument('R1', { Id: 'tx10' }, { ContractData: '0xa9059cbb' }),
      ABSTAIN,
    ],
    [
      'without an end',
      () => transactionArgument('R1', { Id: 'tx11', AmountOriginal: '1', ExpiresAt: '' }),
      REJECT,
    ],
    [
      'with bytes that are none',
      () => transactionArgument('R1', { Id: 'tx9', RawTransaction: 'zz' }),
      REJECT,
    ],
  ])('%s', async (_, argument, expected) => {
    expect(await approved('approvedTx', argument())).toBe(expected);
  });

  test.each<[string, object, bigint]>([
    ['a vault of listed devices', {}, APPROVE],
    ['with a low threshold', { Id: 'keygen2', NewThreshold: 1 }, REJECT],
    [
      'of a device that is not listed',
      { Id: 'keygen3', NewSigners: [{ Weight: 1, Uiid: 'uuid-9', Id: '' }] },
      REJECT,
    ],
    ['of another type', { Id: 'keygen4', Typename: 'OperationReshare_v3' }, REJECT],
  ])('%s', async (_, change, expected) => {
    expect(await approved('approvedKeygenReshare', keygenArgument(change))).toBe(expected);
  });

  test('a sign operation is never approved: its struct carries no end', async () => {
    expect(await approved('approvedSignOp', signArgument())).toBe(REJECT);
  });

  test('votes without a signature are counted apart', async () => {
    expect(await replica.metric('countersign_unsigned_votes_total')).toBeGreaterThan(10);
  });
});

describe('no vote', () => {
  test.each<[string, () => Promise<unknown>]>([
    ['for the other layout', () => approved('approvedTx', transactionArgument('R2', { Id: 'other' }))],
    [
      'for the other layout, which would decode to something else',
      () =>
        approved(
          'approvedTx',
          transactionArgument('R2', { Id: 'other' }, { SourceUrl: 'https://a', ContractData: '0x00' }),
        ),
    ],
    [
      'for bytes behind the end',
      () => approved('approvedTx', `${transactionArgument('R1', { Id: 'tail' })}${'00'.repeat(32)}`),
    ],
    [
      'for an operation that has expired',
      () =>
        approved('approvedTx', transactionArgument('R1', { Id: 'late', ExpiresAt: '2020-01-01T00:00:00Z' })),
    ],
    ...['approvedTx', 'approvedKeygenReshare', 'approvedSignOp'].map(
      (name): [string, () => Promise<unknown>] => [
        `of ${name} when its voting is over`,
        () => {
          const over = { Id: 'over', Status: 'SIGNING', ReshareRequestStatus: 'SIGNING' };
          if (name === 'approvedTx') return approved(name, transactionArgument('R1', over));
          if (name === 'approvedKeygenReshare') return approved(name, keygenArgument(over));
          return approved(name, signArgument({ Id: 'over', OperationSignStatus: 'SIGNING' }));
        },
      ],
    ),
    [
      'for an argument that does not end with a word',
      () => approved('approvedTx', `${transactionArgument('R1', { Id: 'tail' })}00`),
    ],
    ...(
      [
        ['that lies elsewhere than behind its offset', 0, 64n],
        ['that is shorter than its length', 1, 1n << 255n],
        ['that is longer than its length', 1, 32n],
      ] as const
    ).map(([what, word, value]): [string, () => Promise<unknown>] => [
      `for an argument ${what}`,
      () => {
        const argument = transactionArgument('R1', { Id: 'tail', AmountOriginal: '1' });
        const data = APPROVAL.encodeFunctionData('approvedTx', [argument]);
        const at = 10 + 64 * word;
        const changed = value.toString(16).padStart(64, '0');
        return provider().call({ to: ADDRESS, data: data.slice(0, at) + changed + data.slice(at + 64) });
      },
    ]),
    [
      'while a rule asks for patience',
      () =>
        approved(
          'approvedTx',
          transactionArgument('R1', { Id: 'wait', AmountOriginal: '4000000000000000000' }),
        ),
    ],
    [
      'for an id that was approved with other content',
      () => approved('approvedTx', transactionArgument('R1', { Id: 'tx1', AmountOriginal: '1' })),
    ],
    [
      'for another organisation',
      () => approved('approvedTx', transactionArgument('R1', { Id: 'org', OrganisationId: 'other' })),
    ],
    [
      'from another contract',
      () => contract(PAYEE).getFunction('approvedTx').staticCall(transactionArgument('R1')),
    ],
    ['for another function', () => provider().call({ to: ADDRESS, data: '0x12345678' })],
    ['for other methods', () => provider().send('eth_sendRawTransaction', ['0x00'])],
  ])('%s', async (_, call) => {
    await expect(call()).rejects.toThrow();
  });
});

describe('messages', () => {
  const post = async (body: unknown) => {
    const { status, body: text } = await ask(
      url(),
      typeof body === 'string' ? body : JSON.stringify(body),
      {},
    );
    return { status, answer: JSON.parse(text) };
  };
  const chainId = (id: unknown) => ({ jsonrpc: '2.0', id, method: 'eth_chainId' });

  test('in a batch are answered in order, with their ids', async () => {
    const data = APPROVAL.encodeFunctionData('approvedTx', [
      transactionArgument('R1', { Id: 'batch', AmountOriginal: '1' }),
    ]);
    const call = {
      jsonrpc: '2.0',
      id: 'a',
      method: 'eth_call',
      params: [{ to: ADDRESS, input: data }, 'latest'],
    };
    const { answer } = await post([chainId(12345678901234567890n.toString()), call, { ...call, id: null }]);
    expect(answer).toEqual([
      { jsonrpc: '2.0', id: '12345678901234567890', result: '0x89' },
      { jsonrpc: '2.0', id: 'a', result: `0x${'0'.repeat(64)}` },
      { jsonrpc: '2.0', id: null, result: `0x${'0'.repeat(64)}` },
    ]);
  });

  test('in a batch have each the vote of their own operation', async () => {
    const call = (id: number, change: object) => {
      const argument = transactionArgument('R1', { Id: `each${id}`, AmountOriginal: '1', ...change });
      const data = APPROVAL.encodeFunctionData('approvedTx', [argument]);
      return { jsonrpc: '2.0', id, method: 'eth_call', params: [{ to: ADDRESS, data }, 'latest'] };
    };
    const stranger = { ReceivingAddress: `0x${'3'.repeat(40)}` };
    const { answer } = await post([
      call(1, {}),
      call(2, stranger),
      call(3, { AmountOriginal: '5000000000000000000' }),
    ]);
    expect(answer.map(({ id, result }: { id: number; result: string }) => [id, BigInt(result)])).toEqual([
      [1, APPROVE],
      [2, REJECT],
      [3, ABSTAIN],
    ]);
  });

  test.each<[string, unknown, number]>([
    ['no JSON', '{', -32700],
    ['an empty batch', [], -32600],
    ['a batch that is too long', Array.from({ length: 21 }, (_, id) => chainId(id)), -32600],
    ['no request', 7, -32600],
    ['no id', { jsonrpc: '2.0', method: 'eth_chainId' }, -32600],
    ['no version', { id: 1, method: 'eth_chainId' }, -32600],
    ['another version', { ...chainId(1), jsonrpc: '1.0' }, -32600],
    ['another method', { ...chainId(1), method: 'eth_accounts' }, -32601],
    ['a call of nothing', { ...chainId(1), method: 'eth_call', params: [] }, -32602],
    [
      'a call with two contents',
      { ...chainId(1), method: 'eth_call', params: [{ to: ADDRESS, data: '0x', input: '0x00' }] },
      -32602,
    ],
  ])('%s: %s', async (_, body, code) => {
    const { status, answer } = await post(body);
    expect({ status, code: answer.error.code }).toEqual({ status: 200, code });
  });

  test('of any content are answered with an error or a refusal', async () => {
    const call = APPROVAL.encodeFunctionData('approvedTx', [
      transactionArgument('R1', { Id: 'fuzz', ReceivingAddress: `0x${'3'.repeat(40)}` }),
    ]);
    const damage = fc.tuple(fc.nat(call.length - 11), fc.stringMatching(/^[0-9a-f]{1,8}$/));
    await fc.assert(
      fc.asyncProperty(damage, async ([at, piece]) => {
        const data = call.slice(0, 10 + at) + piece + call.slice(10 + at + piece.length);
        const { answer } = await post({
          jsonrpc: '2.0',
          id: 1,
          method: 'eth_call',
          params: [{ to: ADDRESS, data }],
        });
        expect([`0x${'1'.padStart(64, '0')}`, `0x${'2'.padStart(64, '0')}`, undefined]).toContain(
          answer.result,
        );
      }),
      { numRuns: runs(200) },
    );
  });
});
