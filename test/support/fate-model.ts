/** What reports say of a transaction, from all of them every time; shares no code with the product. */
import type { KnownFate, Report } from '../../src/core/report.js';

const FINALITY = ['signed', 'never-signed failed', 'completed'];

export class FateModel {
  readonly #heard = new Map<string, { readonly reports: readonly Report[]; readonly last: number }>();

  /** @param sequence the number that an event would have now */
  hears(report: Report, sequence: number): { readonly changed: boolean; readonly sequence: number } {
    const { moneyKey } = report;
    const before = this.#heard.get(moneyKey);
    const reports = [...(before?.reports ?? []), report];
    const changed = JSON.stringify(this.known(moneyKey)) !== JSON.stringify(knownBy(reports));
    const last = changed || before === undefined ? sequence : before.last;
    this.#heard.set(moneyKey, { reports, last });
    return { changed, sequence: last };
  }

  known(moneyKey: string): KnownFate | undefined {
    const heard = this.#heard.get(moneyKey);
    return heard && knownBy(heard.reports);
  }

  forgotten(to: number): void {
    for (const [key, { last }] of this.#heard) if (last <= to) this.#heard.delete(key);
  }
}

function knownBy(reports: readonly Report[]): KnownFate {
  const orderOf = (report: Report) => [
    report.updatedAtMs,
    FINALITY.findIndex((words) => words.split(' ').includes(report.fate)),
    `${report.status} ${report.subStatus ?? ''}`,
  ];
  const [newest] = reports.toSorted((one, other) => compare(orderOf(other), orderOf(one)));
  if (newest === undefined) throw new Error('nothing was heard');
  const [hashed] = reports
    .filter(({ txHash }) => txHash !== undefined)
    .toSorted((one, other) => compare([other.updatedAtMs, other.txHash], [one.updatedAtMs, one.txHash]));
  const signed = reports.some(({ fate, txHash }) => fate !== 'never-signed' || txHash !== undefined);
  const { fate, status, subStatus, updatedAtMs } = newest;
  return {
    fate: (signed && fate === 'never-signed' ? 'failed' : fate) as KnownFate['fate'],
    signed,
    status,
    ...(subStatus === undefined ? {} : { subStatus }),
    updatedAtMs,
    ...(hashed?.txHash === undefined ? {} : { hash: { txHash: hashed.txHash, atMs: hashed.updatedAtMs } }),
  };
}

function compare(one: readonly unknown[], other: readonly unknown[]): number {
  for (const [index, mine] of one.entries()) {
    const theirs = other[index];
    if (mine === theirs) continue;
    return (mine as number) < (theirs as number) ? -1 : 1;
  }
  return 0;
}
