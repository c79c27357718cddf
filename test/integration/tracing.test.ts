/** Traces of one replica, as a collector gets them; and what it costs an answer when there is none. */
import { once } from 'node:events';
import { appendFileSync, mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Collector, type ReceivedSpan, startCollector } from '../support/collector.js';
import { type Command, countersign, outcomeOf } from '../support/command.js';
import {
  approving,
  type Deployment,
  deliver,
  EMBEDDED,
  eventually,
  type Reply,
  writeDeployment,
} from '../support/deployment.js';

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
const SPAN = '00f067aa0ba902b7';
/** As src/telemetry/tracing.ts has it: who waited for a collector waited as long. */
const EXPORT_TIMEOUT_MS = 5_000;
const LOADED = join(process.cwd(), 'test/support/loaded-modules.js');

const dirs: string[] = [];
const commands: Command[] = [];
let collector: Collector;

beforeAll(async () => {
  collector = await startCollector();
});

afterAll(async () => {
  for (const command of commands) command.signal('SIGKILL');
  await Promise.all(commands.map(({ ended }) => ended));
  collector?.close();
  for (const dir of dirs) rmSync(dir, { recursive: true, force: true });
});

interface Served {
  readonly deployment: Deployment;
  readonly command: Command;
  readonly http: string;
  /** Its log lines of this kind. */
  readonly lines: (msg: string) => readonly Readonly<Record<string, unknown>>[];
}

async function serve(endpoint: string | undefined): Promise<Served> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-tracing-'));
  dirs.push(dir);
  const deployment = writeDeployment(dir, { ledger: EMBEDDED, policy: approving() });
  if (endpoint !== undefined) appendFileSync(deployment.configFile, `tracing: { endpoint: '${endpoint}' }\n`);
  const config = ['--config', deployment.configFile];
  expect(await outcomeOf(['ledger', 'init', ...config])).toMatchObject({ code: 0 });
  const key = ['--key', deployment.operatorKeyFile];
  expect(await outcomeOf(['policy', 'activate', ...config, ...key])).toMatchObject({ code: 0 });
  const env = { ...process.env, NODE_OPTIONS: `--import ${LOADED}` };
  const command = countersign(['serve', ...config, '--replica', 'replica-7'], env);
  commands.push(command);
  await command.says('replica listens');
  const lines = (msg: string) =>
    command
      .stdout()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Readonly<Record<string, unknown>>)
      .filter((line) => line.msg === msg);
  return { deployment, command, http: `http://127.0.0.1:${lines('replica listens')[0]?.http}`, lines };
}

async function askWith(http: string, body: string, traceparent?: string) {
  const response = await fetch(`${http}/own/v2/tx_sign_request`, {
    method: 'POST',
    body,
    headers: traceparent === undefined ? {} : { traceparent },
  });
  await response.text();
  return { status: response.status, traceResponse: response.headers.get('traceresponse') };
}

const attributesOf = ({ attributes }: ReceivedSpan) =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value as object)[0]]));

