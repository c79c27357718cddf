/**
 * `node test/bench/audit.js`, after a build: how fast audit lines are written and verified, and the memory it takes.
 * Options: --lines N (default 1000000), --piece N (events a checkpoint covers, default 250), --json FILE.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { openDirectory } from '../../dist/audit/directory.js';
import { auditFilesIn } from '../../dist/audit/file.js';
import { BEGINNING, eventLine, hashOf, keyId } from '../../dist/audit/line.js';
import { verifyFiles } from '../../dist/audit/verify.js';

const { values: options } = parseArgs({
  options: {
    lines: { type: 'string', default: '1000000' },
    piece: { type: 'string', default: '250' },
    json: { type: 'string' },
  },
});
const total = Number(options.lines);
const piece = Number(options.piece);

const { privateKey, publicKey } = generateKeyPairSync('ed25519');
const id = keyId(publicKey);
const directory = mkdtempSync(join(tmpdir(), 'countersign-audit-bench-'));

/** What the journal holds of one approval with one limit, about 1.9 KB. */
function decision(sequence) {
  const tx = `6a9d2e0c-0a53-4a0e-9d6c-${String(sequence).padStart(12, '0')}`;
  const destination = {
    type: 'VAULT',
    id: '8',
    subType: '',
    address: '0x00000000000000000000000000000000000000aa',
    addressType: 'WHITELISTED',
    amount: '500000000000000000',
    usd: '1000250000000000000000',
    key: 'VAULT:8',
  };
  const body = {
    ask: {
      askKey: `fireblocks:transaction:signing:${tx}:`,
      fingerprint: hashOf(tx),
      moneyKey: `fireblocks:${tx}`,
      coreFingerprint: hashOf(`${tx}c`),
      amount: '500000000000000000',
      requestKey: `fireblocks:${tx}`,
      txId: tx,
    },
    decision: {
      effect: 'approve',
      reason: 'APPROVED',
      sentence: 'Approved by rule whitelisted-withdrawals.',
      rule: 'whitelisted-withdrawals',
      sequence,
      decidedAtMs: 1_772_000_000_000 + sequence,
      policyVersion: hashOf('policy'),
    },
    charged: [
      {
        limit: 'usd-per-hour',
        counter: 'usd-per-hour.a1b2c3d4e5f6|',
        mode: 'enforce',
        window: { kind: 'rolling', lengthMs: 3_600_000 },
        need: '1000250000000000000000',
        added: '1000250000000000000000',
        total: '9002250000000000000000',
      },
    ],
    journal: {
      request: {
        protocol: 'fireblocks',
        kind: 'transaction',
        stage: 'signing',
        cosigner: 'a',
        signer: 's',
        requestId: tx,
        txId: tx,
      },
      facts: {
        kind: 'transaction',
        stage: 'signing',
        cosigner: 'a',
        signer: 's',
        requestId: tx,
        transaction: {
          txId: tx,
          externalTxId: null,
          operation: 'TRANSFER',
          asset: 'ETH',
          decimals: 18,
          chain: 'eip155:1',
          source: { type: 'VAULT', id: '7', subType: '' },
          destinations: [destination],
          amount: '500000000000000000',
          usd: '1000250000000000000000',
          fee: { asset: 'ETH', decimals: 18, amount: '21000000000000' },
          moves: [{ asset: 'ETH', destination: 'VAULT:8', amount: '500000000000000000' }],
          calls: [],
        },
        change: null,
      },
      verified: 'agrees',
      effects: { to: destination.address, value: '500000000000000000', chain: 'eip155:1', nonce: '7' },
    },
  };
  return { sequence, atMs: 1_772_000_000_000 + sequence, type: 'decision', body };
}

try {
  const chain = { ledger: 'f2c1d7a0-0000-4000-8000-000000000001', workspace: 'bench' };
  const sink = openDirectory({ directory, key: { privateKey, id }, chain, damaged: () => undefined });
  await sink.begin(BEGINNING);
  let position = BEGINNING;
  let writtenMs = 0;
  while (position.sequence < total) {
    const count = Math.min(piece, total - position.sequence);
    const events = Array.from({ length: count }, (_, index) => decision(position.sequence + index + 1));
    const startedAt = performance.now();
    const lines = [];
    for (const event of events) {
      const line = eventLine(event, position.hash);
      lines.push(line);
      position = { sequence: event.sequence, hash: hashOf(line), count: position.count + 1 };
    }
    await sink.append(lines, position);
    writtenMs += performance.now() - startedAt;
  }
  await sink.close();
  globalThis.gc?.();
  const before = process.memoryUsage().rss;
  const startedAt = performance.now();
  const cpu = process.cpuUsage();
  const verification = await verifyFiles(auditFilesIn([directory]), new Map([[id, publicKey]]));
  const seconds = (performance.now() - startedAt) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  if (!verification.ok) throw new Error(JSON.stringify(verification));
  const { lines, bytes } = verification;
  const result = {
    events: total,
    eventsPerCheckpoint: piece,
    megabytes: Math.round(bytes / 1e6),
    writtenPerSecond: Math.round((total / writtenMs) * 1000),
    verifySeconds: Number(seconds.toFixed(2)),
    verifiedLinesPerSecond: Math.round(lines / seconds),
    verifyCpuSeconds: Number(((user + system) / 1e6).toFixed(2)),
    memoryGrowthMegabytes: Math.round((process.memoryUsage().rss - before) / 1e6),
  };
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  if (options.json !== undefined) writeFileSync(options.json, JSON.stringify(result));
} finally {
  rmSync(directory, { recursive: true, force: true });
}
