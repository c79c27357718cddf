/** What `countersign doctor` found, as a page for people, and as one verdict. */
import { ERROR_CODES } from '../core/errors.js';
import type { HandlerResult } from '../protocols/fireblocks/handlers.js';

export interface Check {
  readonly area: 'keys' | 'certificate' | 'ledger' | 'handler';
  readonly workspace?: string;
  /** What it is about, where it is not the whole area. */
  readonly subject?: string;
  readonly state: 'ok' | 'warning' | 'wrong' | 'unknown';
  readonly result?: HandlerResult;
  readonly sentence: string;
}

export interface Verdict {
  readonly well: boolean;
  readonly wrong: number;
  readonly unknown: number;
  readonly warnings: number;
  /** API users without a handler: everything that they are asked to sign is signed. */
  readonly withoutHandler: number;
  readonly exitCode: number;
}

export function verdictOf(checks: readonly Check[]): Verdict {
  const count = (state: Check['state']) => checks.filter((check) => check.state === state).length;
  const [wrong, unknown, warnings] = [count('wrong'), count('unknown'), count('warning')];
  const exitCode = wrong > 0 ? ERROR_CODES.CHECK_FAILED.exit : unknown > 0 ? ERROR_CODES.API_FAILED.exit : 0;
  return {
    well: exitCode === 0,
    wrong,
    unknown,
    warnings,
    exitCode,
    withoutHandler: checks.filter(({ result }) => result === 'missing').length,
  };
}

const MARKS = { ok: 'ok', warning: 'warning', wrong: 'WRONG', unknown: 'UNKNOWN' } as const;

export function doctorText(checks: readonly Check[]): string {
  const verdict = verdictOf(checks);
  const places = new Map<string | undefined, Check[]>();
  for (const check of checks) {
    const others = places.get(check.workspace) ?? [];
    places.set(check.workspace, [...others, check]);
  }
  const pages = [...places].map(([workspace, own]) =>
    [workspace === undefined ? 'this machine' : `workspace ${workspace}`, ...own.map(line)].join('\n'),
  );
  return [...alarm(verdict), ...pages, summary(verdict)].join('\n\n');
}

function line({ state, area, subject, sentence }: Check): string {
  const about = subject === undefined ? '' : `${subject}: `;
  return `  ${MARKS[state].padEnd(8)} ${area.padEnd(11)} ${about}${sentence}`;
}

function alarm({ withoutHandler }: Verdict): readonly string[] {
  if (withoutHandler === 0) return [];
  const who = withoutHandler === 1 ? 'ONE API USER HAS' : `${withoutHandler} API USERS HAVE`;
  return [
    `${who} NO CALLBACK HANDLER: EVERYTHING THEY ARE ASKED TO SIGN IS SIGNED, AND NOBODY IS ASKED.
Give them this handler again, or unpair them, before anything else (docs/runbooks/CountersignHandlerMissing.md).`,
  ];
}

function summary({ wrong, unknown, warnings }: Verdict): string {
  const parts = [
    ...(wrong > 0 ? [`${wrong} WRONG`] : []),
    ...(unknown > 0 ? [`${unknown} could not be checked`] : []),
    ...(warnings > 0 ? [`${warnings} ${warnings === 1 ? 'warning' : 'warnings'}`] : []),
  ];
  return parts.length === 0 ? 'All is well.' : `${parts.join(', ')}.`;
}
