/** A Redis server of the bed with a configuration file, a data directory and a clock of its own. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { askRedis, infoOf } from './ask.js';
import { Clock } from './clock.js';
import { Member } from './member.js';

export interface RedisNodeSettings {
  readonly name: string;
  /** Where its directory is made. */
  readonly folder: string;
  /** Where it listens, past the proxy. */
  readonly port: number;
  readonly settings: Readonly<Record<string, string>>;
  /** The library of clock.ts; without it the clock cannot be set. */
  readonly clockLibrary?: string | undefined;
}

const DEFAULTS: Readonly<Record<string, string>> = {
  bind: '127.0.0.1',
  appendonly: 'yes',
  save: '""',
  'maxmemory-policy': 'noeviction',
  'repl-backlog-ttl': '0',
};

export class RedisNode {
  readonly name: string;
  readonly port: number;
  readonly member: Member;
  readonly #data: string;
  readonly #clock: Clock | undefined;

  constructor({ name, folder, port, settings, clockLibrary }: RedisNodeSettings) {
    this.name = name;
    this.port = port;
    const home = join(folder, name);
    this.#data = join(home, 'data');
    mkdirSync(this.#data, { recursive: true });
    this.#clock = clockLibrary === undefined ? undefined : new Clock(clockLibrary, join(home, 'clock'));
    const file = join(home, 'redis.conf');
    const all = Object.entries({ ...DEFAULTS, ...settings, port: String(port), dir: this.#data });
    // In a file, because Sentinel has the server keep there whom it follows.
    writeFileSync(file, all.map(([key, value]) => `${key} ${value}\n`).join(''));
    const env = this.#clock?.environment;
    this.member = new Member(name, join(home, 'log'), () => ({
      command: 'redis-server',
      args: [file],
      ...(env && { env }),
    }));
  }

  async start(): Promise<void> {
    this.member.start();
    await this.answers();
  }

  /** Resolves when it answers anything at all but LOADING. */
  async answers(): Promise<void> {
    const endsAt = performance.now() + 90_000;
    while (performance.now() < endsAt) {
      const reply = await this.ask('PING').catch((error: Error) => error.message);
      if (reply === 'PONG' || /^(READONLY|MASTERDOWN|NOAUTH)/.test(String(reply))) return;
      await pause(20);
    }
    throw new Error(`${this.name} does not answer`);
  }

  ask(...words: readonly string[]): Promise<unknown> {
    return askRedis(this.port, words);
  }

  info(section: string): Promise<ReadonlyMap<string, string>> {
    return infoOf(this.port, section);
  }

  async runId(): Promise<string> {
    return (await this.info('server')).get('run_id') ?? '';
  }

  /** While it is down. */
  wipe(): void {
    rmSync(this.#data, { recursive: true, force: true });
    mkdirSync(this.#data, { recursive: true });
  }

  setClock(offsetSeconds: number): void {
    this.#clock?.set(offsetSeconds);
  }

  /** How far its clock is ahead of ours. */
  async clockAheadMs(): Promise<number> {
    const [seconds, microseconds] = (await this.ask('TIME')) as readonly [string, string];
    return Number(seconds) * 1_000 + Number(microseconds) / 1_000 - Date.now();
  }
}
