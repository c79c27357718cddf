/**
 * `countersign ledger activate` where most witnesses have lost their disks: an operator's word that what is still known
 * is the ledger.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { auditFilesIn } from '../audit/file.js';
import { eventsOf, verifiedChain } from '../audit/read.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import type { ExportedLog, Recovery, Remains, Witnesses, WitnessState } from '../core/fence.js';
import { loadOperatorPrivateKey, loadOperators, signStatement, verifyStatement } from '../keys/statements.js';
import { witnessText } from './ledger.js';
import type { ActivateOptions } from './ledger-activate.js';
import { believedKeys } from './ledger-import.js';

interface Place {
  readonly witnesses: Witnesses;
  readonly workspace: WorkspaceConfig;
  readonly config: Config;
}

export async function activateWitnessed(
  options: ActivateOptions,
  { witnesses, workspace, config }: Place,
): Promise<void> {
  const privateKey = loadOperatorPrivateKey(options.key);
  const operators = loadOperators(config.operators);
  const exported = await exportedLog(options, workspace.name, config);
  const sources = { above: options.above, ...(exported && { exported }) };
  const before = await witnesses.states();
  let operator = '';
  const attest = async (remains: Remains): Promise<string> => {
    const statement = await signStatement(privateKey, {
      statement: 'ledger-activate',
      ledger: remains.ledger,
      workspace: workspace.name,
      history: remains.history,
      sequence: remains.sequence + 1,
      oldPrimary: 'stopped',
      witnesses: 'lost',
      issuedAt: new Date().toISOString(),
    });
    operator = (await verifyStatement(operators, statement)).operator;
    return statement;
  };
  const remains = await witnesses.remains(sources);
  await attest(remains);
  if (options.dryRun === true) {
    print(options, { workspace: workspace.name, operator, before, remains, exported, recovery: undefined });
    return;
  }
  let found = remains;
  const recovery = await witnesses.salvage({
    ...sources,
    attest: (now) => {
      found = now;
      return attest(now);
    },
  });
  print(options, { workspace: workspace.name, operator, before, remains: found, exported, recovery });
}

/** Of this workspace: the files that were named, or those of the configuration. */
async function exportedLog(
  { audit: named, publicKey }: ActivateOptions,
  workspace: string,
  config: Config,
): Promise<ExportedLog | undefined> {
  const paths = named.length > 0 ? named : ownFolders(workspace, config);
  if (paths.length === 0) return undefined;
  const files = auditFilesIn(paths);
  const keys = believedKeys(publicKey, files, config);
  const chain = await verifiedChain(files, keys);
  if (chain.workspace !== workspace) {
    throw new CountersignError(
      'CHECK_FAILED',
      `the audit files are of workspace ${chain.workspace}, and not of ${workspace}`,
    );
  }
  const { ledger, after, sequence } = chain;
  return { ledger, after, sequence, events: () => eventsOf(files, keys) };
}

/** Whoever exports has a trail: without it something that was answered and is known would be left out. */
function ownFolders(workspace: string, { audit }: Config): readonly string[] {
  const directory = audit?.directory;
  if (directory === undefined) return [];
  const own = (existsSync(directory) ? readdirSync(directory) : []).filter(
    (name) => name.startsWith(`${workspace}-`) && /^[0-9a-f]{8}$/.test(name.slice(workspace.length + 1)),
  );
  if (own.length > 0) return own.map((name) => join(directory, name));
  throw new CountersignError(
    'USAGE',
    `the configuration exports to ${directory}, and there is no audit trail of workspace ${workspace}: name its folders with --audit; if all of them are lost, use a copy of the configuration without its section audit`,
  );
}

interface Done {
  readonly workspace: string;
  readonly operator: string;
  readonly before: readonly WitnessState[];
  readonly remains: Remains;
  readonly exported: ExportedLog | undefined;
  /** Undefined: nothing was done. */
  readonly recovery: Recovery | undefined;
}

function print(options: ActivateOptions, done: Done): void {
  const { workspace, operator, before, remains, exported, recovery } = done;
  if (options.json === true) {
    const sequence = remains.sequence + 1;
    const known = { ...remains, exported: exported ? exported.sequence : null };
    const report = {
      workspace,
      identity: remains.ledger,
      operator,
      sequence,
      dryRun: recovery === undefined,
    };
    process.stdout.write(
      `${JSON.stringify({ ...report, witnesses: before, known, recovery: recovery ?? null })}\n`,
    );
    return;
  }
  const { server, events, newest, covered, policy, freezes } = remains;
  const lines = [
    `ledger      ${remains.ledger}, workspace ${workspace}`,
    ...before.map(
      (state, index) => `${index === 0 ? 'witnesses' : ''}`.padEnd(12) + witnessText(state, index),
    ),
    `server      ${server === undefined ? 'holds nothing of it' : `holds ${server.events} events, its last number is ${server.sequence}`}`,
    `audit       ${exported === undefined ? 'no trail was given' : `the trail ends at event ${exported.sequence}`}`,
    `together    ${events} events are known, the last is ${newest.sequence}, of ${new Date(newest.atMs).toISOString()}${covered > 0 ? `; a checkpoint covers those up to ${covered}` : ''}`,
    `lost        ${lostText(remains)}`,
    `policy      ${policy === undefined ? 'none is active' : `${policy} will be in force`}`,
    `freezes     ${freezes.length === 0 ? 'none' : freezes.map(({ id, reason }) => `${id} (${reason})`).join(', ')}`,
    `statement   ${operator} states that the disks of most witnesses are lost for good, that the old primary is stopped, and that the ledger is what is known, and goes on at event ${remains.sequence + 1}`,
    recovery === undefined
      ? 'Nothing was changed (--dry-run).'
      : `Activated in epoch ${recovery.epoch}: every witness holds the log, and the ledger decides.`,
  ];
  process.stdout.write(`${lines.join('\n')}\n`);
}

const MOST_RANGES = 10;

function lostText({ lost, isEndCertain, newest, sequence }: Remains): string {
  const ranges = lost
    .slice(0, MOST_RANGES)
    .map(([first, last]) => (first === last ? `${first}` : `${first} to ${last}`));
  const more = lost.length > MOST_RANGES ? ` and ${lost.length - MOST_RANGES} more ranges` : '';
  const known = ranges.length === 0 ? '' : `events ${ranges.join(', ')}${more}: nobody holds them. `;
  if (isEndCertain)
    return known === '' ? 'nothing: the server has every event that it ever gave a number' : known.trim();
  return `${known}Whether more came after event ${Math.max(newest.sequence, sequence)}, or others in place of the last ones, nobody knows. Requests whose decision is lost are decided anew, limits have room for them, and policies and freezes may be among them`;
}
