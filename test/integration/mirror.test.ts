/** `countersign mirror` with the built program: every way in, every way to differ, and no way to answer. */
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { type Command, countersign, outcomeOf } from '../support/command.js';
import { payloadOf, rsaPair, token } from '../support/cosigner.js';
import { type Deployment, deliver, EMBEDDED, writeDeployment } from '../support/deployment.js';
import { startReplica } from '../support/replica.js';

const POLICY = `version: 1
limits:
  few: { sum: count, max: '3', window: { rolling: 1h } }
rules:
  - name: never-doge
    match: { kind: transaction, asset: [DOGE] }
    effect: reject
  - name: wait-for-btc
    match: { kind: transaction, asset: [BTC] }
    effect: retry
  - name: others-decide
    match: { kind: transaction, stage: approval, asset: [SOL] }
    effect: ignore
  - name: few-ether
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH] }
    limits: [few]
    effect: approve
`;

const PATH = '/own/v2/tx_sign_request';

let dir = '';
let deployment: Deployment;
const stranger = rsaPair();
const running: Command[] = [];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersign-mirror-'));
  deployment = writeDeployment(dir, { ledger: EMBEDDED, policy: POLICY });
  const pem = deployment.answer.publicKey.export({ type: 'spki', format: 'pem' });
  writeFileSync(join(dir, 'handler.pub.pem'), pem);
  // Whatever a mirror does, it does without it.
  rmSync(join(dir, 'keys/own-answer.pem'));
});
afterEach(async () => {
  for (const command of running.splice(0)) {
    command.signal('SIGKILL');
    await command.ended;
  }
  rmSync(dir, { recursive: true, force: true });
});

const options = (...more: readonly string[]) => [
  ...['mirror', '--config', deployment.configFile, '--dir', join(dir, 'mirror')],
  ...['--answer-key', join(dir, 'handler.pub.pem'), ...more],
];

const answer = (requestId: string, action: string, more: object = {}) =>
  token({ action, requestId, ...more }, deployment.answer.privateKey);

const request = (id: string, asset = 'ETH') => deployment.request(id, { asset });

/** A copy as JSON text. */
const copy = (id: string, asset: string, reply: string | undefined, more: object = {}) =>
  JSON.stringify({ path: PATH, request: request(id, asset), answer: reply, ...more });

interface Difference {
  readonly type: string;
  readonly class: string;
  readonly requestId?: string;
  readonly ours?: { readonly action: string; readonly reason: string; readonly rule?: string };
  readonly handler: { readonly action?: string; readonly problem?: string };
}

async function replay(lines: readonly string[], ...more: readonly string[]) {
  const file = join(dir, 'copies.jsonl');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const { code, stdout, stderr } = await outcomeOf(options('--copies', file, '--json', ...more));
  const printed = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line));
  const summary = printed.at(-1);
  return { code, stderr, summary, differences: printed.slice(0, -1) as readonly Difference[] };
}

test('a handler that answers as we would differs in nothing', async () => {
  const { code, differences, summary } = await replay([
    copy('a', 'ETH', answer('a', 'APPROVE')),
    copy('b', 'DOGE', answer('b', 'REJECT', { rejectionReason: 'another sentence', iat: 1 })),
    copy('c', 'BTC', `  ${answer('c', 'RETRY')}\r\n`),
    copy('d', 'SOL', answer('d', 'IGNORE')),
    copy('a', 'ETH', answer('a', 'APPROVE'), { at: '2026-11-21T19:00:00Z', status: 200 }),
  ]);
  expect({ code, differences }).toEqual({ code: 0, differences: [] });
  expect(summary).toMatchObject({
    type: 'summary',
    copies: 5,
    compared: 5,
    unanswered: 0,
    classes: { same: 5, laxer: 0, stricter: 0 },
    ours: { APPROVE: 2, REJECT: 1, RETRY: 1, IGNORE: 1 },
    limits: { uncounted: 0, countedHereOnly: 0, later: 0 },
  });
  expect(summary.policies).toEqual([{ workspace: 'main', version: expect.stringMatching(/^[0-9a-f]{64}$/) }]);
});

