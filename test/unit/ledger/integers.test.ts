import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Redis } from 'ioredis';
import { type RedisServer, startRedis } from '../../support/redis-server.js';

// The scripts' own arithmetic, asked for many results at once; BigInt is the referee.
const INTEGERS = readFileSync(new URL('../../../src/ledger/redis/integers.lua', import.meta.url), 'utf8');
const SCRIPT = `#!lua
${INTEGERS}
local reply = {}
for index = 1, #ARGV, 2 do
  local a, b = natural(ARGV[index]), natural(ARGV[index + 1])
  local order = compare(a, b)
  reply[#reply + 1] = decimal(sum(a, b))
  reply[#reply + 1] = order < 0 and 'below' or order > 0 and 'above' or 'equal'
  reply[#reply + 1] = order < 0 and decimal(difference(b, a)) or decimal(difference(a, b))
  reply[#reply + 1] = decimal(a)
end
return reply`;

const ROUNDS = 20;
const PAIRS = 500;

let server: RedisServer;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = new Redis(server.port, '127.0.0.1');
});

afterAll(async () => {
  redis.disconnect();
  await server.stop();
});

test('sums, differences and comparisons of the scripts are exact', async () => {
  for (let round = 0; round < ROUNDS; round += 1) {
    const pairs = [...EDGES, ...Array.from({ length: PAIRS }, () => [someNatural(), someNatural()] as const)];
    const reply = await redis.eval(SCRIPT, 0, ...pairs.flatMap(([a, b]) => [String(a), String(b)]));
    expect(reply).toEqual(
      pairs.flatMap(([a, b]) => [
        String(a + b),
        a < b ? 'below' : a > b ? 'above' : 'equal',
        String(a < b ? b - a : a - b),
        String(a),
      ]),
    );
  }
});

test('a difference below zero stops the script', async () => {
  const script = `#!lua\n${INTEGERS}\nreturn decimal(difference(natural('99999999999999'), natural('100000000000000')))`;
  await expect(redis.eval(script, 0)).rejects.toThrow('a counter holds less than its entries');
});

/** Carries and borrows over one and several limbs, and the ends of the usual machine integers. */
const EDGES: readonly (readonly [bigint, bigint])[] = [
  [0n, 0n],
  [0n, 1n],
  [10n ** 14n - 1n, 1n],
  [10n ** 28n - 1n, 1n],
  [10n ** 28n, 1n],
  [10n ** 70n, 10n ** 70n - 1n],
  [2n ** 53n, 1n],
  [2n ** 63n - 1n, 2n ** 63n],
  [2n ** 64n, 2n ** 64n],
  [2n ** 256n - 1n, 1n],
];

/** Up to 80 digits of any length, with long runs of nines and zeros among them. */
function someNatural(): bigint {
  const length = 1 + Math.floor(Math.random() * 80);
  const kind = Math.random();
  const digit = () => (kind < 0.15 ? 9 : kind < 0.3 ? 0 : Math.floor(Math.random() * 10));
  return BigInt(
    Array.from({ length }, (_, index) => (index === 0 ? 1 + Math.floor(Math.random() * 9) : digit())).join(
      '',
    ),
  );
}
