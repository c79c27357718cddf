/** What a mirror prints: one line for each difference, and one page at the end. */
import { CLASS_MEANING, CLASSES } from './compare.js';
import type { Comparison } from './examiner.js';
import { shown } from './subject.js';
import type { Group, Summary } from './tally.js';

/** Lines of each list on the page; `--json` has more. */
const MOST_LINES = 20;

/** For programs. */
export function differenceOf({ class: found, at, subject, ours, theirs, problem }: Comparison) {
  return {
    type: 'difference' as const,
    class: found,
    ...(at === undefined ? {} : { at }),
    ...(subject === undefined ? {} : { ...subject }),
    ...(ours === undefined ? {} : { ours: { action: ours.action, ...reasonOf(ours.outcome) } }),
    handler: theirs.ok
      ? { action: theirs.action, ...(theirs.rejectionReason && { reason: theirs.rejectionReason }) }
      : { problem: theirs.problem },
    ...(problem === undefined ? {} : { problem }),
  };
}

function reasonOf(outcome: NonNullable<Comparison['ours']>['outcome']) {
  if (outcome.kind === 'undecided') return { reason: outcome.reason, sentence: outcome.sentence };
  const { reason, sentence, rule, limit } = outcome.decision;
  return {
    reason,
    sentence,
    ...(rule === undefined ? {} : { rule }),
    ...(limit === undefined ? {} : { limit }),
  };
}

/** For people. */
export function differenceLine(comparison: Comparison): string {
  const { class: found, at, subject, ours, theirs, problem } = comparison;
  const handler = theirs.ok
    ? `the handler says ${theirs.action}${theirs.rejectionReason === undefined ? '' : ` (${shown(theirs.rejectionReason, 200)})`}`
    : `the handler: ${theirs.problem}`;
  const we =
    ours === undefined
      ? `we refuse the message: ${problem ?? ''}`
      : `we say ${ours.action}: ${shown(reasonOf(ours.outcome).sentence, 200)}`;
  const about = subject === undefined ? '' : `${subject.requestId} ${subject.stage} ${subject.what}: `;
  return `${found.toUpperCase().padEnd(10)}${at === undefined ? '' : `${at} `}${about}${handler}, ${we}`;
}

export function summaryText(summary: Summary): string {
  const { copies, compared, classes, limits } = summary;
  const counts = CLASSES.filter((name) => classes[name] > 0).map(
    (name) => `  ${name.padEnd(12)}${String(classes[name]).padStart(8)}  ${CLASS_MEANING[name]}`,
  );
  const rest: readonly (readonly [number, string])[] = [
    [summary.unanswered, 'requests without an answer that was seen'],
    [summary.unasked, 'answers without a request that was seen'],
    [summary.strangers, 'messages that neither we nor the handler served'],
    [summary.unreadable, 'lines that are no copies'],
    [summary.dropped, 'copies dropped: they came faster than they are decided'],
    [summary.faults, 'faults of ours'],
  ];
  return [
    `copies      ${copies}, of which ${compared} could be compared`,
    `we          ${Object.entries(summary.ours)
      .map(([action, count]) => `${action} ${count}`)
      .join(', ')}`,
    ...counts,
    ...rest.filter(([count]) => count > 0).map(([count, what]) => `${String(count).padStart(22)}  ${what}`),
    ...listOf('differences by rule', summary.byRule),
    ...listOf('differences by operation, asset and destination', summary.bySubject),
    ...driftText(limits),
  ].join('\n');
}

function listOf(title: string, groups: readonly Group[]): readonly string[] {
  if (groups.length === 0) return [];
  const lines = groups.slice(0, MOST_LINES).map(({ name, classes }) => {
    const counts = Object.entries(classes).map(([found, count]) => `${count} ${found}`);
    return `  ${shown(name, 120)}: ${counts.join(', ')}`;
  });
  const more = groups.length - lines.length;
  return [title, ...lines, ...(more > 0 ? [`  and ${more} more`] : [])];
}

function driftText({ uncounted, countedHereOnly, later }: Summary['limits']): readonly string[] {
  if (uncounted + countedHereOnly === 0) return [];
  return [
    'limits',
    `  ${uncounted} approvals of the handler are not counted here, and ${countedHereOnly} of ours were not given by it: from the`,
    `  first of them on limits count something else than the handler lets through. ${later} of the differences came after it for`,
    '  a limit without room, and may be a consequence. Mend the others first, then begin again with an empty --dir.',
  ];
}
