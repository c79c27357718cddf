/** What `countersign verify-tx` prints: tables for people, or the same as data. */
import { checksOf } from '../chains/checks.js';
import type { Refusal } from '../chains/refusal.js';
import { fromBaseUnits } from '../core/amount.js';
import { REASONS, type VerificationReason } from '../core/decision.js';
import type { Asset, Chains, Effects } from '../core/ports.js';
import type { TransactionRequest } from '../core/request.js';
import type { Examination } from '../core/verify.js';
import type { JudgedStep } from './verification-cases.js';

interface Row {
  readonly label: string;
  readonly text: string;
}

interface CheckResult {
  readonly name: string;
  readonly result: 'passed' | 'failed' | 'not reached' | 'not made';
  readonly reasons: readonly VerificationReason[];
  readonly evidence?: string;
}

export interface Report {
  readonly verdict: Examination['kind'];
  /** A reason code where there is one. */
  readonly code: string;
  readonly detail: string;
  /** What the request says. */
  readonly says: readonly Row[];
  /** What the bytes do; where they were refused, what they show. */
  readonly does: readonly Row[];
  readonly checks: readonly CheckResult[];
}

interface Subject {
  readonly chains: Chains;
  readonly request?: TransactionRequest;
  readonly examination?: Examination;
  /** The payload could not be read as a request at all. */
  readonly refusal?: Refusal;
}

export function reportOf({ chains, request, examination, refusal }: Subject): Report {
  const asset = request === undefined ? undefined : chains.asset(request.intent.asset);
  const outcome = outcomeOf(examination, refusal);
  return {
    ...outcome,
    says: request === undefined ? [] : saidBy(request),
    does:
      examination?.kind === 'agrees' && asset !== undefined
        ? doneBy(examination.effects, chains, asset)
        : shownBy(request, asset, chains),
    checks: resultsOf(asset, request, outcome),
  };
}

type Outcome = Pick<Report, 'verdict' | 'code' | 'detail'>;

function outcomeOf(examination: Examination | undefined, refusal: Refusal | undefined): Outcome {
  if (refusal !== undefined) return { verdict: 'refused', code: refusal.reason, detail: refusal.detail };
  switch (examination?.kind) {
    case 'agrees':
      return {
        verdict: 'agrees',
        code: 'OK',
        detail: 'the bytes do what the request says, and nothing more',
      };
    case 'refused':
      return { verdict: 'refused', code: examination.reason, detail: examination.detail };
    case 'unavailable':
      return { verdict: 'unavailable', code: 'EVIDENCE_UNAVAILABLE', detail: examination.detail };
    case 'skipped':
      return {
        verdict: 'skipped',
        code: 'RAWTX_NOT_CHECKED',
        detail: 'the policy leaves this chain to its rules',
      };
    case 'absent':
      return {
        verdict: 'absent',
        code: 'RAWTX_MISSING',
        detail: "the request carries no raw transaction (the vendor's EU cloud never sends them)",
      };
    default:
      return { verdict: 'not-applicable', code: '', detail: 'not a transaction' };
  }
}

function saidBy({ intent }: TransactionRequest): readonly Row[] {
  return [
    { label: 'operation', text: intent.operation },
    { label: 'from', text: `${intent.source.type} ${intent.source.id}` },
    ...intent.destinations.map(({ amount, address }) => ({
      label: 'pays',
      text: `${amount ?? '?'} ${intent.asset} to ${address ?? '?'}`,
    })),
    { label: 'fee', text: intent.fee ?? 'not named' },
  ];
}

function doneBy(effects: Effects, chains: Chains, asset: Asset): readonly Row[] {
  const inNative = (units: bigint) => `${fromBaseUnits(units, asset.native.decimals)} ${asset.native.asset}`;
  const pays = effects.movements.map(({ asset: id, to, amount }) => {
    const moved = id === undefined ? undefined : chains.asset(id);
    const quantity =
      amount === undefined || moved === undefined
        ? 'an unknown amount of'
        : fromBaseUnits(amount, moved.decimals);
    return { label: 'pays', text: `${quantity} ${id ?? 'something unlisted'} to ${to}` };
  });
  const calls = effects.calls.map(({ address, selector, signature, args, value, understood }) => ({
    label: 'calls',
    text:
      `${address} ${signature ?? selector}${args === undefined ? '' : ` with ${args.join(', ')}`}` +
      `${value === 0n ? '' : `, carrying ${inNative(value)}`}${understood ? '' : ' (not understood)'}`,
  }));
  const fee = effects.maxFee === undefined ? 'unknown' : `at most ${inNative(effects.maxFee)}`;
  const summary = Object.entries(effects.summary).map(([label, text]) => ({ label, text }));
  return [...pays, ...calls, { label: 'fee', text: fee }, ...summary.filter(({ label }) => label !== 'fee')];
}

