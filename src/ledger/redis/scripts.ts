/** The scripts: one file each, the shared ones in front, sent by digest. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { CountersignError } from '../../core/errors.js';
import { type Connection, isUnknownScript } from './connection.js';

/** Every code a script can answer with. */
const REPLY_CODES = [
  // commit
  'DECIDED',
  'CONFLICT',
  'RETRY',
  'STALE',
  'WINDOW_MOVED',
  'TRIM_AGAIN',
  'CLOCK_SKEW',
  'EXPIRING',
  // the others
  'CREATED',
  'EXISTS',
  'STATE',
  'DONE',
  'CHANGED',
  'TAKEN',
  'UNKNOWN',
  'SIGNED',
  'EVENTS',
  'EXPORTS',
  'USAGE',
  'FOUND',
  'NONE',
  'OPEN',
  'FENCE',
  'FENCED',
  // of recoveries
  'SURVEY',
  'INFO',
  'OVERTAKEN',
  // of the janitor
  'KEPT',
  'YOUNG',
  'BEHIND',
  'PENDING',
  'CARRIED',
  // of what waits
  'CLOSED',
  // every one
  'EPOCH',
  'MISSING',
  'CORRUPT',
] as const;

export type ReplyCode = (typeof REPLY_CODES)[number];

export interface Reply<Code extends ReplyCode> {
  readonly code: Code;
  /** What follows the code, all text; see the header of the script. */
  readonly fields: readonly string[];
}

/** A script, and the codes it may answer with when the ledger is there. */
export interface Script<Code extends ReplyCode> {
  readonly source: string;
  readonly digest: string;
  readonly codes: readonly Code[];
}

/**
 * Without the first line Redis would also run a script that only reads on a replica, or on a primary that has lost
 * its replicas, and would let a script that writes begin when memory is full.
 */
const SHARED = `#!lua\n${['integers', 'arguments', 'ledger', 'transactions', 'counters', 'fence', 'holders', 'moments'].map(fileOf).join('\n')}`;

export const SCRIPTS = {
  init: script('init', ['CREATED', 'EXISTS', 'FENCED']),
  inspect: script('inspect', ['FENCE']),
  reopen: script('reopen', ['OPEN', 'FENCED']),
  unfence: script('unfence', ['DONE', 'CHANGED', 'FENCED']),
  state: script('state', ['STATE']),
  commit: script('commit', [
    'DECIDED',
    'CONFLICT',
    'RETRY',
    'STALE',
    'WINDOW_MOVED',
    'TRIM_AGAIN',
    'CLOCK_SKEW',
    'EXPIRING',
    'FENCED',
  ]),
  fill: script('fill', ['DONE', 'EXPIRING', 'FENCED']),
  activate: script('activate', ['DONE', 'CHANGED', 'FENCED']),
  freeze: script('freeze', ['DONE', 'TAKEN', 'FENCED']),
  unfreeze: script('unfreeze', ['DONE', 'UNKNOWN', 'FENCED']),
  events: script('events', ['EVENTS']),
  exportState: script('export-state', ['EXPORTS']),
  exported: script('exported', ['DONE', 'CHANGED', 'FENCED']),
  usage: script('usage', ['USAGE']),
  transaction: script('transaction', ['FOUND', 'NONE']),
  release: script('release', ['DONE', 'CHANGED', 'SIGNED', 'FENCED']),
  fate: script('fate', ['FOUND']),
  report: script('report', ['DONE', 'CHANGED', 'FENCED']),
  lookup: script('lookup', ['FOUND', 'NONE']),
  remembered: script('remembered', ['FOUND', 'NONE']),
  board: script('board', ['DONE', 'CLOSED']),
  listed: script('listed', ['FOUND']),
  pending: script('pending', ['EVENTS']),
  confirm: script('confirm', ['DONE']),
  kept: script('kept', ['KEPT']),
  checkpoint: script('checkpoint', [
    'DONE',
    'CHANGED',
    'YOUNG',
    'BEHIND',
    'PENDING',
    'CARRIED',
    'CLOCK_SKEW',
    'FENCED',
  ]),
  forget: script('forget', ['DONE', 'CHANGED', 'PENDING', 'FENCED']),
  swept: script('swept', ['DONE', 'FENCED']),
  survey: script('survey', ['SURVEY', 'INFO']),
  claim: script('claim', ['DONE', 'OVERTAKEN']),
  load: script('load', ['DONE', 'OVERTAKEN']),
  settle: script('settle', ['DONE', 'OVERTAKEN']),
  replace: script('replace', ['DONE', 'CHANGED', 'OVERTAKEN']),
} as const;

/** The ledger is in another epoch than the keys that a script was given: nothing was done. */
export class EpochMoved extends Error {
  constructor(readonly epoch: number) {
    super(`the ledger is in epoch ${epoch}`);
  }
}

/** Runs a script in one atomic step. LEDGER_MISSING, LEDGER_CORRUPT and {@link EpochMoved} as every script answers them. */
export async function run<Code extends ReplyCode>(
  connection: Connection,
  { source, digest, codes }: Script<Code>,
  { keys, args }: { readonly keys: readonly string[]; readonly args: readonly string[] },
): Promise<Reply<Code>> {
  return parse(await callScript(connection, { source, digest }, { keys, args }), codes);
}

/** Sends a script by its digest, and as a whole to a server that does not know it. */
export function callScript(
  connection: Connection,
  { source, digest }: { readonly source: string; readonly digest: string },
  { keys, args }: { readonly keys: readonly string[]; readonly args: readonly string[] },
): Promise<unknown> {
  const operands = [String(keys.length), ...keys, ...args];
  return connection.call('EVALSHA', [digest, ...operands]).catch((error: unknown) => {
    // The server refused before running anything, so this is no second run.
    if (isUnknownScript(error)) return connection.call('EVAL', [source, ...operands]);
    throw error;
  });
}

function parse<Code extends ReplyCode>(reply: unknown, codes: readonly Code[]): Reply<Code> {
  if (!Array.isArray(reply) || !reply.every((field) => typeof field === 'string')) {
    throw new CountersignError('LEDGER_CORRUPT', 'a script answered with something else than text');
  }
  const [answered, ...fields] = reply;
  if (answered === 'MISSING') {
    throw new CountersignError(
      'LEDGER_MISSING',
      'the store holds no ledger; `countersign ledger init` makes one',
    );
  }
  if (answered === 'EPOCH') throw new EpochMoved(Number(fields[0]));
  const code = codes.find((known) => known === answered);
  if (code === undefined) {
    throw new CountersignError(
      'LEDGER_CORRUPT',
      `the ledger cannot be read: ${fields[0] ?? `it answered ${answered}`}`,
    );
  }
  return { code, fields };
}

function script<Code extends ReplyCode>(name: string, codes: readonly Code[]): Script<Code> {
  const source = `${SHARED}\n${fileOf(name)}`;
  return { source, digest: createHash('sha1').update(source).digest('hex'), codes };
}

function fileOf(name: string): string {
  return readFileSync(new URL(`./${name}.lua`, import.meta.url), 'utf8');
}
