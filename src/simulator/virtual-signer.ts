/**
 * Operations as an io.finnet Virtual Signer presents them, over HTTP and as calls of the approval contract, and what it
 * would obey. Written from the vendor's published samples (`Approval.sol`, OpenAPI 0.0.2, the v3 sample of a vault), not
 * from the server's code.
 */
import { createHash, type KeyObject, verify } from 'node:crypto';
import { AbiCoder, Interface } from 'ethers';
import type { Action } from './answer.js';
import type { Random } from './random.js';
import type { VirtualSigner } from './target.js';

const VOTES: Readonly<Record<string, Action>> = {
  approved: 'APPROVE',
  rejected: 'REJECT',
  abstain: 'IGNORE',
};

/** How long the vendor keeps an ordinary operation open; source: its help centre. */
const OPEN_MS = 15 * 60_000;

export interface Operation {
  readonly id: string;
  /** In words, for the summary. */
  readonly about: string;
  /** As this signer is told of it: signers differ in what they call assets. */
  readonly body: (signer: Pick<VirtualSigner, 'organisation' | 'ether'>) => Readonly<Record<string, unknown>>;
}

/** 24 lower-case characters, like the vendor's. */
export function operationId(random: Random): string {
  return Array.from({ length: 24 }, () => (random.below(36) as number).toString(36)).join('');
}

/** An integer up to 2^63 − 2, in digits. */
export function nonce(random: Random): string {
  return random.bigBelow(2n ** 63n - 1n).toString();
}

export interface VotedTransfer {
  readonly id: string;
  /** Decimal text. */
  readonly amount: string;
  /** US dollars, decimal text. */
  readonly usd: string;
  readonly address: string;
  /** Unix milliseconds. */
  readonly expiresAtMs?: number;
}

/** A transfer of ether in the older generation of bodies, whose fields are published. */
export function transferOperation({ id, amount, usd, address, expiresAtMs }: VotedTransfer): Operation {
  return {
    id,
    about: `vote on ${amount} ETH to ${address}`,
    body: ({ organisation, ether }) => ({
      __typename: 'TransactionRequest',
      id,
      organisationId: organisation,
      displayId: id,
      transactionRequestStatus: 'VOTING',
      amountOriginal: amount,
      amountUsd: usd,
      receivingAddress: address,
      expiresAt: new Date(expiresAtMs ?? Date.now() + OPEN_MS).toISOString(),
      updatedAt: new Date().toISOString(),
      metadata: { contractData: '', source: '', sourceUrl: '', signerInputV1: '' },
      asset: { id: ether, name: 'Ether', symbol: 'ETH', executionType: 'NATIVE', contractAddress: '' },
      vault: { id: 'simulatedvault0000000001', name: 'Simulated', status: 'ACTIVE' },
    }),
  };
}

/** What nobody may approve, whatever the policy says. */
export function unapprovable(random: Random): Operation {
  const id = operationId(random);
  const expiresAt = new Date(Date.now() + OPEN_MS).toISOString();
  const details = { expiresAt, status: 'VOTING', vault: { id: 'simulatedvault0000000001' } };
  switch (random.below(4)) {
    case 0: {
      const signers = [{ id: 's1', device: { id: operationId(random), uuid: random.uuid() }, weight: 2 }];
      return {
        id,
        about: 'a vault that one device opens',
        body: ({ organisation }) => ({
          __typename: 'OperationCreateVault_v3',
          id,
          organisationId: organisation,
          cDetails: { status: 'VOTING', threshold: 2 },
          details: { ...details, vault: { ...details.vault, signers } },
        }),
      };
    }
    case 1:
      return {
        id,
        about: 'a signature over 32 unknown bytes',
        body: () => ({
          __typename: 'OperationSign',
          id,
          details,
          signingData: {
            data: random.bytes(32).toString('hex'),
            contentType: 'application/octet-stream+hex',
            coseAlgorithm: 'ES256K',
          },
        }),
      };
    case 2:
      return {
        id,
        about: 'an operation of a type from the future',
        body: () => ({ __typename: 'OperationSomethingNew_v9', id, details }),
      };
    default:
      return {
        id,
        about: 'a transfer that says nothing of itself',
        body: () => ({ __typename: 'OperationTransferOut_v3', id, details }),
      };
  }
}

