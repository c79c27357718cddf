/**
 * An operator's signed word. Whatever loosens the cluster needs one: a statement names what it allows, on which ledger,
 * and is worth nothing for anything else. It is a compact JWS of its own type, so that no other token signed with the
 * same key can pass for one (RFC 8725 section 3.11), and its payload has exactly one spelling.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { CompactSign, compactVerify, errors } from 'jose';
import { z } from 'zod';
import { assert, CountersignError } from '../core/errors.js';
import type { ActivePolicy } from '../core/ports.js';
import { RELEASE_REASONS } from '../core/release.js';
import { algorithmOf, invalid, readPrivateKeyFile, readPublicKeyFile } from './key-file.js';
import { spkiSha256 } from './published-keys.js';

const TYPE = 'countersign-statement+jws';
const MAX_STATEMENT_LENGTH = 16_384;
const ALGORITHMS = ['EdDSA', 'ES256', 'RS256'] as const;

const name = z.string().min(1).max(256);
const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

/** The order of the members is the order of the signed text. */
const statementSchema = z.discriminatedUnion('statement', [
  z.strictObject({
    statement: z.literal('policy-activate'),
    /** The identity of the ledger: a statement for one ledger says nothing about another. */
    ledger: name,
    workspace: name,
    /** SHA-256 of the document's bytes, hex. */
    version: sha256,
    /** The version that was active when the operator signed; null when none was. */
    previous: sha256.nullable(),
    issuedAt: z.iso.datetime(),
  }),
  z.strictObject({
    statement: z.literal('unfreeze'),
    ledger: name,
    workspace: name,
    /** The freeze's id. */
    freeze: name,
    /** The number of the event that made it: an id may come to stand for another freeze. */
    sequence: z.int().positive(),
    issuedAt: z.iso.datetime(),
  }),
  z.strictObject({
    statement: z.literal('ledger-activate'),
    ledger: name,
    workspace: name,
    /** The history of the store that may decide: after the next restart or fail-over this statement says nothing. */
    history: name,
    /** The number of the event that the statement becomes: it cannot become another one later. */
    sequence: z.int().positive(),
    /** What the operator has made sure of. */
    oldPrimary: z.literal('stopped'),
    /** Of a ledger that witnesses keep: the disks of most of them are lost for good. */
    witnesses: z.literal('lost').optional(),
    issuedAt: z.iso.datetime(),
  }),
  z.strictObject({
    statement: z.literal('release'),
    ledger: name,
    workspace: name,
    /** The id of the transaction of which no signature can exist; of a member of a batch, its request id. */
    transaction: name,
    /** What became of it. */
    reason: z.enum(RELEASE_REASONS),
    issuedAt: z.iso.datetime(),
  }),
]);

export type Statement = Readonly<z.infer<typeof statementSchema>>;

