/**
 * `npm run bench:rotation`: a co-signer's key and an answer key are replaced under load, and what their replacement costs is
 * printed. Ends with 1 when a single request failed.
 *
 * Options: --replicas N (default 3), --in-flight N (default 8), --part SECONDS (of five parts, default 5), --json FILE.
 */
import { writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { type Latencies, rotateUnderLoad } from '../support/rotation.js';

const { values } = parseArgs({
  options: {
    replicas: { type: 'string', default: '3' },
    'in-flight': { type: 'string', default: '8' },
    part: { type: 'string', default: '5' },
    json: { type: 'string' },
  },
});

// The server of the tests does not keep a process alive, and its end is waited for.
const alive = setInterval(() => undefined, 1_000);
const rotation = await rotateUnderLoad({
  replicas: Number(values.replicas),
  inFlight: Number(values['in-flight']),
  partMs: Number(values.part) * 1_000,
  say: (line) => process.stderr.write(`${line}\n`),
}).finally(() => clearInterval(alive));

const row = (title: string, { requests, p50Ms, p99Ms, slowestMs }: Latencies): string =>
  [
    title.padEnd(8),
    String(requests).padStart(8),
    ...[p50Ms, p99Ms, slowestMs].map((ms) => ms.toFixed(1).padStart(9)),
  ].join('');
const { asked, answered, failures } = rotation;
process.stdout.write(
  [
    `${values.replicas} replicas, ${values['in-flight']} requests in flight. ${cpus()[0]?.model}, Node ${process.version}.`,
    `${rotation.requests} requests, ${failures.length} failures.`,
    `Asked with the old key ${asked.old}, with the next ${asked.next}; ${rotation.overlapping} while both were valid.`,
    `Answered with the old key ${answered.old}, with the next ${answered.next}; ${rotation.straddling} on their way at the switch.`,
    `Next key before its time: ${rotation.tooEarly.join(', ')}. Old key after its time: ${rotation.tooLate.join(', ')}.`,
    `Documents taken by each replica: ${rotation.reloads.join(', ')}.`,
    '',
    'rotation requests   p50 ms   p99 ms   max ms',
    row('before', rotation.before),
    row('during', rotation.during),
    ...failures.slice(0, 10).map((failure) => `FAILED  ${failure}`),
    '',
  ].join('\n'),
);
if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify(rotation, null, 2)}\n`);
process.exitCode = failures.length === 0 ? 0 : 1;