describe('with a collector', () => {
  let served: Served;
  beforeAll(async () => {
    served = await serve(`${collector.endpoint}/`);
  });

  const spansOf = (traceId: string, count: number) =>
    eventually(`no ${count} spans of ${traceId}`, () => {
      const found = collector.spans.filter((span) => span.traceId === traceId);
      return found.length >= count ? found : undefined;
    });

  test('a request is one trace below its caller’s span, with a span for each step, and its log line has its id', async () => {
    const { deployment, http, lines } = served;
    const answer = await askWith(http, deployment.request('one'), `00-${TRACE}-${SPAN}-01`);
    const spans = await spansOf(TRACE, 6);
    const request = spans.find(({ name }) => name === 'request');
    expect(request?.parentSpanId).toBe(SPAN);
    expect(answer).toEqual({ status: 200, traceResponse: `00-${TRACE}-${request?.spanId}-01` });
    expect(request && attributesOf(request)).toEqual({
      'countersign.workspace': 'main',
      'countersign.cosigner': 'own',
      'countersign.kind': 'transaction',
      'countersign.stage': 'approval',
      'countersign.requestId': 'one',
      'countersign.answer': 'approve',
      'countersign.reason': 'APPROVED',
    });
    const steps = spans
      .filter(({ name }) => name !== 'request')
      .sort((a, b) => Number(BigInt(a.startTimeUnixNano) - BigInt(b.startTimeUnixNano)));
    expect(steps.map(({ name }) => name)).toEqual(['receive', 'examine', 'evaluate', 'commit', 'answer']);
    expect(new Set(steps.map(({ parentSpanId }) => parentSpanId))).toEqual(new Set([request?.spanId]));
    expect(collector.text()).toContain('replica-7');

    const [line] = lines('decided');
    expect(line).toMatchObject({ traceId: TRACE, requestId: 'one' });
    expect(Object.keys((line?.steps ?? {}) as object)).toEqual(steps.map(({ name }) => name));
  });

  test('a request without a caller’s trace has one of its own', async () => {
    const { deployment, http, lines } = served;
    expect(await askWith(http, deployment.request('two'))).toMatchObject({ status: 200 });
    const line = await eventually('no line', () => lines('decided').find((each) => each.requestId === 'two'));
    expect(line.traceId).toMatch(/^[0-9a-f]{32}$/);
    const spans = await spansOf(String(line.traceId), 6);
    expect(spans.find(({ name }) => name === 'request')?.parentSpanId ?? '').toBe('');
  });

  test('a caller that does not record is not recorded', async () => {
    const { deployment, http, lines } = served;
    const quiet = 'a'.repeat(32);
    expect(await askWith(http, deployment.request('three'), `00-${quiet}-${SPAN}-00`)).toMatchObject({
      status: 200,
    });
    expect(await askWith(http, deployment.request('four'))).toMatchObject({ status: 200 });
    const line = await eventually('no line', () =>
      lines('decided').find((each) => each.requestId === 'four'),
    );
    await spansOf(String(line.traceId), 6);
    expect(collector.spans.filter(({ traceId }) => traceId === quiet)).toEqual([]);
    expect(lines('decided').find((each) => each.requestId === 'three')?.traceId).toBe(quiet);
  });

  test('neither tokens nor what is in them leave with a trace', async () => {
    const { deployment, http } = served;
    const trace = 'b'.repeat(32);
    const secret = 'hunter2hunter2';
    const body = deployment.request('five', { note: secret });
    expect(await askWith(http, body, `00-${trace}-${SPAN}-01`)).toMatchObject({ status: 200 });
    expect(await askWith(http, `${secret}.x.y`, `00-${'c'.repeat(32)}-${SPAN}-01`)).toEqual({
      status: 401,
      traceResponse: null,
    });
    await spansOf(trace, 6);
    const [refused] = (await spansOf('c'.repeat(32), 2)).filter(({ name }) => name === 'request');
    expect(refused && attributesOf(refused)).toEqual({ 'countersign.code': 'UNAUTHENTICATED' });
    for (const part of [secret, ...body.split('.')]) expect(collector.text()).not.toContain(part);
  });

  test('what is left is sent when the replica stops', async () => {
    const { deployment, http, command } = served;
    const trace = 'd'.repeat(32);
    expect(await askWith(http, deployment.request('six'), `00-${trace}-${SPAN}-01`)).toMatchObject({
      status: 200,
    });
    command.signal('SIGTERM');
    expect((await command.ended).code).toBe(0);
    expect(await spansOf(trace, 6)).toHaveLength(6);
    expect(command.stdout()).not.toContain('traces are not delivered');
  });
});

/** Takes connections, and says nothing on them. */
async function startSilence() {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    sockets,
    stop() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

const ended = async (command: Command) => {
  command.signal('SIGTERM');
  return command.ended;
};

/** All would: a busy machine may keep one of them as long, but not each. */
function expectNoneToWait(replies: readonly Reply[]): void {
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
  expect(Math.min(...replies.map(({ elapsedMs }) => elapsedMs))).toBeLessThan(EXPORT_TIMEOUT_MS);
}

test('a collector that is gone costs no answer, and the log says so', async () => {
  const { deployment, http, command } = await serve('http://127.0.0.1:9');
  expect(await deliver(http, deployment.request('one'))).toMatchObject({ status: 200 });
  await command.says('traces are not delivered');
  const replies = [];
  for (const id of ['two', 'three', 'four']) replies.push(await deliver(http, deployment.request(id)));
  expectNoneToWait(replies);
  expect(await ended(command)).toMatchObject({ code: 0 });
});

test('a collector that refuses all it gets is one line, not one for each time', async () => {
  const { deployment, http, command, lines } = await serve(`${collector.endpoint}/elsewhere`);
  for (const id of ['one', 'two', 'three']) {
    const trace = id.length.toString(16).repeat(8) + Buffer.from(id.padEnd(12)).toString('hex');
    expect(await askWith(http, deployment.request(id), `00-${trace}-${SPAN}-01`)).toMatchObject({
      status: 200,
    });
    await eventually(`no ${id}`, () => collector.spans.find(({ traceId }) => traceId === trace));
  }
  expect(await ended(command)).toMatchObject({ code: 0 });
  const refused = lines('traces are not delivered');
  expect(refused).toEqual([expect.objectContaining({ problem: expect.stringContaining('404') })]);
});

test('a collector that never answers delays neither an answer nor the end', async () => {
  const silence = await startSilence();
  const { deployment, http, command } = await serve(silence.endpoint);
  const replies = [];
  for (let index = 0; index < 200; index += 1)
    replies.push(await deliver(http, deployment.request(`r${index}`)));
  expectNoneToWait(replies);
  // It has more to send than one call takes, and the first call still waits.
  await eventually('nothing was sent to it', () => (silence.sockets.size > 0 ? true : undefined));
  expect(await ended(command)).toMatchObject({ code: 0 });
  silence.stop();
});

test('without an endpoint nothing of the SDK is loaded', async () => {
  const { deployment, http, command } = await serve(undefined);
  expect(await askWith(http, deployment.request('one'), `00-${TRACE}-${SPAN}-01`)).toMatchObject({
    status: 200,
  });
  command.signal('SIGTERM');
  expect((await command.ended).stderr).not.toContain('loaded ');
});

test('and with one it is, so the test before would notice', async () => {
  const { command } = await serve('http://127.0.0.1:9');
  command.signal('SIGTERM');
  expect((await command.ended).stderr).toContain('@opentelemetry/sdk-trace');
});
