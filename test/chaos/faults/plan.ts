/** Which faults a run has and when, from its seed alone, before anything is started. */
import { Random } from '../../../src/simulator/random.js';
import type { Mode } from '../bed/deployment.js';
import { CATALOGUE, type CatalogueEntry, FATAL, type FatalName, type FaultName } from './catalogue.js';

export interface PlannedFault {
  readonly atMs: number;
  readonly name: FaultName;
  readonly durationMs: number;
  readonly choice: number;
}

export interface Plan {
  readonly faults: readonly PlannedFault[];
  /** What mode `fence` ends with. */
  readonly fatal: FatalName | undefined;
}

export interface PlanSettings {
  readonly seed: string;
  readonly mode: Mode;
  readonly seconds: number;
  /** Clocks can be set. */
  readonly clocks: boolean;
  /** Only these. */
  readonly only?: readonly string[];
}

const FIRST_MS = 4_000;
const EVERY_MS = 10_000;
/** After the last one there is still time to see how it goes on. */
const REST_MS = 5_000;

/** Those that may lose writes take turns with the others; each kind has had its turn before one comes again. */
export function planFaults({ seed, mode, seconds, clocks, only }: PlanSettings): Plan {
  const random = new Random(seed, `faults of ${mode}`);
  const possible = (Object.entries(CATALOGUE) as [FaultName, CatalogueEntry][]).filter(
    ([name, { modes }]) =>
      modes.includes(mode) &&
      (clocks || name !== 'jump-clock') &&
      (only === undefined || only.includes(name)),
  );
  const decks = [true, false].map((losesWrites) => {
    const names = possible.filter(([, entry]) => entry.losesWrites === losesWrites).map(([name]) => name);
    return deckOf(names, random);
  });
  const faults: PlannedFault[] = [];
  const lastMs = seconds * 1_000 - REST_MS;
  for (
    let atMs = FIRST_MS + random.below(1_000);
    atMs <= lastMs;
    atMs += EVERY_MS + random.between(-1_500, 1_500)
  ) {
    const name = decks[faults.length % 2]?.() ?? decks[(faults.length + 1) % 2]?.();
    if (name === undefined) break;
    const [shortest, longest] = CATALOGUE[name].lasts;
    faults.push({ atMs, name, durationMs: random.between(shortest, longest), choice: random.below(1_000) });
  }
  const fatal = mode === 'fence' ? random.pick(Object.keys(FATAL) as [FatalName, ...FatalName[]]) : undefined;
  return { faults, fatal };
}

/** Deals without end; undefined when there is nothing to deal. */
function deckOf(names: readonly FaultName[], random: Random): () => FaultName | undefined {
  let deck: FaultName[] = [];
  return () => {
    if (deck.length === 0) deck = random.shuffled(names);
    return deck.shift();
  };
}

export function planText({ faults, fatal }: Plan): string {
  const lines = faults.map(
    ({ atMs, name, durationMs }) =>
      `  ${(atMs / 1_000).toFixed(1).padStart(6)} s  ${name.padEnd(22)} ${CATALOGUE[name].about}${durationMs > 0 ? `, ${(durationMs / 1_000).toFixed(1)} s` : ''}`,
  );
  if (fatal !== undefined)
    lines.push(`   at the end  ${fatal.padEnd(22)} and nothing may be decided any more`);
  return lines.join('\n');
}
