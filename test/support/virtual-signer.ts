/** A Virtual Signer's end of the channel for tests, on node:crypto alone: it shares no code with what it tests. */
import { createHash, generateKeyPairSync, type KeyObject, verify } from 'node:crypto';

export const ORGANISATION = 'orgaaaaa0000000000000001';

export interface SignedReply {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | undefined>>;
  readonly body: string;
}

export function ed25519Pair() {
  return generateKeyPairSync('ed25519');
}

/** The vote of an answer that a Virtual Signer would obey, or the reason why it would not. */
export function voteIn({ status, headers, body }: SignedReply, digits: string, key: KeyObject): string {
  if (status !== 200) return `no vote: ${status}`;
  if (headers['content-type'] !== 'application/json') return `the content type is ${headers['content-type']}`;
  const digest = `SHA-512=${createHash('sha512').update(body).digest('base64')}`;
  if (headers.digest !== digest) return 'the digest is not of this body';
  const [, signature] =
    /^keyId="eddsa-key",algorithm="hs2019",headers="content-type digest",signature="([^"]+)"$/.exec(
      headers.signature ?? '',
    ) ?? [];
  if (signature === undefined) return 'there is no signature of the documented form';
  const text = `content-type: application/json\ndigest: ${digest}`;
  if (!verify(null, Buffer.from(text), key, Buffer.from(signature, 'base64')))
    return 'the signature is wrong';
  const [, vote, nonce] = /^\{"status": "(approved|rejected|abstain)", "nonce": (\d+)\}$/.exec(body) ?? [];
  if (vote === undefined || nonce !== digits) return 'the body is no vote for this nonce';
  return vote;
}

export function nonceHeaders(digits: string): Readonly<Record<string, string>> {
  return {
    'content-type': 'application/json',
    'accept-signature': `sig1=("content-type" "digest");nonce=${digits};keyid="eddsa-key"`,
    'vs-nonce': digits,
  };
}

/** A transfer of the older generation, whose fields are published; 0.5 ETH, and time enough. */
export function legacyTransfer(change: Readonly<Record<string, unknown>> = {}): Record<string, unknown> {
  const { receivingAddress = '0x1111111111111111111111111111111111111111' } = change;
  return {
    __typename: 'TransactionRequest',
    id: 'legacytx0000000000000001',
    displayId: 'TX-1',
    transactionRequestStatus: 'VOTING',
    createdAt: '2025-01-07T15:10:52.984Z',
    expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
    amountOriginal: '0.5',
    amountUsd: '1000.00',
    receivingAddress,
    rawtransactionId: 'rawtxaaa0000000000000001',
    memo: '',
    metadata: { contractData: '', source: '', sourceUrl: '', signerInputV1: '' },
    asset: { id: 'assetaaa0000000000000001', name: 'Ether', symbol: 'ETH', executionType: 'NATIVE' },
    transaction: { id: 't', toAddress: receivingAddress },
    vault: { id: 'vaultaaa0000000000000001', name: 'Treasury hot', reshareNonce: 1, status: 'ACTIVE' },
    createdByUser: { id: 'useraaaa0000000000000001' },
    ...change,
  };
}

/** A new vault with a threshold of two and three devices of weight one. */
export function vaultCreation(
  change: object = {},
  threshold: unknown = 2,
  weights: readonly number[] = [1, 1, 1],
) {
  const signers = weights.map((weight, index) => ({
    id: `signer${index}`,
    device: {
      id: `device${index}`,
      uuid: `0000000${index}-0000-4000-8000-000000000000`,
      name: `vs-${index}`,
    },
    weight,
  }));
  return {
    __typename: 'OperationCreateVault_v3',
    id: 'opcreate0000000000000001',
    organisationId: ORGANISATION,
    cDetails: { status: 'VOTING', threshold },
    voting: { approvedWeight: 0, progress: '0', threshold: 1, votes: [] },
    details: {
      __typename: 'OperationCreateVaultDetails',
      expiresAt: new Date(Date.now() + 3_600_000).toISOString(),
      updatedAt: new Date().toISOString(),
      status: 'VOTING',
      vault: {
        id: 'vaultaaa0000000000000001',
        signers,
        details: { id: 'vaultaaa0000000000000001', name: 'Treasury hot', signers },
      },
    },
    ...change,
  };
}
