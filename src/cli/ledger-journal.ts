/** `countersign ledger journal`: what was decided, newest last, and why. */
import { fromBaseUnits } from '../core/amount.js';
import type { JournalEvent, Ledger } from '../core/ports.js';
import { type Activation, authenticateActivation, type Operator } from '../keys/statements.js';
import { printable } from './freeze-text.js';

/** Of a report, and of a release. */
interface Reported {
  readonly txId?: string;
  readonly moneyKey?: string;
  readonly source?: string;
  readonly reason?: string;
  readonly known?: {
    readonly fate: string;
    readonly status: string;
    readonly subStatus?: string;
    readonly hash?: { readonly txHash: string };
  };
}

/** Of a freeze, and of its lifting. */
interface Frozen {
  readonly id?: string;
  readonly answers?: string;
}

interface Decided {
  readonly ask?: { readonly askKey?: string };
  readonly decision?: {
    readonly effect?: string;
    readonly rule?: string;
    readonly reason?: string;
    readonly limit?: string;
  };
  readonly journal?: {
    readonly request?: { readonly requestId?: string; readonly stage?: string };
    readonly facts?: {
      readonly transaction?: {
        readonly asset: string;
        readonly decimals: number | null;
        readonly amount: string | null;
      } | null;
      readonly change?: { readonly type: string } | null;
    };
  };
}

/** The newest events of the log, oldest first. */
export async function newestEvents(ledger: Ledger, count: number): Promise<readonly JournalEvent[]> {
  const { sequence } = await ledger.state();
  return ledger.events(Math.max(0, sequence - count), count);
}

/** Who signed that these very policies be activated on this ledger, by the number of the event. */
export async function activatedBy(
  events: readonly JournalEvent[],
  signing: {
    readonly operators: readonly Operator[];
    readonly workspace: string;
    /** The ledger's. */
    readonly identity: string;
  },
): Promise<ReadonlyMap<number, string | undefined>> {
  const authenticate = authenticateActivation(signing.operators, signing.workspace);
  const policies = events.filter(({ type }) => type === 'policy');
  const signed = await Promise.all(
    policies.map(async ({ sequence, body }) => {
      const operator = authenticate(body as Activation, signing.identity).catch(() => undefined);
      return [sequence, await operator] as const;
    }),
  );
  return new Map(signed);
}

export function signedText(operator: string | undefined): string {
  return operator === undefined ? 'signed by NOBODY that the configuration names' : `signed by ${operator}`;
}

/**
 * One line per event, in columns.
 * @param activators as activatedBy has them; of others it is not said who signed
 */
export function journalTable(
  events: readonly JournalEvent[],
  activators: ReadonlyMap<number, string | undefined> = new Map(),
): string {
  const signedOf = (sequence: number): string =>
    activators.has(sequence) ? ` ${signedText(activators.get(sequence))}` : '';
  const rows = events.map((event) => rowOf(event, signedOf(event.sequence)));
  const head = ['event', 'time', 'what', 'effect', 'stage', 'amount', 'rule', 'reason', 'request'];
  const widths = head.map((title, column) =>
    Math.max(title.length, ...rows.map((row) => row[column]?.length ?? 0)),
  );
  const line = (row: readonly string[]): string =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd();
  return [head, ...rows].map(line).join('\n');
}

function rowOf({ sequence, atMs, type, body }: JournalEvent, signed: string): readonly string[] {
  const at = new Date(atMs).toISOString().slice(0, 19).replace('T', ' ');
  const { txId, moneyKey = '', source = '', reason, known } = body as Reported;
  if (known !== undefined) {
    const { fate, status, subStatus, hash } = known;
    const words = [status, subStatus, hash?.txHash].filter((word) => word !== undefined).join(' ');
    return [String(sequence), at, type, fate, source, '', '', words, txId ?? moneyKey];
  }
  if (type === 'freeze' || type === 'unfreeze') {
    const { id = '', answers = '' } = body as Frozen;
    return [String(sequence), at, type, answers, '', '', '', printable(reason ?? ''), id];
  }
  if (type === 'policy') {
    const { version = '' } = body as { readonly version?: string };
    return [String(sequence), at, type, '', '', '', '', `${version.slice(0, 12)}${signed}`, ''];
  }
  if (type === 'release') return [String(sequence), at, type, '', '', '', '', reason ?? '', idIn(moneyKey)];
  const { decision, journal } = body as Decided;
  return [
    String(sequence),
    at,
    type,
    decision?.effect ?? '',
    journal?.request?.stage ?? '',
    amountOf(journal),
    decision?.rule ?? '',
    [decision?.reason, decision?.limit].filter((part) => part !== undefined).join(' '),
    journal?.request?.requestId ?? '',
  ];
}

/** The transaction's, without the protocol that it is counted under. */
function idIn(moneyKey: string): string {
  return moneyKey.slice(moneyKey.indexOf(':') + 1);
}

function amountOf(journal: Decided['journal']): string {
  const { transaction, change } = journal?.facts ?? {};
  if (change != null) return change.type;
  if (transaction == null) return '';
  const { asset, amount, decimals } = transaction;
  return amount === null || decimals === null
    ? `? ${asset}`
    : `${fromBaseUnits(BigInt(amount), decimals)} ${asset}`;
}