test('each way to differ has a class, the most dangerous is we approve and it does not', async () => {
  const { code, differences, summary } = await replay([
    copy('laxer-1', 'ETH', answer('laxer-1', 'REJECT', { rejectionReason: 'amount' })),
    copy('laxer-2', 'ETH', answer('laxer-2', 'RETRY')),
    copy('stricter-1', 'DOGE', answer('stricter-1', 'APPROVE')),
    copy('stricter-2', 'DOGE', answer('stricter-2', 'RETRY')),
    copy('undecided', 'BTC', answer('undecided', 'APPROVE')),
    copy('other', 'SOL', answer('other', 'REJECT')),
    copy('nonsense-1', 'DOGE', token({ action: 'REJECT', requestId: 'nonsense-1' }, stranger.privateKey)),
    copy('nonsense-2', 'DOGE', answer('another', 'REJECT')),
    copy('nonsense-3', 'DOGE', answer('nonsense-3', 'reject')),
    copy('nonsense-4', 'DOGE', JSON.stringify({ action: 'REJECT', requestId: 'nonsense-4' })),
    copy('nonsense-5', 'DOGE', answer('nonsense-5', 'REJECT'), { status: 201 }),
    copy('nonsense-6', 'DOGE', ''),
    copy('nonsense-7', 'DOGE', 'Internal Server Error', { status: 500 }),
  ]);
  expect(code).toBe(1);
  expect(differences.map((each) => [each.requestId?.replace(/-\d$/, ''), each.class])).toEqual(
    differences.map((each) => [each.class, each.class]),
  );
  expect(differences).toHaveLength(13);
  expect(differences[0]).toEqual({
    type: 'difference',
    class: 'laxer',
    workspace: 'main',
    cosigner: 'own',
    signer: 'approver',
    requestId: 'laxer-1',
    stage: 'approval',
    what: 'TRANSFER ETH to VAULT 8',
    ours: {
      action: 'APPROVE',
      reason: 'APPROVED',
      rule: 'few-ether',
      sentence: expect.any(String),
    },
    handler: { action: 'REJECT', reason: 'amount' },
  });
  expect(summary.classes).toEqual({
    laxer: 2,
    stricter: 2,
    undecided: 1,
    other: 1,
    nonsense: 7,
    refused: 0,
    same: 0,
  });
  expect(summary.byRule[0]).toEqual({ name: 'never-doge', classes: { stricter: 2, nonsense: 7 } });
  expect(summary.bySubject).toContainEqual({ name: 'TRANSFER ETH to VAULT 8', classes: { laxer: 2 } });
  const problems = differences.flatMap(({ handler }) => handler.problem ?? []);
  expect(problems).toEqual([
    'no --answer-key verifies its answer as a JWT',
    'its answer names another requestId',
    'its action is none of APPROVE, REJECT, RETRY and IGNORE in capitals',
    'its answer is plain JSON, and this co-signer wants a JWT',
    'it answered HTTP 201, and a co-signer wants 200',
    'no --answer-key verifies its answer as a JWT',
    'it answered HTTP 500, and a co-signer wants 200',
  ]);
});

test('IGNORE where a signature is asked for is nonsense, whatever we say', async () => {
  const plain = writeDeployment(join(dir, 'signing'), {
    ledger: EMBEDDED,
    policy: POLICY,
    listsSigners: false,
  });
  writeFileSync(join(dir, 'handler.pub.pem'), plain.answer.publicKey.export({ type: 'spki', format: 'pem' }));
  deployment = plain;
  const claims = { asset: 'DOGE', fee: '0.1', signerId: undefined };
  const line = JSON.stringify({
    path: PATH,
    request: deployment.request('s', claims),
    answer: answer('s', 'IGNORE'),
  });
  const { differences } = await replay([line]);
  expect(differences).toMatchObject([
    { class: 'nonsense', stage: 'signing', handler: { problem: expect.stringContaining('IGNORE') } },
  ]);
});

test('where nothing is signed a copy is compared all the same, whatever address it comes from', async () => {
  const config = parse(readFileSync(deployment.configFile, 'utf8'));
  config.workspaces[0].cosigners.push({
    name: 'plain',
    protocol: 'fireblocks',
    path: '/plain',
    mode: 'json',
    allowUnauthenticatedJson: true,
    networks: ['10.9.9.9'],
    signers: [{ id: 'approver', stages: ['approval'] }],
  });
  writeFileSync(deployment.configFile, stringify(config));
  const plain = (id: string, asset: string, reply: string) =>
    JSON.stringify({
      path: '/plain/tx_sign_request',
      request: payloadOf(request(id, asset)),
      answer: reply,
    });
  const { differences, summary } = await replay([
    plain('a', 'DOGE', JSON.stringify({ action: 'REJECT', requestId: 'a' })),
    plain('b', 'DOGE', JSON.stringify({ action: 'APPROVE', requestId: 'b' })),
    plain('c', 'DOGE', answer('c', 'REJECT')),
    copy('d', 'DOGE', answer('d', 'REJECT')),
  ]);
  expect(differences).toMatchObject([
    { class: 'stricter', requestId: 'b', cosigner: 'plain' },
    { class: 'nonsense', requestId: 'c', handler: { problem: 'its answer is no JSON object' } },
  ]);
  expect(summary.classes.same).toBe(2);
});

