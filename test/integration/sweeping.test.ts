/** Overdue transactions are asked about at the vendor's REST API, by replicas that are processes; charges end exact. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Cluster, startCluster } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { EMBEDDED, eventually } from '../support/deployment.js';
import { readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import {
  approvingAtMost,
  samplesOf,
  total,
  type VendorDeployment,
  valuesOf,
  vendorTransaction,
  writeVendorDeployment,
} from '../support/vendor-deployment.js';

const APPROVED = [
  'done',
  'cancelled',
  'blocked',
  'dropped',
  'waits',
  'unknown',
  'swapped',
  'garbled',
  'hangs',
];
/** What the API says settles these. */
const ENDED = ['done', 'cancelled', 'blocked', 'dropped'];
const RELEASED = ['cancelled', 'blocked'];
const OPEN = APPROVED.filter((id) => !ENDED.includes(id));

describe.each([
  ['redis', 3],
  ['embedded', 2],
] as const)('%s', (kind, replicas) => {
  const dir = mkdtempSync(join(tmpdir(), `countersign-sweep-${kind}-`));
  let redis: RedisServer | undefined;
  let deployment: VendorDeployment;
  let cluster: Cluster;

  beforeAll(async () => {
    redis = kind === 'redis' ? await startRedis() : undefined;
    deployment = await writeVendorDeployment(dir, {
      ledger: redis === undefined ? EMBEDDED : { kind: 'redis', redis: { url: redis.url } },
      policy: approvingAtMost(APPROVED.length),
    });
    deployment.configure((workspace) => {
      workspace.api = { ...workspace.api, sweep: { after: '2s', every: '1s' } };
      workspace.unfinishedAfter = '2s';
    });
    const { fake } = deployment;
    fake.fault('/v1/transactions/garbled', { status: 200, body: '{"id":"garbled","id":' }, true);
    fake.fault('/v1/transactions/hangs', 'hang', true);
    cluster = await startCluster({ configFile: deployment.configFile, replicas });
  });

  afterAll(async () => {
    await cluster?.discard();
    await deployment?.close();
    await redis?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const ask = (id: string, index = 0) => deployment.ask(cluster.up.replicaUrls[index] ?? '', id);
  const samples = () => samplesOf(cluster.up.replicaOps);
  const reports = async () =>
    (await readJournal(deployment.configFile))
      .filter(({ type }) => type === 'report')
      .map(({ body }) => body);

  /** Not before all have been asked: what is cancelled earlier, on a slow machine, makes room for the tenth. */
  function tellEnds(): void {
    for (const [id, transaction] of [
      ['done', vendorTransaction('done', 'COMPLETED', { txHash: '0xaa' })],
      ['cancelled', vendorTransaction('cancelled', 'CANCELLED', { subStatus: 'CANCELLED_BY_USER' })],
      ['blocked', vendorTransaction('blocked', 'BLOCKED', { subStatus: 'BLOCKED_BY_POLICY' })],
      [
        'dropped',
        vendorTransaction('dropped', 'FAILED', { subStatus: 'DROPPED_BY_BLOCKCHAIN', txHash: '0xbb' }),
      ],
      ['waits', vendorTransaction('waits', 'PENDING_SIGNATURE')],
      // Somebody else's, whose charges would be given back.
      ['swapped', vendorTransaction('cancelled', 'CANCELLED')],
    ] as const)
      deployment.fake.transactions.set(id, transaction);
  }

  test('the ends that the API tells are recorded, once; what it does not tell changes nothing', async () => {
    for (const [index, id] of APPROVED.entries()) expect(await ask(id, index % replicas)).toBe('APPROVE');
    expect(await ask('tenth')).toMatch(/^REJECT .*few/);
    tellEnds();

    // The figure alone may be of a look at half of the approvals.
    await eventually(
      'not all were settled',
      async () =>
        (await reports()).length >= ENDED.length &&
        Math.max(0, ...valuesOf(await samples(), 'countersign_open_transactions')) === OPEN.length
          ? true
          : undefined,
      90_000,
    );
    const calls = (id: string) => deployment.fake.calls.filter((path) => path.endsWith(`/${id}`)).length;
    await eventually(
      'they were not asked about again',
      () => (OPEN.every((id) => calls(id) >= 2) ? true : undefined),
      60_000,
    );
    expect(deployment.fake.refused).toEqual([]);

    const events = await readJournal(deployment.configFile);
    const recorded = await reports();
    expect(recorded.map(({ txId }) => txId).sort()).toEqual([...ENDED].sort());
    expect(recorded).toEqual(recorded.map(() => expect.objectContaining({ source: 'api' })));
    const released = events.filter(({ type }) => type === 'release').map(({ body }) => body.moneyKey);
    expect(released.sort()).toEqual(RELEASED.map((id) => `fireblocks:${id}`).sort());
  });

  test('there is exactly as much room as was given back', async () => {
    expect(await ask('cancelled')).toMatch(/^REJECT .*must not be signed any more/);
    expect(await ask('dropped')).toBe('APPROVE');
    expect([await ask('new-1'), await ask('new-2', 1)]).toEqual(['APPROVE', 'APPROVE']);
    expect(await ask('new-3')).toMatch(/^REJECT .*few/);
  });

  test('everything is counted, and old ones are told of', async () => {
    const found = await eventually('nobody counts', async () => {
      const now = await samples();
      return Math.max(0, ...valuesOf(now, 'countersign_unfinished_transactions')) >= OPEN.length
        ? now
        : undefined;
    });
    const swept = (result: string) => total(found, 'countersign_sweep_answers_total', { result });
    for (const result of ['pending', 'missing', 'foreign', 'unreadable'])
      expect([result, swept(result) >= 1]).toEqual([result, true]);
    for (const result of ['ok', 'missing', 'answer', 'unavailable'])
      expect(total(found, 'countersign_api_calls_total', { result })).toBeGreaterThanOrEqual(1);
    expect(Math.max(...valuesOf(found, 'countersign_open_transaction_oldest_seconds'))).toBeGreaterThan(2);
    if (kind === 'redis')
      await eventually(
        'several replicas follow',
        async () =>
          valuesOf(await samples(), 'countersign_open_transactions').length === 1 ? true : undefined,
        90_000,
      );

    const page = await outcomeOf(['status', '--config', deployment.configFile]);
    expect(page.stdout).toMatch(/^open {8}7 approved transactions have not ended/m);
    expect(page.stdout).toMatch(/waits +approved \d+ (s|min) ago/);
    const { workspaces } = JSON.parse(
      (await outcomeOf(['status', '--json', '--config', deployment.configFile])).stdout,
    );
    expect(workspaces[0].open).toMatchObject({ count: 7, oldest: expect.any(Array) });
  });

  test('other rules at the vendor’s are told of once by a replica, and the journal has them', async () => {
    const under = (id: string, rulesSnapshotId: number) => {
      const actionInfo = { rulesSnapshotId, capturedRuleNum: 5, capturedRule: '{"action":"ALLOW"}' };
      const destinations = [{ amountNativeStr: '0.5', dstId: '8', dstType: 'VAULT', actionInfo }];
      const url = cluster.up.replicaUrls[0] ?? '';
      return deployment.ask(url, id, { destinations });
    };
    // Nothing is refused for them: there is no room left, that is all.
    for (const [id, version] of [
      ['r-1', 8164],
      ['r-2', 8164],
      ['r-3', 8170],
      ['r-4', 8164],
      ['r-5', 8170],
    ] as const)
      expect(await under(id, version)).toMatch(/^REJECT .*few/);
    await eventually('nobody told', async () =>
      total(await samples(), 'countersign_workspace_policy_changed_total') === 1 ? true : undefined,
    );
    const events = await readJournal(deployment.configFile);
    const seen = events.flatMap(({ body }) => {
      const { journal } = body as { journal?: { request?: { vendorRules?: { snapshot?: string } } } };
      return journal?.request?.vendorRules?.snapshot ?? [];
    });
    expect(seen).toEqual(['8164', '8164', '8170', '8164', '8170']);
  });

  test('when the replica that follows dies, another one goes on', async () => {
    const follower = await eventually('nobody follows', async () => {
      const followers = await Promise.all(
        cluster.up.replicaOps.map(
          async (ops) => valuesOf(await samplesOf([ops]), 'countersign_open_transactions').length,
        ),
      );
      return followers.includes(1) ? followers.indexOf(1) : undefined;
    });
    await cluster.killReplica(follower);
    deployment.fake.transactions.set('waits', vendorTransaction('waits', 'COMPLETED', { txHash: '0xcc' }));
    await eventually(
      'nobody asked any more',
      async () => {
        const events = await readJournal(deployment.configFile);
        const ended = events.some(({ type, body }) => type === 'report' && body.txId === 'waits');
        return ended ? true : undefined;
      },
      90_000,
    );
  });
});
