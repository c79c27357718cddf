/** A road to one Redis on which replies get lost, or come late. */
import { createServer, connect as dial, type Server } from 'node:net';

export interface CuttingProxy {
  readonly url: string;
  readonly port: number;
  /** The next reply to somebody who runs scripts cuts the connection instead of passing. */
  armed: boolean;
  /** By how much every reply comes late, milliseconds. */
  lateMs: number;
  /** How many times this text was sent to the server. */
  sent(text: string): number;
  stop(): Promise<void>;
}

/** @param port of the Redis on 127.0.0.1 */
export async function cuttingProxy(port: number): Promise<CuttingProxy> {
  let everything = '';
  const server: Server = createServer((client) => {
    const upstream = dial(port, '127.0.0.1');
    let runsScripts = false;
    client.pipe(upstream);
    client.on('data', (data) => {
      everything += data.toString('latin1');
      runsScripts ||= data.includes('EVALSHA');
    });
    upstream.on('data', (data) => {
      if (proxy.armed && runsScripts) {
        proxy.armed = false;
        client.destroy();
      } else if (proxy.lateMs === 0) client.write(data);
      else setTimeout(() => client.write(data), proxy.lateMs);
    });
    client.on('close', () => upstream.destroy());
    for (const socket of [client, upstream]) socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const own = typeof address === 'object' && address !== null ? address.port : 0;
  const proxy: CuttingProxy = {
    url: `redis://127.0.0.1:${own}`,
    port: own,
    armed: false,
    lateMs: 0,
    sent: (text) => everything.split(text).length - 1,
    stop: () => new Promise((resolve) => server.close(() => resolve())),
  };
  return proxy;
}
