/** Whose word stands behind what loosened the cluster, also where an auditor has a part of the chain only. */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from '@jest/globals';
import { BEGINNING, eventLine, hashOf } from '../../../src/audit/line.js';
import { StatementCheck } from '../../../src/cli/audit-statements.js';
import type { JournalEvent } from '../../../src/core/ports.js';
import { type Statement, signStatement } from '../../../src/keys/statements.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-statements-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const CHAIN = { ledger: 'the-ledger', workspace: 'main' };
const OF = { ...CHAIN, issuedAt: '2026-03-01T08:00:00.000Z' };
const [alice, bob] = ['alice', 'bob'].map((name) => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const file = join(dir, `${name}.pub.pem`);
  writeFileSync(file, publicKey.export({ type: 'spki', format: 'pem' }));
  return { privateKey, given: `${name}=${file}` };
}) as [Person, Person];

interface Person {
  readonly privateKey: Parameters<typeof signStatement>[0];
  readonly given: string;
}

const sign = (person: Person, statement: Statement) => signStatement(person.privateKey, statement);
const lifting = (person: Person, sequence = 3) =>
  sign(person, { statement: 'unfreeze', ...OF, freeze: 'f1', sequence });
const released = (person: Person, transaction = 'tx-1') =>
  sign(person, { statement: 'release', ...OF, transaction, reason: 'cancelled' });

function checkOf(events: readonly Pick<JournalEvent, 'sequence' | 'type' | 'body'>[], before?: string) {
  const check = new StatementCheck(before);
  for (const event of events) {
    const line = eventLine({ ...event, atMs: 0 }, BEGINNING.hash);
    const { sequence, type } = event;
    check.watch({
      event: { sequence, type, at: '', previous: BEGINNING.hash } as never,
      position: { sequence, hash: hashOf(line), count: 1 },
      bytes: Buffer.from(line),
      chain: CHAIN as never,
    });
  }
  return (isPartial: boolean, people: readonly Person[] = [alice, bob]) =>
    check.verify(
      people.map(({ given }) => given),
      isPartial,
    );
}

test('a freeze that was made before a part of the chain is lifted by the statements alone', async () => {
  const unfreeze = {
    sequence: 9,
    type: 'unfreeze' as const,
    body: { id: 'f1', statements: [await lifting(alice)] },
  };
  const check = checkOf([unfreeze]);
  expect(await check(true)).toEqual([{ sequence: 9, what: 'lifting of freeze f1', operators: ['alice'] }]);
  await expect(check(false)).rejects.toThrow(
    'event 9, lifting of freeze f1: nothing was frozen before it under this id',
  );
  await expect(checkOf([unfreeze], 'unfreeze: two-person')(true)).rejects.toThrow(
    'it has the word of 1 operators, and the policy demanded 2',
  );
  const later = { ...unfreeze, body: { id: 'f1', statements: [await lifting(alice, 9)] } };
  await expect(checkOf([later])(true)).rejects.toThrow('nothing was frozen before it under this id');
});

test('charges were given back by an operator’s word about this transaction, or by a report', async () => {
  const release = (statement: string, moneyKey = 'fireblocks:tx-1') => ({
    sequence: 5,
    type: 'release' as const,
    body: { moneyKey, reason: 'cancelled', authority: { kind: 'operator', statement }, given: [] },
  });
  const word = await released(bob);
  expect(await checkOf([release(word)])(false)).toEqual([
    { sequence: 5, what: 'release of transaction tx-1', operators: ['bob'] },
  ]);
  await expect(checkOf([release(word, 'fireblocks:tx-2')])(false)).rejects.toThrow(
    'event 5, release of transaction tx-2: its statement is about something else',
  );
  await expect(checkOf([release(word)])(false, [alice])).rejects.toThrow('no configured operator signed it');
  const reported = {
    ...release(''),
    body: { moneyKey: 'fireblocks:tx-1', reason: 'cancelled', authority: { kind: 'report', sequence: 4 } },
  };
  expect(await checkOf([reported])(false)).toEqual([]);
});
