/**
 * `npm run bench:ledger`: what the modes of durability cost one decision (the commit alone, without HTTP and signatures),
 * whether that stays the same as the ledger grows and what it keeps of a decision, and how long it takes until a ledger
 * whose server came back empty decides again.
 *
 * Options: --commits N (of each measurement, default 3000), --sizes N,N,… of a growing ledger (default 1000,100000; a
 * million takes 4 GB), --events N,N,… of a recovery (default 1000,10000,50000), --json FILE.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { Redis } from 'ioredis';
import { openLedger } from '../../dist/ledger/index.js';

const { values: options } = parseArgs({
  options: {
    sizes: { type: 'string', default: '1000,100000' },
    events: { type: 'string', default: '1000,10000,50000' },
    commits: { type: 'string', default: '3000' },
    json: { type: 'string' },
  },
});
const SIZES = options.sizes.split(',').map(Number);
const EVENTS = options.events.split(',').map(Number);
const COMMITS = Number(options.commits);
const IN_FLIGHT = [1, 16, 64];
const FILL_IN_FLIGHT = 128;

/** A replica asks again after a second or two; here every command is sent once, however slow the disk is. @param {{ url: string }} server */
const patiently = ({ url }) => ({ url, commandTimeoutMs: 60_000 });

/** What must be ended however this ends. @type {(() => void)[]} */
const cleanup = [];
process.on('exit', () => {
  for (const end of cleanup) end();
});

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}

/** @param {string[]} settings */
async function startServer(...settings) {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const address = probe.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  const { port } = address;
  probe.close();
  const dir = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  const flags = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--dir',
    dir,
    '--save',
    '',
    '--maxmemory-policy',
    'noeviction',
  ];
  const child = spawn('redis-server', [...flags, '--repl-backlog-ttl', '0', ...settings], {
    stdio: 'ignore',
  });
  cleanup.push(() => {
    child.kill('SIGKILL');
    rmSync(dir, { recursive: true, force: true });
  });
  const url = `redis://127.0.0.1:${port}`;
  const client = new Redis(url);
  client.on('error', () => undefined);
  await client.ping();
  return { url, client };
}

const ALWAYS = ['--appendonly', 'yes', '--appendfsync', 'always'];
const POLICY = { version: 'f'.repeat(64), document: 'version: 1', instances: {}, statement: 'a.b.c' };
const HOUR = { kind: 'rolling', lengthMs: 3_600_000 };

/** @param {string} name @param {string} amount */
function charge(name, amount) {
  const need = { kind: 'amount', amount };
  return {
    limit: name,
    counter: name,
    mode: 'enforce',
    window: HOUR,
    need,
    max: '9'.repeat(40),
    near: '9'.repeat(40),
    whenFull: 'reject',
    sentence: 'Full.',
  };
}

/** @type {readonly (readonly [string, string])[]} */
const LIMITS = [
  ['ether-per-day', '1500000000000000000'],
  ['count', '1'],
  ['usd', '4500123456'],
];

/** A proposal of the size that the journal keeps of a real one. */
function proposal(index, versions, limits = LIMITS) {
  const txId = `${'00000000-0000-4000-8000-'}${String(index).padStart(12, '0')}`;
  return {
    ask: {
      askKey: `fireblocks:transaction:signing:${txId}:`,
      moneyKey: `fireblocks:${txId}`,
      binding: { requestKey: `fireblocks:${txId}`, txId },
      fingerprint: 'f'.repeat(64),
      coreFingerprint: 'c'.repeat(64),
      amount: '1500000000000000000',
    },
    versions,
    nowMs: Date.now(),
    policyVersion: POLICY.version,
    opinion: {
      effect: 'approve',
      reason: 'APPROVED',
      sentence: 'Approved by rule everything.',
      rule: 'everything',
    },
    frozen: false,
    charges: limits.map(([name, amount]) => charge(name, amount)),
    facts: [],
    moments: [],
    journal: JSON.stringify({
      request: { protocol: 'fireblocks', requestId: txId, cosigner: 'cosigner-a' },
      facts: { filler: 'x'.repeat(500) },
    }),
  };
}

