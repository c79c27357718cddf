/** Whether the operators' statements in the journal are genuine: who loosened what, and whether they were enough. */
import { z } from 'zod';
import { eventOf } from '../audit/line.js';
import type { EventWatcher } from '../audit/verify.js';
import { CountersignError } from '../core/errors.js';
import { parsePolicy } from '../core/policy/document.js';
import {
  authenticateActivation,
  liftersOf,
  loadOperators,
  type Operator,
  verifyStatement,
} from '../keys/statements.js';
import { printable } from './freeze-text.js';

const policyBody = z.object({
  version: z.string(),
  document: z.string(),
  statement: z.string(),
});
const freezeBody = z.object({ id: z.string() });
const unfreezeBody = z.object({ id: z.string(), statements: z.array(z.string()) });
const activationBody = z.object({ history: z.string(), statement: z.string() });
const releaseBody = z.object({
  moneyKey: z.string(),
  reason: z.string(),
  authority: z.object({ kind: z.string(), statement: z.string().optional() }),
});

/** One event that an operator's word stands behind. */
interface Signed {
  readonly sequence: number;
  readonly what: string;
  /** Resolves to who signed. Throws when it is not their word. */
  check(operators: readonly Operator[], isPartial: boolean): Promise<readonly string[]>;
}

export interface SignedEvent {
  readonly sequence: number;
  readonly what: string;
  readonly operators: readonly string[];
}

/** Remembers what needs a signature while the chain is verified, and checks it afterwards. */
export class StatementCheck {
  readonly #signed = new Map<string, Signed>();
  /** Freeze id → the event that made it. */
  readonly #freezes = new Map<string, number>();
  #isTwoPerson: boolean;

  /** @param before of a part of a chain: the policy that was in force when it begins */
  constructor(before?: string) {
    this.#isTwoPerson = before !== undefined && demandsTwo(before);
  }

  readonly watch: EventWatcher = ({ event: { sequence, type }, bytes, chain: { ledger, workspace } }) => {
    if (!['policy', 'freeze', 'unfreeze', 'activation', 'release'].includes(type)) return undefined;
    const body = JSON.parse(eventOf(bytes)?.bodyText ?? 'null');
    const signed = this.#read({ sequence, type, body, ledger, workspace });
    if (signed !== undefined) this.#signed.set(`${ledger} ${workspace} ${sequence}`, signed);
    return undefined;
  };

  /**
   * @param given `NAME=FILE`: an operator's public key
   * @param isPartial the chain is a part of one: freezes may have been made before its first line
   * Throws CHECK_FAILED that names the first event without a word.
   */
  async verify(given: readonly string[], isPartial: boolean): Promise<readonly SignedEvent[]> {
    const operators = loadOperators(given.map(operatorIn));
    const found: SignedEvent[] = [];
    for (const { sequence, what, check } of this.#signed.values()) {
      const names = await check(operators, isPartial).catch((cause: unknown) => {
        const why = cause instanceof CountersignError ? cause.message : 'it cannot be read';
        throw new CountersignError('CHECK_FAILED', `event ${sequence}, ${what}: ${why}`, { cause });
      });
      found.push({ sequence, what, operators: names });
    }
    return found;
  }

  #read({
    sequence,
    type,
    body,
    ledger,
    workspace,
  }: {
    readonly sequence: number;
    readonly type: string;
    readonly body: unknown;
    readonly ledger: string;
    readonly workspace: string;
  }): Signed | undefined {
    switch (type) {
      case 'freeze': {
        this.#freezes.set(freezeBody.parse(body).id, sequence);
        return undefined;
      }
      case 'policy': {
        const policy = policyBody.parse(body);
        this.#isTwoPerson = demandsTwo(policy.document);
        return {
          sequence,
          what: `activation of policy ${policy.version.slice(0, 12)}`,
          async check(operators) {
            return [await authenticateActivation(operators, workspace)(policy, ledger)];
          },
        };
      }
      case 'unfreeze': {
        const { id, statements } = unfreezeBody.parse(body);
        const isTwoPerson = this.#isTwoPerson;
        const frozen = this.#freezes.get(id);
        return {
          sequence,
          what: `lifting of freeze ${id}`,
          async check(operators, isPartial) {
            const made = frozen ?? (isPartial ? await frozenBy(operators, statements) : undefined);
            if (made === undefined || made >= sequence)
              throw new CountersignError('STATEMENT_INVALID', 'nothing was frozen before it under this id');
            const lifted = { ledger, workspace, freeze: id, sequence: made };
            const names = await liftersOf(operators, lifted, statements);
            const needed = isTwoPerson ? 2 : 1;
            if (names.length >= needed) return names;
            throw new CountersignError(
              'STATEMENT_INVALID',
              `it has the word of ${names.length} operators, and the policy demanded ${needed}`,
            );
          },
        };
      }
      case 'release': {
        const { moneyKey, reason, authority } = releaseBody.parse(body);
        const { statement: jws } = authority;
        // Of the others a report in the journal says why.
        if (jws === undefined) return undefined;
        const transaction = moneyKey.slice(moneyKey.indexOf(':') + 1);
        return {
          sequence,
          what: `release of transaction ${printable(transaction)}`,
          async check(operators) {
            const { operator, statement } = await verifyStatement(operators, jws);
            const isIt =
              statement.statement === 'release' &&
              statement.ledger === ledger &&
              statement.workspace === workspace &&
              statement.transaction === transaction &&
              statement.reason === reason;
            if (!isIt) throw aboutElse();
            return [operator];
          },
        };
      }
      default: {
        const { history, statement: jws } = activationBody.parse(body);
        return {
          sequence,
          what: 'activation of the ledger',
          async check(operators) {
            const { operator, statement } = await verifyStatement(operators, jws);
            const isIt =
              statement.statement === 'ledger-activate' &&
              statement.ledger === ledger &&
              statement.workspace === workspace &&
              statement.history === history &&
              statement.sequence === sequence;
            if (!isIt) throw aboutElse();
            return [operator];
          },
        };
      }
    }
  }
}

function aboutElse(): CountersignError {
  return new CountersignError('STATEMENT_INVALID', 'its statement is about something else');
}

/** The event that made a freeze, in the words of those who lifted it. */
async function frozenBy(
  operators: readonly Operator[],
  [first = '']: readonly string[],
): Promise<number | undefined> {
  const { statement } = await verifyStatement(operators, first);
  return statement.statement === 'unfreeze' ? statement.sequence : undefined;
}

function demandsTwo(document: string): boolean {
  try {
    return parsePolicy(document, 'the policy').unfreeze === 'two-person';
  } catch {
    // A document of another version: the demand is then read as the text has it.
    return /^unfreeze:\s*two-person/m.test(document);
  }
}

/** `NAME=FILE`. Throws USAGE. */
export function operatorIn(text: string): { readonly name: string; readonly publicKeyFile: string } {
  const [, name = '', publicKeyFile = ''] = /^([^=]+)=(.+)$/.exec(text) ?? [];
  if (name === '') throw new CountersignError('USAGE', `--operator ${text}: expected NAME=FILE`);
  return { name, publicKeyFile };
}
