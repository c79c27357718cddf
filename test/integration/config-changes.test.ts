/**
 * Configuration changes of every documented type, with real tokens over HTTP to replica processes: decided by rules, repeated,
 * journalled and exported, and nothing anywhere that holds a secret of theirs. A whitelisting makes its destination wait.
 */
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import type { JournalEvent } from '../../src/core/ports.js';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { CHANGES } from '../support/config-changes.js';
import { token } from '../support/cosigner.js';
import { APPROVER, type Deployment, deliver, eventually, writeDeployment } from '../support/deployment.js';
import { ledgerKeys } from '../support/ledger-keys.js';
import { metricFamilies } from '../support/prometheus.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-changes-'));
const WALLET = { type: 'UNMANAGED', id: 'wallet-1' };

/** Each type with what its case says that a rule looks at; control stays with people, what is unknown is refused. */
const POLICY = stringify({
  version: 1,
  coolingOff: { period: '24h' },
  limits: { newcomers: { sum: 'native', max: '1', window: { rolling: '24h' }, newDestinations: '7d' } },
  rules: [
    ...CHANGES.filter(({ match }) => match !== null).map(({ type, match }) => ({
      name: `add-${type.toLowerCase().replaceAll('_', '-')}`,
      match: { kind: 'config-change', type, extraInfo: match?.holds },
      effect: 'approve',
    })),
    {
      name: 'control',
      match: {
        kind: 'config-change',
        type: CHANGES.filter(({ risk }) => risk === 'control').map(({ type }) => type),
      },
      effect: 'ignore',
    },
    {
      name: 'pay',
      match: { kind: 'transaction', operation: ['TRANSFER'] },
      limits: ['newcomers'],
      effect: 'approve',
    },
  ],
});

const ACTIONS = { destination: 'APPROVE', routing: 'APPROVE', control: 'IGNORE', unknown: 'REJECT' } as const;
/** In a message that is none. */
const BROKEN = 'broken-secret-4721';
/** Sent under the id of another one. */
const REPLACED = 'replaced-secret-4722';
const SECRETS = [...CHANGES.flatMap(({ secrets }) => secrets), BROKEN, REPLACED];

let redis: RedisServer;
let deployment: Deployment;
let cluster: Cluster;

beforeAll(async () => {
  redis = await startRedis({ settings: { appendfsync: 'always' } });
  deployment = writeDeployment(dir, {
    ledger: { kind: 'redis', redis: { url: redis.url } },
    policy: POLICY,
  });
  generateKeyFiles('ed25519', join(dir, 'keys/checkpoint.pem'));
  const config = parse(readFileSync(deployment.configFile, 'utf8'));
  const recipient = generateKeyPairSync('rsa', { modulusLength: 3072 });
  writeFileSync(
    join(dir, 'keys/recipient.pub.pem'),
    recipient.publicKey.export({ type: 'spki', format: 'pem' }),
  );
  const audit = {
    directory: 'audit',
    checkpointKey: { file: 'keys/checkpoint.pem' },
    originals: { directory: 'originals', recipientKeyFile: 'keys/recipient.pub.pem' },
  };
  writeFileSync(deployment.configFile, stringify({ ...config, audit }));
  cluster = await startCluster({ configFile: deployment.configFile, replicas: 2 });
});

afterAll(async () => {
  await cluster?.discard();
  await redis?.stop();
  rmSync(dir, { recursive: true, force: true });
});

async function sent(claims: object): Promise<{ readonly status: number; readonly body: string }> {
  const response = await fetch(`${cluster.up.http}/own/v2/config_change_sign_request`, {
    method: 'POST',
    body: token({ signerId: APPROVER, ...claims }, deployment.cosigner.privateKey),
  });
  return { status: response.status, body: await response.text() };
}

async function asked(requestId: string, type: string, extraInfo: unknown) {
  const reply = await sent({ requestId, type, extraInfo });
  return deployment.read({ ...reply, elapsedMs: 0 }, requestId);
}

/** By a transfer at the approval stage, which names the wallet and no address. */
async function paid(id: string, destination: { readonly type: string; readonly id: string }, amount = '0.5') {
  const to = { dstType: destination.type, dstId: destination.id, dstAddressType: 'WHITELISTED' };
  const body = deployment.request(id, {
    asset: 'ETH',
    destType: destination.type,
    destId: destination.id,
    amountStr: amount,
    requestedAmountStr: amount,
    destinations: [{ ...to, amountNativeStr: amount, amountUSD: 1 }],
  });
  return deployment.read(await deliver(cluster.up.http, body), id);
}

const journal = async () => {
  const { stdout } = await outcomeOf([
    ...['ledger', 'journal', '--config', deployment.configFile, '--last', '1000', '--json'],
  ]);
  return stdout;
};

/** Every text under a folder, by file. */
function* filesIn(folder: string): Generator<readonly [string, string]> {
  for (const name of readdirSync(folder)) {
    const path = join(folder, name);
    const status = statSync(path, { throwIfNoEntry: false });
    if (status?.isDirectory()) yield* filesIn(path);
    else if (status?.isFile()) yield [path, readFileSync(path, 'latin1')];
  }
}

/** The text itself, and what base64 makes of it wherever in a token it begins. */
function formsOf(secret: string): readonly string[] {
  const inBase64 = [0, 1, 2].map((offset) => {
    const text = Buffer.from(`${'x'.repeat(offset)}${secret}`).toString('base64url');
    // The first and last characters depend on what stands beside it.
    return text.slice(offset === 0 ? 0 : 4, -4);
  });
  return [secret, ...inBase64, Buffer.from(secret).toString('hex')];
}

