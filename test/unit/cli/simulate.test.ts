import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { simulateCommand } from '../../../src/cli/simulate.js';

let dir = '';
const keys = generateKeyPairSync('rsa', { modulusLength: 2048 });
const curve = generateKeyPairSync('ec', { namedCurve: 'P-256' });

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersign-simulate-'));
  writeFileSync(join(dir, 'cosigner.pem'), keys.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(dir, 'curve.pem'), curve.privateKey.export({ type: 'pkcs8', format: 'pem' }));
  writeFileSync(join(dir, 'answer.pub.pem'), keys.publicKey.export({ type: 'spki', format: 'pem' }));
  writeFileSync(join(dir, 'text.pem'), 'no key');
});

afterAll(() => rmSync(dir, { recursive: true }));

/** What a person would see, with the folder of this test taken out. */
async function complaintOf(args: readonly string[]): Promise<string> {
  const command = simulateCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  const inDir = args.map((argument) => argument.replace('DIR', dir));
  try {
    await command.parseAsync(inDir, { from: 'user' });
  } catch (error) {
    return (error as Error).message.replaceAll(dir, 'DIR');
  }
  throw new Error('nothing was wrong');
}

describe('a command line that is wrong', () => {
  const cases: readonly (readonly [string, string])[] = [
    [
      '--scenario happy,sad',
      "error: option '--scenario <names>' argument 'happy,sad' is invalid. There is no scenario \"sad\"; there are happy, duplicate, conflict, approval-then-signing, config-change, slow, bad-signature, garbage, plain-garbage, burst, vote, vote-by-all, vote-conflict, nonce-reuse, never-approved, expired, muddle, contract.",
    ],
    [
      '--requests 0',
      "error: option '--requests <n>' argument '0' is invalid. It must be a whole number from 1 to 10000000.",
    ],
    [
      '--rate -1',
      "error: option '--rate <per second>' argument '-1' is invalid. It must be a number above 0, at most 100000.",
    ],
    [
      '--patience 1e3',
      "error: option '--patience <seconds>' argument '1e3' is invalid. It must be a number of seconds from 0 to 3600.",
    ],
    ['--key DIR/cosigner.pem', '--key, --signer and --answer-key belong to --url'],
    ['--url nowhere', '--url nowhere is not a URL'],
    ['--url http://127.0.0.1:1', '--url needs --key, --signer and --answer-key beside it'],
    [
      '--url http://127.0.0.1:1 --key DIR/cosigner.pem --signer a=sometimes --answer-key DIR/answer.pub.pem',
      '--signer a=sometimes is not of the form ID or ID=approval,signing',
    ],
    [
      '--url http://127.0.0.1:1 --key DIR/text.pem --signer a --answer-key DIR/answer.pub.pem',
      'DIR/text.pem holds no private key in PEM form',
    ],
    [
      '--url http://127.0.0.1:1 --key DIR/curve.pem --signer a --answer-key DIR/answer.pub.pem',
      'DIR/curve.pem is no RSA key: co-signers sign with RS256',
    ],
    [
      '--url http://127.0.0.1:1 --key DIR/cosigner.pem --signer a --answer-key DIR/text.pem',
      'DIR/text.pem holds no public key in PEM form',
    ],
    [
      '--url http://127.0.0.1:1 --key DIR/cosigner.pem --signer a --answer-key DIR/answer.pub.pem --scenario config-change',
      'no signer of these co-signers serves the stages these scenarios need',
    ],
    [
      '--dir DIR/nothing',
      "DIR/nothing/up.json cannot be read (Error: ENOENT: no such file or directory, open 'DIR/nothing/up.json'); start a cluster first: countersign up",
    ],
  ];
  it.each(cases)('%s', async (args, complaint) => {
    // Errors of other realms print their name too; a person sees the message alone.
    const unnamed = (text: string) => text.replace('(Error: ', '(');
    expect(unnamed(await complaintOf(args.split(' ')))).toBe(unnamed(complaint));
  });
});

describe('an up.json that is wrong', () => {
  const cosigner = (changes: object) => ({
    cosigners: [
      {
        name: 'a',
        protocol: 'fireblocks',
        url: 'http://127.0.0.1:1',
        privateKeyFile: 'cosigner.pem',
        signerIds: ['s'],
        ...changes,
      },
    ],
    answerPublicKeyFile: 'answer.pub.pem',
  });
  const cases: readonly (readonly [string, string, string])[] = [
    ['half written', '{"cosigners": [', 'DIR/up.json is not JSON'],
    [
      'without co-signers',
      '{"answerPublicKeyFile": "x"}',
      'DIR/up.json: cosigners: Invalid input: expected array, received undefined',
    ],
    [
      'with a broken URL',
      JSON.stringify(cosigner({ url: 'here' })),
      'DIR/up.json: cosigners.0.url: Invalid URL',
    ],
    [
      'of a cluster that keeps no private keys',
      JSON.stringify(cosigner({ privateKeyFile: null })),
      'DIR/up.json names no co-signer that speaks the fireblocks protocol with its private key, or no key that answers verify with; name them with --url, --key, --signer and --answer-key',
    ],
  ];
  it.each(cases)('%s', async (_name, text, complaint) => {
    writeFileSync(join(dir, 'up.json'), text);
    expect(await complaintOf(['--dir', dir])).toBe(complaint);
  });
});
