/**
 * The protocol with one rule removed, rule by rule: what the simulation does not find in one of these it would not find
 * in the product either. A rule that lives in the product's source is removed from its text; one that lives in Lua is
 * removed from the models.
 */
import { readFileSync } from 'node:fs';
import { stripTypeScriptTypes } from 'node:module';
import type { ProfileName } from './profiles.js';
import type { Product } from './replica.js';
import { ALL_RULES, type Rule } from './rules.js';

/** Where the product's code that is driven is, in the order in which the parts are made of one another. */
const FILES = {
  quorum: 'ledger/witness/quorum',
  log: 'ledger/witness/log',
  recovery: 'ledger/witness/recovery',
  salvage: 'ledger/witness/salvage',
  trimming: 'ledger/witness/trimming',
  report: 'core/report',
  settle: 'core/settle',
} as const;

interface Edit {
  readonly file: keyof typeof FILES;
  /** Must be in the file exactly once. */
  readonly text: string;
  readonly instead: string;
}

export interface Mutant {
  readonly name: string;
  /** Where it is looked for first: the profile in which its rule is needed most. The mixed one where any will do. */
  readonly profile?: ProfileName;
  readonly edits?: readonly Edit[];
  readonly removed?: readonly Rule[];
}

const inRecovery = (text: string, instead: string): Edit => ({ file: 'recovery', text, instead });
const inLog = (text: string, instead: string): Edit => ({ file: 'log', text, instead });
const inReport = (text: string, instead: string): Edit => ({ file: 'report', text, instead });
const inSalvage = (text: string, instead: string): Edit => ({ file: 'salvage', text, instead });
const inQuorum = (text: string, instead: string): Edit => ({ file: 'quorum', text, instead });

