/**
 * `npm run bench`: what one decision of one replica costs, beside the least that the cryptography of one decision costs
 * on this machine, measured in the same run.
 *
 * The floor is one RSA-2048 verification (the request) and one RSA-2048 signature (the answer): no replica can spend
 * less. Everything is a ratio to it, so that figures of different machines can be compared.
 *
 * Options: --requests N (of each measurement, default 4000), --ledger redis|embedded, --json FILE.
 */
import { fork, spawn } from 'node:child_process';
import { constants, generateKeyPairSync, sign, verify } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const MAIN = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const LOAD = fileURLToPath(new URL('load.js', import.meta.url));

const IN_FLIGHT = [1, 16, 64];
const WARM_UP_REQUESTS = 1_000;
const FLOOR_MS = 1_500;
const START_TIMEOUT_MS = 60_000;

/** Approves everything and charges three limits: what a careful policy costs, without ever being full. */
const POLICY = `version: 1
description: Approves every transfer and charges three limits that are never full.
limits:
  ether-per-day: { sum: native, max: '1000000000000', window: { rolling: 24h }, per: [source, asset] }
  ether-per-calendar-day: { sum: native, max: '1000000000000', window: { calendar: day, timezone: UTC }, per: [asset] }
  count-per-destination: { sum: count, max: '1000000000000', window: { rolling: 1h }, per: [destination] }
rules:
  - name: everything
    match: { kind: transaction, stage: signing, operation: [TRANSFER], asset: [ETH] }
    limits: [ether-per-day, ether-per-calendar-day, count-per-destination]
    effect: approve
`;

const { values: options } = parseArgs({
  options: {
    requests: { type: 'string', default: '4000' },
    ledger: { type: 'string', default: 'redis' },
    json: { type: 'string' },
  },
});
const REQUESTS = Number(options.requests);

/** What must be ended however this ends. @type {(() => unknown)[]} */
const cleanup = [];

/** @param {string} line */
function say(line) {
  process.stderr.write(`${line}\n`);
}

/** CPU µs and rate of one RSA-2048 verification plus one signature, on one core, synchronously: the cheapest way. */
function measureFloor() {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  // A request is about two kilobytes; hashing it is part of the floor.
  const message = Buffer.alloc(2_048, 'a');
  const signature = sign('sha256', message, privateKey);
  const padding = constants.RSA_PKCS1_PADDING;
  const once = () =>
    verify('sha256', message, { key: publicKey, padding }, signature) && sign('sha256', message, privateKey);
  for (let index = 0; index < 200; index += 1) once();
  const cpu = process.cpuUsage();
  const started = performance.now();
  let rounds = 0;
  while (performance.now() - started < FLOOR_MS) {
    once();
    rounds += 1;
  }
  const { user, system } = process.cpuUsage(cpu);
  return (user + system) / rounds;
}

/** @param {string} dir @param {number} port */
async function startOneReplica(dir, port) {
  const policyFile = join(dir, 'bench-policy.yaml');
  writeFileSync(policyFile, POLICY);
  const args = [
    'up',
    '--dir',
    dir,
    '--replicas',
    '1',
    '--ledger',
    options.ledger,
    '--policy',
    policyFile,
    '--json',
  ];
  const ports = ['--http-port', `${port}`, '--ops-port', `${port + 1}`];
  const child = spawn(process.execPath, [MAIN, ...args, ...ports], { stdio: ['ignore', 'pipe', 'inherit'] });
  cleanup.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = once(child, 'exit');
    child.kill('SIGINT');
    await ended;
  });
  let printed = '';
  child.stdout.setEncoding('utf8').on('data', (text) => {
    printed += text;
  });
  const ends = performance.now() + START_TIMEOUT_MS;
  while (!printed.includes('\n')) {
    if (child.exitCode !== null || performance.now() > ends) throw new Error('the cluster did not start');
    await sleep(50);
  }
  return JSON.parse(printed.slice(0, printed.indexOf('\n')));
}

/** CPU seconds that the replica has used, by its own word. @param {string} ops */
async function cpuSeconds(ops) {
  const text = await (await fetch(`${ops}/metrics`)).text();
  const total = /^(?:\w*_)?process_cpu_seconds_total(?:\{[^}]*\})? (\S+)/m.exec(text)?.[1];
  if (total === undefined) throw new Error(`${ops}/metrics has no process_cpu_seconds_total`);
  return Number(total);
}

