/** Three Sentinels, and what they believe. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { askRedis } from './ask.js';
import { Member } from './member.js';

/** The name of the primary's group. */
export const GROUP = 'countersign';

/** Shorter than any real deployment would dare, so that a run sees many fail-overs. */
const DOWN_AFTER_MS = 1_500;
const FAILOVER_TIMEOUT_MS = 4_000;
/** One that is stopped answers nobody, and a busy one late. */
const LOOK_MS = 2_000;

export interface SentinelSettings {
  readonly name: string;
  readonly folder: string;
  readonly port: number;
  /** Where others reach it, through the proxy. */
  readonly announcedPort: number;
  readonly sourceAddress: string;
  /** Where the first primary is reached. */
  readonly primaryPort: number;
}

export class Sentinel {
  readonly name: string;
  readonly port: number;
  readonly member: Member;

  constructor({ name, folder, port, announcedPort, sourceAddress, primaryPort }: SentinelSettings) {
    this.name = name;
    this.port = port;
    const home = join(folder, name);
    mkdirSync(home, { recursive: true });
    const file = join(home, 'sentinel.conf');
    const lines = [
      `port ${port}`,
      'bind 127.0.0.1',
      `bind-source-addr ${sourceAddress}`,
      `dir ${home}`,
      'sentinel announce-ip 127.0.0.1',
      `sentinel announce-port ${announcedPort}`,
      `sentinel monitor ${GROUP} 127.0.0.1 ${primaryPort} 2`,
      `sentinel down-after-milliseconds ${GROUP} ${DOWN_AFTER_MS}`,
      `sentinel failover-timeout ${GROUP} ${FAILOVER_TIMEOUT_MS}`,
      `sentinel parallel-syncs ${GROUP} 2`,
    ];
    writeFileSync(file, `${lines.join('\n')}\n`);
    this.member = new Member(name, join(home, 'log'), () => ({
      command: 'redis-server',
      args: [file, '--sentinel'],
    }));
  }

  /** The announced port of the primary it names; undefined when it does not answer. */
  async primaryPort(): Promise<number | undefined> {
    const words = ['SENTINEL', 'GET-MASTER-ADDR-BY-NAME', GROUP];
    const reply = await askRedis(this.port, words, LOOK_MS).catch(() => null);
    return Array.isArray(reply) ? Number(reply[1]) : undefined;
  }

  /** Whether it knows its two peers and both replicas, and thinks well of them all. */
  async seesEverybody(): Promise<boolean> {
    const reply = await askRedis(this.port, ['SENTINEL', 'MASTER', GROUP], LOOK_MS).catch(() => null);
    if (!Array.isArray(reply)) return false;
    const field = (name: string) => String(reply[reply.indexOf(name) + 1]);
    return field('flags') === 'master' && field('num-other-sentinels') === '2' && field('num-slaves') === '2';
  }
}
