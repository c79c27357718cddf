/** One event of the journal in full, for whoever asks what was decided, about what, and by which policy. */
import { fromBaseUnits } from '../core/amount.js';
import type { JournalEvent } from '../core/ports.js';
import { printable } from './freeze-text.js';

interface Amount {
  readonly amount: string | null;
  readonly usd?: string | null;
}

interface Place {
  readonly type: string;
  readonly id: string | null;
}

interface Asked {
  readonly decision?: { readonly effect: string; readonly sentence: string; readonly policyVersion: string };
  readonly charged?: readonly { readonly limit: string }[];
  readonly journal?: {
    readonly request: {
      readonly cosigner: string;
      readonly signer?: string | null;
      readonly kind: string;
      readonly stage: string;
      readonly txId?: string;
      readonly externalTxId?: string;
    };
    readonly facts?: {
      readonly transaction?:
        | (Amount & {
            readonly operation: string;
            readonly asset: string;
            readonly decimals: number | null;
            readonly source: Place;
            /** Null: none is named, or too many. */
            readonly destinations: readonly (Amount & Place & { readonly address: string | null })[] | null;
          })
        | null;
    };
    readonly verified?: string;
  };
}

type Transaction = NonNullable<NonNullable<NonNullable<Asked['journal']>['facts']>['transaction']>;

/** So many destinations are named. */
const MOST_NAMED = 10;

/** @param activatedBy the event that made a version of the policy active, where it is known */
export function eventPage(
  { sequence, atMs, type, body }: JournalEvent,
  activatedBy: (version: string) => number | undefined,
): string {
  const { decision, journal, charged = [] } = body as Asked;
  const head = `event ${sequence}  ${new Date(atMs).toISOString()}  ${type}`;
  if (decision === undefined || journal === undefined) return `${head}\n  ${printable(JSON.stringify(body))}`;
  const { cosigner, signer, kind, stage, txId, externalTxId } = journal.request;
  const { facts, verified } = journal;
  const since = activatedBy(decision.policyVersion);
  const limits = [...new Set(charged.map(({ limit }) => limit))];
  const lines: readonly (readonly [string, string | undefined])[] = [
    ['asked by', [cosigner, signer && `for ${signer}`, `${kind}, ${stage}`].filter(Boolean).join(' ')],
    [
      'about',
      txId && [`transaction ${txId}`, externalTxId && `external ${externalTxId}`].filter(Boolean).join(', '),
    ],
    ['claims', facts?.transaction ? claimOf(facts.transaction) : undefined],
    ['bytes', verified],
    ['decided', `${decision.effect}: ${decision.sentence}`],
    ['policy', `${decision.policyVersion}${since === undefined ? '' : `, active since event ${since}`}`],
    ['counted by', limits.length === 0 ? undefined : limits.join(', ')],
  ];
  const shown = lines.flatMap(([title, text]) =>
    text === undefined ? [] : [`  ${title.padEnd(10)}  ${printable(text)}`],
  );
  return [head, ...shown].join('\n');
}

function claimOf({ operation, asset, decimals, source, destinations, ...whole }: Transaction): string {
  const sum = ({ amount }: Amount) =>
    amount === null || decimals === null
      ? `? ${asset}`
      : `${fromBaseUnits(BigInt(amount), decimals)} ${asset}`;
  if (destinations === null) return `${operation} ${sum(whole)} from ${placeOf(source)}`;
  const named = destinations
    .slice(0, MOST_NAMED)
    .map((to) => `${sum(to)} to ${placeOf(to)}${to.address === null ? '' : ` (${to.address})`}`);
  const more = destinations.length > MOST_NAMED ? [`${destinations.length - MOST_NAMED} more`] : [];
  return `${operation} ${sum(whole)} from ${placeOf(source)}: ${[...named, ...more].join(', ')}`;
}

function placeOf({ type, id }: Place): string {
  return id === null || id === '' ? type : `${type}/${id}`;
}
