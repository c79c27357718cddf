/** One Redis command on a connection of its own, past the proxy, for looking at a server from outside. */
import { Redis } from 'ioredis';

/** Rejects when the server does not answer in time: it may be stopped. */
export async function askRedis(port: number, words: readonly string[], timeoutMs = 5_000): Promise<unknown> {
  const [command = '', ...args] = words;
  const client = new Redis(port, '127.0.0.1', {
    retryStrategy: () => null,
    connectTimeout: timeoutMs,
    commandTimeout: timeoutMs,
    maxRetriesPerRequest: 0,
    enableReadyCheck: false,
    disconnectTimeout: 50,
  });
  client.on('error', () => {});
  try {
    return await client.call(command, args);
  } finally {
    client.disconnect();
  }
}

/** Fields of INFO; empty when the server does not answer. */
export async function infoOf(port: number, section: string): Promise<ReadonlyMap<string, string>> {
  const text = await askRedis(port, ['INFO', section]).catch(() => '');
  const lines = String(text).split('\r\n');
  return new Map(
    lines.flatMap((line) => {
      const colon = line.indexOf(':');
      return colon < 0 ? [] : [[line.slice(0, colon), line.slice(colon + 1)] as const];
    }),
  );
}