export interface VoteReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export type Heard =
  | { readonly kind: 'vote'; readonly action: Action }
  /** Not a 200, which counts as no vote. */
  | { readonly kind: 'none'; readonly status: number }
  | { readonly kind: 'wrong'; readonly problem: string };

/** Stricter than the vendor: the bytes must be those that the vendor prints. */
export function hear({ status, headers, body }: VoteReply, digits: string, key: KeyObject): Heard {
  if (status >= 200 && status < 300 && status !== 200) return wrong(`the status is ${status}`);
  if (status !== 200) return { kind: 'none', status };
  if (headers['content-type'] !== 'application/json')
    return wrong('the content type is not application/json alone');
  if (headers['content-encoding'] !== undefined) return wrong('the answer is compressed');
  const digest = `SHA-512=${createHash('sha512').update(body).digest('base64')}`;
  if (headers.digest !== digest) return wrong('the digest is not that of the body');
  const [, encoded = ''] =
    /^keyId="eddsa-key",algorithm="hs2019",headers="content-type digest",signature="([A-Za-z0-9+/=]+)"$/.exec(
      headers.signature ?? '',
    ) ?? [];
  const text = `content-type: application/json\ndigest: ${digest}`;
  if (!verify(null, Buffer.from(text), key, Buffer.from(encoded, 'base64')))
    return wrong('the signature does not verify with the answer key');
  const [, status2 = '', echoed] = /^\{"status": "([a-z]+)", "nonce": (\d+)\}$/.exec(body) ?? [];
  if (echoed !== digits) return wrong('the answer is for another nonce');
  const action = Object.hasOwn(VOTES, status2) ? VOTES[status2] : undefined;
  return action === undefined ? wrong(`the status is ${JSON.stringify(status2)}`) : { kind: 'vote', action };
}

const APPROVAL = new Interface(['function approvedTx(bytes) pure returns (uint8)']);
const metadataOf = (revision: 'R1' | 'R2') =>
  `tuple(string,uint256,uint256,string,${revision === 'R2' ? 'string,' : ''}string)`;
const structOf = (revision: 'R1' | 'R2') => `tuple(${'string,'.repeat(17)}${metadataOf(revision)},string)`;

export interface ContractQuestion {
  readonly transfer: VotedTransfer;
  /** Base units, in digits. */
  readonly amount: string;
  /** Other than the signer's own: a layout that must be noticed. */
  readonly revision: 'R1' | 'R2';
}

/** A JSON-RPC message that asks the signer's contract about a transfer. */
export function contractCall(
  signer: VirtualSigner,
  { transfer, amount, revision }: ContractQuestion,
): string {
  const { id, usd, address, expiresAtMs } = transfer;
  const expiresAt = new Date(expiresAtMs ?? Date.now() + OPEN_MS).toISOString();
  const metadata = ['', 0, 0, '', ...(revision === 'R2' ? [''] : []), ''];
  const struct = [
    ...['TransactionRequest', id, '', '', expiresAt, '', amount, usd, address, ''],
    ...['simulatedvault0000000001', '', signer.ether, signer.organisation, '', 'VOTING', 'NATIVE'],
    ...[metadata, ''],
  ];
  const argument = AbiCoder.defaultAbiCoder().encode([structOf(revision)], [struct]);
  const data = APPROVAL.encodeFunctionData('approvedTx', [argument]);
  const to = signer.contract?.address;
  return JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_call', params: [{ to, data }, 'latest'] });
}

const WORDS: ReadonlyMap<string, Action> = new Map([
  [`0x${'0'.repeat(64)}`, 'APPROVE'],
  [`0x${'1'.padStart(64, '0')}`, 'REJECT'],
  [`0x${'2'.padStart(64, '0')}`, 'IGNORE'],
]);

/** What the contract returned; an error of the node is no vote. */
export function hearContract({ status, body }: VoteReply): Heard {
  if (status !== 200) return { kind: 'none', status };
  try {
    const { id, result, error } = JSON.parse(body);
    if (id !== 1) return wrong('the answer is to another call');
    const action = WORDS.get(String(result));
    if (action !== undefined && error === undefined) return { kind: 'vote', action };
    return typeof error?.code === 'number' && result === undefined
      ? { kind: 'none', status }
      : wrong('the answer is neither one of three words nor an error');
  } catch {
    return wrong('the answer is not JSON');
  }
}

function wrong(problem: string): Heard {
  return { kind: 'wrong', problem };
}
