import { createServer, type Server } from 'node:http';
import { afterEach, expect, test } from '@jest/globals';
import { type Balancer, listen, startBalancer } from '../../../src/cli/balancer.js';

const open: { close(): unknown }[] = [];

afterEach(async () => {
  for (const each of open.splice(0)) await each.close();
});

async function backend(name: string): Promise<{ host: string; port: number; server: Server }> {
  const server = createServer((_, response) => response.end(name));
  await listen(server, '127.0.0.1', 0);
  open.push({
    close() {
      server.close();
      server.closeAllConnections();
    },
  });
  return { host: '127.0.0.1', port: (server.address() as { port: number }).port, server };
}

async function balancer(backends: () => readonly { host: string; port: number }[]): Promise<Balancer> {
  const started = await startBalancer('127.0.0.1', 0, backends);
  open.push(started);
  return started;
}

async function ask({ port }: Balancer): Promise<string> {
  const response = await fetch(`http://127.0.0.1:${port}/`, { headers: { connection: 'close' } });
  return response.text();
}

test('connections go to the replicas in turn', async () => {
  const [one, two] = [await backend('one'), await backend('two')];
  const between = await balancer(() => [one, two]);
  const answers = [await ask(between), await ask(between), await ask(between), await ask(between)];
  expect(answers.filter((answer) => answer === 'one')).toHaveLength(2);
  expect(answers.filter((answer) => answer === 'two')).toHaveLength(2);
});

test('a replica that does not listen is passed over, and no request is lost', async () => {
  const [one, two] = [await backend('one'), await backend('two')];
  const between = await balancer(() => [one, two]);
  await new Promise((resolve) => one.server.close(resolve));
  expect(await ask(between)).toBe('two');
  expect(await ask(between)).toBe('two');
});

test('without any replica the connection ends at once', async () => {
  const between = await balancer(() => []);
  await expect(ask(between)).rejects.toThrow('fetch failed');
});
