/**
 * Mixes of faults, so that what needs several of them at once happens every few dozen schedules and not every ten thousand.
 * The seed of a schedule chooses one, each as often as the others, for the product and for mutants alike; a mutant is
 * looked for first where its rule is needed most, and then everywhere else.
 */
import type { SettlingReport } from '../../src/core/report.js';
import type { Chance } from './chance.js';
import { type Question, questions, reportsOf } from './events.js';
import { FAULTS, type FaultName, weigh } from './faults.js';

/** What one schedule is made of. */
export interface Course {
  readonly steps: number;
  readonly witnesses: number;
  readonly replicas: number;
  /** Each as often as it is named. */
  readonly faults: readonly FaultName[];
  /** The probability of a fault in a step, and while somebody recovers. */
  readonly faultRate: number;
  readonly recoveryFaultRate: number;
  /** Calls that may be held up, and how often one is. */
  readonly heldUp: ReadonlySet<string>;
  readonly holdRate: number;
  /** For so many steps. */
  readonly holdSteps: readonly number[];
  /** How often whoever sent one that is held up gives it up at once. */
  readonly giveUpRate: number;
  /** One replica at a time recovers, mostly. */
  readonly isLocking: boolean;
  /** How often a replica has one witness that it never reaches. */
  readonly apartRate: number;
  /** One witness is blank at the beginning. */
  readonly isBlank: boolean;
  readonly questions: readonly Question[];
  /** What vendors tell, again and again, in any order. */
  readonly reports: readonly SettlingReport[];
  /** For so many steps what was decided is kept; for ever where nobody forgets. */
  readonly retention: number;
  /** What was decided goes to an audit trail. */
  readonly isExported: boolean;
  /** How often an operator activates a ledger that nothing is wrong with. */
  readonly needlessSalvageRate: number;
}

const RECOVERY_CALLS = ['seal', 'read', 'stage', 'install', 'claim', 'load', 'settle'] as const;

/** No shorter than a destination cools off. */
const RETENTION_STEPS = 80;
const FOR_EVER = Number.POSITIVE_INFINITY;

function asked(chance: Chance, others: number): Pick<Course, 'questions' | 'reports'> {
  const chosen = questions(chance, others);
  const reports = reportsOf(chance, chosen);
  // Of few transactions much is told at the same time.
  return { questions: chosen, reports: chance.happens(0.5) ? reports.slice(0, 4) : reports };
}

/** What is rare enough without anything else going on. */
const RECOVERY_ALONE = { reports: [], retention: FOR_EVER } as const;

/** What the others change a part of: everything may go wrong, and one kind of fault more than another. */
function mixed(chance: Chance): Course {
  const faultRate = chance.pick([0.005, 0.01, 0.03, 0.06]) ?? 0.01;
  return {
    ...asked(chance, chance.happens(0.5) ? 0.15 : 0.5),
    steps: chance.pick([150, 300, 600]) ?? 150,
    witnesses: chance.happens(0.1) ? 5 : 3,
    replicas: chance.between(2, 4),
    faults: weigh(chance, FAULTS),
    faultRate,
    recoveryFaultRate: chance.happens(0.6) ? faultRate : 0.15,
    heldUp: new Set([
      ...(chance.happens(0.5) ? ['append'] : []),
      ...(chance.happens(0.6) ? [chance.pick([...RECOVERY_CALLS, 'commit']) ?? ''] : []),
    ]),
    holdRate: 0.35,
    holdSteps: [20, 80, 320],
    giveUpRate: 0.6,
    isLocking: chance.happens(0.7),
    apartRate: chance.happens(0.5) ? 0.6 : 0,
    isBlank: chance.happens(0.3),
    retention: chance.happens(0.3) ? RETENTION_STEPS : FOR_EVER,
    isExported: false,
    needlessSalvageRate: 0,
  };
}

/** Replicas that see different witnesses recover at the same moment, after the server has forgotten its newest events. */
function duel(chance: Chance): Course {
  return {
    ...mixed(chance),
    steps: 160,
    witnesses: 3,
    replicas: 3,
    faults: ['everybody recovers at once', ...weigh(chance, ['a caller gives up', 'a connection breaks'])],
    faultRate: 0.015,
    recoveryFaultRate: chance.pick([0, 0.03]) ?? 0,
    heldUp: new Set(['seal', chance.happens(0.5) ? 'append' : '']),
    holdRate: 0.6,
    holdSteps: [20, 40],
    giveUpRate: 0.1,
    isLocking: false,
    apartRate: 0.9,
    isBlank: false,
    ...asked(chance, 0.5),
    retention: FOR_EVER,
  };
}

/** Whoever recovers stands still at some step, or one of its messages does, for so long that others recover meanwhile. */
function sleeper(chance: Chance): Course {
  return {
    ...mixed(chance),
    steps: 250,
    faults: [
      'a recovery stands still',
      'a recovery stands still',
      'the primary forgets',
      ...weigh(chance, [
        'a fail-over',
        'a connection is slow',
        'a caller gives up',
        'a request arrives twice',
      ]),
    ],
    faultRate: 0.02,
    recoveryFaultRate: 0.05,
    heldUp: new Set([chance.pick(RECOVERY_CALLS) ?? '', 'install']),
    isLocking: chance.happens(0.3),
    isBlank: false,
  };
}

