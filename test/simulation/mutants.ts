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

interface Edit {
  readonly file: 'recovery' | 'quorum';
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
        '    installAll(surveyed, { ballot, logs, log, members: witnesses.length, progress }),',
        '    true,',
      ),
    ],
  },
  {
    name: 'installed on one witness',
    profile: 'torn',
    edits: [inRecovery('const needed = majorityOf(installing.members);', 'const needed = 1;')],
  },
  {
    name: 'settled before it is installed',
    profile: 'torn',
    edits: [
      inRecovery(
        '    installAll(surveyed, { ballot, logs, log, members: witnesses.length, progress }),',
        '    true,',
      ),
      inRecovery(
        '  return isSettled ?',
        '  if (isSettled) await installAll(surveyed, { ballot, logs, log, members: witnesses.length, progress });\n  return isSettled ?',
      ),
    ],
  },
  { name: 'installed although the epoch has begun', profile: 'torn', removed: ['no-install-once-begun'] },
  { name: 'installed on a disk that was not surveyed', profile: 'disks', removed: ['same-witness'] },
  {
    name: 'said to be missing after one survey',
    profile: 'disks',
    edits: [inRecovery('if (!areMostBlank(again, witnesses))', 'if (false)')],
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
];

/** The recovery and the counting of witnesses, with these edits. Rejects when a text is not there any more. */
export async function productOf(edits: readonly Edit[]): Promise<Product> {
  const quorum = await moduleOf('quorum', edits, {});
  const recovery = await moduleOf('recovery', edits, { './quorum.js': quorum });
  const { appendToMajority } = await import(quorum);
  const { recover } = await import(recovery);
  return { appendToMajority, recover };
}

export function removedBy({ removed }: Mutant): ReadonlySet<Rule> {
  return removed === undefined ? ALL_RULES : new Set(removed);
}

/** So few that the logs of a schedule take several. */
const SMALL_PAGES = inRecovery('const PAGE_EVENTS = 200;', 'const PAGE_EVENTS = 5;');

/** A module of its own, as a URL; its imports are taken from the sources. */
async function moduleOf(
  file: Edit['file'],
  edits: readonly Edit[],
  imports: Readonly<Record<string, string>>,
): Promise<string> {
  const place = new URL(`../../src/ledger/witness/${file}.ts`, import.meta.url);
  let text = readFileSync(place, 'utf8');
  for (const edit of [SMALL_PAGES, ...edits]) {
    if (edit.file !== file) continue;
    if (text.split(edit.text).length !== 2) {
      throw new Error(`${file}.ts does not hold this once, so the mutant is none any more: ${edit.text}`);
    }
    text = text.replace(edit.text, () => edit.instead);
  }
  text = text.replace(/from '(\.[^']*)\.js'/g, (whole, path: string) => {
    const url = imports[`${path}.js`] ?? new URL(`${path}.ts`, place).href;
    return whole.replace(/'.*'/, `'${url}'`);
  });
  return `data:text/javascript;base64,${Buffer.from(stripTypeScriptTypes(text)).toString('base64')}`;
}
