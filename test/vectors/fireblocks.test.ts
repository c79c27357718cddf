/**
 * The vendor's own examples, from the folder named by COUNTERSIGN_VECTORS; without it, messages of the same form that
 * this file signs itself. The documentation's key is trusted here and nowhere else: the loaders refuse it.
 */
import { createHash, createPublicKey, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { payloadOf, rsaPair, token, verifies } from '../support/cosigner.js';
import { handler, signingClaims } from '../support/fireblocks-handler.js';

const folder = process.env.COUNTERSIGN_VECTORS;

function vector(name: string): string {
  return readFileSync(join(folder ?? '', 'fireblocks', name), 'utf8');
}

const signer = rsaPair();

interface Example {
  readonly key: KeyObject;
  readonly request: string;
  readonly response: string;
  /** The same kind of request with a signature that is none. */
  readonly obfuscated: string;
}

function published(): Example {
  return {
    key: createPublicKey(vector('published-doc-key.public.pem')),
    request: vector('basic-example.request.jwt'),
    response: vector('basic-example.response.jwt'),
    obfuscated: vector('eth-validate.obfuscated-signature.request.jwt'),
  };
}

function selfMade(): Example {
  const request = token(signingClaims({ signerId: undefined }), signer.privateKey);
  const [header, payload] = request.split('.');
  const response = token({ action: 'REJECT', requestId: 'r', iat: 1720472594 }, signer.privateKey);
  return { key: signer.publicKey, request, response, obfuscated: `${header}.${payload}.${'0'.repeat(47)}` };
}

const example = folder === undefined ? selfMade() : published();
const { receive } = handler({ publicKey: example.key, privateKey: signer.privateKey });

describe('the documentation example', () => {
  test('is verified with the key it names, and says what its payload says', async () => {
    const claims = JSON.parse(payloadOf(example.request));
    const [destination] = claims.destinations;
    const { actionInfo } = destination;
    expect(await receive(example.request)).toEqual({
      kind: 'request',
      key: expect.stringMatching(/^[0-9a-f]{64}$/),
      request: {
        kind: 'transaction',
        protocol: 'fireblocks',
        workspace: 'main',
        cosigner: 'cosigner-a',
        signer: undefined,
        stage: 'signing',
        txId: claims.txId,
        requestId: claims.requestId,
        intent: {
          operation: 'TRANSFER',
          asset: 'ETH',
          source: { type: 'VAULT', id: claims.sourceId },
          destinations: [
            {
              type: 'VAULT',
              id: destination.dstId,
              name: destination.dstName,
              address: destination.displayDstAddress,
              otherAddresses: [],
              addressType: 'WHITELISTED',
              amount: destination.amountNativeStr,
              usd: String(destination.amountUSD),
            },
          ],
          destinationAddress: claims.destAddress,
          amount: claims.amountStr,
          requestedAmount: claims.requestedAmountStr,
          fee: claims.fee,
        },
        rawTransactions: claims.rawTx.map((raw: Record<string, string>) => ({
          keyDerivationPath: raw.keyDerivationPath,
          bytes: raw.rawTx,
          digest: raw.payload,
        })),
        ...(actionInfo && {
          vendorRules: {
            snapshot: String(actionInfo.rulesSnapshotId),
            rule: String(actionInfo.capturedRuleNum),
            ruleSha256: createHash('sha256').update(actionInfo.capturedRule).digest('hex').slice(0, 16),
          },
        }),
      },
    });
  });

  test('is answered with a token of the form our answers have', () => {
    expect(verifies(example.response, example.key)).toBe(true);
    expect(Object.keys(JSON.parse(payloadOf(example.response)))).toEqual(
      expect.arrayContaining(['action', 'requestId']),
    );
  });

  test('with an obfuscated signature is answered 401', async () => {
    expect(await receive(example.obfuscated)).toMatchObject({ kind: 'refused', status: 401 });
  });
});

// These are published as payloads only.
const payloads = [
  'basic-example.request.payload.json',
  'btc-legacy.request.payload.json',
  'btc-segwit.request.payload.json',
  'eth-validate.request.payload.raw.json',
];

describe.each(
  folder === undefined
    ? [['self-made', JSON.stringify(signingClaims())]]
    : payloads.map((name) => [name, vector(name)]),
)('the payload %s', (_, text = '') => {
  test('is a request for a signature, with every entry as it stands', async () => {
    const claims = JSON.parse(text);
    const request = await handler(signer).transaction(text);
    expect(request).toMatchObject({ stage: 'signing', txId: claims.txId });
    expect(request).not.toHaveProperty('doubt');
    expect(request.rawTransactions.map(({ bytes }) => bytes)).toEqual(
      claims.rawTx.map(({ rawTx }: { rawTx: string }) => rawTx),
    );
    expect(request.intent.destinations.map(({ type }) => type)).toEqual(
      claims.destinations.map(({ dstType }: { dstType: string }) =>
        dstType === 'ONE_TIME_ADDRESS' ? 'ONE_TIME' : dstType,
      ),
    );
  });
});
