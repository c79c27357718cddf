/** What can be asked of a run. */
import { parseArgs } from 'node:util';
import type { Mode } from './bed/deployment.js';
import { CATALOGUE } from './faults/catalogue.js';

export interface Options {
  readonly seed: string;
  readonly seconds: number;
  readonly mode: Mode;
  readonly rate: number;
  readonly json: string | undefined;
  readonly page: string | undefined;
  readonly only: readonly string[] | undefined;
  readonly keep: boolean;
}

export const USAGE = `npm run chaos -- [options]

  --mode MODE      witness (default), fence, or naive: the control, which must fail
  --seed TEXT      of the workload and the faults (default: 1)
  --seconds N      how long faults happen (default: 60); deciding what is left takes a little longer
  --rate N         transactions a second (default: 24)
  --only A,B       only these faults: ${Object.keys(CATALOGUE).join(', ')}
  --json FILE      everything that was measured
  --page FILE      one HTML page with the timeline
  --keep           leave the folder with all logs and records

Exit code 1 when anything was seen that must never be seen.
`;

const MODES: readonly Mode[] = ['witness', 'fence', 'naive'];

/** Throws with a sentence for the person who typed it. */
export function parseOptions(args: readonly string[]): Options | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      seed: { type: 'string', default: '1' },
      seconds: { type: 'string', default: '60' },
      mode: { type: 'string', default: 'witness' },
      rate: { type: 'string', default: '24' },
      json: { type: 'string' },
      page: { type: 'string' },
      only: { type: 'string' },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return 'help';
  const mode = MODES.find((one) => one === values.mode);
  if (mode === undefined) throw new Error(`--mode must be one of ${MODES.join(', ')}`);
  const only = values.only?.split(',');
  const stranger = only?.find((name) => !Object.hasOwn(CATALOGUE, name));
  if (stranger !== undefined) throw new Error(`--only: there is no fault ${stranger}`);
  const { seed, json, page, keep } = values;
  const seconds = numberFrom(values.seconds, '--seconds', [10, 86_400]);
  return { seed, mode, seconds, rate: numberFrom(values.rate, '--rate', [3, 1_000]), json, page, only, keep };
}

function numberFrom(text: string, option: string, [least, most]: readonly [number, number]): number {
  const number = Number(text);
  if (Number.isFinite(number) && number >= least && number <= most) return number;
  throw new Error(`${option} must be a number from ${least} to ${most}`);
}
