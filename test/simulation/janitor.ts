/** The janitor of a replica: what upkeep.ts does with the replies of scripts, in the same order. */
import type { Replica, Surroundings } from './replica.js';

/** One step: a checkpoint of what is old enough, or what the last one that recorded a checkpoint did not come to. */
export async function trim(replica: Replica, { retention, removed, trail }: Surroundings): Promise<void> {
  const kept = await replica.call('kept', (scripts, caller) => ({
    ...scripts.kept(caller),
    here: caller.now,
  }));
  const { ledger, epoch, trimmed } = kept;
  let { checkpoint, covered, event } = kept;
  if (trimmed === covered) {
    const now = removed.has('two-clocks') ? kept.now : Math.min(kept.now, kept.here);
    const exported = trail?.sequence ?? Number.POSITIVE_INFINITY;
    const old = kept.journal.filter(({ sequence }) => sequence > trimmed && sequence <= exported);
    const young = old.findIndex(({ at }) => at + retention >= now);
    const last = young === -1 ? old.at(-1) : old[young - 1];
    if (last === undefined) {
      if (trimmed > 0) await replica.drop({ ledger, epoch }, { checkpoint, to: covered });
      return;
    }
    const covering = { from: trimmed, to: last.sequence, retention };
    const reply = await replica.call(`checkpoint to ${last.sequence}`, (scripts, caller) =>
      scripts.checkpoint(caller, covering),
    );
    if (reply.code !== 'DONE' || reply.epoch !== epoch) return;
    [checkpoint, covered, event] = [reply.sequence, last.sequence, reply.event];
  }
  if (event !== undefined) {
    const witnessed = replica.confirm(epoch, event);
    if (removed.has('forget-is-witnessed')) void replica.does(() => witnessed);
    else {
      await witnessed;
      await replica.call(`confirm ${checkpoint}`, (scripts, caller) => scripts.confirm(caller, [checkpoint]));
    }
  }
  replica.saw(epoch, checkpoint);
  const { code } = await replica.call(`forget to ${covered}`, (scripts, caller) =>
    scripts.forget(caller, covered),
  );
  if (code === 'DONE') await replica.drop({ ledger, epoch }, { checkpoint, to: covered });
}
