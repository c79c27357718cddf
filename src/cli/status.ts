/** `countersign status`: what a person wants to know at three in the morning, on one page. */
import { Command } from 'commander';
import { loadConfig, unauthenticatedWarnings } from '../config/load.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import { CountersignError, errorCodeOf, messageOf } from '../core/errors.js';
import type { LedgerProblem } from '../core/fence.js';
import { type CompiledPolicy, compilePolicy } from '../core/policy/compile.js';
import type { ActivePolicy, Freeze, Ledger, LedgerState } from '../core/ports.js';
import { authenticateActivation, loadOperators } from '../keys/statements.js';
import { keySetsOf, lifeWarnings } from '../replica/key-life.js';
import { acceptPolicy, chainsOf } from '../replica/replica.js';
import { describeFreeze, hasExpired } from './freeze-text.js';
import { withLedger } from './ledger.js';
import { newestEvents, signedText } from './ledger-journal.js';
import { type LimitFill, limitFills } from './limit-use.js';
import { type OpenStatus, openLines, openStatus } from './open-lines.js';
import { unreachableWaiting, type WaitingStatus, waitingLines, waitingStatus } from './status-waiting.js';

interface StatusOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly json?: true;
}

/** Why nothing is decided in a workspace, or what is in force there. */
export interface WorkspaceStatus {
  readonly workspace: string;
  /** Absent: the ledger could not be read. */
  readonly ledger?: {
    readonly identity: string;
    readonly kind: Ledger['kind'];
    readonly sequence: number;
    readonly nowMs: number;
  };
  readonly policy?: PolicyStatus;
  readonly freezes: readonly (Freeze & { readonly inForce: boolean })[];
  readonly limits: readonly LimitFill[];
  readonly open?: OpenStatus;
  /** What was told to come again. */
  readonly waiting: WaitingStatus;
  /** What keeps replicas from deciding; empty when they decide. */
  readonly blocked: readonly string[];
  readonly warnings: readonly string[];
}

interface PolicyStatus {
  readonly version: string;
  readonly sequence: number;
  /** When it was activated, Unix milliseconds by the ledger's clock; null: the event was forgotten. */
  readonly activatedAtMs: number | null;
  /** Who signed the activation; null: nobody that this configuration knows. */
  readonly operator: string | null;
  readonly unfreeze: 'one-person' | 'two-person' | null;
}

/** Limits are looked for in so many of the newest events. */
const SAMPLE = 1_000;

export function statusCommand(): Command {
  return new Command('status')
    .description(
      'one page: whether decisions are made and why not, the policy, the freezes in force, how full the limits are, what waits and why; exit code 1 when nothing is decided somewhere',
    )
    .requiredOption('--config <file>', 'configuration document')
    .option('--workspace <name>', 'this one alone; otherwise all')
    .option('--json', 'print one JSON object')
    .action(status);
}

