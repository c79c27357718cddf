/**
 * The callback handler protocol of the Fireblocks API Co-signer, message mode JWT: signed both ways.
 *
 * A request carries no time and never expires, and an answer is bound to it by the request id alone; that is why the
 * ledger, not this folder, sees to it that one request id never gets two answers.
 */
import { assert, CountersignError } from '../../core/errors.js';
import type {
  AnswerKeys,
  CosignerKeys,
  InboundMessage,
  Protocol,
  Received,
  UnauthenticatedReason,
} from '../../core/ports.js';
import type { Request } from '../../core/request.js';
import { type ConnectionSettings, connectionCheck } from '../caller.js';
import { answerClaims } from './answer.js';
import { Claims, MalformedClaims } from './claims.js';
import { readConfigChange } from './config-change.js';
import { type Question, readRoute } from './routes.js';
import { type FireblocksSigner, mayAsk, readStage, type StageReading } from './stage.js';
import { readToken } from './token.js';
import { readTransaction } from './transaction.js';

export const FIREBLOCKS = 'fireblocks';

export interface FireblocksCosigner {
  /** Unique among the co-signers of one path. */
  readonly name: string;
  readonly workspace: string;
  /** Which API users ask through it, and for what; absent: any, for signatures only. */
  readonly signers?: readonly FireblocksSigner[];
}

/** One that signs its messages, and may be held to connections of a certain kind besides. */
export interface SigningCosigner extends FireblocksCosigner {
  readonly connection?: ConnectionSettings;
}

export interface FireblocksOptions {
  /** All co-signers that share one path, of whatever workspace. */
  readonly cosigners: readonly SigningCosigner[];
  readonly cosignerKeys: CosignerKeys;
  readonly answerKeys: AnswerKeys;
}

/** Throws CONFIG_INVALID when co-signers cannot be told apart. */
export function fireblocksProtocol({ cosigners, cosignerKeys, answerKeys }: FireblocksOptions): Protocol {
  const byName = indexByName(cosigners);
  const checks = new Map(
    cosigners.map(({ name, connection = {} }) => [name, connectionCheck(connection)] as const),
  );

  /** Why none of these may call so; undefined when one of them may. */
  function strangeness(message: InboundMessage, names: Iterable<string>): string | undefined {
    const problems = [...names].map((name) => checks.get(name)?.(message));
    return problems.includes(undefined) ? undefined : problems[0];
  }

  async function receive(message: InboundMessage): Promise<Received> {
    // Before any key is tried, for nobody knows yet whose key it will be.
    const stranger = strangeness(message, byName.keys());
    if (stranger !== undefined) return unauthenticated('CALLER', stranger);
    const question = readRoute(message.route, 'jwt');
    if (typeof question !== 'string') return question;
    const token = readToken(message.body);
    if (!token.ok) return unauthenticated(token.reason, token.problem);
    const verified = await cosignerKeys.verify(token.jws);
    if (verified === undefined)
      return unauthenticated('SIGNATURE', 'no configured key verifies the signature');
    if (verified.kind === 'outside-window') return unauthenticated(verified.reason, verified.problem);
    if (!startsObject(verified.payload))
      return unauthenticated('PAYLOAD', 'the signed payload is not a JSON object');
    try {
      const claims = Claims.parse(verified.payload);
      const asker = findAsker(byName, verified.cosigners, claims.id('signerId'));
      const elsewhere = strangeness(message, [asker.cosigner.name]);
      if (elsewhere !== undefined) return unauthenticated('CALLER', elsewhere);
      return { kind: 'request', request: readQuestion(question, claims, asker), key: verified.key };
    } catch (error) {
      if (!(error instanceof MalformedClaims)) throw error;
      return { kind: 'refused', status: 400, code: 'REQUEST_MALFORMED', problem: error.message };
    }
  }

  return {
    name: FIREBLOCKS,
    receive,
    async answer(request, outcome) {
      const claims = answerClaims(request, outcome);
      const body = await answerKeys.sign(request.cosigner, request.signer, claims);
      return { status: 200, contentType: 'application/jwt', body };
    },
  };
}

export interface Asker {
  readonly cosigner: FireblocksCosigner;
  readonly signer: string | undefined;
  /** False: the key belongs to co-signers of several workspaces, and the signer to none of them. */
  readonly certain: boolean;
}

/** Throws MalformedClaims. */
export function readQuestion(question: Question, claims: Claims, asker: Asker): Request {
  return question === 'transaction' ? readAsk(claims, asker) : readChange(claims, asker);
}

function readAsk(claims: Claims, asker: Asker): Request {
  const { evidence, ...transaction } = readTransaction(claims);
  const reading = asker.certain ? readStage(evidence, asker.cosigner.signers, asker.signer) : NOBODY;
  return { kind: 'transaction', ...identityOf(claims, asker), ...transaction, ...reading };
}

function readChange(claims: Claims, asker: Asker): Request {
  const change = readConfigChange(claims);
  const listed = asker.certain && mayAsk(asker.cosigner.signers, asker.signer, 'approval');
  const identity = identityOf(claims, asker);
  return {
    kind: 'config-change',
    stage: 'approval',
    ...identity,
    ...change,
    ...(listed ? {} : { doubt: 'SIGNER_NOT_LISTED' }),
  };
}

const NOBODY: StageReading = { stage: 'signing', doubt: 'SIGNER_NOT_LISTED' };

function identityOf(claims: Claims, { cosigner, signer }: Asker) {
  return {
    protocol: FIREBLOCKS,
    workspace: cosigner.workspace,
    cosigner: cosigner.name,
    signer,
    requestId: claims.requiredId('requestId'),
  };
}

/** One machine may serve several workspaces with one key; the signer, different in each, then tells which. */
function findAsker(
  byName: ReadonlyMap<string, FireblocksCosigner>,
  names: readonly string[],
  signer: string | undefined,
): Asker {
  const candidates = names.map((name) => byName.get(name)).filter((cosigner) => cosigner !== undefined);
  const [first] = candidates;
  assert(first !== undefined && candidates.length === names.length, 'a key of an unknown co-signer verified');
  if (candidates.length === 1) return { cosigner: first, signer, certain: true };
  const owner = candidates.find(({ signers }) => signers?.some(({ id }) => id === signer));
  return { cosigner: owner ?? first, signer, certain: owner !== undefined };
}

function indexByName(cosigners: readonly FireblocksCosigner[]): ReadonlyMap<string, FireblocksCosigner> {
  const byName = new Map<string, FireblocksCosigner>();
  for (const cosigner of cosigners) {
    const { name, signers = [] } = cosigner;
    if (byName.has(name)) {
      throw new CountersignError(
        'CONFIG_INVALID',
        `two co-signers of one path are named ${JSON.stringify(name)}`,
      );
    }
    const repeated = signers.find(({ id }, index) => signers.findIndex((other) => other.id === id) !== index);
    if (repeated !== undefined) {
      throw new CountersignError(
        'CONFIG_INVALID',
        `co-signer ${JSON.stringify(name)} lists the signer ${JSON.stringify(repeated.id)} twice`,
      );
    }
    byName.set(name, cosigner);
  }
  return byName;
}

/** A nested token or any other signed text is no request token, whoever signed it. */
function startsObject(payload: Uint8Array): boolean {
  const first = payload.find((byte) => byte !== 0x20 && byte !== 0x09 && byte !== 0x0a && byte !== 0x0d);
  return first === 0x7b;
}

function unauthenticated(reason: UnauthenticatedReason, problem: string): Received {
  return { kind: 'refused', status: 401, code: 'UNAUTHENTICATED', reason, problem };
}
