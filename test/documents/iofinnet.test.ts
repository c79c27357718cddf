/** What docs/protocols/iofinnet.md shows is accepted as it stands. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { loadConfig } from '../../src/config/load.js';
import { compilePolicy } from '../../src/core/policy/compile.js';
import { testChains } from '../support/chains.js';
import { fieldsOfOneProtocol } from '../support/reference.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-iofinnet-page-'));
afterAll(() => rmSync(folder, { recursive: true }));

const page = readFileSync(join(import.meta.dirname, '../../docs/protocols/iofinnet.md'), 'utf8');
const blocks = [...page.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, text = '']) => text);

function block(word: string): string {
  const found = blocks.find((text) => text.includes(word));
  if (found === undefined) throw new Error(`no block has ${word}`);
  return found;
}

/** The page's Virtual Signer with its other sections, in a whole document; changed before it is loaded. */
function documentWith(
  change: (cosigner: Record<string, unknown>, document: Record<string, unknown>) => void,
): string {
  const { http, cosigners } = parse(
    block('trustedProxies')
      .replace(/^ {4}(cosigners:)/m, '$1')
      .replace('# …\n', ''),
  );
  const [cosigner] = cosigners;
  Object.assign(cosigner, parse(block('transferFields:')), parse(block('revision:')));
  const document = {
    http,
    ops: { port: 9090 },
    ledger: { kind: 'embedded', embedded: { file: 'x.db' } },
    workspaces: [{ name: 'main', policyFile: 'policy.yaml', cosigners: [cosigner] }],
    operators: [{ name: 'alice', publicKeyFile: 'alice.pub.pem' }],
  };
  change(cosigner, document);
  return stringify(document, { aliasDuplicateObjects: false });
}

function load(text: string) {
  const file = join(folder, 'config.yaml');
  writeFileSync(file, text);
  return loadConfig(file);
}

function problemOf(text: string): string {
  try {
    load(text);
    return 'no problem';
  } catch (error) {
    return (error as Error).message.replaceAll(`${folder}/`, '');
  }
}

test('the configuration of the page loads, with the defaults that it speaks of', () => {
  const config = load(documentWith(() => undefined));
  const [cosigner] = config.workspaces[0]?.cosigners ?? [];
  expect(cosigner).toMatchObject({ protocol: 'iofinnet', deadline: 2_500, amounts: 'decimal' });
});

test('the page speaks of every field that only Virtual Signers have', () => {
  const names = fieldsOfOneProtocol('iofinnet').map(
    (path) => path.split('.').at(-1)?.replace('[]', '') ?? '',
  );
  // Members of the sections that are shown as a whole.
  const unnamed = names.filter(
    (name) => !page.includes(name) && !['usd', 'contractData', 'rawTransaction'].includes(name),
  );
  expect(unnamed).toEqual([]);
});

test('the rules of the page are rules', () => {
  const lists = 'lists: { partner-addresses: [a], our-devices: [b], order-books: [c] }';
  const limits = "limits: { eth-per-vault: { sum: native, max: '1', window: { rolling: 1h } } }";
  const policy = compilePolicy(
    `version: 1\n${lists}\n${limits}\n${block('votes-for-partners')}`,
    'page',
    testChains,
  );
  expect(policy.rules).toHaveLength(3);
});

describe('what a person sees when the document is wrong', () => {
  const at = 'workspaces[0].cosigners[0]';
  test.each<[string, (cosigner: Record<string, unknown>, document: Record<string, unknown>) => void, string]>(
    [
      [
        'a short path',
        (c) => Object.assign(c, { path: '/iofinnet/4f2c8d1e' }),
        `${at}.path: must end with a segment that nobody can guess`,
      ],
      [
        'a path of one letter',
        (c) => Object.assign(c, { path: `/iofinnet/${'a'.repeat(40)}` }),
        `${at}.path: must end with a segment`,
      ],
      ['no network', (c) => Object.assign(c, { networks: [] }), `${at}.networks: Too small`],
      [
        'a network that is none',
        (c) => Object.assign(c, { networks: ['10.0.0.0/33'] }),
        `${at}.networks[0]: must be a network such as 10.1.0.0/16`,
      ],
      [
        'a key of another kind',
        (c) => Object.assign(c, { answerKey: { file: 'a.pem', algorithm: 'RS256' } }),
        `${at}.answerKey.algorithm`,
      ],
      [
        'certificates that nobody shows',
        (c) => Object.assign(c, { clientCertificates: ['0'.repeat(64)] }),
        `${at}.clientCertificates: needs http.tls.clientCaFile`,
      ],
      [
        'a place in a list',
        (c) => Object.assign(c, { transferFields: { asset: 'assets.0.id' } }),
        `${at}.transferFields.asset: must be names with dots between`,
      ],
      [
        'an unknown revision',
        (c) => Object.assign(c, { contract: { revision: 'R0', address: `0x${'0'.repeat(40)}` } }),
        `${at}.contract.revision`,
      ],
      [
        'a path that is used twice',
        (c, d) =>
          Object.assign(d, {
            workspaces: [{ name: 'main', policyFile: 'p', cosigners: [c, { ...c, name: 'other' }] }],
          }),
        'workspaces[0].cosigners[1].path: another co-signer has this path',
      ],
    ],
  )('%s', (_, change, message) => {
    expect(problemOf(documentWith(change))).toContain(message);
  });
});