function shownBy(
  request: TransactionRequest | undefined,
  asset: Asset | undefined,
  chains: Chains,
): readonly Row[] {
  if (request === undefined || asset === undefined) return [];
  const decoder = chains.decoder(asset.family);
  return request.rawTransactions.flatMap((raw, index) =>
    Object.entries(decoder?.describe?.(raw, asset) ?? {}).map(([label, text]) => ({
      label: request.rawTransactions.length > 1 ? `${index + 1} ${label}` : label,
      text,
    })),
  );
}

function resultsOf(
  asset: Asset | undefined,
  request: TransactionRequest | undefined,
  outcome: Outcome,
): CheckResult[] {
  const checks = checksOf(asset, request?.intent.operation ?? '');
  const failed = checks.findIndex(({ reasons }) => reasons.some((reason) => reason === outcome.code));
  const reached = outcome.verdict === 'agrees' ? checks.length : failed;
  return checks.map((check, index) => {
    if (index === failed) return { ...check, result: 'failed' };
    if (index >= reached) return { ...check, result: 'not reached' };
    return { ...check, result: check.evidence === undefined ? 'passed' : 'not made' };
  });
}

const MARKS: Readonly<Record<CheckResult['result'], string>> = {
  passed: '✓',
  failed: '✗',
  'not reached': '·',
  'not made': '–',
};

/** `explain` adds what every check refuses. */
export function textOf(report: Report, explain: boolean): string {
  const checks = report.checks.flatMap(({ name, result, reasons, evidence }) => [
    `  ${MARKS[result]} ${name}${remarkOn(result, report, evidence)}`,
    ...(explain ? reasons.map((reason) => `      ${reason.padEnd(24)} ${REASONS[reason]}`) : []),
  ]);
  return [
    ...section('The request says', report.says),
    ...section(report.verdict === 'agrees' ? 'The bytes do' : 'The bytes show', report.does),
    'Checks',
    ...checks,
    '',
    `${report.verdict}${report.code === '' ? '' : ` ${report.code}`}: ${report.detail}`,
    '',
  ].join('\n');
}

function remarkOn(result: CheckResult['result'], { detail }: Report, evidence: string | undefined): string {
  if (result === 'failed') return `: ${detail}`;
  return result === 'not made' ? ` (needs ${evidence}: not made here)` : '';
}

function section(title: string, rows: readonly Row[]): readonly string[] {
  if (rows.length === 0) return [];
  const width = Math.max(...rows.map(({ label }) => label.length));
  return [title, ...rows.map(({ label, text }) => `  ${label.padEnd(width)}  ${printable(text)}`), ''];
}

/** Text of a request is anybody's: control characters must not reach a terminal. */
function printable(text: string): string {
  return text.replace(/\p{C}/gu, '�');
}

export interface CasesReport {
  readonly judged: number;
  readonly mismatches: readonly JudgedStep[];
  /** The action is right, the reason code another than the file names. */
  readonly otherCodes: readonly JudgedStep[];
  readonly text: string;
}

/** A case is judged on its action; another reason code is reported and is no mismatch. */
export function casesReport(judged: readonly JudgedStep[]): CasesReport {
  const mismatches = judged.filter(({ expected, got }) => expected.action !== got.action);
  const otherCodes = judged.filter(
    ({ expected, got }) => expected.action === got.action && !expected.codes.includes(got.code),
  );
  const lines = [
    ...mismatches.map((step) => `MISMATCH ${lineOf(step)}`),
    ...otherCodes.map((step) => `other code ${lineOf(step)}`),
    `${judged.length} judged: ${judged.length - mismatches.length} as expected, ${mismatches.length} not, ` +
      `${otherCodes.length} with another reason code`,
    '',
  ];
  return { judged: judged.length, mismatches, otherCodes, text: lines.join('\n') };
}

function lineOf({ id, title, expected, got }: JudgedStep): string {
  return printable(
    `${id} ${title}: expected ${expected.action} ${expected.codes.join(' or ')}, got ${got.action} ${got.code} (${got.detail})`,
  );
}
