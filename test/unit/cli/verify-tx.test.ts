import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, jest, test } from '@jest/globals';
import { verifyTxCommand } from '../../../src/cli/verify-tx.js';
import { VENDOR_ADDRESS, VENDOR_BYTES, VENDOR_DIGEST } from '../../support/signing-requests.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-verify-'));
afterAll(() => rmSync(folder, { recursive: true }));
afterEach(() => {
  process.exitCode = undefined;
});

const payload = {
  txId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
  requestId: '9c794cee-7e27-46c9-9e9a-ed68295ff06b',
  operation: 'TRANSFER',
  asset: 'ETH',
  sourceType: 'VAULT',
  sourceId: '0',
  amountStr: '0.010000000000000000',
  requestedAmountStr: '0.01',
  fee: '0.000597803762241000',
  destAddress: VENDOR_ADDRESS,
  destinations: [{ amountNativeStr: '0.01', displayDstAddress: VENDOR_ADDRESS, dstName: 'Deposits' }],
  rawTx: [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', rawTx: VENDOR_BYTES, payload: VENDOR_DIGEST }],
};
const spoiled = {
  ...payload,
  amountStr: '0.02',
  destinations: [{ amountNativeStr: '0.02', displayDstAddress: VENDOR_ADDRESS }],
  requestedAmountStr: '0.02',
};

async function run(value: unknown, ...options: readonly string[]) {
  const file = join(folder, 'payload.json');
  writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
  let out = '';
  const write = jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    out += text;
    return true;
  });
  try {
    const args = options.includes('--cases') ? [...options, file] : [file, ...options];
    await verifyTxCommand().parseAsync(args, { from: 'user' });
  } finally {
    write.mockRestore();
  }
  return { out, exitCode: process.exitCode };
}

describe('countersign verify-tx', () => {
  test('prints what the bytes do and every check', async () => {
    const { out, exitCode } = await run(payload);
    expect(out).toContain(`pays       0.01 ETH to ${VENDOR_ADDRESS.toLowerCase()}`);
    expect(out).toContain('✓ the digest is the hash of the bytes');
    expect(out).toContain('– the nonce is an expected one');
    expect(out).not.toMatch(/[✗·] /);
    expect(exitCode).toBeUndefined();
  });

  test('shows the bytes and the failed check when they are refused', async () => {
    const { out, exitCode } = await run(spoiled);
    expect(out).toMatch(/value\s+10000000000000000/);
    expect(out).toContain('✗ the amount is the claimed one');
    expect(out).toContain('refused VALUE_MISMATCH');
    expect(exitCode).toBe(1);
  });

  test('reads the token that carried the request', async () => {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    expect((await run(`${part({ alg: 'RS256' })}.${part(payload)}.c2ln\n`)).out).toContain('agrees OK');
  });

  test('prints the same as data', async () => {
    expect(JSON.parse((await run(spoiled, '--json')).out)).toMatchObject({
      verdict: 'refused',
      code: 'VALUE_MISMATCH',
    });
  });

  test('explains reason codes', async () => {
    expect((await run(payload, '--explain')).out).toContain(
      'NON_CANONICAL            the bytes are not the canonical encoding',
    );
  });

  test('says where missing bytes come from', async () => {
    const { out, exitCode } = await run({ ...payload, rawTx: undefined });
    expect(out).toContain('✗ the request carries bytes');
    expect(out).toContain('EU cloud');
    expect(exitCode).toBe(1);
  });

  test('lets no control character of a request reach the terminal', async () => {
    const { out } = await run({ ...spoiled, operation: 'TRANSFER\u001b[31m' });
    expect(out).not.toContain('\u001b');
  });

  test('refuses a payload that two readers could read in two ways', async () => {
    const twice = JSON.stringify(payload).replace('"asset"', '"asset":"BTC","asset"');
    expect((await run(twice)).out).toContain('refused PAYLOAD_MALFORMED');
    expect((await run('{')).out).toContain('refused PAYLOAD_MALFORMED');
  });

  test('names a file that is missing', async () => {
    await expect(
      verifyTxCommand().parseAsync([join(folder, 'nowhere.json')], { from: 'user' }),
    ).rejects.toThrow(/nowhere\.json/);
  });
});

describe('countersign verify-tx --cases', () => {
  const expected = { action: 'APPROVE', code: 'OK' };

  test('judges each step and ends well when all are as expected', async () => {
    const { out, exitCode } = await run(
      { cases: [{ id: 'A', title: 'good', payload, expected }] },
      '--cases',
    );
    expect(out).toContain('1 judged: 1 as expected');
    expect(exitCode).toBeUndefined();
  });

  test('prints each mismatch with what was expected and what came, and fails', async () => {
    const { out, exitCode } = await run(
      { cases: [{ id: 'B', title: 'bad', payload: spoiled, expected }] },
      '--cases',
    );
    expect(out).toContain('MISMATCH B bad: expected APPROVE OK, got REJECT VALUE_MISMATCH');
    expect(exitCode).toBe(1);
  });

  test("takes the case's own policy and evidence", async () => {
    const cases = [
      {
        id: 'C',
        payload,
        context: { expectedNonce: 5 },
        expected: { action: 'REJECT', code: 'NONCE_MISMATCH' },
      },
      {
        id: 'D',
        payload,
        config: { evm: { maxFeeWei: { default: '1' } } },
        expected: { action: 'REJECT', code: 'FEE_CEILING' },
      },
      {
        id: 'E',
        payload: { ...payload, rawTx: [] },
        config: { requireRawTx: false },
        expected: { action: 'APPROVE', code: 'RAWTX_NOT_PRESENT' },
      },
      {
        id: 'F',
        payload: { ...payload, asset: 'DOGE' },
        config: { btc: { unsupported: 'SKIP' } },
        expected: { action: 'APPROVE', code: 'RAWTX_NOT_CHECKED' },
      },
    ];
    const { out } = await run(
      { policyDefaults: { requireRawTx: true, evm: { maxFeeWei: { default: '50000000000000000' } } }, cases },
      '--cases',
    );
    expect(out).toContain('4 judged: 4 as expected, 0 not, 0 with another reason code');
  });
});
