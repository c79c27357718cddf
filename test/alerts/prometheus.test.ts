/**
 * A real Prometheus watches a real cluster: silent while all is well, every rule and panel with data; and when Redis hangs
 * the right alerts ring, and end. With COUNTERSIGN_PLOTS=write the figures of the run become docs/images/run.png.
 */
import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { alerts, filledIn, panels, rules, seriesIn } from '../support/alerts.js';
import { type Cluster, MAIN, startCluster } from '../support/cluster.js';
import { approving, eventually } from '../support/deployment.js';
import { eventually as soon } from '../support/eventually.js';
import { drawRun, photograph } from '../support/plot.js';
import { kill } from '../support/processes.js';
import { type PrometheusServer, startPrometheus } from '../support/prometheus-server.js';
import { redisOf } from '../support/redis-process.js';

const REPLICAS = 3;
const startedAt = Date.now() / 1_000;

/** Co-signers draw one vault in twelve from those that no policy of theirs names: so that something is rejected too. */
const OTHER_VAULTS = Array.from({ length: 31 }, (_, index) => `'${30 + index}'`).join(', ');
const POLICY = approving({
  transfers: "{ sum: count, max: '1000000', window: { rolling: 1h } }",
}).replace(
  'rules:\n',
  `rules:\n  - name: other-vaults\n    match: { kind: transaction, source: { id: [${OTHER_VAULTS}] } }\n    effect: reject\n`,
);

let cluster: Cluster;
let prometheus: PrometheusServer;
let redis: number;

beforeAll(async () => {
  cluster = await startCluster({
    ledger: 'redis',
    replicas: REPLICAS,
    policy: POLICY,
  });
  redis = redisOf(cluster.pid);
  prometheus = await startPrometheus(cluster.up.replicaOps.map((url) => new URL(url).host));
});

afterAll(async () => {
  if (redis !== undefined) kill(redis, 'SIGCONT');
  await prometheus?.stop();
  await cluster?.discard();
});

/** Co-signers at work; resolves to how many requests ended well. */
async function play(scenario: string, requests: number, ...more: readonly string[]): Promise<void> {
  const args = ['simulate', '--dir', cluster.dir, '--scenario', scenario, '--requests', `${requests}`];
  await promisify(execFile)(process.execPath, [MAIN, ...args, '--patience', '150', '--json', ...more]);
}

const ringing = async (): Promise<readonly string[]> =>
  (await prometheus.alerts()).map(({ labels, state }) => `${labels.alertname} ${state}`).sort();

/** These say that the machine is busy, perhaps with something else; the rest must not even pend. */
const SLOW = /^Countersign(LedgerSlow|AnswersSlow|AnswersSlowing|ReplicaSaturated) /;

/**
 * Series that this run has no occasion for: there are no witnesses, no export, no certificates, no webhooks and no REST API in it, no
 * key ends, and nothing waits yet.
 */
const NO_OCCASION =
  /retry_budget_seconds|witness|recover|audit|certificate|key_valid_until|retries_given_up|shadow|ledger_problem|ledger_errors|limit_near|webhook|reports|released|signed_|transactions?(_|$)|api_calls|sweep|handler_check|workspace_policy/;

test('all replicas are scraped, and nothing rings while all is well', async () => {
  await play('happy,duplicate,approval-then-signing', 240, '--rate', '12');
  await soon(async () => expect(await prometheus.targets()).toEqual(Array(REPLICAS).fill('up')));
  await soon(async () => expect((await ringing()).filter((alert) => !SLOW.test(alert))).toEqual([]));
  await soon(async () => {
    const [approved] = await prometheus.query('sum(countersign_decisions_total{effect="approve"})');
    // Some of the requests are the same one again.
    expect(approved?.values[0]?.[1]).toBeGreaterThan(100);
  });
});

test('every recording rule has values', async () => {
  for (const { record, expr } of rules()) {
    if (record === undefined || NO_OCCASION.test(expr)) continue;
    await soon(async () => expect([record, await prometheus.query(record)]).not.toEqual([record, []]));
  }
});

