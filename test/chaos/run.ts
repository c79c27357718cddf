/**
 * `npm run chaos`: real processes, planned faults, and a verdict on everything that two co-signers were told.
 *
 * Read in this order: bed/bed.ts (what runs), workload/ (what is asked), faults/catalogue.ts (what goes wrong),
 * history/check.ts (what must never be seen).
 */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { readJournal } from '../support/journal.js';
import { type Bed, makeBed } from './bed/bed.js';
import { hasClocks } from './bed/clock.js';
import { Cosigners } from './bed/cosigners.js';
import { CATALOGUE, FATAL } from './faults/catalogue.js';
import { primaryOf } from './faults/fault.js';
import { type Plan, planFaults, planText } from './faults/plan.js';
import { type Evidence, violationsOf } from './history/check.js';
import { entriesIn, entriesOfControl, loggedIn } from './history/entries.js';
import { historyOf } from './history/history.js';
import { settledIn } from './history/settled.js';
import type { Violation } from './history/violation.js';
import { type Options, parseOptions, USAGE } from './options.js';
import { pageOf } from './report/page.js';
import { type FaultReport, reportOf, type Struck } from './report/report.js';
import { verdictText } from './report/verdict.js';
import { type LimitFacts, limitsFor, policyText } from './workload/limits.js';

/** After the last fault, for the co-signers to hear a final answer to everything: what is cut off has none. */
const FINISH_MS = 180_000;
const WHOLE_MS = 90_000;
/** What follows a fault is to be told from what the next one does. */
const REST_MS = 3_000;
const REPEATS = 1_000;

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}

class Run {
  readonly #options: Options;
  readonly #plan: Plan;
  readonly #limits: readonly LimitFacts[];
  readonly #struck: Struck[] = [];
  readonly #troubles: Violation[] = [];
  #bed: Bed | undefined;
  #cosigners: Cosigners | undefined;
  #stopping = false;

