/** Keys that anybody can read in vendors' documentation are refused wherever a configuration names them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { freePorts } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { approving, EMBEDDED, writeDeployment } from '../support/deployment.js';
import { DOCUMENTED_PUBLIC_KEY } from '../support/documented-example.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-published-'));
const { configFile } = writeDeployment(dir, { ledger: EMBEDDED, policy: approving() });
const file = join(dir, 'keys/own-cosigner.pub.pem');
writeFileSync(file, DOCUMENTED_PUBLIC_KEY);

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