describe('each type is decided by its rule, repeated, and never with other content', () => {
  test.each(CHANGES)('$type', async ({ type, risk, extraInfo }) => {
    const id = `change-${type}`;
    const first = await asked(id, type, extraInfo);
    expect(first).toMatchObject({ action: ACTIONS[risk], requestId: id });
    expect(await asked(id, type, extraInfo)).toEqual(first);
    const other = { ...extraInfo, apiKey: REPLACED };
    expect(await asked(id, type, other)).toMatchObject({ action: 'REJECT' });
  });

  test.each(CHANGES.filter(({ match }) => match !== null))(
    '$type with what no rule allows',
    async (change) => {
      const { type, extraInfo, match } = change;
      const [member = '', value] = Object.entries(match?.fails ?? {})[0] ?? [];
      const [name = ''] = member.split('.');
      const wrong =
        name === 'routingPolicy'
          ? '{"crypto":{"scheme":"CUSTOM","dstId":"8"}}'
          : name === 'addresses'
            ? JSON.stringify({ ETH: '0x0000000000000000000000000000000000000001' })
            : [value].flat()[0];
      const answer = await asked(`wrong-${type}`, type, { ...extraInfo, [name]: wrong });
      expect(answer.action).toBe('REJECT');
    },
  );

  test('what is no change is refused, without a word of it', async () => {
    const claims = { requestId: 'broken', type: 'EXCHANGE', extraInfo: `{"apiKey":"${BROKEN}"` };
    expect(await sent(claims)).toEqual({ status: 400, body: 'bad request\n' });
  });
});

describe('what was whitelisted here', () => {
  test('waits, while what was not is paid; each destination within its limit', async () => {
    expect(await paid('to-the-new-wallet', WALLET)).toMatchObject({
      action: 'REJECT',
      rejectionReason: 'A destination was whitelisted here less than 24h ago.',
    });
    expect(await paid('to-another', { type: 'UNMANAGED', id: 'wallet-2' })).toMatchObject({
      action: 'APPROVE',
    });
    expect(await paid('to-a-third', { type: 'VAULT', id: '3' }, '0.6')).toMatchObject({ action: 'REJECT' });
  });

  test('stands in the journal with its beginning', async () => {
    const { events } = JSON.parse(await journal()) as { readonly events: readonly JournalEvent[] };
    const event = events.find((each) => JSON.stringify(each).includes(':change-UNMANAGED_WALLET:'));
    expect(Object.values(event?.body.moments ?? {})).toEqual([event?.atMs, event?.atMs]);
  });
});

test('the metrics name the type, and nothing else that a co-signer wrote', async () => {
  // A replica that a busy machine keeps from answering in time is left out of the page.
  const text = await eventually('a replica is missing', async () => {
    const page = await (await fetch(`${cluster.up.ops}/metrics`)).text();
    return page.includes('replica="replica-1"') && page.includes('replica="replica-2"') ? page : undefined;
  });
  const family = metricFamilies(text).get('countersign_config_changes_total');
  const counted = new Map<string, number>();
  for (const { labels, value } of family?.samples ?? []) {
    const key = `${labels.type} ${labels.effect}`;
    counted.set(key, (counted.get(key) ?? 0) + Number(value));
  }
  for (const { type, risk } of CHANGES) {
    const label = risk === 'unknown' ? 'other' : type;
    const effect = ACTIONS[risk].toLowerCase();
    expect(counted.get(`${label} ${effect}`)).toBe(risk === 'unknown' ? 3 : 2);
    if (risk === 'control') expect(counted.get(`${label} reject`)).toBe(1);
  }
});

test('nothing that was written anywhere holds a secret', async () => {
  const events = (await journal()).length;
  expect(events).toBeGreaterThan(10_000);
  const audit = ['audit', 'show', join(dir, 'audit'), '--last', '1000'];
  const shown = await eventually('it was not exported', async () => {
    const { stdout } = await outcomeOf([...audit, '--json']);
    return stdout.includes('to-a-third') ? stdout : undefined;
  });
  const metrics = await (await fetch(`${cluster.up.ops}/metrics`)).text();
  const written = new Map<string, string>([
    ['the journal', await journal()],
    ['the audit trail', shown],
    ['the page of the audit trail', (await outcomeOf(audit)).stdout],
    ['the metrics', metrics],
    ['what up printed', cluster.output()],
    ['the keys of Redis', JSON.stringify(await ledgerKeys(redis.url, 'main'))],
    ...filesIn(dir),
    ...filesIn(cluster.dir),
  ]);
  // A search that finds nothing must be able to find something.
  const all = [...written.values()].join('\n');
  for (const text of ['change-EXCHANGE', 'Kraken main', 'PROTECTED_TAG_APPROVAL', 'redacted'])
    expect({ text, found: all.includes(text) }).toEqual({ text, found: text !== 'redacted' });
  const files = [...written.keys()];
  expect(files.filter((name) => name.endsWith('.log')).length).toBeGreaterThan(0);
  expect(files.filter((name) => name.includes('/originals/')).length).toBeGreaterThan(0);
  const leaks = [...written].flatMap(([name, text]) =>
    SECRETS.filter((secret) => formsOf(secret).some((form) => text.includes(form))).map(
      (secret) => `${secret} in ${name}`,
    ),
  );
  expect(leaks).toEqual([]);
});
