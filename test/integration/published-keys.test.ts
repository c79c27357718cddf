/** Keys that anybody can read in vendors' documentation are refused wherever a configuration names them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { freePorts } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { approving, EMBEDDED, writeDeployment } from '../support/deployment.js';

/** The public half of the key of the Fireblocks documentation (developers.fireblocks.com/reference/basic-code-example). */
const PUBLISHED = `-----BEGIN PUBLIC KEY-----
MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAybYBhz5W1eSgdcsz7JcW
JxYmHqIFF9MOq3fRHvswJY0NprBD+OTQmh8D1+n7LpEJ8PsO4Zb6+dmlUbyiShZl
5zTE0hHfb9+fNOd4CQs8lXfYShZ1Tv9OLsBUyMF19dVT3fF1mcurnvJnhKs7RnyS
b7w7R525iVBYH+PAwb9OIVMw5u8ktgibDtFEfdVkEcJUw5DFLOG9oyeADaCxWh5c
PhwJCkB/juIPlhH6vhkFp8auey+VPdEx+P/rxC8ueIDonKI8MOrf606481kY8ycX
xOlHt026X+7X1TK5QrA/qt/efKvpuWujvypsMnzKOj/8lLeultSoSuFpoL+mBmPC
ewIDAQAB
-----END PUBLIC KEY-----
`;

const dir = mkdtempSync(join(tmpdir(), 'countersign-published-'));
const { configFile } = writeDeployment(dir, { ledger: EMBEDDED, policy: approving() });
const file = join(dir, 'keys/own-cosigner.pub.pem');
writeFileSync(file, PUBLISHED);

afterAll(() => rmSync(dir, { recursive: true, force: true }));

const refusal = {
  code: 2,
  stdout: '',
  stderr: `countersign: key file ${file}: its private half is published in the Fireblocks documentation, so anybody can sign with it; generate another\n`,
};

describe('a co-signer key that is published', () => {
  test('is refused by serve', async () => {
    expect(await outcomeOf(['serve', '--config', configFile])).toEqual(refusal);
  });

  test('is refused by up, before anything is started', async () => {
    const port = await freePorts(3);
    const ports = ['--http-port', `${port}`, '--ops-port', `${port + 1}`];
    const up = ['up', '--dir', join(dir, 'up'), '--config', configFile, ...ports];
    expect(await outcomeOf(up)).toEqual(refusal);
  });
});
