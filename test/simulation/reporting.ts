/** What report.ts and release.ts do with the replies of scripts. What a report comes to is the product's own code. */
import { CountersignError } from '../../src/core/errors.js';
import type { Approval, Reported, SettlingReport } from '../../src/core/report.js';
import { fateText } from '../../src/ledger/journal-body.js';
import type { Replica, Surroundings } from './replica.js';

const ATTEMPTS = 5;

export async function hear(replica: Replica, world: Surroundings, said: SettlingReport): Promise<void> {
  const { product, promises } = world;
  promises.reporting(said);
  let isReleased = false;
  await product.settle(
    {
      async report() {
        const reported = await report(replica, world, said);
        isReleased = reported.known.fate === 'never-signed' && reported.approval.released;
        return reported;
      },
      async release({ moneyKey }) {
        const released = await release(replica, moneyKey);
        isReleased = true;
        return released;
      },
    },
    said,
    { nowMs: 0, retentionMs: 0 },
  );
  promises.reported(said);
  if (isReleased) promises.released(said.moneyKey);
}

async function report(replica: Replica, world: Surroundings, said: SettlingReport): Promise<Reported> {
  const { product, removed } = world;
  for (let attempt = 0; attempt < ATTEMPTS; attempt += 1) {
    const { fate, approval } = await fateOf(replica, said.moneyKey);
    const known = product.mergeFate(fate?.known, said);
    if (fate !== undefined && fateText(known) === fateText(fate.known)) {
      return { ...fate, changed: false, approval };
    }
    const reply = await replica.call(`report ${said.moneyKey} ${said.fate}`, (scripts, caller) =>
      scripts.report(caller, said.moneyKey, fate?.sequence ?? 0, known),
    );
    if (reply.code === 'CHANGED') continue;
    const { sequence, event, epoch } = reply;
    const witnessed = replica.confirm(epoch, event);
    if (removed.has('report-is-witnessed')) void replica.does(() => witnessed);
    else await witnessed;
    replica.saw(epoch, sequence);
    return { known, sequence, changed: true, approval };
  }
  throw busy();
}

async function fateOf(
  replica: Replica,
  money: string,
): Promise<{
  readonly fate: Pick<Reported, 'known' | 'sequence'> | undefined;
  readonly approval: Approval;
}> {
  const found = await replica.call(`fate of ${money}`, (scripts, caller) => scripts.fate(caller, money));
  if (found.unconfirmed !== undefined) await replica.confirm(found.epoch, found.unconfirmed);
  return found;
}

async function release(replica: Replica, money: string) {
  const reply = await replica.call(`release ${money}`, (scripts, caller) => scripts.release(caller, money));
  if (reply.code !== 'DONE') throw new CountersignError('RELEASE_REFUSED', `${money}: ${reply.code}`);
  const { sequence, repeated, event, epoch } = reply;
  if (event !== undefined) await replica.confirm(epoch, event);
  replica.saw(epoch, sequence);
  return { sequence, repeated, given: [] };
}

function busy(): CountersignError {
  return new CountersignError('LEDGER_UNAVAILABLE', 'reports came faster than they could be recorded');
}