let workspaces = 0;

/** A new ledger with an active policy. */
async function begin(settings, observer) {
  workspaces += 1;
  const ledger = openLedger(`bench-${workspaces}`, settings, { observer });
  await ledger.init();
  await ledger.activate({ ...POLICY, expectedSequence: 1 });
  const { versions } = await ledger.state();
  return { ledger, versions };
}

/** Commits `count` new asks, so many at a time. */
async function commitAll({ ledger, versions, limits }, count, inFlight, from = 0) {
  let next = from;
  const latencies = [];
  const worker = async () => {
    while (next < from + count) {
      const startedAt = performance.now();
      const index = next;
      next += 1;
      await ledger.commit(proposal(index, versions, limits));
      latencies.push(performance.now() - startedAt);
    }
  };
  const cpu = process.cpuUsage();
  const startedAt = performance.now();
  await Promise.all(Array.from({ length: inFlight }, worker));
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  latencies.sort((a, b) => a - b);
  return {
    perSecond: Math.round(count / seconds),
    p50ms: round(latencies[Math.floor(latencies.length / 2)] ?? 0),
    p99ms: round(latencies[Math.floor(latencies.length * 0.99)] ?? 0),
    cpuMicroseconds: Math.round((user + system) / count),
  };
}

/** @param {number} value */
function round(value) {
  return Math.round(value * 100) / 100;
}

/** The cost of one decision in each mode, on the same machine in the same run. */
async function measureModes() {
  const [unsynced, synced, primary, ...witnesses] = await Promise.all([
    startServer('--appendonly', 'no'),
    startServer(...ALWAYS),
    startServer('--appendonly', 'no'),
    startServer(...ALWAYS),
    startServer(...ALWAYS),
    startServer(...ALWAYS),
  ]);
  const modes = {
    none: { kind: 'redis', connection: patiently(unsynced), witnesses: [] },
    fence: { kind: 'redis', connection: patiently(synced), witnesses: [] },
    witness: {
      kind: 'redis',
      connection: patiently(primary),
      witnesses: witnesses.map(patiently),
    },
  };
  const rows = [];
  for (const inFlight of IN_FLIGHT) {
    for (const [mode, settings] of Object.entries(modes)) {
      const bench = await begin(settings);
      await commitAll(bench, 300, inFlight, 1e6);
      const row = { mode, inFlight, ...(await commitAll(bench, COMMITS, inFlight)) };
      say(
        `${mode.padEnd(8)} ${String(inFlight).padStart(3)} in flight: ${row.perSecond}/s, p50 ${row.p50ms} ms, p99 ${row.p99ms} ms, ${row.cpuMicroseconds} µs CPU of the replica`,
      );
      rows.push(row);
      await bench.ledger.close();
    }
  }
  return rows;
}

/** @param {import('ioredis').Redis} client */
async function usedMemory(client) {
  return Number(/used_memory:(\d+)/.exec(await client.info('memory'))?.[1]);
}

/**
 * µs of a decision in the server: the time that Redis itself says its scripts took. The latency beside it is that of one
 * machine with a client, a server and its memory, and grows with the last of them too.
 * @param {import('ioredis').Redis} client @param {() => Promise<Record<string, number>>} work
 */
async function withServerTime(client, work) {
  await client.config('RESETSTAT');
  const measured = await work();
  const stats = await client.info('commandstats');
  const used = [...stats.matchAll(/cmdstat_(?:evalsha|eval|fcall):calls=\d+,usec=(\d+)/g)];
  return {
    ...measured,
    serverMicroseconds: round(used.reduce((sum, [, usec]) => sum + Number(usec), 0) / COMMITS),
  };
}

