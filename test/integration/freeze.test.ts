/** Freezes as a person makes and lifts them, with the built program, beside a replica that answers. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type Ended, outcomeOf } from '../support/command.js';
import { approving, type Deployment, deliver, EMBEDDED, writeDeployment } from '../support/deployment.js';
import { readJournal } from '../support/journal.js';
import { type RedisServer, startRedis } from '../support/redis-server.js';
import { type RunningReplica, startReplica } from '../support/replica.js';

/** No day of it ends while the tests run. */
const TIMEZONE = new Date().getUTCHours() < 23 ? 'UTC' : 'Asia/Tokyo';
const POLICY = `${approving({
  count: "{ sum: count, max: '40', window: { rolling: 1h } }",
  eth: `{ sum: native, max: '1000', window: { calendar: day, timezone: ${TIMEZONE} } }`,
})}unfreeze: two-person\n`;

describe.each(['redis', 'embedded'] as const)('on the %s ledger', (kind) => {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-freeze-'));
  const key = (name: string) => join(dir, 'keys', `${name}.pem`);
  let redis: RedisServer | undefined;
  let deployment: Deployment;
  let replica: RunningReplica;

  beforeAll(async () => {
    if (kind === 'redis') redis = await startRedis({ settings: { appendfsync: 'always' } });
    const ledger = redis === undefined ? EMBEDDED : ({ kind: 'redis', redis: { url: redis.url } } as const);
    deployment = writeDeployment(dir, { ledger, policy: POLICY });
    for (const name of ['bob', 'stranger']) generateKeyFiles('ed25519', key(name));
    const config = parse(readFileSync(deployment.configFile, 'utf8'));
    config.operators.push({ name: 'bob', publicKeyFile: 'keys/bob.pub.pem' });
    writeFileSync(deployment.configFile, stringify(config));
    replica = await startReplica(deployment);
  });
  afterAll(async () => {
    await replica?.close();
    await redis?.stop();
    rmSync(dir, { recursive: true, force: true });
  });

  const run = (...args: readonly string[]) => outcomeOf([...args, '--config', deployment.configFile]);
  const json = async (...args: readonly string[]) => {
    const ended = await run(...args, '--json');
    expect(ended).toMatchObject({ stderr: '' });
    return JSON.parse(ended.stdout);
  };
  const refusal = ({ code, stdout, stderr }: Ended) => {
    expect(stdout).toBe('');
    return `${code} ${stderr.trim()}`;
  };
  const ask = async (id: string, claims: object = {}) =>
    deployment.read(await deliver(replica.http, deployment.request(id, claims)), id).action;
  const freezes = () => replica.metric('countersign_freezes');
  const status = async () => (await json('status')).workspaces[0];

  test('a freeze of everything stops approvals until two operators lift it', async () => {
    expect(await ask('before')).toBe('APPROVE');
    const frozen = await run(
      'freeze',
      '--all',
      '--reason',
      'strange withdrawals',
      '--key',
      key('own-operator'),
      '--id',
      'night',
    );
    expect(frozen).toMatchObject({ code: 0, stderr: '' });
    expect(frozen.stdout).toContain('scope       everything\n');
    expect(frozen.stdout).toContain('author      own-operator\n');
    expect(frozen.stdout).toContain('lasts       until it is lifted\n');
    expect(frozen.stdout).toContain('covers      1 of the newest 1 requests in the journal\n');
    expect(await ask('before')).toBe('RETRY');
    expect(await ask('during')).toBe('RETRY');
    expect(await freezes()).toBe(1);

    const lift = (...args: readonly string[]) => run('unfreeze', 'night', ...args);
    const ALONE =
      'countersign: the active policy says unfreeze: two-person, and so far it is the word of own-operator alone. ';
    expect(refusal(await lift('--key', key('own-operator')))).toContain(`2 ${ALONE}`);
    const first = await lift('--key', key('own-operator'), '--print');
    expect(first.stderr).toContain('countersign unfreeze night --config FILE --key OPERATOR.pem --statement');
    const again = await lift('--key', key('own-operator'), '--print');
    expect(refusal(await lift('--key', key('own-operator'), '--statement', first.stdout.trim()))).toContain(
      ALONE,
    );
    expect(
      refusal(await lift('--statement', first.stdout.trim(), '--statement', again.stdout.trim())),
    ).toContain(ALONE);
    expect(refusal(await lift('--key', key('stranger'), '--statement', first.stdout.trim()))).toBe(
      '1 countersign: the signed statement is not accepted: no configured operator signed it',
    );
    expect(refusal(await lift())).toBe(
      '2 countersign: whose word is it? --key OPERATOR.pem, or --statement FILE',
    );
    expect(refusal(await run('unfreeze', 'nigth', '--key', key('bob')))).toBe(
      '2 countersign: there is no freeze "nigth"; the ledger has night',
    );
    expect(await ask('during')).toBe('RETRY');

    const file = join(dir, 'word-of-the-first');
    writeFileSync(file, first.stdout);
    const lifted = await lift('--key', key('bob'), '--statement', file);
    expect(lifted).toMatchObject({ code: 0, stderr: '' });
    expect(lifted.stdout).toMatch(/^Freeze night was lifted by own-operator and bob: event \d+\.\n$/);
    expect(await ask('before')).toBe('APPROVE');
    expect(await ask('during')).toBe('APPROVE');
    expect(await freezes()).toBe(0);
    const events = await readJournal(deployment.configFile);
    const kept = events.find(({ type }) => type === 'unfreeze')?.body as {
      readonly statements: readonly string[];
    };
    expect(kept.statements).toEqual([first.stdout.trim(), expect.stringMatching(/^eyJ/)]);

    // The words that lifted it are worth nothing for another freeze of the same id.
    await json('freeze', '--all', '--reason', 'again', '--author', 'carol', '--id', 'night');
    const stale = kept.statements.flatMap((statement) => ['--statement', statement]);
    expect(refusal(await lift(...stale))).toBe(
      '1 countersign: the signed statement is not accepted: it is about another freeze',
    );
    const { statement } = await json('unfreeze', 'night', '--key', key('own-operator'), '--print');
    expect(await json('unfreeze', 'night', '--key', key('bob'), '--statement', statement)).toMatchObject({
      operators: ['own-operator', 'bob'],
    });
  });

  test('a freeze of one asset leaves the others alone, and may refuse for good', async () => {
    const dry = ['freeze', '--asset', 'BTC', '--reason', 'r', '--author', 'carol', '--dry-run'];
    expect((await run(...dry)).stdout).toContain('Nothing was changed (--dry-run).');
    expect((await status()).freezes).toEqual([]);
    const made = await json(
      'freeze',
      '--asset',
      'BTC',
      '--reason',
      'r',
      '--author',
      'carol',
      '--answers',
      'reject',
    );
    expect(made).toMatchObject({
      workspace: 'main',
      scope: { asset: ['BTC'] },
      author: 'carol',
      covered: { covered: 0 },
    });
    expect(await ask('ether')).toBe('APPROVE');
    expect(await ask('bitcoin', { asset: 'BTC' })).toBe('REJECT');
    const { statement } = await json('unfreeze', made.id, '--key', key('bob'), '--print');
    await json('unfreeze', made.id, '--key', key('own-operator'), '--statement', statement);
    expect(await ask('bitcoin', { asset: 'BTC' })).toBe('REJECT');
  });

  test('a freeze that expired is shown as such, and holds nothing any more', async () => {
    const made = await json(
      'freeze',
      '--vault',
      '7',
      '--reason',
      'short',
      '--author',
      'carol',
      '--for',
      '30s',
    );
    expect(await ask('short')).toBe('RETRY');
    const during = await status();
    expect(during.freezes).toMatchObject([{ id: made.id, inForce: true, expiresAtMs: made.expiresAtMs }]);
    expect(made.expiresAtMs - during.ledger.nowMs).toBeLessThanOrEqual(30_000);
    expect(await freezes()).toBe(1);
    await sleep(Math.max(0, made.expiresAtMs - Date.now()) + 50);
    expect(await ask('short')).toBe('APPROVE');
    expect(await freezes()).toBe(0);
    expect((await status()).freezes).toMatchObject([{ id: made.id, inForce: false }]);
    expect((await run('status')).stdout).toContain(`freeze      ${made.id} (expired: no longer in force)`);
  });

  test('one page says what is in force, by whom, and how full the limits are', async () => {
    const page = await run('status');
    expect(page).toMatchObject({ code: 0, stderr: '' });
    expect(page.stdout).toMatch(/^decisions {3}are made$/m);
    expect(page.stdout).toMatch(
      /^policy {6}[0-9a-f]{12} since event 2 \(\d{4}-\d\d-\d\dT[\d:.]+Z\), signed by own-operator; lifting a freeze takes two operators$/m,
    );
    expect((await run('ledger', 'journal', '--last', '1000')).stdout).toMatch(
      /^2 +[\d-]+ [\d:]+ +policy +[0-9a-f]{12} signed by own-operator$/m,
    );
    expect(page.stdout).toMatch(/^limits {6}count +\d+ % {2}\d+ of 40 transactions$/m);
    expect(page.stdout).toMatch(/^ {12}eth +0 % {2}[\d.]+ of 1000 ETH, asset=ETH$/m);
    const { limits } = await status();
    const events = await readJournal(deployment.configFile);
    const approvals = events.filter(
      ({ body }) => 'charged' in body && (body.charged as unknown[]).length > 0,
    );
    expect(limits).toMatchObject([
      { limit: 'count', used: String(approvals.length) },
      { limit: 'eth', unit: 'ETH' },
    ]);
  });

  test('a misspelled scope, the past and a nameless author are refused, and nothing is written', async () => {
    const before = await replica.sequence();
    const freeze = (...args: readonly string[]) => run('freeze', '--reason', 'r', ...args);
    expect(refusal(await freeze('--author', 'carol', '--scope', '{ aset: ETH }'))).toBe(
      '2 countersign: scope:1: aset: unknown key; did you mean asset?',
    );
    expect(refusal(await freeze('--author', 'carol', '--all', '--until', '2020-01-01T00:00:00Z'))).toContain(
      "2 countersign: --until is in the past: by the ledger's clock it is 20",
    );
    expect(refusal(await freeze('--all'))).toBe(
      '2 countersign: say who freezes: --author NAME, or --key OPERATOR.pem',
    );
    expect(refusal(await freeze('--all', '--key', key('stranger')))).toContain(
      'it is the key of no configured operator',
    );
    expect(await replica.sequence()).toBe(before);
  });

  test('a ledger that is away is said to be, with an exit code', async () => {
    if (redis === undefined)
      for (const end of ['', '-wal', '-shm']) rmSync(join(dir, `ledger.db${end}`), { force: true });
    else await redis.kill('SIGKILL');
    const page = await run('status');
    expect(page.code).toBe(1);
    expect(page.stdout).toContain('decisions   NONE ARE MADE. ');
    // Nobody knows then: that there were none would be worse than no answer.
    expect(page.stdout).toContain('freezes     not known\nwaiting     not known\n');
  });
});
