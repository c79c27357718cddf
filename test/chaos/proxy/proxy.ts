/**
 * One process between everybody: each server of the bed has a port here, and who calls is told by the address it calls
 * from. So one link can be slow, silent or cut while its neighbours work. Told what to do by messages.
 */
import { connect, createServer, type Socket } from 'node:net';
import type { Between, Figures, Listener, Mode, Order, ProxyPlan } from './links.js';

/** A script call is longer than this when it carries a decision; looking at the state of the ledger is shorter. */
const DECISION_BYTES = 400;

class Link {
  readonly pairs = new Set<Pair>();
  mode: Mode = 'pass';
  delayMs = 0;
  repliesToCut = 0;
  readonly figures = { connections: 0, bytes: 0, held: 0, delayed: 0, refused: 0, reset: 0, cutReplies: 0 };
}

/** One connection: what was read on one side and is not yet written on the other waits in a queue. */
class Pair {
  readonly #link: Link;
  readonly #client: Socket;
  readonly #server: Socket;
  #queue: { readonly bytes: Buffer; readonly to: Socket; readonly dueMs: number }[] = [];
  #timer: NodeJS.Timeout | undefined;
  #awaitsCut = false;

  constructor(link: Link, client: Socket, server: Socket) {
    this.#link = link;
    this.#client = client;
    this.#server = server;
    client.on('data', (bytes) => {
      if (this.#isDecision(bytes)) this.#awaitsCut = true;
      this.#pass(bytes, server);
    });
    server.on('data', (bytes) => {
      if (this.#awaitsCut) {
        link.figures.cutReplies += 1;
        this.reset();
      } else this.#pass(bytes, client);
    });
    for (const end of [client, server]) {
      end.on('error', () => this.close());
      end.on('close', () => this.close());
    }
  }

  /** Sends what may be sent now. */
  flush(): void {
    clearTimeout(this.#timer);
    while (this.#link.mode === 'pass') {
      const [next] = this.#queue;
      if (next === undefined) return;
      const waitMs = next.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.flush(), waitMs);
        return;
      }
      this.#queue.shift();
      next.to.write(next.bytes);
    }
  }

  reset(): void {
    this.#link.figures.reset += 1;
    this.#client.resetAndDestroy();
    this.close();
  }

  close(): void {
    // The end of a connection does not get through a partition either.
    if (this.#link.mode === 'hold') return;
    clearTimeout(this.#timer);
    this.#queue = [];
    this.#link.pairs.delete(this);
    this.#client.destroy();
    this.#server.destroy();
  }

  /** After a partition: ends what has ended meanwhile on one side. */
  settle(): void {
    this.flush();
    if (this.#client.destroyed || this.#server.destroyed) this.close();
  }

  #isDecision(bytes: Buffer): boolean {
    const { repliesToCut } = this.#link;
    if (repliesToCut === 0 || this.#awaitsCut) return false;
    if (bytes.length < DECISION_BYTES || !/\bEVAL/i.test(bytes.subarray(0, 40).toString('latin1')))
      return false;
    this.#link.repliesToCut -= 1;
    return true;
  }

  #pass(bytes: Buffer, to: Socket): void {
    const { figures, mode, delayMs } = this.#link;
    figures.bytes += bytes.length;
    if (mode === 'hold') figures.held += 1;
    if (delayMs > 0) figures.delayed += 1;
    if (mode === 'pass' && delayMs === 0 && this.#queue.length === 0) to.write(bytes);
    else {
      this.#queue.push({ bytes, to, dueMs: performance.now() + delayMs });
      this.flush();
    }
  }
}

const links = new Map<string, Link>();

function linkOf(from: string, to: string): Link {
  const name = `${from}>${to}`;
  const link = links.get(name) ?? new Link();
  links.set(name, link);
  return link;
}

function meant({ from, to }: Between): readonly Link[] {
  return [...links].flatMap(([name, link]) => {
    const [source, target] = name.split('>');
    return (from === '*' || from === source) && (to === '*' || to === target) ? [link] : [];
  });
}

function listen({ name, listen, forward }: Listener, sources: ProxyPlan['sources']): Promise<void> {
  const server = createServer({ noDelay: true }, (client) => {
    const link = linkOf(sources[client.remoteAddress ?? ''] ?? 'others', name);
    client.on('error', () => client.destroy());
    if (link.mode === 'refuse') {
      link.figures.refused += 1;
      client.resetAndDestroy();
      return;
    }
    link.figures.connections += 1;
    if (link.mode === 'hold') link.figures.held += 1;
    link.pairs.add(new Pair(link, client, connect({ host: '127.0.0.1', port: forward, noDelay: true })));
  });
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(listen, '127.0.0.1', () => resolve());
  });
}

function obey(order: Order): Figures | undefined {
  const found = meant(order);
  switch (order.order) {
    case 'set':
      for (const link of found) {
        link.mode = order.mode;
        link.delayMs = order.delayMs ?? 0;
        for (const pair of [...link.pairs]) {
          if (order.mode === 'refuse') pair.reset();
          else pair.settle();
        }
      }
      return undefined;
    case 'reset':
      for (const link of found) for (const pair of [...link.pairs]) pair.reset();
      return undefined;
    case 'cut-replies':
      for (const link of found) link.repliesToCut = order.count;
      return undefined;
    case 'figures':
      return found.reduce<Figures>(
        (sum, { figures, pairs }) => added(sum, { ...figures, open: pairs.size }),
        NONE,
      );
  }
}

const NONE: Figures = {
  connections: 0,
  open: 0,
  bytes: 0,
  held: 0,
  delayed: 0,
  refused: 0,
  reset: 0,
  cutReplies: 0,
};

function added(a: Figures, b: Figures): Figures {
  const sums = Object.entries(a).map(([name, value]) => [name, value + b[name as keyof Figures]]);
  return Object.fromEntries(sums) as Figures;
}

process.on('disconnect', () => process.exit(0));
process.on(
  'message',
  (message: { readonly id: number; readonly plan?: ProxyPlan; readonly order?: Order }) => {
    const { id, plan, order } = message;
    if (plan !== undefined) {
      const targets = plan.listeners.map(({ name }) => name);
      // All links exist from the start, so that one can be cut before anybody has called over it.
      for (const from of [...Object.values(plan.sources), 'others'])
        for (const to of targets) linkOf(from, to);
      Promise.all(plan.listeners.map((listener) => listen(listener, plan.sources))).then(
        () => process.send?.({ id }),
        (error: Error) => process.send?.({ id, problem: error.message }),
      );
      return;
    }
    process.send?.({ id, figures: order === undefined ? undefined : obey(order) });
  },
);
