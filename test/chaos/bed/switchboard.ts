/** The proxy's process, as the faults use it. */
import { fileURLToPath } from 'node:url';
import type { Between, Figures, Mode, Order, ProxyPlan } from '../proxy/links.js';
import { Member } from './member.js';
import { scriptOf } from './script.js';

const PROXY = fileURLToPath(new URL('../proxy/proxy.ts', import.meta.url));

export class Switchboard {
  readonly member: Member;
  #last = 0;
  readonly #waiting = new Map<number, (reply: { figures?: Figures; problem?: string }) => void>();

  constructor(logFile: string) {
    this.member = new Member('proxy', logFile, () => scriptOf(PROXY));
    this.member.onMessage = (message) => {
      const reply = message as { readonly id: number; readonly figures?: Figures; readonly problem?: string };
      this.#waiting.get(reply.id)?.(reply);
      this.#waiting.delete(reply.id);
    };
  }

  async start(plan: ProxyPlan): Promise<void> {
    this.member.start();
    const { problem } = await this.#ask({ plan });
    if (problem !== undefined) throw new Error(`the proxy cannot listen: ${problem}`);
  }

  /** Every link from one of these to one of those, in this direction of calling. */
  async set(links: readonly Between[], mode: Mode, delayMs = 0): Promise<void> {
    for (const link of links) await this.#tell({ order: 'set', mode, delayMs, ...link });
  }

  async reset(link: Between): Promise<void> {
    await this.#tell({ order: 'reset', ...link });
  }

  async cutReplies(link: Between, count: number): Promise<void> {
    await this.#tell({ order: 'cut-replies', count, ...link });
  }

  /** The sum over these links. */
  async figure(links: readonly Between[], name: keyof Figures): Promise<number> {
    let sum = 0;
    for (const link of links) sum += (await this.#tell({ order: 'figures', ...link }))?.[name] ?? 0;
    return sum;
  }

  async #tell(order: Order): Promise<Figures | undefined> {
    return (await this.#ask({ order })).figures;
  }

  #ask(message: object): Promise<{ readonly figures?: Figures; readonly problem?: string }> {
    this.#last += 1;
    const id = this.#last;
    return new Promise((resolve) => {
      this.#waiting.set(id, resolve);
      this.member.send({ id, ...message });
    });
  }
}
