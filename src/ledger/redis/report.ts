/** What reports say of a transaction: read, merged, and recorded if nobody else has meanwhile. */
import { CountersignError } from '../../core/errors.js';
import {
  type Approval,
  batchFactKey,
  type KnownFate,
  mergeFate,
  type Reported,
  type SettlingReport,
} from '../../core/report.js';
import { fateOf as fateIn, fateText, markedFate, reportOf } from '../journal-body.js';
import { checkReport } from '../proposal.js';
import { type Guard, unconfirmedOf } from './fence.js';
import { SCRIPTS } from './scripts.js';
import type { Session } from './session.js';

/** Other reports about the transaction that come while one is recorded. */
const ATTEMPTS = 10;

/** No record is this: whoever expects it reads again. */
const OF_ANOTHER_EPOCH = 'of another epoch';

export async function report(session: Session, guard: Guard, said: SettlingReport): Promise<Reported> {
  checkReport(said);
  const { moneyKey } = said;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { record, standing, approval, epoch: readIn } = await read(session, guard, moneyKey);
    const known = mergeFate(standing?.known, said);
    if (standing !== undefined && fateText(known) === fateText(standing.known)) {
      return { ...standing, changed: false, approval };
    }
    const { code, fields, epoch } = await session.write(SCRIPTS.report, (keys) => ({
      keys: [keys.meta, keys.journal, keys.pending, keys.fates],
      args: [
        moneyKey,
        // Reading asks no fence: a server that was promoted may have known nothing of an approval that a recovery brings back.
        session.epoch === readIn ? record : OF_ANOTHER_EPOCH,
        markedFate(known),
        JSON.stringify(reportOf(said, known, approval)),
      ],
    }));
    if (code === 'CHANGED') continue;
    const [number, event = ''] = fields;
    const sequence = Number(number);
    if (event !== '') await guard.confirm([{ epoch, sequence, event }]);
    session.saw({ epoch, sequence });
    return { known, sequence, changed: true, approval };
  }
  throw new CountersignError(
    'CONCURRENT_CHANGE',
    `reports about ${moneyKey} came faster than they could be recorded`,
  );
}

export async function fateOf(
  session: Session,
  guard: Guard,
  moneyKey: string,
): Promise<(KnownFate & { readonly sequence: number }) | undefined> {
  const { standing } = await read(session, guard, moneyKey);
  return standing && { ...standing.known, sequence: standing.sequence };
}

interface Found {
  /** As it stands; empty text when no report came yet. */
  readonly record: string;
  readonly standing: { readonly known: KnownFate; readonly sequence: number } | undefined;
  readonly approval: Approval;
  readonly epoch: number;
}

async function read(session: Session, guard: Guard, moneyKey: string): Promise<Found> {
  const { fields, epoch } = await session.read(SCRIPTS.fate, (keys) => ({
    keys: [keys.meta, keys.journal, keys.pending, keys.fates, keys.transactions, keys.facts],
    args: [moneyKey, batchFactKey(moneyKey)],
  }));
  const [record = '', unconfirmed = '', approved, rejected, released, batch] = fields;
  const approval = {
    approved: approved === '1',
    rejected: rejected === '1',
    released: released === '1',
    batch: batch === '1',
  };
  if (record === '') return { record, standing: undefined, approval, epoch };
  const [sequence = '', , ...text] = record.split(' ');
  // Nobody relies on a report that a fail-over could still forget.
  if (unconfirmed !== '') await guard.confirm(unconfirmedOf(epoch, [sequence, unconfirmed]));
  const standing = { known: fateIn(text.join(' ')), sequence: Number(sequence) };
  return { record, standing, approval, epoch };
}
