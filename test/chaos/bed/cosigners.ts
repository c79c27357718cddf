/** The machines that ask, as the runner sees them. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Command, CosignerSettings } from '../cosigner/cosigner.js';
import type { Line, Progress } from '../cosigner/record.js';
import type { Bed } from './bed.js';
import { COSIGNERS } from './deployment.js';
import { Member } from './member.js';
import { scriptOf } from './script.js';

const SCRIPT = fileURLToPath(new URL('../cosigner/cosigner.ts', import.meta.url));

export class Cosigners {
  readonly members: readonly Member[];
  readonly #recordFiles: readonly string[];
  readonly #progress = new Map<string, Progress>();
  readonly #done = new Map<string, Set<string>>();
  readonly #beganNs = process.hrtime.bigint();
  #onDone: () => void = () => {};

  constructor(
    bed: Bed,
    load: Pick<CosignerSettings, 'seed' | 'rate'>,
    onCrash: (name: string, how: string) => void,
  ) {
    const { deployment, mode } = bed;
    const fireblocks = COSIGNERS.map((name) => {
      const keyFile = deployment.cosignerKeyFile(name);
      const keys = { keyFile, answerPublicKeyFile: deployment.answerPublicKeyFile };
      return { name, keys, vendor: { url: bed.hooks, ...deployment.vendorKey } };
    });
    const voting = { name: 'virtual-signers', keys: deployment.virtualSigners } as const;
    // The control gives no votes, and hears of nothing.
    const machines: readonly Pick<CosignerSettings, 'name' | 'keys' | 'vendor'>[] =
      mode === 'naive' ? fireblocks.map(({ name, keys }) => ({ name, keys })) : [...fireblocks, voting];
    this.#recordFiles = machines.map(({ name }) => join(bed.folder, `${name}.jsonl`));
    this.members = machines.map((machine, index) => {
      const { name } = machine;
      const settings: CosignerSettings = {
        ...machine,
        origin: bed.origin,
        ...load,
        recordFile: this.#recordFiles[index] ?? '',
        beganNs: this.#beganNs.toString(),
      };
      const member = new Member(name, join(bed.folder, `log/${name}.log`), () =>
        scriptOf(SCRIPT, [JSON.stringify(settings)]),
      );
      member.onCrash = (how) => onCrash(name, how);
      member.onMessage = (message) => this.#heard(name, message);
      return member;
    });
  }

  start(): void {
    for (const member of this.members) member.start();
  }

  /** Milliseconds since the run began, by the clock of the records. */
  nowMs(): number {
    return Number(process.hrtime.bigint() - this.#beganNs) / 1e6;
  }

  progress(): Progress {
    const sum = { decided: 0, retried: 0, lost: 0, pending: 0 };
    for (const { decided, retried, lost, pending } of this.#progress.values()) {
      sum.decided += decided;
      sum.retried += retried;
      sum.lost += lost;
      sum.pending += pending;
    }
    return sum;
  }

  /** Resolves to whether all have done it in time. */
  async tell(order: Command, timeoutMs: number): Promise<boolean> {
    this.#done.set(order.command, new Set());
    for (const member of this.members) member.send(order);
    const finished = () => this.#done.get(order.command)?.size === this.members.length;
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(false), timeoutMs);
      this.#onDone = () => {
        if (!finished()) return;
        clearTimeout(timer);
        resolve(true);
      };
    });
  }

  /** Has them write out their records and end; what they wrote. */
  async records(): Promise<readonly Line[]> {
    const ended = this.members.map(
      (member) =>
        new Promise<void>((resolve) => {
          member.onCrash = () => resolve();
          member.send({ command: 'quit' } satisfies Command);
          setTimeout(resolve, 60_000).unref();
        }),
    );
    await Promise.all(ended);
    await this.stop();
    return this.#recordFiles.flatMap((file) =>
      readFileSync(file, 'utf8')
        .split('\n')
        .filter((line) => line !== '')
        .map((line) => JSON.parse(line) as Line),
    );
  }

  async stop(): Promise<void> {
    await Promise.all(this.members.map((member) => member.kill()));
  }

  #heard(name: string, message: unknown): void {
    const { progress, done } = message as { readonly progress?: Progress; readonly done?: string };
    if (progress !== undefined) this.#progress.set(name, progress);
    if (done !== undefined) {
      this.#done.get(done)?.add(name);
      this.#onDone();
    }
  }
}
