/** Short runs of the bed, as anybody can start them: the product must pass, and the control without a fence must not. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { processesNaming } from '../support/processes.js';

const MINUTE_MS = 60_000;
/** All of the bed shares two cores perhaps. */
const RATE = ['--rate', '16'];
const folder = mkdtempSync(join(tmpdir(), 'countersign-chaos-test-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

function run(script: string, ...args: readonly string[]): Promise<Ended> {
  const node = ['--import', './test/chaos/typescript.js', `test/chaos/${script}`, ...args];
  // In a folder of our own, by which its processes can be told from those of others.
  const env = { ...process.env, TMPDIR: folder };
  const child = spawn(process.execPath, node, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, output }));
  });
}

function checksBroken(json: string): readonly string[] {
  const { checks } = JSON.parse(readFileSync(json, 'utf8')) as {
    readonly checks: readonly { readonly check: string; readonly violations: number }[];
  };
  return checks.filter(({ violations }) => violations > 0).map(({ check }) => check);
}

describe('the bed of faults', () => {
  test.each([
    // The primary forgets everything, a replica dies, the primary is replaced by one that lags.
    ['witness', ['--seconds', '30', '--only', 'flush-all,kill-replica,lagging-fail-over']],
    ['fence', ['--seconds', '12']],
  ])(
    'finds nothing in mode %s',
    async (mode, options) => {
      const { code, output } = await run('run.ts', '--mode', mode, '--seed', '1', ...RATE, ...options);
      expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('PASSED') });
    },
    15 * MINUTE_MS,
  );

  test(
    'finds what a handler without a fence does wrong',
    async () => {
      const json = join(folder, 'naive.json');
      const seconds = ['--seconds', '20', '--only', 'lagging-fail-over,flush-all'];
      const asked = ['--mode', 'naive', '--seed', '1', ...RATE, ...seconds, '--json', json];
      const { code } = await run('run.ts', ...asked);
      expect(code).toBe(1);
      expect(checksBroken(json)).toEqual(expect.arrayContaining(['answers', 'ledger']));
    },
    15 * MINUTE_MS,
  );

  test(
    'approves exactly as many as fit, time and again',
    async () => {
      const { code, output } = await run('exactly-k.ts', '--schedules', '30');
      expect({ code, output }).toMatchObject({ code: 0, output: expect.stringContaining('PASSED') });
    },
    15 * MINUTE_MS,
  );

  test('leaves no process behind', async () => {
    // What was killed last may still be ending.
    await eventually(async () => expect(processesNaming(folder)).toEqual([]));
  });
});