test('every panel of the dashboard is an expression, and shows something', async () => {
  for (const { title, targets = [] } of panels()) {
    const hadOccasion = targets.some(({ expr }) => !seriesIn(expr).every((name) => NO_OCCASION.test(name)));
    await soon(async () => {
      const found = await Promise.all(targets.map(({ expr }) => prometheus.query(filledIn(expr))));
      expect({ title, isEmpty: hadOccasion && found.flat().length === 0 }).toEqual({ title, isEmpty: false });
    });
  }
});

test('when Redis hangs, the right alerts ring', async () => {
  kill(redis, 'SIGSTOP');
  const waiting = play('happy', 30, '--retry-after', '2', '--patience', '400', '--concurrency', '30');
  for (const wanted of ['CountersignLedgerDown firing', 'CountersignNotDeciding firing'])
    await eventually(
      `no ${wanted}`,
      async () => ((await ringing()).includes(wanted) ? true : undefined),
      180_000,
    );
  const expected = ['CountersignLedgerDown', 'CountersignNotDeciding', 'CountersignUndecided'];
  // Redis answers nothing in time, and the answers wait for their deadline: both are late too.
  expected.push('CountersignLedgerSlow');
  expected.push('CountersignAnswersSlow', 'CountersignAnswersSlowing', 'CountersignReplicaNotReady');
  expected.push('CountersignReplicaSaturated');
  await soon(async () => {
    const rang = (await prometheus.alerts()).map(({ labels }) => labels.alertname ?? '');
    expect(rang.filter((name) => !expected.includes(name))).toEqual([]);
  });
  // The alerts ring by the first of the asks; each of these grows or shrinks with every time that they are asked again.
  const value = async (expr: string) => (await prometheus.query(expr))[0]?.values[0]?.[1];
  await soon(async () => {
    const oldest = 'max(workspace_cosigner_cause:countersign_retry_oldest_seconds:max)';
    expect(await value(oldest)).toBeGreaterThan(30);
    const budget = await value('min(workspace_cosigner_cause:countersign_retry_budget_seconds:min)');
    expect(budget).toBeGreaterThan(0);
    expect(budget).toBeLessThan(57 * 60);
    const share = 'min(workspace_cosigner_cause:countersign_retry_budget_ratio:min)';
    expect(await value(share)).toBeLessThan(1);
  });

  kill(redis, 'SIGCONT');
  await waiting;
  await eventually('it did not end', async () =>
    (await ringing()).some((name) => name.startsWith('CountersignLedgerDown')) ? undefined : true,
  );
  await eventually(
    'something still waits',
    async () => {
      const [left] = await prometheus.query(
        'max(workspace_cosigner_cause:countersign_retries_outstanding:max)',
      );
      return left?.values[0]?.[1] === 0 ? true : undefined;
    },
    120_000,
  );
}, 600_000);

test('a conflict, a burst of forgeries and a change of control ring at once, in whole sentences', async () => {
  await play('conflict,bad-signature,config-change', 80, '--concurrency', '4');
  const wanted = ['CountersignConflict', 'CountersignSignatureFailures', 'CountersignControlChange'];
  const rang = await eventually('nobody was told', async () => {
    const now = await prometheus.alerts();
    return wanted.every((name) => now.some(({ labels }) => labels.alertname === name)) ? now : undefined;
  });
  expect(alerts().length).toBeGreaterThan(wanted.length);
  for (const { annotations } of rang)
    for (const text of Object.values(annotations))
      expect(text).not.toMatch(/error expanding|\{\{|<no value>/);
  if (process.env.COUNTERSIGN_PLOTS !== 'write') return;
  await play('happy', 240, '--rate', '12');
  await sleep(3_000);
  const drawing = await drawRun(prometheus, { from: startedAt, to: Date.now() / 1_000 });
  photograph(drawing, join(process.cwd(), 'docs/images/run.png'));
});