export const MUTANTS: readonly Mutant[] = [
  { name: 'no fence', profile: 'torn', removed: ['fence'] },
  {
    name: 'no seal',
    profile: 'disks',
    removed: ['seal'],
    edits: [
      inRecovery("survey.kind === 'blank' || survey.promised !== ballot.epoch", "survey.kind === 'blank'"),
    ],
  },
  {
    name: 'sealed by one witness',
    profile: 'duel',
    edits: [
      inRecovery(
        'if (sealed.length >= majorityOf(members)) return sealed;',
        'if (sealed.length >= 1) return sealed;',
      ),
    ],
  },
  { name: 'answered after one witness', edits: [inQuorum('if (kept >= needed)', 'if (kept >= 1)')] },
  { name: 'events taken below the promise', profile: 'torn', removed: ['promise'] },
  {
    name: 'a blank witness votes',
    profile: 'disks',
    removed: ['blank-has-no-vote'],
    edits: [
      inRecovery(
        "const voters = surveyed.filter(({ survey }) => survey.kind === 'member');",
        'const voters = surveyed;',
      ),
      inRecovery(
        "if (survey.kind === 'blank' || survey.promised !== ballot.epoch) return undefined;",
        "if (survey.kind === 'blank') return { witness, base: 0, events: new Map() };",
      ),
    ],
  },
  {
    name: 'read before the seal',
    profile: 'disks',
    removed: ['read-after-seal'],
    edits: [
      inRecovery(
        '  const sealed = await seal(surveyed, ballot, witnesses.length);',
        '  const early = await readAll(surveyed.filter(({ survey }) => survey.kind === "member").map(({ witness }) => witness), ballot, progress);\n  const sealed = await seal(surveyed, ballot, witnesses.length);',
      ),
      inRecovery(
        'const logs = await readAll(sealed, ballot, progress);',
        'const logs = early?.filter(({ witness }) => sealed.includes(witness));',
      ),
      inRecovery("survey.kind === 'blank' || survey.promised !== ballot.epoch", "survey.kind === 'blank'"),
    ],
  },
  { name: 'no base filter', profile: 'duel', edits: [inRecovery('event.tag >= base && ', '')] },
  {
    name: 'a claim by nobody',
    removed: ['claim'],
    edits: [inRecovery('if (!(await primary.claim(epoch, server.history))) return OVERTAKEN;', '')],
  },
  { name: 'two recoveries share an epoch', profile: 'duel', removed: ['epochs-are-unique'] },
  {
    name: 'nothing is loaded',
    edits: [
      inRecovery('    load(primary, { ballot, history: server.history, log, progress }),', '    true,'),
    ],
  },
  { name: 'what only the server has is kept', profile: 'disks', removed: ['drop-local'] },
  {
    name: 'nothing is installed',
    profile: 'torn',
    edits: [
      inRecovery(
        '    installAll(surveyed, { ballot, logs, log, needed: majorityOf(witnesses.length), progress }),',
        '    true,',
      ),
    ],
  },
  {
    name: 'installed on one witness',
    profile: 'torn',
    edits: [inRecovery('const { needed } = installing;', 'const needed = 1;')],
  },
  {
    name: 'settled before it is installed',
    profile: 'torn',
    edits: [
      inRecovery(
        '    installAll(surveyed, { ballot, logs, log, needed: majorityOf(witnesses.length), progress }),',
        '    true,',
      ),
      inRecovery(
        '  return isSettled ?',
        '  if (isSettled) await installAll(surveyed, { ballot, logs, log, needed: majorityOf(witnesses.length), progress });\n  return isSettled ?',
      ),
    ],
  },
  { name: 'installed although the epoch has begun', profile: 'torn', removed: ['no-install-once-begun'] },
  { name: 'installed on a disk that was not surveyed', profile: 'disks', removed: ['same-witness'] },
  {
    name: 'said to be missing after one survey',
    profile: 'disks',
    edits: [inRecovery('if (!areMostBlank(again, witnesses.length))', 'if (false)')],
  },
  {
    name: 'numbers are given again',
    edits: [inRecovery('Math.max(server.sequence, ...logs.map(({ events }) => highestOf(events)))', '0')],
  },
  {
    name: 'a conflict is answered before it is witnessed',
    profile: 'torn',
    removed: ['conflict-is-witnessed'],
  },
  { name: 'a conflict is forgotten with what it contradicts', profile: 'torn', removed: ['conflict-stands'] },
  {
    name: 'a decision is repeated before it is witnessed',
    profile: 'duel',
    removed: ['repeat-is-witnessed'],
  },
  {
    name: 'evaluated by a freeze or policy before it is witnessed',
    profile: 'torn',
    removed: ['state-is-witnessed'],
  },
  {
    name: 'forgotten before the checkpoint is witnessed',
    profile: 'old',
    removed: ['forget-is-witnessed'],
  },
  {
    name: 'trimmed behind a checkpoint that one witness holds',
    profile: 'old',
    removed: ['forget-is-witnessed', 'trim-needs-checkpoint'],
  },
  { name: 'forgotten by one clock', profile: 'old', removed: ['two-clocks'] },
  {
    name: 'a checkpoint without what was spent',
    profile: 'old',
    removed: ['checkpoint-has-totals'],
  },
  {
    name: 'a checkpoint without what the one before it says was spent',
    profile: 'old',
    removed: ['checkpoint-goes-on'],
  },
  { name: 'a checkpoint without different members', profile: 'old', removed: ['checkpoint-has-members'] },
  { name: 'a checkpoint without transactions that go on', profile: 'old', removed: ['checkpoint-carries'] },
  { name: 'a checkpoint without freezes', profile: 'old', removed: ['checkpoint-has-freezes'] },
  {
    name: 'what came before the newest checkpoint is dropped, covered or not',
    profile: 'old',
    edits: [
      inLog(
        'events.filter(({ sequence }) => sequence > to)',
        'events.filter(({ sequence }) => sequence >= (newestCheckpoint(events)?.sequence ?? 0))',
      ),
    ],
  },
  {
    name: 'what came after the newest checkpoint is dropped',
    profile: 'old',
    edits: [
      inLog(
        'events.filter(({ sequence }) => sequence > to)',
        'events.filter(({ sequence }) => sequence > to && sequence <= (newestCheckpoint(events)?.sequence ?? sequence))',
      ),
    ],
  },
  {
    name: 'what a checkpoint covers is loaded again',
    profile: 'old',
    edits: [inLog('events.filter(({ sequence }) => sequence > to)', 'events')],
  },
  { name: 'a condition is checked and not written', removed: ['moments-are-written'] },
  {
    name: 'a report is taken for recorded before it is witnessed',
    profile: 'torn',
    removed: ['report-is-witnessed'],
  },
  { name: 'a release is told before it is witnessed', profile: 'torn', removed: ['release-is-witnessed'] },
  {
    name: 'a release that somebody else recorded is relied upon unseen',
    profile: 'torn',
    edits: [
      {
        file: 'settle',
        text: '!approval.approved) return [];',
        instead: '!approval.approved || approval.released) return [];',
      },
    ],
  },
  { name: 'released although a report forbids it', removed: ['report-forbids'] },
  { name: 'approved after its release', removed: ['release-is-final'] },
  {
    name: 'the report that arrives last counts',
    edits: [
      inReport(
        'if (one.updatedAtMs !== other.updatedAtMs) return one.updatedAtMs > other.updatedAtMs;',
        'return true;',
      ),
    ],
  },
  {
    name: 'what was seen signed is forgotten by the next report',
    edits: [inReport('known?.signed === true || ', '')],
  },
  {
    name: 'salvaged in an epoch of the clock alone',
    profile: 'lost',
    edits: [inSalvage('1 + Math.max(server.epoch, server.claim, ...promised)', '1')],
  },
  {
    name: 'salvaged without a seal',
    profile: 'lost',
    edits: [inSalvage('await Promise.all(members.map(({ witness }) => witness.seal(ballot)))', '[]')],
  },
  {
    name: 'salvaged without a claim',
    profile: 'lost',
    removed: ['claim'],
    edits: [inSalvage('if (!(await primary.claim(epoch, server.history))) return OVERTAKEN;', '')],
  },
  {
    name: 'salvaged without a witness that does not answer',
    profile: 'lost',
    edits: [inSalvage('if (surveyed.length < witnesses.length)', 'if (false)')],
  },
  {
    name: 'salvaged without what the server holds',
    profile: 'lost',
    edits: [inSalvage('server.ledger === undefined ? undefined : await', 'true ? undefined : await')],
  },
  {
    name: 'salvaged without what a witness holds',
    profile: 'lost',
    edits: [inSalvage('const all = [...logs, ', 'const all = [')],
  },
  {
    name: 'salvaged without what was exported',
    profile: 'lost',
    edits: [inSalvage('if (exported === undefined) return inOrder', 'return inOrder')],
  },
  {
    name: 'salvaged on most witnesses',
    profile: 'lost',
    edits: [inSalvage('needed: witnesses.length', 'needed: majorityOf(witnesses.length)')],
  },
  {
    name: 'salvaged without a word of what nobody holds',
    profile: 'lost',
    edits: [inSalvage('if (first > next) lost.push([next, first - 1]);', '')],
  },
  {
    name: 'salvaged as if a server that restarted had forgotten nothing',
    profile: 'lost',
    edits: [inSalvage('      server.isOpen &&', '')],
  },
  {
    name: 'salvaged as if nobody had seen more',
    profile: 'lost',
    edits: [inSalvage('Math.max(newest.sequence, seen, ...', 'Math.max(newest.sequence, ...')],
  },
];

