/** The two kinds of handlers that a bed may have behind its balancer. */
import { fileURLToPath } from 'node:url';
import type { LimitFacts } from '../workload/limits.js';
import { COSIGNERS, type Deployment } from './deployment.js';
import type { Launch } from './member.js';
import { scriptOf } from './script.js';
import { GROUP } from './sentinels.js';

const SOURCE_ADDRESS = new URL('./source-address.js', import.meta.url).href;
const NAIVE = fileURLToPath(new URL('../naive/handler.ts', import.meta.url));

export interface Seat {
  readonly name: string;
  readonly httpPort: number;
  readonly opsPort: number;
  readonly webhookPort: number;
  /** Where its calls come from. */
  readonly sourceAddress: string;
}

/** A replica as it is shipped. */
export function replicaLaunch(main: string, { configFile }: Deployment, seat: Seat): Launch {
  const { name, sourceAddress } = seat;
  const [http, ops, hooks] = [seat.httpPort, seat.opsPort, seat.webhookPort].map(String);
  const ports = ['--http-port', `${http}`, '--ops-port', `${ops}`, '--webhook-port', `${hooks}`];
  return {
    command: process.execPath,
    args: ['--import', SOURCE_ADDRESS, main, 'serve', '--config', configFile, '--replica', name, ...ports],
    env: { CHAOS_SOURCE_ADDRESS: sourceAddress },
    ipc: true,
  };
}

export interface NaiveSettings extends Pick<Seat, 'httpPort' | 'opsPort'> {
  readonly answerKeyFile: string;
  readonly cosigners: readonly { readonly path: string; readonly publicKeyFile: string }[];
  readonly sentinels: readonly number[];
  readonly group: string;
  readonly limits: readonly {
    readonly name: string;
    readonly sum: string;
    readonly max: string;
    readonly rollingMs: number;
    readonly per: LimitFacts['per'];
    readonly lane: LimitFacts['lane'];
  }[];
}

/** The control: the same wire, the same limits, and a client library with its defaults. */
export function naiveReplica(
  { answerKeyFile, cosignerPublicKeyFile }: Deployment,
  seat: Seat & { readonly sentinels: readonly number[]; readonly limits: readonly LimitFacts[] },
): Launch {
  const settings: NaiveSettings = {
    httpPort: seat.httpPort,
    opsPort: seat.opsPort,
    answerKeyFile,
    cosigners: COSIGNERS.map((name) => ({ path: `/${name}`, publicKeyFile: cosignerPublicKeyFile(name) })),
    sentinels: seat.sentinels,
    group: GROUP,
    limits: seat.limits.map(({ window, max, ...limit }) => ({
      ...limit,
      max: max.toString(),
      rollingMs: window.kind === 'rolling' ? window.lengthMs : 0,
    })),
  };
  const { args, ...script } = scriptOf(NAIVE, [JSON.stringify(settings)]);
  return {
    ...script,
    args: ['--import', SOURCE_ADDRESS, ...args],
    env: { CHAOS_SOURCE_ADDRESS: seat.sourceAddress },
  };
}
