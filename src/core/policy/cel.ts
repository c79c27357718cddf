/**
 * The optional `when` of a rule: an expression in CEL over the facts of a request. It is type-checked when the
 * document loads, and only functions whose time is bounded may be called. Amounts are exact decimals of their own
 * type: CEL's own numbers have 64 bits or are floats, and comparing an amount with one is a type error.
 * A fact that the request does not carry makes the expression unknown, never true.
 */
import { type ASTNode, Environment } from '@marcbachmann/cel-js';
import { fromBaseUnits, USD_DECIMALS } from '../amount.js';
import { messageOf } from '../errors.js';
import type { Facts, TransactionFacts } from './facts.js';
import type { Truth } from './truth.js';

const MAX_NODES = 500;
const MAX_DEPTH = 32;
const MAX_LITERAL_ELEMENTS = 64;

const MACROS = new Set(['all', 'exists', 'exists_one']);
/** Everything else is refused: this list is what bounds the time of an expression. */
const FUNCTIONS = new Set([
  ...MACROS,
  ...['decimal', 'size', 'startsWith', 'endsWith', 'contains', 'lowerAscii', 'upperAscii', 'trim'],
]);
const WHY_NOT: Readonly<Record<string, string>> = {
  matches: 'matches() can take exponential time; use startsWith, endsWith or contains',
  has: 'has() would let a missing fact decide; a missing fact makes the whole expression unknown by itself',
};

/** Facts that only the signing stage carries. */
const SIGNING_FACTS = new Set(['fee', 'feeAsset', 'calls', 'address']);

const DECIMAL = /^(\d{1,78})(?:\.(\d{1,78}))?$/;

class Decimal {
  constructor(
    readonly units: bigint,
    readonly scale: number,
  ) {}
}

class CelRecord {
  [member: string]: unknown;

  constructor(members: Readonly<Record<string, unknown>>) {
    // A member that is absent is an error when it is read, which is what makes the expression unknown.
    for (const key in members) {
      const value = members[key];
      if (value !== null && value !== undefined) this[key] = value;
    }
  }
}
class CelParty extends CelRecord {}
class CelDestination extends CelRecord {}
class CelCall extends CelRecord {}
class CelRequest extends CelRecord {}

const environment = new Environment({
  limits: {
    maxAstNodes: MAX_NODES,
    maxDepth: MAX_DEPTH,
    maxListElements: MAX_LITERAL_ELEMENTS,
    maxMapEntries: 0,
    maxCallArguments: 4,
  },
})
  .registerType('Decimal', { ctor: Decimal, fields: {} })
  .registerType('Source', { ctor: CelParty, fields: { type: 'string', id: 'string', subType: 'string' } })
  .registerType('Destination', {
    ctor: CelDestination,
    fields: {
      type: 'string',
      id: 'string',
      subType: 'string',
      address: 'string',
      addressType: 'string',
      amount: 'Decimal',
      usd: 'Decimal',
    },
  })
  .registerType('Call', {
    ctor: CelCall,
    fields: { address: 'string', selector: 'string', signature: 'string', args: 'list<string>' },
  })
  .registerType('Request', {
    ctor: CelRequest,
    fields: {
      kind: 'string',
      stage: 'string',
      cosigner: 'string',
      signer: 'string',
      requestId: 'string',
      txId: 'string',
      externalTxId: 'string',
      operation: 'string',
      asset: 'string',
      chain: 'string',
      source: 'Source',
      destinations: 'list<Destination>',
      calls: 'list<Call>',
      amount: 'Decimal',
      usd: 'Decimal',
      fee: 'Decimal',
      feeAsset: 'string',
      type: 'string',
      extraInfo: 'map<string, string>',
    },
  })
  .registerVariable('request', 'Request')
  .registerFunction('decimal(string): Decimal', decimalOf)
  .registerFunction('decimal(Decimal): Decimal', (value: Decimal) => value)
  .registerOperator('Decimal < Decimal', (a: Decimal, b: Decimal) => compare(a, b) < 0)
  .registerOperator('Decimal <= Decimal', (a: Decimal, b: Decimal) => compare(a, b) <= 0)
  .registerOperator('Decimal > Decimal', (a: Decimal, b: Decimal) => compare(a, b) > 0)
  .registerOperator('Decimal >= Decimal', (a: Decimal, b: Decimal) => compare(a, b) >= 0)
  .registerOperator('Decimal == Decimal', (a: Decimal, b: Decimal) => compare(a, b) === 0)
  .registerOperator('Decimal + Decimal: Decimal', add);

export type CompiledExpression =
  | {
      readonly ok: true;
      readonly test: (facts: Facts) => Truth;
      /** It reads a fact that only the signing stage carries. */
      readonly needsSigning: boolean;
    }
  | { readonly ok: false; readonly problem: string };

/** Parses, type-checks and bounds an expression. Never throws. */
export function compileExpression(expression: string): CompiledExpression {
  try {
    const parsed = environment.parse(expression);
    const survey: Survey = { problem: undefined, needsSigning: false };
    walk(parsed.ast, { overLiterals: 0, overFacts: 0 }, survey);
    if (survey.problem !== undefined) return { ok: false, problem: survey.problem };
    const checked = parsed.check();
    if (!checked.valid) return { ok: false, problem: firstLine(checked.error) };
    if (checked.type !== 'bool')
      return { ok: false, problem: `must be true or false, but is of type ${checked.type}` };
    const test = (facts: Facts): Truth => {
      try {
        return parsed({ request: requestRecord(facts) }) === true ? 'true' : 'false';
      } catch {
        return 'unknown';
      }
    };
    return { ok: true, test, needsSigning: survey.needsSigning };
  } catch (error) {
    return { ok: false, problem: firstLine(error) };
  }
}

