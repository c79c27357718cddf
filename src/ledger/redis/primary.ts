/** The server that decides, as a recovery sees it. */
import { CountersignError } from '../../core/errors.js';
import { bodyOf, checkpointBody } from '../journal-body.js';
import { newestCheckpoint, partsOf } from '../witness/log.js';
import type { LogSummary, RecoveryPrimary } from '../witness/ports.js';
import type { Connection } from './connection.js';
import { fenced } from './fence.js';
import { keysOf } from './keys.js';
import { loadOperands } from './replay.js';
import { run, SCRIPTS } from './scripts.js';

export interface PrimarySettings {
  readonly workspace: string;
  readonly connection: Connection;
  /** Whether witnesses keep the recovered ledger. */
  readonly witnessed: boolean;
  /** '1' when the server's next restart may be trusted; see reopen.lua. */
  readonly synced: '0' | '1';
}

export function recoveryPrimary({
  workspace,
  connection,
  witnessed,
  synced,
}: PrimarySettings): RecoveryPrimary {
  const meta = keysOf(workspace, 0).meta;
  return {
    async survey() {
      const { code, fields } = await run(connection, SCRIPTS.survey, { keys: [meta], args: [] });
      if (code === 'INFO') throw fenced({ fields: ['info'] });
      const [role = '', history = '', ledger = '', epoch, claim, isOpen, sequence] = fields;
      if (role !== 'master') {
        throw new CountersignError(
          'LEDGER_UNAVAILABLE',
          `the Redis server's role is ${role}, and not master`,
        );
      }
      return {
        history,
        ...(ledger === '' ? {} : { ledger }),
        epoch: Number(epoch),
        claim: Number(claim),
        isOpen: isOpen === '1',
        sequence: Number(sequence),
      };
    },
    async claim(epoch, history) {
      const { code } = await run(connection, SCRIPTS.claim, { keys: [meta], args: [String(epoch), history] });
      return code === 'DONE';
    },
    async load(epoch, history, events) {
      const { keys, args } = loadOperands(keysOf(workspace, epoch), events);
      const { code } = await run(connection, SCRIPTS.load, { keys, args: [String(epoch), history, ...args] });
      return code === 'DONE';
    },
    async settle({ ledger, epoch }, history, summary) {
      const args = [
        String(epoch),
        history,
        ledger,
        witnessed ? '1' : '0',
        synced,
        String(summary.sequence),
        ...marksOf(summary),
        ...coverOf(summary),
      ];
      return (await run(connection, SCRIPTS.settle, { keys: [meta], args })).code === 'DONE';
    },
  };
}

/** The clock's mark, and the versions of the policy and of the freezes, as text. */
function marksOf({ events }: LogSummary): readonly [string, string, string] {
  let [clock, policy, freezes] = [0, 0, 0];
  for (const logged of events) {
    const { sequence } = logged;
    const { type, at, body } = partsOf(logged);
    clock = Math.max(clock, Number(at));
    if (type === 'policy') policy = Math.max(policy, sequence);
    if (type === 'freeze' || type === 'unfreeze') freezes = Math.max(freezes, sequence);
    if (type === 'checkpoint') {
      const { versions } = bodyOf(checkpointBody, { sequence, type, body });
      policy = Math.max(policy, versions.policy);
      freezes = Math.max(freezes, versions.freezes);
    }
  }
  return [String(clock), String(policy), String(freezes)];
}

/** The newest checkpoint, the last event that it covers, and when the newest of those was, as text. */
function coverOf({ events }: LogSummary): readonly [string, string, string] {
  const newest = newestCheckpoint(events);
  return [String(newest?.sequence ?? 0), String(newest?.to ?? 0), String(newest?.atMs ?? 0)];
}
