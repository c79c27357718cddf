/**
 * Three servers with asynchronous replication: one is elected to decide, the others follow it at some distance. What a
 * server went through since it started is kept, so that any end of it can be forgotten.
 */

import { Scripts } from './janitor-model.js';
import type { Node } from './network.js';
import { type Dataset, EMPTY, type Here } from './replies.js';
import type { Removed } from './rules.js';

export class Server implements Node {
  isDown = false;
  isStalled = false;
  role: Here['role'] = 'slave';
  /** As master_replid: another one after every restart and promotion, and that of its primary for a replica. */
  history = '';
  /** What it held after each of its writes, the newest last. */
  trail: Dataset[] = [EMPTY];
  /** How much of its primary's trail a replica has. */
  offset = 0;
  /** By how many steps its clock is wrong. */
  clockError = 0;

  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  get dataset(): Dataset {
    return this.trail.at(-1) ?? EMPTY;
  }

  /** It forgets all but this, and begins anew. */
  hold(dataset: Dataset): void {
    this.trail = [dataset];
    this.offset = 0;
  }
}

export class Servers {
  readonly all: readonly Server[] = ['server-1', 'server-2', 'server-3'].map((name) => new Server(name));
  elected: Server;
  /** An old primary that nobody has told, and that still decides for whoever is connected to it. */
  leftBehind: Server | undefined;
  #histories = 0;

  readonly #removed: Removed;
  readonly #clock: () => number;

  /** @param clock the true time, in steps */
  constructor(removed: Removed, clock: () => number = () => 0) {
    this.#removed = removed;
    this.#clock = clock;
    const [first] = this.all;
    if (first === undefined) throw new Error('there are servers');
    this.elected = first;
    this.#promote(first);
  }

  /** Runs a script there: one atomic step. */
  run<T>(server: Server, script: (scripts: Scripts) => T): T {
    const { role, history, dataset, clockError } = server;
    const here = { role, history, now: this.#clock() + clockError };
    const scripts = new Scripts(dataset, here, this.#removed);
    try {
      return script(scripts);
    } finally {
      // A script that stops with an error has written what it has written.
      if (scripts.dataset !== dataset) server.trail.push(scripts.dataset);
    }
  }

  get replicas(): readonly Server[] {
    return this.all.filter((server) => server.role === 'slave' && !server.isDown);
  }

  /** A replica catches up to some point. */
  replicate(replica: Server, steps: number): void {
    const primary = this.elected;
    if (primary.isDown || primary.role !== 'master') return;
    const isNew = replica.history !== primary.history;
    if (isNew) {
      replica.history = primary.history;
      replica.offset = 0;
    }
    const offset = Math.min(replica.offset + steps + (isNew ? 1 : 0), primary.trail.length);
    const dataset = primary.trail[offset - 1];
    if (dataset === undefined) return;
    replica.trail = [dataset];
    replica.offset = offset;
  }

  /** Comes back without its last writes; a primary begins a new history, even if it lost none. */
  restart(server: Server, lost: number): void {
    const kept = server.trail[Math.max(0, server.trail.length - 1 - lost)] ?? EMPTY;
    server.hold(lost >= server.trail.length ? EMPTY : kept);
    server.isDown = false;
    server.isStalled = false;
    if (server.role === 'master') server.history = this.#newHistory();
  }

  /** The replica becomes the primary with what it has; the old one is stopped, or is not told. */
  failOver(to: Server, isOldStopped: boolean): void {
    const old = this.elected;
    this.rejoin();
    if (isOldStopped) {
      old.isDown = true;
      old.role = 'slave';
    } else this.leftBehind = old;
    this.elected = to;
    this.#promote(to);
  }

  /** The old primary is told at last, and becomes a replica with what the new one has. */
  rejoin(): void {
    if (this.leftBehind === undefined) return;
    this.leftBehind.role = 'slave';
    this.leftBehind.history = '';
    this.leftBehind = undefined;
  }

  flush(): void {
    this.elected.trail.push(EMPTY);
  }

  #promote(server: Server): void {
    server.role = 'master';
    server.history = this.#newHistory();
    server.hold(server.dataset);
  }

  #newHistory(): string {
    this.#histories += 1;
    return `history-${this.#histories}`;
  }
}