  constructor(options: Options) {
    this.#options = options;
    const { seed, mode, seconds, only } = options;
    this.#plan = planFaults({ seed, mode, seconds, clocks: hasClocks, ...(only && { only }) });
    // The control knows no destinations.
    this.#limits = limitsFor(options.rate).filter(
      ({ newForMs }) => mode !== 'naive' || newForMs === undefined,
    );
  }

  /** Resolves to whether nothing was seen that must never be seen. */
  async go(): Promise<boolean> {
    const { mode, seed, seconds, rate } = this.#options;
    say(
      `Mode ${mode}, seed ${seed}, ${seconds} s, ${rate} transactions a second. Planned:\n${planText(this.#plan)}`,
    );
    if (!hasClocks) say('  (no clock is set: that needs Linux and a C compiler)');
    const onCrash = (name: string, how: string) => this.#trouble(`${name} ended by itself: ${how}`);
    const bed = await makeBed({ mode, policy: policyText(this.#limits), limits: this.#limits, onCrash });
    this.#bed = bed;
    say(`\nThe bed is being made in ${bed.folder} …`);
    await bed.start();
    const cosigners = new Cosigners(bed, { seed, rate }, onCrash);
    this.#cosigners = cosigners;
    cosigners.start();
    const ticking = setInterval(() => this.#tick(cosigners), 1_000);
    try {
      await this.#strikeAll(bed, cosigners);
      return await this.#judge(bed, cosigners);
    } finally {
      clearInterval(ticking);
    }
  }

  async clean(): Promise<void> {
    this.#stopping = true;
    await this.#cosigners?.stop();
    await this.#bed?.stop({ keep: this.#options.keep });
    if (this.#options.keep && this.#bed !== undefined) say(`Everything is kept in ${this.#bed.folder}`);
  }

  async #strikeAll(bed: Bed, cosigners: Cosigners): Promise<void> {
    let restedMs = 0;
    for (const planned of this.#plan.faults) {
      await pause(Math.max(0, planned.atMs - cosigners.nowMs(), restedMs - cosigners.nowMs()));
      const beganMs = cosigners.nowMs();
      say(`── ${planned.name}: ${CATALOGUE[planned.name].about}`);
      const blow = { bed, durationMs: planned.durationMs, choice: planned.choice };
      const felt = await CATALOGUE[planned.name].strike(blow).catch((error: Error) => {
        this.#trouble(`${planned.name} did not bite: ${error.message}`);
        return { target: '', evidence: `it did not bite: ${error.message}` };
      });
      const healedMs = cosigners.nowMs();
      say(`   ${felt.target}: ${felt.evidence}`);
      await bed
        .whole(WHOLE_MS)
        .catch((error: Error) => this.#trouble(`after ${planned.name}: ${error.message}`));
      const wholeMs = cosigners.nowMs();
      this.#struck.push({ ...planned, ...felt, beganMs, healedMs, wholeMs });
      restedMs = wholeMs + REST_MS;
    }
    await pause(Math.max(0, this.#options.seconds * 1_000 - cosigners.nowMs()));
  }

  async #judge(bed: Bed, cosigners: Cosigners): Promise<boolean> {
    const endMs = cosigners.nowMs();
    say('── no new transactions; everything that was asked is to be decided, and asked for once more');
    await cosigners.tell({ command: 'finish' }, FINISH_MS);
    await cosigners.tell({ command: 'repeat', atMost: REPEATS }, FINISH_MS);
    const kept = await this.#kept(bed);
    const fatal = await this.#endFatally(bed, cosigners);
    const history = historyOf(await cosigners.records());
    const logged = loggedIn(
      bed.mode === 'naive' ? [] : bed.replicas.map(({ name }) => join(bed.folder, `log/${name}.log`)),
    );
    const evidence = { history, ...kept, logged, limits: this.#limits };
    const violations = [...violationsOf(evidence), ...this.#troubles];
    const report = reportOf({
      ...evidence,
      options: this.#options,
      struck: this.#struck,
      fatal,
      endMs,
      violations,
    });
    process.stdout.write(verdictText(report));
    const { json, page } = this.#options;
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(report, null, 1)}\n`);
    if (page !== undefined) writeFileSync(page, pageOf(report, history));
    return violations.length === 0;
  }

  async #kept(bed: Bed): Promise<Pick<Evidence, 'entries' | 'settled'>> {
    if (bed.mode === 'naive') {
      const { port } = await primaryOf(bed);
      return { entries: await entriesOfControl(port), settled: { reports: [], releases: [] } };
    }
    const events = await readJournal(bed.deployment.configFile);
    return { entries: entriesIn(events), settled: settledIn(events) };
  }

  /** In mode `fence`: a loss that nobody but an operator may get over. */
  async #endFatally(bed: Bed, cosigners: Cosigners): Promise<FaultReport | undefined> {
    const { fatal } = this.#plan;
    if (fatal === undefined) return undefined;
    const beganMs = cosigners.nowMs();
    say(`── ${fatal}, and every ask after it must be undecided`);
    const felt = await FATAL[fatal]({ bed, durationMs: 0, choice: 0 });
    say(`   ${felt.target}: ${felt.evidence}`);
    await cosigners.tell({ command: 'after-the-end' }, FINISH_MS);
    const nowMs = cosigners.nowMs();
    return {
      name: fatal,
      about: CATALOGUE[fatal].about,
      ...felt,
      beganMs,
      healedMs: nowMs,
      wholeMs: nowMs,
      gapMs: 0,
      recoveredMs: 0,
    };
  }

  #tick(cosigners: Cosigners): void {
    const { decided, retried, lost, pending } = cosigners.progress();
    const at = `${(cosigners.nowMs() / 1_000).toFixed(0).padStart(4)} s`;
    say(`${at}  ${decided} decided, ${retried} to ask again, ${lost} lost, ${pending} waiting`);
  }

  #trouble(text: string): void {
    if (this.#stopping) return;
    say(`   ${text}`);
    this.#troubles.push({ check: 'bed', text });
  }
}

async function main(): Promise<number> {
  const options = parseOptions(process.argv.slice(2));
  if (options === 'help') {
    process.stdout.write(USAGE);
    return 0;
  }
  const run = new Run(options);
  for (const signal of ['SIGINT', 'SIGTERM'] as const)
    process.once(signal, () => void run.clean().finally(() => process.exit(130)));
  try {
    return (await run.go()) ? 0 : 1;
  } finally {
    await run.clean();
  }
}

main().then(
  (code) => process.exit(code),
  (error: Error) => {
    say(`chaos: ${error.message}`);
    process.exit(2);
  },
);
