/**
 * What would come back if the server were lost at this instant and only some of the witnesses could be reached: the
 * product's recovery, run on copies of them. What was answered must be in it, whichever majority it is.
 */
import { Broken } from './broken.js';
import { type Entry, entryFrom } from './events.js';
import { unavailable } from './network.js';
import { primaryPort, witnessPort } from './ports.js';
import type { Product } from './replica.js';
import type { Removed } from './rules.js';
import { Servers } from './servers.js';
import type { WitnessModel } from './witness-model.js';

export interface Audited {
  readonly witnesses: readonly WitnessModel[];
  readonly product: Product;
  readonly removed: Removed;
}

/** One witness away, each in turn; none when one is blank, which is as much as may be missing. */
export async function audit(
  { witnesses, product, removed }: Audited,
  check: (journal: readonly Entry[]) => void,
): Promise<void> {
  const isWhole = witnesses.every(({ isBlank }) => !isBlank);
  for (const away of isWhole ? witnesses : [undefined]) {
    check(await recovered({ witnesses, product, removed }, away));
  }
}

async function recovered(
  { witnesses, product, removed }: Audited,
  away: WitnessModel | undefined,
): Promise<readonly Entry[]> {
  const servers = new Servers(removed);
  let loaded: readonly Entry[] = [];
  const primary = primaryPort(async (_, script) => servers.run(servers.elected, script));
  const ports = {
    primary: {
      ...primary,
      async settle(...settled: Parameters<typeof primary.settle>) {
        loaded = settled[2].events.map(entryFrom);
        return primary.settle(...settled);
      },
    },
    witnesses: witnesses.map((witness) =>
      witnessPort(witness.copy(removed), async (_, run) => {
        if (witness === away) throw unavailable(witness);
        return run();
      }),
    ),
    progress: () => undefined,
  };
  const result = await product.recover(ports, { epoch: 0, evenIfOpen: true });
  if (result.kind === 'recovered') return loaded;
  throw new Broken('it comes back', 'a recovery that nothing disturbed was overtaken');
}
