/** Every fault there is, in which mode it can be, and how long it lasts. */
import type { Mode } from '../bed/deployment.js';
import type { Strike } from './fault.js';
import * as network from './network.js';
import * as processes from './processes.js';
import * as stores from './stores.js';

export interface CatalogueEntry {
  readonly strike: Strike;
  readonly about: string;
  readonly modes: readonly Mode[];
  /** Writes can be lost by it: what happens then is what a run is for. */
  readonly losesWrites: boolean;
  /** Shortest and longest, in milliseconds. */
  readonly lasts: readonly [number, number];
}

const ALL: readonly Mode[] = ['witness', 'fence', 'naive'];
const REPLICATED: readonly Mode[] = ['witness', 'naive'];
const WITNESSED: readonly Mode[] = ['witness'];

function fault(
  strike: Strike,
  about: string,
  modes: readonly Mode[],
  lasts: readonly [number, number],
  losesWrites = false,
): CatalogueEntry {
  return { strike, about, modes, losesWrites, lasts };
}

export const CATALOGUE = {
  'kill-primary': fault(processes.killPrimary, 'kill -9 of the primary', ALL, [1_500, 4_000], true),
  'stop-primary': fault(processes.stopPrimary, 'SIGSTOP of the primary', ALL, [2_500, 5_000], true),
  'split-brain': fault(
    network.splitBrain,
    'the primary is cut off with one of our replicas',
    REPLICATED,
    [4_000, 7_000],
    true,
  ),
  'lagging-fail-over': fault(
    processes.killPrimaryAheadOfReplicas,
    'kill -9 of the primary while its replicas lag',
    REPLICATED,
    [2_000, 4_000],
    true,
  ),
  'flush-all': fault(stores.flushAll, 'FLUSHALL on the primary', REPLICATED, [0, 0], true),
  'lose-primary-disk': fault(
    stores.losePrimaryDisk,
    'the primary comes back empty at once',
    REPLICATED,
    [0, 0],
    true,
  ),
  'lose-witness-disk': fault(
    stores.loseWitnessDisk,
    'a witness comes back blank',
    WITNESSED,
    [1_000, 3_000],
    true,
  ),
  'kill-redis-replica': fault(
    processes.killRedisReplica,
    'kill -9 of a Redis replica',
    REPLICATED,
    [1_000, 3_000],
  ),
  'kill-sentinel': fault(processes.killSentinel, 'kill -9 of a Sentinel', REPLICATED, [1_000, 3_000]),
  'kill-witness': fault(processes.killWitness, 'kill -9 of a witness', WITNESSED, [1_000, 4_000]),
  'kill-replica': fault(processes.killReplica, 'kill -9 of one of our replicas', ALL, [500, 3_000]),
  'stop-redis-replica': fault(
    processes.stopRedisReplica,
    'SIGSTOP of a Redis replica',
    REPLICATED,
    [2_000, 5_000],
  ),
  'stop-sentinel': fault(processes.stopSentinel, 'SIGSTOP of a Sentinel', REPLICATED, [2_000, 5_000]),
  'stop-witness': fault(processes.stopWitness, 'SIGSTOP of a witness', WITNESSED, [2_000, 5_000]),
  'stop-replica': fault(processes.stopReplica, 'SIGSTOP of one of our replicas', ALL, [1_000, 6_000]),
  'isolate-replica': fault(
    network.isolateReplica,
    'one of our replicas reaches no store',
    ALL,
    [2_000, 6_000],
  ),
  'isolate-witness': fault(
    network.isolateWitness,
    'a witness is reached by nobody',
    WITNESSED,
    [2_000, 6_000],
  ),
  'isolate-from-witnesses': fault(
    network.isolateFromWitnesses,
    'one of our replicas reaches no witness',
    WITNESSED,
    [2_000, 6_000],
  ),
  'slow-primary': fault(network.slowPrimary, 'the primary answers late', ALL, [2_000, 5_000]),
  'slow-witness': fault(network.slowWitness, 'a witness answers late', WITNESSED, [2_000, 5_000]),
  'cut-replies': fault(
    network.cutReplies,
    'commands are executed and their replies are cut off',
    ALL,
    [2_000, 4_000],
  ),
  'reset-balancer': fault(
    network.resetBalancer,
    'connections of the balancer are reset',
    ALL,
    [1_000, 3_000],
  ),
  'pause-clients': fault(stores.pauseClients, 'CLIENT PAUSE on the primary', ALL, [1_500, 4_000]),
  'jump-clock': fault(stores.jumpClock, 'the clock of the primary is set', ALL, [3_000, 5_000]),
} as const satisfies Record<string, CatalogueEntry>;

export type FaultName = keyof typeof CATALOGUE;

/** Only at the very end in mode `fence`: after these nothing may be decided before an operator has spoken. */
export const FATAL = {
  'flush-all': stores.flushAll,
  'lose-primary-disk': stores.losePrimaryDisk,
} as const;

export type FatalName = keyof typeof FATAL;