export interface Operator {
  readonly name: string;
  readonly publicKey: KeyObject;
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys and keys shared by two operators are refused. */
export function loadOperators(
  operators: readonly { readonly name: string; readonly publicKeyFile: string }[],
): readonly Operator[] {
  const owners = new Map<string, string>();
  return operators.map(({ name, publicKeyFile }) => {
    const { key, spkiSha256: id } = readPublicKeyFile(publicKeyFile, ALGORITHMS);
    const owner = owners.get(id);
    if (owner !== undefined) {
      throw invalid(
        publicKeyFile,
        `operators ${JSON.stringify(owner)} and ${JSON.stringify(name)} share it; two people need two keys`,
      );
    }
    owners.set(id, name);
    return { name, publicKey: key };
  });
}

/** An operator's private key. Throws FILE_UNREADABLE or KEY_INVALID. */
export function loadOperatorPrivateKey(file: string): KeyObject {
  return readPrivateKeyFile(file, ALGORITHMS).key;
}

/** Whose private key it is. Throws KEY_INVALID when it is no configured operator's. */
export function operatorOf(operators: readonly Operator[], privateKey: KeyObject, file: string): string {
  const id = spkiSha256(privateKey);
  const operator = operators.find(({ publicKey }) => spkiSha256(publicKey) === id);
  if (operator === undefined) throw invalid(file, 'it is the key of no configured operator');
  return operator.name;
}

/** The statement as a compact JWS, signed with an operator's private key. */
export async function signStatement(privateKey: KeyObject, statement: Statement): Promise<string> {
  const algorithm = algorithmOf(privateKey);
  assert(algorithm !== undefined, 'an operator key of an unsupported kind');
  return new CompactSign(Buffer.from(JSON.stringify(statementSchema.parse(statement))))
    .setProtectedHeader({ alg: algorithm, typ: TYPE })
    .sign(privateKey);
}

/** Who said it, and what. Throws STATEMENT_INVALID when no operator did, or when it is not understood. */
export async function verifyStatement(
  operators: readonly Operator[],
  compactJws: string,
): Promise<{ readonly operator: string; readonly publicKeySha256: string; readonly statement: Statement }> {
  if (compactJws.length > MAX_STATEMENT_LENGTH) throw untrue('it is too long');
  for (const { name, publicKey } of operators) {
    const payload = await payloadIfSignedBy(publicKey, compactJws);
    if (payload === undefined) continue;
    return { operator: name, publicKeySha256: spkiSha256(publicKey), statement: readStatement(payload) };
  }
  throw untrue('no configured operator signed it');
}

/** What an event that activates a policy says of it. */
export type Activation = Pick<ActivePolicy, 'version' | 'document' | 'statement'>;

/**
 * That the document is one that an operator activated, in this workspace and on this ledger. Resolves to the operator's
 * name; rejects with POLICY_UNTRUSTED.
 */
export function authenticateActivation(
  operators: readonly Operator[],
  workspace: string,
): (policy: Activation, ledgerIdentity: string) => Promise<string> {
  return async (policy, ledgerIdentity) => {
    const { operator, statement } = await verifyStatement(operators, policy.statement).catch(
      (cause: unknown) => {
        throw untrusted('its statement cannot be trusted', cause);
      },
    );
    if (statement.statement !== 'policy-activate') throw untrusted('its statement is about something else');
    if (statement.ledger !== ledgerIdentity) throw untrusted('its statement is for another ledger');
    if (statement.workspace !== workspace) throw untrusted('its statement is for another workspace');
    const digest = createHash('sha256').update(policy.document).digest('hex');
    if (statement.version !== digest || policy.version !== digest) {
      throw untrusted('its statement is about another document');
    }
    return operator;
  };
}

/**
 * Which operators state that this very freeze is to be lifted. Throws STATEMENT_INVALID when one of the statements is
 * nobody's, or about anything else.
 */
export async function liftersOf(
  operators: readonly Operator[],
  lifted: {
    readonly ledger: string;
    readonly workspace: string;
    readonly freeze: string;
    readonly sequence: number;
  },
  statements: readonly string[],
): Promise<readonly string[]> {
  const names = new Set<string>();
  for (const jws of statements) {
    const { operator, statement } = await verifyStatement(operators, jws);
    if (statement.statement !== 'unfreeze') throw untrue('it is about something else');
    if (statement.ledger !== lifted.ledger) throw untrue('it is for another ledger');
    if (statement.workspace !== lifted.workspace) throw untrue('it is for another workspace');
    if (statement.freeze !== lifted.freeze || statement.sequence !== lifted.sequence)
      throw untrue('it is about another freeze');
    names.add(operator);
  }
  return [...names];
}

async function payloadIfSignedBy(publicKey: KeyObject, compactJws: string): Promise<string | undefined> {
  const algorithm = algorithmOf(publicKey);
  if (algorithm === undefined) return undefined;
  try {
    const { payload, protectedHeader } = await compactVerify(compactJws, publicKey, {
      algorithms: [algorithm],
    });
    return protectedHeader.typ === TYPE ? Buffer.from(payload).toString('utf8') : undefined;
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    throw error;
  }
}

function readStatement(text: string): Statement {
  let parsed: z.ZodSafeParseResult<Statement>;
  try {
    parsed = statementSchema.safeParse(JSON.parse(text));
  } catch (cause) {
    throw untrue('it is not JSON', cause);
  }
  if (!parsed.success) throw untrue('it says nothing this version understands', parsed.error);
  // Only the spelling that signStatement produces: no repeated members, no escapes, no blanks to disagree about.
  if (JSON.stringify(parsed.data) !== text) throw untrue('it is not in its canonical form');
  return parsed.data;
}

function untrue(problem: string, cause?: unknown): CountersignError {
  return new CountersignError('STATEMENT_INVALID', `the signed statement is not accepted: ${problem}`, {
    cause,
  });
}

function untrusted(problem: string, cause?: unknown): CountersignError {
  return new CountersignError('POLICY_UNTRUSTED', `the active policy is not trusted: ${problem}`, { cause });
}