test('limits drift apart where answers differ, and the report says so', async () => {
  const given = (id: string, action: string) => copy(id, 'ETH', answer(id, action));
  const { summary, differences } = await replay([
    copy('refused-here', 'DOGE', answer('refused-here', 'APPROVE')),
    given('counted-here', 'REJECT'),
    ...['a', 'b'].map((id) => given(id, 'APPROVE')),
    given('no-room-here', 'APPROVE'),
  ]);
  expect(differences.map((each) => [each.class, each.ours?.reason])).toEqual([
    ['stricter', 'RULE_REJECTS'],
    ['laxer', 'APPROVED'],
    ['stricter', 'LIMIT_EXCEEDED'],
  ]);
  expect(summary.limits).toEqual({ uncounted: 2, countedHereOnly: 1, later: 1 });
});

test('what nobody serves is no difference; what only the handler serves is one', async () => {
  const forged = token({ requestId: 'x', txId: 'x' }, stranger.privateKey);
  const { code, differences, summary } = await replay([
    JSON.stringify({ path: PATH, request: forged, answer: 'unauthorized', status: 401 }),
    JSON.stringify({ path: PATH, request: 'nonsense' }),
    JSON.stringify({ path: '/elsewhere', request: request('y'), answer: 'not found', status: 404 }),
    JSON.stringify({ path: PATH, request: forged, answer: answer('x', 'APPROVE') }),
    JSON.stringify({ path: '/elsewhere', request: request('z'), answer: answer('z', 'APPROVE') }),
  ]);
  expect(code).toBe(1);
  expect(differences).toMatchObject([
    { class: 'refused', problem: 'no configured key verifies the signature', handler: { action: 'APPROVE' } },
    { class: 'refused', problem: 'no co-signer of the configuration has this path' },
  ]);
  expect(summary).toMatchObject({ strangers: 3, limits: { uncounted: 2 } });
});

test('requests and answers that come apart find one another; what is left over is told', async () => {
  const alone = (id: string, asset = 'ETH') => JSON.stringify({ path: PATH, request: request(id, asset) });
  const { code, stderr, summary } = await replay([
    alone('1'),
    alone('2', 'DOGE'),
    JSON.stringify({ answer: answer('3', 'REJECT') }),
    JSON.stringify({ answer: answer('2', 'APPROVE') }),
    JSON.stringify({ answer: answer('1', 'APPROVE') }),
    alone('3', 'DOGE'),
    alone('never'),
    JSON.stringify({ answer: answer('nobody', 'APPROVE') }),
  ]);
  expect(code).toBe(1);
  expect(summary).toMatchObject({
    compared: 3,
    unanswered: 1,
    unasked: 1,
    classes: { same: 2, stricter: 1 },
  });
  expect(stderr).toContain('mirror: no answer seen to never, TRANSFER ETH to VAULT 8\n');
});

describe('what cannot be compared ends with 2', () => {
  test('lines that are no copies, each with what is wrong with it', async () => {
    const wrong: readonly (readonly [string, string])[] = [
      ['nonsense', 'it is not JSON'],
      ['[]', 'it is not a JSON object'],
      ['{}', 'it has neither a request nor an answer'],
      ['{"request":"x"}', 'a request has no path'],
      ['{"request":"x","path":"v2"}', 'a request has no path'],
      ['{"path":"/own/v2/tx_sign_request","request":{}}', 'request is not text'],
      ['{"reqest":"x"}', 'it has the member "reqest"'],
      ['{"answer":"x","status":"200"}', 'status is not a whole number'],
      ['{"answer":"x","answer":"y"}', 'it is not JSON'],
    ];
    const { code, stderr, summary } = await replay([
      copy('a', 'ETH', answer('a', 'APPROVE')),
      ...wrong.map(([line]) => line),
    ]);
    expect({ code, compared: summary.compared, unreadable: summary.unreadable }).toEqual({
      code: 2,
      compared: 1,
      unreadable: wrong.length,
    });
    for (const [index, [, problem]] of wrong.entries())
      expect(stderr).toContain(`line ${index + 2}: ${problem}`);
  });

  test('no answer at all', async () => {
    const { code, summary } = await replay([JSON.stringify({ path: PATH, request: request('a') })]);
    expect({ code, unanswered: summary.unanswered }).toEqual({ code: 2, unanswered: 1 });
  });

  test('no file', async () => {
    const ended = await outcomeOf(options('--copies', join(dir, 'none.jsonl')));
    expect([ended.code, ended.stderr]).toEqual([2, expect.stringContaining('cannot read ')]);
  });
});

