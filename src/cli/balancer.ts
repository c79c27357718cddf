/**
 * The small load balancer of `countersign up`: connections in turn to replicas, past those that do not listen.
 * It knows no HTTP and is not for production (deploy/ has HAProxy for that).
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { cannotListen } from '../http/listening.js';

export interface Backend {
  readonly host: string;
  readonly port: number;
}

export interface Balancer {
  readonly port: number;
  close(): Promise<void>;
}

/** `backends` is asked for each connection: which replicas live may change. */
export async function startBalancer(
  host: string,
  port: number,
  backends: () => readonly Backend[],
): Promise<Balancer> {
  const sockets = new Set<Socket>();
  let turn = 0;
  const server = createServer({ noDelay: true, pauseOnConnect: true }, (client) => {
    sockets.add(client);
    client.on('close', () => sockets.delete(client));
    client.on('error', () => client.destroy());
    const living = backends();
    turn += 1;
    const order = living.map((_, index) => living[(index + turn) % living.length]);
    forward(
      client,
      order.filter((backend) => backend !== undefined),
    );
  });
  await listen(server, host, port);
  const address = server.address();
  return {
    port: typeof address === 'object' && address !== null ? address.port : port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
}

/** Nothing was sent before a connection stands, so another replica may be tried; afterwards a reset is passed on. */
function forward(client: Socket, [first, ...others]: readonly Backend[]): void {
  if (first === undefined) {
    client.destroy();
    return;
  }
  const replica = connect({ host: first.host, port: first.port, noDelay: true });
  const next = (): void => forward(client, others);
  replica.once('error', next);
  replica.once('connect', () => {
    replica.off('error', next);
    replica.on('error', () => client.resetAndDestroy());
    client.on('close', () => replica.destroy());
    replica.on('close', () => client.destroy());
    client.pipe(replica);
    replica.pipe(client);
  });
}

/** Rejects with ENVIRONMENT when the port cannot be had. */
export function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const fail = (error: Error): void => reject(cannotListen(host, port, error));
    server.once('error', fail);
    server.listen({ host, port }, () => {
      server.off('error', fail);
      resolve();
    });
  });
}