/** The product's code with these edits. Rejects when a text is not there any more. */
export async function productOf(edits: readonly Edit[]): Promise<Product> {
  const [quorum, log] = [moduleOf('quorum', edits), moduleOf('log', edits)];
  const recovery = moduleOf('recovery', edits, { './quorum.js': quorum, './log.js': log });
  const { appendToMajority } = await import(quorum);
  const { recover } = await import(recovery);
  const parts = { './quorum.js': quorum, './log.js': log, './recovery.js': recovery };
  const { remainsOf, salvage } = await import(moduleOf('salvage', edits, parts));
  const { trimWitnesses } = await import(moduleOf('trimming', edits));
  const { mergeFate } = await import(moduleOf('report', edits));
  const { settle } = await import(moduleOf('settle', edits));
  return { appendToMajority, recover, remainsOf, salvage, trimWitnesses, mergeFate, settle };
}

export function removedBy({ removed }: Mutant): ReadonlySet<Rule> {
  return removed === undefined ? ALL_RULES : new Set(removed);
}

/** So few that the logs of a schedule take several. */
const SMALL_PAGES: readonly Edit[] = [
  inRecovery('const PAGE_EVENTS = 200;', 'const PAGE_EVENTS = 5;'),
  { file: 'trimming', text: 'const CALL_EVENTS = 1000;', instead: 'const CALL_EVENTS = 4;' },
];

/** A module of its own, as a URL; its imports are taken from the sources. */
function moduleOf(
  file: Edit['file'],
  edits: readonly Edit[],
  imports: Readonly<Record<string, string>> = {},
): string {
  const place = new URL(`../../src/${FILES[file]}.ts`, import.meta.url);
  let text = readFileSync(place, 'utf8');
  for (const edit of [...SMALL_PAGES, ...edits]) {
    if (edit.file !== file) continue;
    if (text.split(edit.text).length !== 2) {
      throw new Error(`${file}.ts does not hold this once, so the mutant is none any more: ${edit.text}`);
    }
    text = text.replace(edit.text, () => edit.instead);
  }
  text = text.replace(/from '([^']*)'/g, (_, name: string) => {
    const own = imports[name] ?? new URL(name.replace(/\.js$/, '.ts'), place).href;
    return `from '${name.startsWith('.') ? own : import.meta.resolve(name)}'`;
  });
  return `data:text/javascript;base64,${Buffer.from(stripTypeScriptTypes(text)).toString('base64')}`;
}