/** The load process, as a function from tasks to results. */
function startLoad() {
  const child = fork(LOAD);
  cleanup.push(() => child.connected && child.disconnect());
  /** @param {Record<string, unknown>} task @returns {Promise<any>} */
  return (task) =>
    new Promise((resolve, reject) => {
      const ended = () => reject(new Error('the load process ended'));
      child.once('exit', ended);
      child.on('message', function hear(/** @type {any} */ message) {
        if (message.type === 'progress') return say(`  signed ${message.done} requests`);
        child.off('message', hear);
        child.off('exit', ended);
        if (message.type === 'done') resolve(message);
        else reject(new Error(message.problem));
      });
      child.send(task);
    });
}

/** @param {number[]} widths @param {(string | number)[]} cells */
function row(widths, cells) {
  return cells.map((cell, column) => String(cell).padStart(widths[column] ?? 0)).join('  ');
}

async function bench() {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-bench-'));
  cleanup.push(() => rmSync(dir, { recursive: true, force: true }));
  say('Measuring the floor: RSA-2048 verify and sign …');
  const before = measureFloor();

  const { replicaOps, ledger } = await startOneReplica(dir, 20_000 + Math.floor(Math.random() * 12_000));
  const [ops] = replicaOps;
  const load = startLoad();
  const total = WARM_UP_REQUESTS + IN_FLIGHT.length * REQUESTS;
  say(`Signing ${total} requests …`);
  await load({ type: 'prepare', dir, requests: total, seed: String(Date.now()) });
  say('Warming up …');
  await load({ type: 'send', requests: WARM_UP_REQUESTS, inFlight: Math.max(...IN_FLIGHT) });

  const measurements = [];
  for (const inFlight of IN_FLIGHT) {
    say(`${REQUESTS} requests, ${inFlight} in flight …`);
    const cpuBefore = await cpuSeconds(ops);
    const sent = await load({ type: 'send', requests: REQUESTS, inFlight });
    const cpuMicroseconds = ((await cpuSeconds(ops)) - cpuBefore) * 1e6;
    if (sent.actions.APPROVE !== REQUESTS)
      throw new Error(`not all were approved: ${JSON.stringify(sent.actions)}`);
    measurements.push({
      inFlight,
      decisionsPerSecond: (REQUESTS * 1_000) / sent.elapsedMs,
      cpuMicrosecondsPerDecision: cpuMicroseconds / REQUESTS,
      p50Ms: sent.p50Ms,
      p99Ms: sent.p99Ms,
      slowest: sent.slowest,
    });
  }
  say('Measuring the floor again …');
  // The machine may have been busier the first time; the floor is the least it can be done for.
  const floorMicroseconds = Math.min(before, measureFloor());
  return {
    ledger,
    requests: REQUESTS,
    cpu: cpus()[0]?.model,
    node: process.version,
    floorMicroseconds,
    measurements,
  };
}

/** @param {Awaited<ReturnType<typeof bench>>} result */
function report({ ledger, floorMicroseconds, measurements, cpu, node }) {
  const titles = [
    'in flight',
    'decisions/s',
    'CPU µs/decision',
    '× floor',
    'RSA share',
    'p50 ms',
    'p99 ms',
    'max ms',
    'sent at ms',
  ];
  const widths = titles.map((title) => title.length);
  const lines = measurements.map((measured) =>
    row(widths, [
      measured.inFlight,
      measured.decisionsPerSecond.toFixed(0),
      measured.cpuMicrosecondsPerDecision.toFixed(0),
      (measured.cpuMicrosecondsPerDecision / floorMicroseconds).toFixed(2),
      `${((100 * floorMicroseconds) / measured.cpuMicrosecondsPerDecision).toFixed(0)} %`,
      measured.p50Ms.toFixed(2),
      measured.p99Ms.toFixed(2),
      measured.slowest.ms.toFixed(2),
      measured.slowest.afterMs.toFixed(0),
    ]),
  );
  return [
    `One replica, ${ledger} ledger, three limits charged. ${cpu}, Node ${node}.`,
    `Floor: RSA-2048 verify + sign ${floorMicroseconds.toFixed(0)} µs of CPU, ${(1e6 / floorMicroseconds).toFixed(0)} a second on one core.`,
    '',
    row(widths, titles),
    ...lines,
    '',
  ].join('\n');
}

try {
  const result = await bench();
  process.stdout.write(report(result));
  if (options.json !== undefined) writeFileSync(options.json, `${JSON.stringify(result, null, 2)}\n`);
} catch (error) {
  say(`bench: ${error instanceof Error ? error.message : error}`);
  process.exitCode = 1;
} finally {
  for (const step of cleanup.reverse()) await step();
}
