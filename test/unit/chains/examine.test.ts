import { describe, expect, test } from '@jest/globals';
import { createChains } from '../../../src/chains/index.js';
import { verificationSchema } from '../../../src/core/policy/verification.js';
import type { TransactionRequest } from '../../../src/core/request.js';
import { type Examination, examine } from '../../../src/core/verify.js';
import { signingRequest, VENDOR_ADDRESS, vendorRaw } from '../../support/signing-requests.js';

const chains = createChains();
const settings = verificationSchema.parse(undefined);

function examined(request: TransactionRequest): Promise<Examination> {
  return examine(request, chains, settings, new AbortController().signal);
}

function reasonOf(examination: Examination): string {
  return examination.kind === 'refused' ? examination.reason : examination.kind;
}

describe("the vendor's published example", () => {
  test('agrees with its bytes, and the effects say what they do', async () => {
    const examination = await examined(signingRequest());
    expect(examination).toMatchObject({
      kind: 'agrees',
      effects: {
        chain: 'eip155:1',
        movements: [{ asset: 'ETH', to: VENDOR_ADDRESS.toLowerCase(), amount: 10_000_000_000_000_000n }],
        calls: [],
        maxFee: 597_803_762_241_000n,
      },
    });
  });
});

describe('the steps that no chain owns', () => {
  test.each([
    ['an asset nobody knows', signingRequest({ asset: 'NOPE' }), 'ASSET_UNKNOWN'],
    ['an asset named like a member of every object', signingRequest({ asset: '__proto__' }), 'ASSET_UNKNOWN'],
    ['RAW', signingRequest({ operation: 'RAW' }), 'RAW_REFUSED'],
    ['RAW without bytes', signingRequest({ operation: 'RAW' }, []), 'RAW_REFUSED'],
    ['an operation nobody verifies', signingRequest({ operation: 'STAKE' }), 'OPERATION_REFUSED'],
    ['no bytes', signingRequest({}, []), 'absent'],
    ['a chain without decoder', signingRequest({ asset: 'DOGE' }), 'CHAIN_UNSUPPORTED'],
    ['two entries', signingRequest({}, [vendorRaw, vendorRaw]), 'RAWTX_COUNT'],
  ])('%s', async (_, request, expected) => {
    expect(reasonOf(await examined(request))).toBe(expected);
  });

  test('an operation without bytes to verify may still be voted for at the approval stage', async () => {
    const request = { ...signingRequest({ operation: 'STAKE' }, []), stage: 'approval' as const };
    expect(reasonOf(await examined(request))).toBe('absent');
  });

  test('a chain without decoder is left to the rules where the document says so', async () => {
    const lenient = verificationSchema.parse({ assets: { DOGE: { unsupported: 'skip' } } });
    const request = signingRequest({ asset: 'DOGE' });
    const examination = await examine(request, chains, lenient, new AbortController().signal);
    expect(examination.kind).toBe('skipped');
  });
});
