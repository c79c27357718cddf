import { generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { compactVerify } from 'jose';
import { Transaction as IndependentTransaction } from 'micro-eth-signer';
import { etherTransfer } from '../../../src/simulator/invention.js';
import { Random } from '../../../src/simulator/random.js';
import { signToken } from '../../../src/simulator/token.js';
import { approvalPayload, signingPayload, unsignedBytes } from '../../../src/simulator/transaction.js';
import { DOCUMENTED } from '../../support/documented-example.js';

describe('a simulated transaction', () => {
  it('has the bytes, the digest and the fee of the documentation example', () => {
    const payload = JSON.parse(signingPayload(DOCUMENTED, undefined));
    expect(payload.fee).toBe('0.000597803762241000');
    expect(payload.rawTx).toEqual([
      {
        keyDerivationPath: '[ 44, 60, 0, 0, 0 ]',
        rawTx:
          '02ef0104843b9aca008506a0c1987d825208945dc69b1fbb13bafd09af88a782f0f285772ad5f8872386f26fc1000080c0',
        payload: '77b4e74099ce90c08503c0e0bb6e672dbe1c5e3e127ce333bf22eb581cd3f6ce',
      },
    ]);
  });

  it('writes amounts the way the vendor does: eight decimals as numbers, all of them as text', () => {
    const text = signingPayload(DOCUMENTED, 'signer-1');
    expect(text).toContain('"amount":0.01000000,"amountStr":"0.010000000000000000"');
    expect(text).toContain('"requestedAmountStr":"0.01"');
    expect(text).toContain('"amountNative":0.01000000,"amountNativeStr":"0.01","amountUSD":18.74292937,');
    expect(text).toContain('"signerId":"signer-1"');
  });

  const vectors = process.env.COUNTERSIGN_VECTORS;
  (vectors === undefined ? it.skip : it)('is the published example, field by field', () => {
    const file = join(vectors ?? '', 'fireblocks/basic-example.request.payload.json');
    const published = JSON.parse(readFileSync(file, 'utf8'));
    for (const destination of published.destinations) {
      delete destination.actionInfo;
      delete destination.dstWalletId;
    }
    expect(JSON.parse(signingPayload(DOCUMENTED, undefined))).toEqual(published);
  });

  it('says nothing at the approval stage that only the signing stage knows', () => {
    const payload = JSON.parse(approvalPayload(DOCUMENTED, 'approver'));
    expect(payload).not.toHaveProperty('fee');
    expect(payload).not.toHaveProperty('rawTx');
    expect(payload.destinations[0]).not.toHaveProperty('displayDstAddress');
  });

  it('claims exactly what its bytes do, by another library', () => {
    const types = new Set<string>();
    for (let index = 0; index < 200; index += 1) {
      const transfer = etherTransfer(new Random('bytes', String(index)));
      const { raw, type } = IndependentTransaction.fromHex(unsignedBytes(transfer));
      const maxFee = 'maxFeePerGas' in raw ? raw.maxFeePerGas : raw.gasPrice;
      const payload = JSON.parse(signingPayload(transfer, undefined));
      types.add(type);
      expect(raw.to.toLowerCase()).toBe(payload.destAddress.toLowerCase());
      expect(raw.value).toBe(BigInt(payload.amountStr.replace('.', '')));
      expect(raw.chainId).toBe(1n);
      expect(raw.gasLimit * maxFee).toBe(BigInt(payload.fee.replace('.', '')));
      expect(payload.rawTx[0].keyDerivationPath).toBe(`[ 44, 60, ${payload.sourceId}, 0, 0 ]`);
    }
    expect([...types].sort()).toEqual(['eip1559', 'legacy']);
  });

  it('is signed so that another library verifies it', async () => {
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const token = await signToken(signingPayload(DOCUMENTED, 's'), privateKey);
    const { protectedHeader, payload } = await compactVerify(token, publicKey, { algorithms: ['RS256'] });
    expect(protectedHeader).toEqual({ alg: 'RS256', typ: 'JWT' });
    expect(Buffer.from(payload).toString()).toBe(signingPayload(DOCUMENTED, 's'));
  });
});
