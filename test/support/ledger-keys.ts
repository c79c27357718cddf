/** Every key of a ledger on Redis with its content: what a recovery must bring back. */
import { Redis } from 'ioredis';

/** Fields of the ledger's own record that say where it lives, and not what it holds. */
const PLACE = ['fence', 'epoch', 'claim', 'claimed', 'clock', 'swept', 'held'];

/** The number of the epoch is taken out of the names, and keys of other epochs are left out. */
export async function ledgerKeys(url: string, workspace: string): Promise<Readonly<Record<string, unknown>>> {
  const redis = new Redis(url);
  try {
    const ledger = `countersign:{${workspace}}`;
    const meta = await redis.hgetall(`${ledger}:meta`);
    const prefix = `${ledger}:${meta.epoch}:`;
    const names = (await redis.keys(`${prefix}*`)).sort();
    const contents = await Promise.all(
      names.map(async (name) => [name.slice(prefix.length), await contentOf(redis, name)] as const),
    );
    for (const field of PLACE) delete meta[field];
    return { meta, ...Object.fromEntries(contents) };
  } finally {
    redis.disconnect();
  }
}

async function contentOf(redis: Redis, name: string): Promise<unknown> {
  const type = await redis.type(name);
  switch (type) {
    case 'string':
      return redis.get(name);
    case 'hash':
      return redis.hgetall(name);
    case 'zset':
      return redis.zrange(name, '0', '-1', 'WITHSCORES');
    case 'stream':
      return redis.xrange(name, '-', '+');
    default:
      throw new Error(`${name} is a ${type}`);
  }
}
