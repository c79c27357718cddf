import { createHash, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { describe, expect, test } from '@jest/globals';
import { CompactSign } from 'jose';
import type { ActivePolicy } from '../../../src/core/ports.js';
import {
  authenticateActivation,
  liftersOf,
  type Operator,
  operatorOf,
  type Statement,
  signStatement,
  verifyStatement,
} from '../../../src/keys/statements.js';
import { hs256, rsaPair } from '../../support/cosigner.js';
import { rejectionOf } from '../../support/errors.js';

const alice = generateKeyPairSync('ed25519');
const bob = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const carol = rsaPair();
const stranger = generateKeyPairSync('ed25519');

const operators: readonly Operator[] = [
  { name: 'alice', publicKey: alice.publicKey },
  { name: 'bob', publicKey: bob.publicKey },
  { name: 'carol', publicKey: carol.publicKey },
];

const document = 'version: 1\n';
const version = createHash('sha256').update(document).digest('hex');
const statement = {
  statement: 'policy-activate',
  ledger: 'ledger-1',
  workspace: 'main',
  version,
  previous: null,
  issuedAt: '2026-11-20T12:00:00.000Z',
} satisfies Statement;

const HEADER = { alg: 'EdDSA', typ: 'countersign-statement+jws' };

function written(payload: string, header = HEADER, key: KeyObject = alice.privateKey): Promise<string> {
  return new CompactSign(Buffer.from(payload)).setProtectedHeader(header).sign(key);
}

describe('a signed statement', () => {
  test.each([
    ['alice', alice.privateKey],
    ['bob', bob.privateKey],
    ['carol', carol.privateKey],
  ])('is known to be of %s', async (operator, key) => {
    const jws = await signStatement(key, statement);
    expect(await verifyStatement(operators, jws)).toMatchObject({ operator, statement });
  });

  test('that no signature of a transaction can exist names the transaction, and what became of it', async () => {
    const release = {
      statement: 'release',
      ledger: 'ledger-1',
      workspace: 'main',
      transaction: 'tx-1',
      reason: 'cancelled',
      issuedAt: '2026-11-20T12:00:00.000Z',
    } satisfies Statement;
    const jws = await signStatement(alice.privateKey, release);
    expect(await verifyStatement(operators, jws)).toMatchObject({ operator: 'alice', statement: release });
    for (const other of [{ reason: 'dropped' }, { reason: undefined }, { transaction: '' }]) {
      const text = await written(JSON.stringify({ ...release, ...other }));
      expect(await rejectionOf(verifyStatement(operators, text))).toMatchObject({
        code: 'STATEMENT_INVALID',
      });
    }
  });

  test('that the old primary is stopped says nothing else, and names one history and one event', async () => {
    const activation = {
      statement: 'ledger-activate',
      ledger: 'ledger-1',
      workspace: 'main',
      history: 'a'.repeat(40),
      sequence: 8,
      oldPrimary: 'stopped',
      issuedAt: statement.issuedAt,
    } satisfies Statement;
    const jws = await signStatement(bob.privateKey, activation);
    expect(await verifyStatement(operators, jws)).toMatchObject({ operator: 'bob', statement: activation });
    for (const wrong of [{ oldPrimary: 'running' }, { sequence: 0 }, { history: '' }, { more: 1 }]) {
      const said = written(JSON.stringify({ ...activation, ...wrong }));
      expect(await rejectionOf(verifyStatement(operators, await said))).toMatchObject({
        code: 'STATEMENT_INVALID',
      });
    }
  });

  const NOBODY = 'no configured operator signed it';
  const UNCLEAR = 'it says nothing this version understands';
  const text = JSON.stringify(statement);
  test.each<readonly [string, string | Promise<string>, string]>([
    ['of a stranger', signStatement(stranger.privateKey, statement), NOBODY],
    ['that is none', 'hello', NOBODY],
    ['of another token type', written(text, { ...HEADER, typ: 'JWT' }), NOBODY],
    ['of no token type', written(text, { alg: 'EdDSA' } as typeof HEADER), NOBODY],
    [
      'with an HMAC of a public key',
      hs256(
        JSON.stringify({ ...HEADER, alg: 'HS256' }),
        text,
        carol.publicKey.export({ type: 'spki', format: 'pem' }),
      ),
      NOBODY,
    ],
    [
      'without a signature',
      `${Buffer.from(JSON.stringify({ ...HEADER, alg: 'none' })).toString('base64url')}.e30.`,
      NOBODY,
    ],
    ['that is too long', 'x'.repeat(20_000), 'it is too long'],
    ['that is no JSON', written('policy-activate'), 'it is not JSON'],
    ['about something unknown', written(JSON.stringify({ ...statement, statement: 'mint' })), UNCLEAR],
    ['with another member', written(JSON.stringify({ ...statement, also: 'this' })), UNCLEAR],
    ['with a member missing', written(JSON.stringify({ ...statement, ledger: undefined })), UNCLEAR],
    ['with a version that is no digest', written(JSON.stringify({ ...statement, version: 'v1' })), UNCLEAR],
    ['with a time that is none', written(JSON.stringify({ ...statement, issuedAt: 'today' })), UNCLEAR],
    [
      'with a member twice',
      written(text.replace('{', '{"workspace":"test",')),
      'it is not in its canonical form',
    ],
    ['with blanks', written(JSON.stringify(statement, null, 1)), 'it is not in its canonical form'],
    [
      'in another order',
      written(JSON.stringify(Object.fromEntries(Object.entries(statement).reverse()))),
      'it is not in its canonical form',
    ],
  ])('%s is not accepted', async (_, jws, problem) => {
    expect(await rejectionOf(verifyStatement(operators, await jws))).toMatchObject({
      code: 'STATEMENT_INVALID',
      message: `the signed statement is not accepted: ${problem}`,
    });
  });
});

describe('the active policy', () => {
  const authenticate = authenticateActivation(operators, 'main');
  async function active(overrides: Partial<ActivePolicy> = {}, said: object = {}): Promise<ActivePolicy> {
    const jws = await signStatement(alice.privateKey, { ...statement, ...said } as Statement);
    return { version, sequence: 3, document, instances: {}, statement: jws, ...overrides };
  }

  test('is trusted when an operator activated it here', async () => {
    await expect(authenticate(await active(), 'ledger-1')).resolves.toBe('alice');
  });

  const unfreeze = {
    statement: 'unfreeze',
    ledger: 'ledger-1',
    workspace: 'main',
    freeze: 'f',
    sequence: 7,
    issuedAt: statement.issuedAt,
  } as const;
  test.each<readonly [string, Promise<ActivePolicy>, string, string]>([
    ['for another ledger', active(), 'ledger-2', 'its statement is for another ledger'],
    [
      'for another workspace',
      active({}, { workspace: 'test' }),
      'ledger-1',
      'its statement is for another workspace',
    ],
    [
      'with another document',
      active({ document: 'version: 2\n' }),
      'ledger-1',
      'its statement is about another document',
    ],
    [
      'with another digest',
      active({ version: '0'.repeat(64) }),
      'ledger-1',
      'its statement is about another document',
    ],
    [
      'with the digest of another',
      active({}, { version: 'f'.repeat(64) }),
      'ledger-1',
      'its statement is about another document',
    ],
    [
      'of a stranger',
      signStatement(stranger.privateKey, statement).then((jws) => active({ statement: jws })),
      'ledger-1',
      'its statement cannot be trusted',
    ],
    ['without a statement', active({ statement: '' }), 'ledger-1', 'its statement cannot be trusted'],
    [
      'with a statement about a freeze',
      signStatement(alice.privateKey, unfreeze).then((jws) => active({ statement: jws })),
      'ledger-1',
      'its statement is about something else',
    ],
  ])('%s is not trusted', async (_, policy, ledger, problem) => {
    expect(await rejectionOf(authenticate(await policy, ledger))).toMatchObject({
      code: 'POLICY_UNTRUSTED',
      message: `the active policy is not trusted: ${problem}`,
    });
  });
});

describe('lifting a freeze', () => {
  const lifted = { ledger: 'ledger-1', workspace: 'main', freeze: 'f', sequence: 7 };
  const said = (key: KeyObject, change: object = {}) =>
    signStatement(key, {
      statement: 'unfreeze',
      ...lifted,
      issuedAt: statement.issuedAt,
      ...change,
    } as Statement);

  test('is the word of those whose keys signed it, each counted once', async () => {
    const alices = await Promise.all([
      said(alice.privateKey),
      said(alice.privateKey, { issuedAt: '2026-11-21T12:00:00Z' }),
    ]);
    expect(await liftersOf(operators, lifted, alices)).toEqual(['alice']);
    expect(await liftersOf(operators, lifted, [...alices, await said(bob.privateKey)])).toEqual([
      'alice',
      'bob',
    ]);
    expect(await liftersOf(operators, lifted, [])).toEqual([]);
  });

  test.each<readonly [string, Promise<string>, string]>([
    ['of a stranger', said(stranger.privateKey), 'no configured operator signed it'],
    ['for another ledger', said(alice.privateKey, { ledger: 'ledger-2' }), 'it is for another ledger'],
    ['for another workspace', said(alice.privateKey, { workspace: 'test' }), 'it is for another workspace'],
    ['about another freeze', said(alice.privateKey, { freeze: 'g' }), 'it is about another freeze'],
    [
      'about a freeze that had this id before',
      said(alice.privateKey, { sequence: 6 }),
      'it is about another freeze',
    ],
    ['about something else', signStatement(alice.privateKey, statement), 'it is about something else'],
  ])('a statement %s is refused, also beside good ones', async (_, jws, problem) => {
    const statements = [await said(bob.privateKey), await jws];
    expect(await rejectionOf(liftersOf(operators, lifted, statements))).toMatchObject({
      code: 'STATEMENT_INVALID',
      message: `the signed statement is not accepted: ${problem}`,
    });
  });
});

test('a private key tells whose it is', async () => {
  expect(operatorOf(operators, bob.privateKey, 'bob.pem')).toBe('bob');
  expect(() => operatorOf(operators, stranger.privateKey, 'x.pem')).toThrow(
    'key file x.pem: it is the key of no configured operator',
  );
});