/** The rate with more and more decisions in the ledger, and what one of them takes, with and without limits. */
async function measureGrowth() {
  const server = await startServer('--appendonly', 'no');
  const bench = await begin({ kind: 'redis', connection: patiently(server), witnesses: [] });
  const rows = [];
  let size = 0;
  for (const target of SIZES) {
    await commitAll(bench, target - size, FILL_IN_FLIGHT, size);
    size = target;
    const from = size;
    const measured = await withServerTime(server.client, () => commitAll(bench, COMMITS, 16, from));
    const row = { decisions: size, ...measured };
    size += COMMITS;
    const bytesPerDecision = Math.round((await usedMemory(server.client)) / size);
    say(
      `${target} decisions in the ledger: ${row.perSecond}/s, p50 ${row.p50ms} ms, ${row.serverMicroseconds} µs of Redis, ${bytesPerDecision} B a decision with ${LIMITS.length} limits`,
    );
    rows.push({ ...row, bytesPerDecision });
  }
  const [first, last] = [rows[0], rows.at(-1)];
  const ratio = first && last ? round(last.p50ms / first.p50ms) : 1;
  const serverRatio = first && last ? round(last.serverMicroseconds / first.serverMicroseconds) : 1;
  say(
    `with ${last?.decisions} decisions a decision takes ${serverRatio} × the time in Redis that it takes with ${first?.decisions}, and ${ratio} × the latency`,
  );
  const before = await usedMemory(server.client);
  await commitAll({ ...bench, limits: [] }, COMMITS, 16, 1e9);
  const bytesWithoutLimits = Math.round(((await usedMemory(server.client)) - before) / COMMITS);
  const perLimit = Math.round(((rows.at(-1)?.bytesPerDecision ?? 0) - bytesWithoutLimits) / LIMITS.length);
  say(`a decision takes ${bytesWithoutLimits} B, and ${perLimit} B more for each limit it charges`);
  await bench.ledger.close();
  return { rows, ratio, serverRatio, bytesWithoutLimits, perLimit };
}

/** From the loss of everything on the server to the first decision after it. */
async function measureRecovery(events) {
  const [primary, ...witnesses] = await Promise.all([
    startServer('--appendonly', 'yes', '--appendfsync', 'everysec'),
    startServer(...ALWAYS),
    startServer(...ALWAYS),
    startServer(...ALWAYS),
  ]);
  const settings = {
    kind: 'redis',
    connection: patiently(primary),
    witnesses: witnesses.map(patiently),
  };
  const steps = {};
  let startedAt = 0;
  const bench = await begin(settings, {
    started: () => undefined,
    progress: (step, done, total) => {
      if (done === total) steps[step] = round(performance.now() - startedAt);
    },
    ended: () => undefined,
    witnessed: () => undefined,
  });
  await commitAll(bench, events - 2, FILL_IN_FLIGHT);
  const memory = await usedMemory(primary.client);
  const before = process.memoryUsage().rss;
  await primary.client.flushall();
  startedAt = performance.now();
  const answer = await bench.ledger.commit(proposal(events, bench.versions)).catch((error) => error);
  const seconds = round((performance.now() - startedAt) / 1000);
  const state = await bench.ledger.state();
  if (state.sequence < events) throw new Error(`recovered ${state.sequence} of ${events} events: ${answer}`);
  await bench.ledger.close();
  const row = {
    events,
    seconds,
    steps,
    bytesPerEvent: Math.round(memory / events),
    replicaGrewMiB: Math.round((process.memoryUsage().rss - before) / 2 ** 20),
  };
  say(
    `${events} events: ${seconds} s until the ledger decides (ms at the end of each step: ${JSON.stringify(steps)}), ${row.bytesPerEvent} B an event on the server`,
  );
  return row;
}

const modes = await measureModes();
const growth = await measureGrowth();
const recoveries = [];
for (const events of EVENTS) recoveries.push(await measureRecovery(events));
const report = { cores: cpus().length, node: process.version, modes, growth, recoveries };
if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(report, null, 2));
process.exit(0);
