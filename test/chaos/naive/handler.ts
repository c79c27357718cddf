/**
 * The negative control: a handler as many would write it. It verifies, decides once, counts exactly and answers signed, with
 * one atomic script on the primary that Sentinel names, through a client library with its defaults. What it lacks is
 * what this product is about; a bed in which it does not fail has shown nothing.
 */
import { createPrivateKey, createPublicKey, verify } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { setTimeout as pause } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { z } from 'zod';
import { signToken } from '../../../src/simulator/token.js';
import type { NaiveSettings } from '../bed/replicas.js';
import { laneOf } from '../workload/limits.js';

const DEADLINE_MS = 20_000;

const settings = JSON.parse(process.argv[2] ?? '{}') as NaiveSettings;
const answerKey = createPrivateKey(readFileSync(settings.answerKeyFile));
const cosigners = settings.cosigners.map(({ path, publicKeyFile }) => ({
  path,
  key: createPublicKey(readFileSync(publicKeyFile)),
}));
const redis = new Redis({
  sentinels: settings.sentinels.map((port) => ({ host: '127.0.0.1', port })),
  name: settings.group,
});
redis.on('error', () => {});
const COMMIT = readFileSync(new URL('./commit.lua', import.meta.url), 'utf8');

const requestSchema = z.object({
  requestId: z.string(),
  txId: z.string(),
  signerId: z.string(),
  sourceId: z.string(),
  destId: z.string(),
  destAddress: z.string(),
  amountStr: z.string(),
  fee: z.string().optional(),
});

type Asked = z.infer<typeof requestSchema>;

/** Undefined when nobody we know has signed it. */
function authenticated(path: string, body: string): Asked | undefined {
  const [header = '', payload = '', signature = ''] = body.split('.');
  const cosigner = cosigners.find((one) => path === `${one.path}/v2/tx_sign_request`);
  const signed = Buffer.from(`${header}.${payload}`);
  if (cosigner === undefined || !verify('sha256', signed, cosigner.key, Buffer.from(signature, 'base64url')))
    return undefined;
  const parsed = requestSchema.safeParse(JSON.parse(Buffer.from(payload, 'base64url').toString()));
  return parsed.success ? parsed.data : undefined;
}

async function decide(asked: Asked): Promise<string> {
  const { requestId, txId, signerId: signer, sourceId: source, destId, amountStr, fee } = asked;
  const destination = destId || asked.destAddress;
  const stage = fee === undefined ? 'approval' : 'signing';
  const wei = BigInt(amountStr.replace('.', ''));
  const limits = settings.limits.filter(({ lane }) => lane === laneOf(source));
  const counters = limits.map(
    ({ name, per }) => `naive:${name}:${per && { source, destination, signer }[per]}`,
  );
  const keys = [
    'naive:asks',
    'naive:journal',
    ...counters.flatMap((name) => [`${name}:amounts`, `${name}:times`]),
  ];
  // In gwei, which a double holds exactly.
  const gwei = (amount: bigint) => String(amount / 10n ** 9n);
  const key = stage === 'approval' ? `${requestId}/approval/${signer}` : `${requestId}/signing`;
  const args = [key, gwei(wei), txId, JSON.stringify({ requestId, stage, signer, wei: wei.toString() })];
  for (const { sum, max, rollingMs } of limits) {
    const isCount = sum === 'count';
    args.push(isCount ? '1' : gwei(wei), isCount ? max : gwei(BigInt(max)), String(rollingMs));
  }
  return String(await redis.eval(COMMIT, keys.length, ...keys, ...args));
}

createServer(async (request, response) => {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(Buffer.from(chunk));
  const asked = authenticated(request.url ?? '', Buffer.concat(chunks).toString());
  if (asked === undefined) {
    response.writeHead(request.url?.startsWith('/cosigner-') ? 401 : 404).end();
    return;
  }
  const late = pause(DEADLINE_MS, 'RETRY', { ref: false });
  const action = await Promise.race([decide(asked).catch(() => 'RETRY'), late]);
  const { requestId } = asked;
  const claims = {
    action,
    requestId,
    ...(action === 'REJECT' ? { rejectionReason: 'A limit has no room.' } : {}),
  };
  response.writeHead(200, { 'content-type': 'application/jwt' });
  response.end(await signToken(JSON.stringify(claims), answerKey));
}).listen(settings.httpPort, '127.0.0.1');

createServer((_request, response) => response.end('ok')).listen(settings.opsPort, '127.0.0.1');
process.on('disconnect', () => process.exit(0));