test('the page for people tells what differs, where, and what of it may be a consequence', async () => {
  writeFileSync(
    join(dir, 'copies.jsonl'),
    `${copy('laxer', 'ETH', answer('laxer', 'REJECT', { rejectionReason: 'a\u001b[2Jb' }))}\n`,
  );
  const { code, stdout } = await outcomeOf(options('--copies', join(dir, 'copies.jsonl')));
  expect(code).toBe(1);
  expect(stdout).toMatch(
    /^LAXER {5}laxer approval TRANSFER ETH to VAULT 8: the handler says REJECT \(a \[2Jb\), we say APPROVE: /,
  );
  expect(stdout).toContain('copies      1, of which 1 could be compared\n');
  expect(stdout).toContain('differences by rule\n  few-ether: 1 laxer\n');
  expect(stdout).toContain('1 of ours were not given by it');
});

describe('a ledger of its own', () => {
  const refused = async (...args: readonly string[]) => {
    const { code, stderr, stdout } = await outcomeOf(args);
    return { code, stdout, said: stderr };
  };
  const empty = () => {
    const file = join(dir, 'none');
    writeFileSync(file, '');
    return ['--copies', file];
  };

  test('one that a replica decided on is refused, and stays as it is', async () => {
    const other = mkdtempSync(join(tmpdir(), 'countersign-mirror-'));
    try {
      const own = writeDeployment(other, { ledger: EMBEDDED, policy: POLICY });
      const replica = await startReplica(own);
      own.read(await deliver(replica.http, own.request('r')), 'r');
      await replica.close();
      mkdirSync(join(dir, 'mirror'));
      cpSync(join(other, 'ledger.db'), join(dir, 'mirror/mirror.db'));
      const before = readFileSync(join(dir, 'mirror/mirror.db'));
      expect(await refused(...options(...empty()))).toEqual({
        code: 2,
        stdout: '',
        said: expect.stringContaining(
          'holds what no mirror with this folder’s key decided (event 2, policy)',
        ),
      });
      expect(readFileSync(join(dir, 'mirror/mirror.db')).equals(before)).toBe(true);
    } finally {
      rmSync(other, { recursive: true, force: true });
    }
  });

  test('that of another mirror is refused too, and its own is not', async () => {
    expect((await replay([copy('a', 'ETH', answer('a', 'APPROVE'))])).code).toBe(0);
    expect((await replay([copy('a', 'ETH', answer('a', 'APPROVE'))])).code).toBe(0);
    rmSync(join(dir, 'mirror/mirror.pem'));
    rmSync(join(dir, 'mirror/mirror.pub.pem'));
    expect((await refused(...options(...empty()))).said).toContain('holds what no mirror with this folder');
  });

  test('the folder of `up`, the ledger of the configuration, and a folder in use are refused', async () => {
    mkdirSync(join(dir, 'var'));
    writeFileSync(join(dir, 'var/ledger.kind'), 'embedded\n');
    const args = options(...empty()).map((arg) => (arg === join(dir, 'mirror') ? join(dir, 'var') : arg));
    expect((await refused(...args)).said).toContain('is the folder of a `countersign up`');

    const text = readFileSync(deployment.configFile, 'utf8');
    writeFileSync(deployment.configFile, text.replace('ledger.db', 'mirror/mirror.db'));
    expect((await refused(...options(...empty()))).said).toContain('is the ledger of the configuration');
    writeFileSync(deployment.configFile, text);

    const first = countersign(options('--listen', '0'));
    running.push(first);
    await first.says('listening on ');
    expect((await refused(...options(...empty()))).said).toContain('another countersign mirror runs in');
  });

  test('a new policy does not decide anew what was decided, and says so', async () => {
    await replay([copy('a', 'ETH', answer('a', 'APPROVE'))]);
    writeFileSync(deployment.policyFile, POLICY.replace('[ETH]', '[XRP]'));
    const { code, stderr, differences } = await replay([
      copy('a', 'ETH', answer('a', 'APPROVE')),
      copy('b', 'ETH', answer('b', 'APPROVE')),
    ]);
    expect([code, differences.map(({ requestId }) => requestId)]).toEqual([1, ['b']]);
    expect(stderr).toContain('another policy than before');
  });
});

test('what is missing on the command line is named', async () => {
  const bare = ['mirror', '--config', deployment.configFile, '--dir', join(dir, 'mirror')];
  expect((await outcomeOf(bare)).stderr).toContain('where do copies come from?');
  expect((await outcomeOf([...bare, '--copies', 'x', '--listen', '0'])).stderr).toContain('one of them');
  expect((await outcomeOf([...bare, '--listen', '0'])).stderr).toContain('whose answers? --answer-key');
  const privateKey = deployment.answer.privateKey.export({ type: 'pkcs8', format: 'pem' });
  writeFileSync(join(dir, 'private.pem'), privateKey);
  const ended = await outcomeOf([...bare, '--listen', '0', '--answer-key', join(dir, 'private.pem')]);
  expect(ended.stderr).toContain('it holds a PRIVATE key');
});

describe('over HTTP', () => {
  let origin = '';
  let mirror: Command;

  beforeEach(async () => {
    mirror = countersign(options('--listen', '0', '--json'));
    running.push(mirror);
    await mirror.says('listening on ');
    origin = listeningOrigin(mirror);
  });

  const post = async (path: string, body: string) => {
    const response = await fetch(`${origin}${path}`, { method: 'POST', body });
    return [response.status, await response.text()] as const;
  };

  test('copies and requests come in, nothing goes out, and Ctrl-C ends with a summary', async () => {
    expect(await post('/copies', copy('a', 'ETH', answer('a', 'APPROVE')))).toEqual([202, '']);
    expect(await post(PATH, request('b', 'DOGE'))).toEqual([204, '']);
    expect(await post('/copies', JSON.stringify({ answer: answer('b', 'APPROVE') }, null, 2))).toEqual([
      202,
      '',
    ]);
    const lines = [copy('c', 'DOGE', answer('c', 'REJECT')), '', copy('d', 'ETH', answer('d', 'APPROVE'))];
    expect(await post('/copies', lines.join('\n'))).toEqual([202, '']);
    expect(await post('/copies', '{"reqest":1}')).toEqual([400, 'it has the member "reqest"\n']);
    expect(await post(PATH, 'nonsense')).toEqual([204, '']);
    expect((await post('/elsewhere/v2/tx_sign_request', request('e')))[0]).toBe(404);
    expect((await fetch(`${origin}/copies`)).status).toBe(404);
    mirror.signal('SIGINT');
    const { code, stdout } = await mirror.ended;
    const [difference, summary] = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line));
    expect(difference).toMatchObject({ class: 'stricter', requestId: 'b' });
    expect(Date.parse(difference.at)).toBeGreaterThan(Date.now() - 60_000);
    expect(summary).toMatchObject({
      copies: 6,
      compared: 4,
      strangers: 1,
      unreadable: 1,
      classes: { same: 3, stricter: 1 },
    });
    expect(code).toBe(2);
  });

  test('a body that is larger than any copy is refused, and the next one is taken', async () => {
    const huge = 'x'.repeat(17 * 1024 * 1024);
    expect((await post('/copies', huge))[0]).toBe(413);
    expect((await post('/copies', copy('a', 'ETH', answer('a', 'APPROVE'))))[0]).toBe(202);
  });

  test('more than can wait is dropped and told, and memory stays', async () => {
    const line = copy('a', 'ETH', answer('a', 'APPROVE'));
    const burst = Array.from({ length: 200 }, () => line).join('\n');
    // Several times as many as find a place: a busy machine may send them slowly, and those that wait are decided meanwhile.
    const replies = await Promise.all(Array.from({ length: 50 }, () => post('/copies', burst)));
    const full = replies.filter(([status]) => status === 503).length;
    expect(full).toBeGreaterThan(0);
    mirror.signal('SIGTERM');
    const { code, stderr, stdout } = await mirror.ended;
    expect(stderr).toContain('some are dropped');
    const summary = JSON.parse(stdout.trim().split('\n').at(-1) ?? '');
    expect(summary).toMatchObject({ dropped: full, classes: { laxer: 0, stricter: 0 } });
    expect(code).toBe(2);
  });
});

test('a port that is taken is named', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  const address = taken.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const ended = await outcomeOf(options('--listen', `${port}`));
  taken.close();
  expect([ended.code, ended.stderr]).toEqual([3, expect.stringContaining('another program listens there')]);
});

function listeningOrigin(command: Command): string {
  const said = /listening on (http:\/\/[\d.]+:\d+)/.exec(command.stderr());
  if (said?.[1] === undefined) throw new Error('it does not say where');
  return said[1];
}
