/** One witness: a small Redis of its own that holds the log of one workspace. The rules are in witness.lua. */
import { createHash, randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CountersignError } from '../../core/errors.js';
import type { LedgerProblem } from '../../core/fence.js';
import { checkWorkspace } from '../proposal.js';
import { connect, type NodeConnection } from '../redis/connection.js';
import { callScript } from '../redis/scripts.js';
import { readServer, witnessFaults } from '../redis/server-check.js';
import type { Ballot, LogPage, RecoveryWitness, WitnessedEvent } from './ports.js';
import type { AppendingWitness } from './quorum.js';
import type { TrimmingWitness } from './trimming.js';

export interface Witness extends RecoveryWitness, AppendingWitness, TrimmingWitness {
  /** Why it cannot be relied upon to keep what it acknowledged, or may soon not be reached, in words that say what to change. */
  faults(): Promise<readonly LedgerProblem[]>;
  close(): Promise<void>;
}

/** Once a command has waited this long, a majority of the others must do. */
const COMMAND_TIMEOUT_MS = 1000;

/** Of a hash with about this many entries in a part. */
const READ_EVENTS = 500;

const SHARED = `#!lua\n${fileOf('witness')}`;
const SCRIPTS = {
  survey: script('survey'),
  append: script('append'),
  seal: script('seal'),
  read: script('read'),
  stage: script('stage'),
  install: script('install'),
  trim: script('trim'),
};

export function connectWitness(workspace: string, settings: NodeConnection): Witness {
  checkWorkspace(workspace);
  const connection = connect({ commandTimeoutMs: COMMAND_TIMEOUT_MS, ...settings }, async () => undefined);
  const prefix = `countersign-witness:{${workspace}}`;
  const keys = [`${prefix}:meta`, `${prefix}:log`, `${prefix}:staged`];
  const call = async (name: keyof typeof SCRIPTS, args: readonly string[]) =>
    replyOf(await callScript(connection, SCRIPTS[name], { keys, args }));
  const step = async (name: keyof typeof SCRIPTS, ballot: Ballot, args: readonly string[]) => {
    const reply = await call(name, [ballot.ledger, String(ballot.epoch), ...args]);
    if (reply.code === 'OTHER') throw anotherLedger(ballot, reply.fields[0]);
    return reply;
  };
  return {
    async survey() {
      const { code, fields } = await call('survey', ['', '0', randomUUID()]);
      const [disk = '', ledger = '', promised, base, events] = fields;
      if (code === 'BLANK') return { kind: 'blank', disk };
      return {
        kind: 'member',
        disk,
        ledger,
        promised: Number(promised),
        base: Number(base),
        events: Number(events),
      };
    },
    async append(ballot, sequence, event) {
      const { code } = await step('append', ballot, [String(sequence), event]);
      if (code === 'KEPT') return 'kept';
      return code === 'BLANK' ? 'blank' : 'promised';
    },
    seal: async (ballot) => (await step('seal', ballot, [])).code === 'SEALED',
    async read(ballot, cursor) {
      const { code, fields } = await step('read', ballot, [cursor ?? '0', String(READ_EVENTS)]);
      return code === 'PAGE' ? pageOf(fields) : undefined;
    },
    async stage(ballot, { disk, isFirst, events, held }) {
      const args = events.flatMap(({ sequence, event }) => [
        String(sequence),
        held.has(sequence) ? '' : event,
      ]);
      return (await step('stage', ballot, [disk, isFirst ? '1' : '0', ...args])).code === 'STAGED';
    },
    install: async (ballot, { disk, count }) =>
      (await step('install', ballot, [disk, String(count)])).code === 'INSTALLED',
    async trim(ballot, { checkpoint, to, most }) {
      const { code, fields } = await step('trim', ballot, [String(checkpoint), String(to), String(most)]);
      return code === 'TRIMMED' ? Number(fields[0]) : undefined;
    },
    faults: async () => witnessFaults(await readServer(connection)),
    close: () => connection.close(),
  };
}

function pageOf([next = '0', ...fields]: readonly string[]): LogPage {
  const events: WitnessedEvent[] = [];
  for (let index = 0; index < fields.length; index += 2) {
    const text = fields[index + 1] ?? '';
    const blank = text.indexOf(' ');
    events.push({
      sequence: Number(fields[index]),
      tag: Number(text.slice(0, blank)),
      event: text.slice(blank + 1),
    });
  }
  return { events, ...(next === '0' ? {} : { next }) };
}

function replyOf(reply: unknown): { readonly code: string; readonly fields: readonly string[] } {
  if (!Array.isArray(reply) || !reply.every((field) => typeof field === 'string')) {
    throw new CountersignError('LEDGER_CORRUPT', 'a witness answered with something else than text');
  }
  const [code = '', ...fields] = reply;
  return { code, fields };
}

function anotherLedger({ ledger }: Ballot, other: string | undefined): CountersignError {
  return new CountersignError(
    'LEDGER_CORRUPT',
    `a witness keeps ledger ${other}, and this is ledger ${ledger}`,
  );
}

function script(name: string) {
  const source = `${SHARED}\n${fileOf(name)}`;
  return { source, digest: createHash('sha1').update(source).digest('hex') };
}

function fileOf(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
}
