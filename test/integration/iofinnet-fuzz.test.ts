/** Bodies and headers of any form: a clear refusal or a vote, and an approval only of what the policy approves. */
import { randomInt } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { EMBEDDED } from '../support/deployment.js';
import { runs } from '../support/fuzz-runs.js';
import { ask, ETHER, type VotingDeployment, writeVotingDeployment } from '../support/iofinnet-deployment.js';
import { type RunningReplica, startReplica } from '../support/replica.js';
import { legacyTransfer, ORGANISATION, voteIn } from '../support/virtual-signer.js';

const SEED = Number(process.env.COUNTERSIGN_FUZZ_SEED ?? randomInt(2 ** 31));
const PAYEE = `0x${'a1'.repeat(20)}`;
/** No operation is named: whatever the wire says beside the facts has to be noticed by the adapter. */
const POLICY = `version: 1
rules:
  - name: pay
    match: { kind: transaction, asset: [ETH], amount: { max: '1' }, destination: { address: '${PAYEE}' } }
    verify: if-present
    effect: approve
`;

const dir = mkdtempSync(join(tmpdir(), 'countersign-iofinnet-fuzz-'));
let deployment: VotingDeployment;
let replica: RunningReplica;

beforeAll(async () => {
  deployment = writeVotingDeployment(dir, { ledger: EMBEDDED, policy: POLICY, deadline: '20s' });
  replica = await startReplica(deployment);
});

afterAll(async () => {
  await replica.close();
  rmSync(dir, { recursive: true, force: true });
});

type Body = Readonly<Record<string, unknown>>;

const END = '2100-01-01T00:00:00.000Z';
const oddly = fc.oneof(
  fc.jsonValue({ maxDepth: 2 }),
  fc.constantFrom('', '0x', '0xa9059cbb', {}, [], 0, 'x'),
);
/** Each member is left alone, or is one of its own values, or of no form at all. */
const member = (...values: readonly unknown[]) =>
  fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...values) }, { weight: 1, arbitrary: oddly });
const everything = fc.record({
  __typename: member('TransactionRequest', 'OperationSign', 'OperationTransferOut_v3', 'ReshareRequest'),
  organisationId: member(ORGANISATION, 'orgbbbbb0000000000000001', null),
  transactionRequestStatus: member('VOTING', '', 'SIGNING', null),
  details: member({ status: 'VOTING' }, { status: 'EXPIRED' }, { expiresAt: END }),
  expiresAt: member(END, '2020-01-01T00:00:00Z', '2100-01-01', null),
  amountOriginal: member('0.5', '1', '1.000000000000000001', 0.5, '-1', '1e-3', null),
  receivingAddress: member(PAYEE, PAYEE.toUpperCase().replace('0X', '0x'), `0x${'2'.repeat(40)}`, null),
  asset: member({ id: ETHER }, { id: 'ETH' }, { id: ETHER, contractAddress: PAYEE }, [ETHER]),
  metadata: fc.oneof(
    fc.record({ contractData: oddly, signerInputV1: oddly }, { requiredKeys: [] }),
    fc.constantFrom<unknown>({ contractData: '', signerInputV1: '' }, null),
  ),
  transaction: member(
    { toAddress: PAYEE },
    { toAddress: `0x${'2'.repeat(40)}` },
    { toAddress: [PAYEE] },
    null,
  ),
});
/** A few members, so that some of what arrives is approvable. */
const changes = fc.tuple(everything, fc.array(fc.nat(), { maxLength: 3 })).map(([values, picks]) => {
  const entries = Object.entries(values);
  return Object.fromEntries(picks.flatMap((pick) => [entries[pick % entries.length] ?? []].filter(isEntry)));
});

function isEntry(entry: readonly unknown[]): entry is [string, unknown] {
  return entry.length === 2;
}

const isNothing = (value: unknown) =>
  value === undefined || value === null || ['""', '{}', '[]'].includes(JSON.stringify(value));
const inside = (value: unknown, name: string): unknown =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && Object.hasOwn(value, name)
    ? (value as Body)[name]
    : undefined;
const isPayee = (value: unknown) => typeof value === 'string' && value.toLowerCase() === PAYEE;
/** A number, or its text: not the list with one of them in it. Numbers of any other value come as `oddly` too. */
const isAmount = (value: unknown) =>
  (typeof value === 'string' || typeof value === 'number') &&
  /^(0|[1-9]\d*)(\.\d{1,18}0*)?$/.test(String(value)) &&
  Number(value) <= 1 &&
  !/^1\..*[1-9]/.test(String(value));
const isOpen = (status: unknown) =>
  status === undefined || status === null || status === '' || status === 'VOTING';

/** What the policy means, said once more: all that may be approved. */
function mayBeApproved(body: Body): boolean {
  const { organisationId, expiresAt, amountOriginal, asset, metadata, transaction, details } = body;
  const data = inside(metadata, 'contractData');
  const second = inside(transaction, 'toAddress');
  return (
    body.__typename === 'TransactionRequest' &&
    (organisationId === undefined || organisationId === null || organisationId === ORGANISATION) &&
    isOpen(body.transactionRequestStatus) &&
    isOpen(inside(details, 'status')) &&
    expiresAt === END &&
    isAmount(amountOriginal) &&
    isPayee(body.receivingAddress) &&
    inside(asset, 'id') === ETHER &&
    (isNothing(data) || data === '0x') &&
    isNothing(inside(metadata, 'signerInputV1')) &&
    (isNothing(second) || isPayee(second))
  );
}

const nonces = fc.oneof(
  { weight: 4, arbitrary: fc.bigInt({ min: 0n, max: 2n ** 63n - 2n }).map(String) },
  { weight: 1, arbitrary: fc.constantFrom('9223372036854775807', '00', '01', '1.0', '0x1', '+1', '1,2', '') },
  { weight: 1, arbitrary: fc.string({ unit: 'grapheme-ascii', maxLength: 30 }).map((text) => text.trim()) },
);

let operations = 0;

test(`of whatever arrives only that is approved which the policy approves, and of that all (seed ${SEED})`, async () => {
  const { path, key } = deployment.signers[0] ?? { path: '' };
  if (key === undefined) throw new Error('no signer');
  const seen = new Map<string, number>();
  await fc.assert(
    fc.asyncProperty(changes, nonces, async (change, digits) => {
      operations += 1;
      const id = `op${operations.toString().padStart(22, '0')}`;
      const body = { ...legacyTransfer({ id, receivingAddress: PAYEE, expiresAt: END }), ...change };
      const reply = await ask(`${replica.http}${path}/transaction`, body, { 'vs-nonce': digits });
      const isNonce = /^(0|[1-9]\d*)$/.test(digits) && BigInt(digits) < 2n ** 63n - 1n;
      const vote = reply.status === 200 ? voteIn(reply, digits, key) : String(reply.status);
      seen.set(vote, (seen.get(vote) ?? 0) + 1);
      // 409: two of these had one nonce.
      expect(['approved', 'rejected', '400', '409', '503']).toContain(vote);
      if (vote === 'approved') expect(isNonce && mayBeApproved(body)).toBe(true);
      else if (vote !== '409') expect(isNonce && mayBeApproved(body)).toBe(false);
    }),
    { numRuns: runs(400), seed: SEED },
  );
  // One that approves nothing, or refuses nothing, has shown nothing.
  for (const vote of ['approved', 'rejected', '400', '503'])
    expect([vote, seen.get(vote) ?? 0]).not.toEqual([vote, 0]);
});
