/** Who activated a policy is said only of whoever signed that this very document be activated on this very ledger. */
import { createHash, generateKeyPairSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { activatedBy, journalTable } from '../../../src/cli/ledger-journal.js';
import type { JournalEvent } from '../../../src/core/ports.js';
import { type Statement, signStatement } from '../../../src/keys/statements.js';

const alice = generateKeyPairSync('ed25519');
const stranger = generateKeyPairSync('ed25519');
const DOCUMENT = 'version: 1\n';
const OTHER = 'version: 1\nlimits: {}\n';
const HERE = { ledger: 'the-ledger', workspace: 'main', issuedAt: '2026-03-01T08:00:00.000Z' };
const SIGNING = {
  operators: [{ name: 'alice', publicKey: alice.publicKey }],
  workspace: 'main',
  identity: 'the-ledger',
};

const versionOf = (document: string) => createHash('sha256').update(document).digest('hex');
const activation = (change: object = {}): Statement =>
  ({
    statement: 'policy-activate',
    ...HERE,
    version: versionOf(DOCUMENT),
    previous: null,
    ...change,
  }) as Statement;

async function shown(body: JournalEvent['body']): Promise<string> {
  const event: JournalEvent = { sequence: 2, atMs: 0, type: 'policy', body };
  const [, row = ''] = journalTable([event], await activatedBy([event], SIGNING)).split('\n');
  return row.slice(row.indexOf(versionOf(DOCUMENT).slice(0, 12)) + 13);
}

const policy = async (statement: Statement, key = alice.privateKey, document = DOCUMENT) => ({
  version: versionOf(DOCUMENT),
  document,
  instances: {},
  statement: await signStatement(key, statement),
});

test('the operator who signed it is named', async () => {
  expect(await shown(await policy(activation()))).toBe('signed by alice');
});

test.each<readonly [string, () => Promise<JournalEvent['body']>]>([
  ['a stranger signed', () => policy(activation(), stranger.privateKey)],
  ['the statement is for another ledger', () => policy(activation({ ledger: 'elsewhere' }))],
  ['the statement is for another workspace', () => policy(activation({ workspace: 'other' }))],
  ['the statement is about another document', () => policy(activation({ version: versionOf(OTHER) }))],
  ['the document is another one', () => policy(activation(), alice.privateKey, OTHER)],
  [
    'the statement is about something else',
    () => policy({ statement: 'unfreeze', ...HERE, freeze: 'f1', sequence: 1 }),
  ],
  ['there is no statement', async () => ({ version: versionOf(DOCUMENT), document: DOCUMENT })],
  ['there is no document', async () => ({ ...(await policy(activation())), document: undefined })],
])('nobody is named when %s', async (_, body) => {
  expect(await shown(await body())).toBe('signed by NOBODY that the configuration names');
});

test('where nobody was asked who signed it, nothing is said', async () => {
  const body = await policy(activation());
  const [, row] = journalTable([{ sequence: 2, atMs: 0, type: 'policy', body }]).split('\n');
  expect(row).toMatch(/[0-9a-f]{12}$/);
});