/** One witness after the other loses its disk, with recoveries between them that give it its vote back. */
function disks(chance: Chance): Course {
  const isSurveySlow = chance.happens(0.3);
  return {
    ...mixed(chance),
    steps: 350,
    witnesses: 3,
    faults: [
      'a witness loses its disk',
      'a witness is cut off',
      'a recovery stands still',
      ...weigh(chance, ['the primary forgets', 'a replica dies', 'a caller gives up']),
    ],
    faultRate: 0.015,
    recoveryFaultRate: 0.02,
    heldUp: new Set(isSurveySlow ? ['survey'] : ['stage', chance.happens(0.3) ? 'append' : '']),
    // A recovery sends many surveys, and others must get through.
    holdRate: isSurveySlow ? 0.1 : 0.35,
    giveUpRate: 0,
    isLocking: chance.happens(0.3),
    apartRate: 0,
    isBlank: true,
    ...RECOVERY_ALONE,
  };
}

/** Few questions with several contents; events and installations reach some witnesses and not others, or much later. */
function torn(chance: Chance): Course {
  return {
    ...mixed(chance),
    steps: 240,
    witnesses: 3,
    faults: [
      'the primary forgets',
      'a caller gives up',
      'a replica dies',
      'the primary restarts',
      ...weigh(chance, ['a fail-over', 'a connection breaks', 'a connection is cut']),
    ],
    faultRate: 0.03,
    recoveryFaultRate: 0.03,
    heldUp: new Set(['append', chance.happens(0.7) ? 'install' : '']),
    holdRate: 0.55,
    giveUpRate: 0.9,
    isLocking: chance.happens(0.3),
    apartRate: 0,
    isBlank: false,
    ...asked(chance, 0.6),
    ...(chance.happens(0.7) ? RECOVERY_ALONE : { retention: FOR_EVER }),
  };
}

/** What was decided is forgotten again and again, by replicas and on servers whose clocks go wrong. */
function old(chance: Chance): Course {
  return {
    ...mixed(chance),
    steps: 400,
    witnesses: 3,
    faults: [
      'a clock is wrong',
      'a clock is wrong',
      'the primary forgets',
      'a replica dies',
      ...weigh(chance, [
        'a fail-over',
        'a connection breaks',
        'the primary restarts',
        'a witness is cut off',
      ]),
    ],
    faultRate: chance.pick([0.01, 0.03]) ?? 0.01,
    recoveryFaultRate: 0.02,
    heldUp: new Set(['append', chance.pick(['forget', 'trim', 'checkpoint', 'release']) ?? '']),
    holdRate: 0.2,
    isLocking: chance.happens(0.5),
    apartRate: 0,
    isBlank: false,
    retention: RETENTION_STEPS,
    ...asked(chance, 0.15),
  };
}

/** Most witnesses lose their disks at once, and operators say that what is left is the ledger, while it all goes on. */
function lost(chance: Chance): Course {
  const isSurveySlow = chance.happens(0.2);
  return {
    ...mixed(chance),
    steps: 320,
    witnesses: 3,
    replicas: 3,
    faults: [
      'most disks are lost',
      'operators act at once',
      'operators act at once',
      'the primary forgets',
      ...weigh(chance, [
        'a replica dies',
        'a recovery stands still',
        'a caller gives up',
        'a fail-over',
        'a witness loses its disk',
        'a witness is cut off',
        'the primary comes back empty',
      ]),
    ],
    faultRate: 0.02,
    recoveryFaultRate: chance.pick([0.02, 0.06]) ?? 0.02,
    heldUp: new Set([
      chance.pick(['append', 'install', 'stage', 'events']) ?? '',
      isSurveySlow ? 'survey' : 'append',
    ]),
    holdRate: isSurveySlow ? 0.1 : 0.3,
    isLocking: false,
    apartRate: chance.happens(0.3) ? 0.6 : 0,
    isBlank: chance.happens(0.3),
    retention: chance.happens(0.2) ? RETENTION_STEPS : FOR_EVER,
    isExported: chance.happens(0.5),
    needlessSalvageRate: isSurveySlow ? 0.1 : 0.01,
    ...asked(chance, 0.5),
    reports: [],
  };
}

const PROFILES = { mixed, duel, sleeper, disks, torn, old, lost };

export type ProfileName = keyof typeof PROFILES;

const NAMES: readonly ProfileName[] = ['mixed', 'duel', 'sleeper', 'disks', 'torn', 'old', 'lost'];

export function profileOf(seed: number): ProfileName {
  return NAMES[seed % NAMES.length] ?? 'mixed';
}

export function courseOf(seed: number, chance: Chance): Course {
  return PROFILES[profileOf(seed)](chance);
}