function firstLine(error: unknown): string {
  return (messageOf(error).split('\n')[0] ?? '').slice(0, 200);
}

interface Survey {
  problem: string | undefined;
  needsSigning: boolean;
}

/** How many loops a part of the expression stands in. */
interface Loops {
  readonly overLiterals: number;
  readonly overFacts: number;
}

function walk(node: ASTNode, loops: Loops, survey: Survey): void {
  if (survey.problem !== undefined) return;
  switch (node.op) {
    case 'value':
    case 'id':
      return;
    case '.':
    case '.?':
      if (SIGNING_FACTS.has(node.args[1])) survey.needsSigning = true;
      walk(node.args[0], loops, survey);
      return;
    case 'call':
      survey.problem = refusalOf(node.args[0]);
      for (const argument of node.args[1]) walk(argument, loops, survey);
      return;
    case 'rcall':
      walkMethod(node.args, loops, survey);
      return;
    case 'list':
      for (const element of node.args) walk(element, loops, survey);
      return;
    case 'map':
      survey.problem = 'map literals are not supported';
      return;
    case '!_':
    case '-_':
      walk(node.args, loops, survey);
      return;
    default:
      for (const operand of node.args) walk(operand, loops, survey);
  }
}

function walkMethod(
  [name, receiver, args]: [string, ASTNode, ASTNode[]],
  loops: Loops,
  survey: Survey,
): void {
  survey.problem = refusalOf(name);
  walk(receiver, loops, survey);
  if (survey.problem !== undefined) return;
  const inside = MACROS.has(name) ? entered(receiver, loops) : loops;
  if (inside === undefined) {
    survey.problem = `${name}() goes over a list of facts or a literal list, one of each at most`;
    return;
  }
  for (const argument of args) walk(argument, inside, survey);
}

function entered(receiver: ASTNode, loops: Loops): Loops | undefined {
  if (receiver.op === 'list') return loops.overLiterals === 0 ? { ...loops, overLiterals: 1 } : undefined;
  if (receiver.op === '.' && loops.overFacts === 0) return { ...loops, overFacts: 1 };
  return undefined;
}

function refusalOf(name: string): string | undefined {
  if (FUNCTIONS.has(name)) return undefined;
  return WHY_NOT[name] ?? `${name}() is not available; known are ${[...FUNCTIONS].join(', ')}`;
}

function decimalOf(text: string): Decimal {
  const match = DECIMAL.exec(text);
  if (match === null) throw new RangeError('not decimal text');
  const fraction = match[2] ?? '';
  return new Decimal(BigInt((match[1] ?? '') + fraction), fraction.length);
}

function aligned(a: Decimal, b: Decimal): { a: bigint; b: bigint; scale: number } {
  const scale = Math.max(a.scale, b.scale);
  return {
    a: a.units * 10n ** BigInt(scale - a.scale),
    b: b.units * 10n ** BigInt(scale - b.scale),
    scale,
  };
}

function compare(left: Decimal, right: Decimal): number {
  const { a, b } = aligned(left, right);
  return a < b ? -1 : a > b ? 1 : 0;
}

function add(left: Decimal, right: Decimal): Decimal {
  const { a, b, scale } = aligned(left, right);
  return new Decimal(a + b, scale);
}

function scaled(units: string | null, decimals: number | null): Decimal | null {
  return units === null || decimals === null ? null : new Decimal(BigInt(units), decimals);
}

function requestRecord(facts: Facts): CelRequest {
  const { kind, stage, cosigner, signer, requestId, transaction, change } = facts;
  return new CelRequest({
    kind,
    stage,
    cosigner,
    signer,
    requestId,
    ...(transaction === null ? {} : transactionMembers(transaction)),
    // An expression can ask whether an entry is there, or about all of them: it sees all or none.
    ...(change === null ? {} : { type: change.type, extraInfo: change.whole ? change.extraInfo : null }),
  });
}

function transactionMembers(facts: TransactionFacts): Readonly<Record<string, unknown>> {
  const { txId, externalTxId, operation, asset, chain, decimals, fee } = facts;
  return {
    txId,
    externalTxId,
    chain,
    operation: operation || null,
    asset: asset || null,
    source: new CelParty({ ...facts.source }),
    destinations:
      facts.destinations?.map(
        ({ type, id, subType, address, addressType, amount, usd }) =>
          new CelDestination({
            type,
            id,
            subType,
            address,
            addressType,
            amount: scaled(amount, decimals),
            usd: scaled(usd, USD_DECIMALS),
          }),
      ) ?? null,
    amount: scaled(facts.amount, decimals),
    usd: scaled(facts.usd, USD_DECIMALS),
    fee: fee === null ? null : scaled(fee.amount, fee.decimals),
    feeAsset: fee?.asset,
    calls:
      facts.calls?.map(
        ({ address, selector, signature, args }) => new CelCall({ address, selector, signature, args }),
      ) ?? null,
  };
}

/** An amount in its own unit, for people. */
export function decimalText(units: string | null, decimals: number | null): string {
  return units === null ? 'unknown' : decimals === null ? units : fromBaseUnits(BigInt(units), decimals);
}