async function status(options: StatusOptions): Promise<void> {
  const names =
    options.workspace === undefined
      ? loadConfig(options.config).workspaces.map(({ name }) => name)
      : [options.workspace];
  const pages: WorkspaceStatus[] = [];
  for (const workspace of names) pages.push(await statusOf(options.config, workspace));
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ workspaces: pages })}\n`
      : `${pages.map((page) => pageText(page).join('\n')).join('\n\n')}\n`,
  );
  if (pages.some(({ blocked }) => blocked.length > 0)) process.exitCode = 1;
}

/** One workspace whose ledger is away must not hide the others. */
export async function statusOf(config: string, workspace: string): Promise<WorkspaceStatus> {
  try {
    return await withLedger({ config, workspace }, readStatus);
  } catch (error) {
    if (!(error instanceof CountersignError && error.code.startsWith('LEDGER_'))) throw error;
    const waiting = unreachableWaiting(error.message);
    return { workspace, freezes: [], limits: [], waiting, blocked: [error.message], warnings: [] };
  }
}

async function readStatus(
  ledger: Ledger,
  workspace: WorkspaceConfig,
  config: Config,
): Promise<WorkspaceStatus> {
  const problems = await ledger.check();
  const state = await ledger.state().catch((error: unknown) => withoutLedger(problems, error));
  if ('blocked' in state) return { workspace: workspace.name, ...state };
  const served = await servedPolicy(state, workspace, config);
  const { compiled, problem } = served;
  const limits =
    compiled === undefined
      ? []
      : await limitFills(ledger, { policy: compiled, state, events: await newestEvents(ledger, SAMPLE) });
  const open = await openStatus(ledger, workspace);
  const blocked = [...textsOf(problems, true), ...(problem === undefined ? [] : [problem])];
  const writable = { nowMs: state.nowMs, isDeciding: problems.every(({ blocks }) => !blocks) };
  return {
    workspace: workspace.name,
    ledger: { identity: state.identity, kind: ledger.kind, sequence: state.sequence, nowMs: state.nowMs },
    ...(state.policy && { policy: await policyStatus(state.policy, served, ledger) }),
    freezes: state.freezes.map((freeze) => ({ ...freeze, inForce: !hasExpired(freeze, state.nowMs) })),
    limits,
    ...(open && { open }),
    waiting: await waitingStatus(ledger, workspace, writable),
    blocked,
    warnings: [
      ...unauthenticatedWarnings({ workspaces: [workspace] }),
      ...lifeWarnings(keySetsOf({ workspaces: [workspace] }), Date.now()),
      ...textsOf(problems, false),
      ...(config.audit?.directory === undefined ? [] : await exportWarnings(ledger, state.nowMs)),
    ],
  };
}

/** As the alert CountersignAuditLagging has it. */
const EXPORT_PATIENCE_MS = 900_000;

/** Of an export that has fallen behind; a replica alone knows why. */
export async function exportWarnings(ledger: Ledger, nowMs: number): Promise<readonly string[]> {
  const { mark, newest } = await ledger.exports.state();
  const [oldest] = await ledger.events(mark?.sequence ?? 0, 1);
  if (oldest === undefined || oldest.sequence > newest || nowMs - oldest.atMs < EXPORT_PATIENCE_MS) return [];
  const since = new Date(oldest.atMs).toISOString();
  return [
    `The audit export is behind: events ${oldest.sequence} to ${newest} wait, the first since ${since}. countersign_audit_errors_total and the log of replicas say why.`,
  ];
}

/** The ledger cannot be read, and the problems say why, or else this throws. */
function withoutLedger(
  problems: readonly LedgerProblem[],
  error: unknown,
): Omit<WorkspaceStatus, 'workspace'> {
  const blocked = textsOf(problems, true);
  if (blocked.length === 0 || !errorCodeOf(error).startsWith('LEDGER_')) throw error;
  const isSaid = problems.some(({ code }) => code === 'PRIMARY');
  return {
    freezes: [],
    limits: [],
    waiting: unreachableWaiting('the ledger cannot be read.'),
    blocked: isSaid ? blocked : [...blocked, messageOf(error)],
    warnings: textsOf(problems, false),
  };
}

function textsOf(problems: readonly LedgerProblem[], blocking: boolean): readonly string[] {
  return problems.filter(({ blocks }) => blocks === blocking).map(({ text }) => text);
}

interface ServedPolicy {
  /** Who activated it; absent when nobody did whom the configuration names. */
  readonly operator?: string | undefined;
  readonly compiled?: CompiledPolicy;
  readonly problem?: string;
}

/** The active policy as a replica of this configuration would serve it, or why it would not. */
async function servedPolicy(
  { policy, identity }: LedgerState,
  workspace: WorkspaceConfig,
  config: Config,
): Promise<ServedPolicy> {
  if (policy === undefined) return { problem: 'No policy is active: `countersign policy activate`.' };
  let operator: string | undefined;
  try {
    operator = await authenticateActivation(loadOperators(config.operators), workspace.name)(
      policy,
      identity,
    );
    const compiled = compilePolicy(policy.document, 'the active policy', chainsOf(workspace));
    acceptPolicy(compiled, config);
    return { operator, compiled };
  } catch (error) {
    if (error instanceof CountersignError) return { operator, problem: error.message };
    throw error;
  }
}

async function policyStatus(
  { version, sequence }: ActivePolicy,
  { operator, compiled }: ServedPolicy,
  ledger: Ledger,
): Promise<PolicyStatus> {
  const [event] = await ledger.events(sequence - 1, 1);
  return {
    version,
    sequence,
    activatedAtMs: event?.sequence === sequence ? event.atMs : null,
    operator: operator ?? null,
    unfreeze: compiled?.document.unfreeze ?? null,
  };
}

function pageText(page: WorkspaceStatus): readonly string[] {
  const { ledger, policy, freezes, blocked, warnings } = page;
  const inForce = freezes.filter((freeze) => freeze.inForce);
  return [
    `workspace   ${page.workspace}`,
    `decisions   ${decisionsText(blocked, inForce)}`,
    ...(ledger === undefined
      ? []
      : [
          `ledger      ${ledger.identity} (${ledger.kind}), event ${ledger.sequence}, its clock ${new Date(ledger.nowMs).toISOString()}`,
        ]),
    ...(policy === undefined ? [] : [`policy      ${policyText(policy)}`]),
    ...limitLines(page.limits),
    ...openLines(page.open, ledger?.nowMs ?? 0),
    `freezes     ${ledger === undefined ? 'not known' : inForce.length === 0 ? 'none in force' : `${inForce.length} in force`}`,
    ...freezes.flatMap((freeze) => describeFreeze(freeze, ledger?.nowMs ?? 0).map((line) => `  ${line}`)),
    ...waitingLines(page.waiting, ledger?.nowMs),
    ...warnings.map((warning) => `warning     ${warning}`),
  ];
}

function decisionsText(blocked: readonly string[], inForce: readonly Freeze[]): string {
  if (blocked.length > 0) return `NONE ARE MADE. ${blocked.join('\n            ')}`;
  return inForce.length === 0 ? 'are made' : 'are made, except where a freeze says otherwise';
}

function policyText({ version, sequence, activatedAtMs, operator, unfreeze }: PolicyStatus): string {
  const signer = signedText(operator ?? undefined);
  const lifting =
    unfreeze === null
      ? ''
      : `; lifting a freeze takes ${unfreeze === 'two-person' ? 'two operators' : 'one operator'}`;
  const since = activatedAtMs === null ? '' : ` (${new Date(activatedAtMs).toISOString()})`;
  return `${version.slice(0, 12)} since event ${sequence}${since}, ${signer}${lifting}`;
}

function limitLines(limits: readonly LimitFill[]): readonly string[] {
  const width = Math.max(0, ...limits.map(({ limit }) => limit.length));
  return limits.map(({ limit, counter, used, max, unit, percent, near, of }, index) => {
    const which = counter === '' ? '' : `, ${counter}${of > 1 ? ` (the fullest of ${of})` : ''}`;
    const label = index === 0 ? 'limits' : '';
    return `${label.padEnd(12)}${limit.padEnd(width)}  ${String(percent).padStart(3)} %  ${used} of ${max} ${unit}${which}${near ? '  NEAR ITS MAX' : ''}`;
  });
}
