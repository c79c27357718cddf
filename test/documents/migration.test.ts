/** What docs/migration.md prints is run as it stands: files are written, commands are typed; only ports differ. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { type EtherTransfer, signingPayload, unsignedBytes } from '../../src/simulator/transaction.js';
import { freePorts, MAIN } from '../support/cluster.js';
import { type KeyPair, payloadOf, rsaPair, token, verifies } from '../support/cosigner.js';
import { eventually } from '../support/deployment.js';
import {
  type CloudFunction,
  coldFunction,
  type Middleware,
  middlewareHandler,
  pluginHandler,
} from '../support/handlers/handlers.js';

const page = readFileSync(join(process.cwd(), 'docs/migration.md'), 'utf8');
const blocks = [...page.matchAll(/^( *)```(\w+)(?: (\S+))?\n([\s\S]*?)^ *```$/gm)].map(
  ([, indent = '', language = '', file, text = '']) => ({
    language,
    file,
    text: text.replace(new RegExp(`^${indent}`, 'gm'), ''),
  }),
);
const commands = blocks
  .filter(({ language }) => language === 'sh')
  .flatMap(({ text }) => text.trim().split('\n'));

const dir = mkdtempSync(join(tmpdir(), 'countersign-migration-'));
const cosigner: KeyPair = rsaPair();
const handler: KeyPair = rsaPair();
const keys = { cosigner: cosigner.publicKey, own: handler.privateKey };
const ran = new Set<string>();
const children = new Set<ChildProcess>();
const servers: Server[] = [];
const ports = { http: 0, ops: 0, mirror: 0, handler: 0 };

beforeAll(async () => {
  const first = await freePorts(4);
  Object.assign(ports, { http: first, ops: first + 1, mirror: first + 2, handler: first + 3 });
  mkdirSync(join(dir, 'keys'));
  const pem = (key: KeyPair['publicKey']) =>
    key.export({ type: key.type === 'private' ? 'pkcs8' : 'spki', format: 'pem' } as {
      type: 'spki';
      format: 'pem';
    });
  writeFileSync(join(dir, 'keys/cosigner-a.pub.pem'), pem(cosigner.publicKey));
  writeFileSync(join(dir, 'keys/handler.pub.pem'), pem(handler.publicKey));
  writeFileSync(join(dir, 'keys/handler.pem'), pem(handler.privateKey), { mode: 0o600 });
  generateKeyFiles('ed25519', join(dir, 'keys/alice.pem'));
  for (const { file, text } of blocks) if (file !== undefined) writeFileSync(join(dir, file), ported(text));
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
  rmSync(dir, { recursive: true, force: true });
});

function ported(text: string): string {
  return text
    .replaceAll('8080', `${ports.http}`)
    .replaceAll('9090', `${ports.ops}`)
    .replaceAll('9191', `${ports.mirror}`)
    .replaceAll('7070', `${ports.handler}`);
}

interface Running {
  readonly output: () => string;
  readonly ended: Promise<{ readonly code: number | null; readonly output: string }>;
  readonly stop: () => void;
}

/** One line of the page, as a shell would run it; only a program's name, its options and quoted text stand there. */
function type(line: string): Running {
  if (!commands.includes(line)) throw new Error(`the page does not say ${line}`);
  ran.add(line);
  const [, ...words] = (ported(line).match(/'[^']*'|\S+/g) ?? []).map((word) => word.replace(/^'|'$/g, ''));
  return start(process.execPath, [MAIN, ...words]);
}

function start(program: string, args: readonly string[]): Running {
  const child = spawn(program, args, {
    cwd: dir,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, PYTHONPATH: dir },
  });
  children.add(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  return {
    output: () => output,
    ended: new Promise((resolve) => {
      child.once('close', (code) => {
        children.delete(child);
        resolve({ code, output });
      });
    }),
    stop: () => void child.kill('SIGINT'),
  };
}

function find(part: string): string {
  const found = commands.find((line) => line.includes(part));
  if (found === undefined) throw new Error(`the page has no command with ${part}`);
  return found;
}

async function says(running: Running, text: string): Promise<void> {
  const look = () => (running.output().includes(text) ? true : undefined);
  await eventually('silence', look).catch(() => {
    throw new Error(`it never said ${text}, but: ${running.output()}`);
  });
}

const ETHER = 10n ** 18n;

function transfer(id: string, amount = ETHER / 2n): EtherTransfer {
  return {
    txId: id,
    requestId: id,
    amount,
    source: '0',
    players: [],
    asset: { id: 'ETH', decimals: 18, price: 3_000n * 10n ** 8n },
    destination: {
      type: 'VAULT',
      subType: '',
      id: '1',
      name: 'One',
      address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8',
    },
    gas: { nonce: 1, limit: 21_000n, maxFeePerGas: 10n ** 10n, maxPriorityFeePerGas: 10n ** 9n },
  };
}

/** A request as the co-signer signs it; `change` spoils what it claims. */
function ask(
  sent: EtherTransfer,
  change: (claims: string) => string = (claims) => claims,
  bytes?: string,
): string {
  return token(change(signingPayload(sent, 'payouts', bytes)), cosigner.privateKey);
}

/** Number claims say one thing, text another: what JSON.parse and a comparison make of it is not what will be signed. */
const modest = (claims: string) => claims.replace(/"amount":[\d.]+/, '"amount":0.5');

async function post(url: string, body: string): Promise<{ readonly status: number; readonly text: string }> {
  const response = await fetch(`${url}/fireblocks/v2/tx_sign_request`, { method: 'POST', body });
  return { status: response.status, text: await response.text() };
}

function actionIn(text: string): string {
  expect(verifies(text, handler.publicKey)).toBe(true);
  return JSON.parse(payloadOf(text)).action;
}

/** On a port of its own: a connection that was kept open must not lead to the next one. */
async function serve(server: Server, port = 0): Promise<string> {
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  const address = server.address();
  return `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : port}`;
}

async function summaryOf(mirror: Running) {
  mirror.stop();
  return mirror.ended;
}

test('the policy and the keys are checked', async () => {
  const checked = await type(find('policy check')).ended;
  expect(checked).toMatchObject({ code: 0 });
  expect((await type(find('keys show')).ended).output).toContain('RSA 2048 bit');
});

test('shape 1: the mirror sees what the middleware copies, and what numbers hide', async () => {
  const mirror = type(find('--dir var/mirror-1'));
  await says(mirror, 'listening on ');
  const { copyToMirror } = (await import(pathToFileURL(join(dir, 'copy-to-mirror.mjs')).href)) as {
    copyToMirror: (url: string) => Middleware;
  };
  const url = await serve(middlewareHandler(keys, copyToMirror(`http://127.0.0.1:${ports.mirror}/copies`)));
  expect(actionIn((await post(url, ask(transfer('m-1')))).text)).toBe('APPROVE');
  expect(actionIn((await post(url, ask(transfer('m-2', 11n * ETHER)))).text)).toBe('REJECT');
  expect(actionIn((await post(url, ask(transfer('m-hidden', 50n * ETHER), modest))).text)).toBe('APPROVE');
  const lying = transfer('m-lying');
  expect(
    actionIn((await post(url, ask(lying, undefined, unsignedBytes({ ...lying, amount: 9n * ETHER })))).text),
  ).toBe('APPROVE');
  expect((await post(url, 'nonsense')).status).toBe(401);
  await says(mirror, 'm-lying');
  const { code, output } = await summaryOf(mirror);
  expect(output).toMatch(
    /STRICTER .*m-hidden signing TRANSFER ETH to VAULT 1: the handler says APPROVE, we say REJECT/,
  );
  expect(output).toMatch(/STRICTER .*m-lying .*we say REJECT/);
  expect(output).toContain('of which 4 could be compared');
  expect(output).toMatch(/stricter +2 /);
  expect(code).toBe(1);
});

test('a handler does not notice that its mirror is away', async () => {
  const { copyToMirror } = (await import(pathToFileURL(join(dir, 'copy-to-mirror.mjs')).href)) as {
    copyToMirror: (url: string) => Middleware;
  };
  const url = await serve(middlewareHandler(keys, copyToMirror(`http://127.0.0.1:${ports.mirror}/copies`)));
  expect(actionIn((await post(url, ask(transfer('alone')))).text)).toBe('APPROVE');
});

test('shape 2: a file of copies shows what nobody objected to, and what threw', async () => {
  const { recordCopy } = (await import(pathToFileURL(join(dir, 'record-copies.mjs')).href)) as {
    recordCopy: (file: string, copy: object) => void;
  };
  recordCopy(join(dir, 'no/such/folder'), {});
  const url = await serve(pluginHandler(keys, (copy) => recordCopy(join(dir, 'copies.jsonl'), copy)));
  const as = (operation: string) => (claims: string) => claims.replace('"TRANSFER"', `"${operation}"`);
  expect(actionIn((await post(url, ask(transfer('p-1')))).text)).toBe('APPROVE');
  expect(actionIn((await post(url, ask(transfer('p-mint'), as('MINT')))).text)).toBe('APPROVE');
  const empty = (claims: string) => claims.replace(/"destinations":\[.*?\]/, '"destinations":[]');
  expect((await post(url, ask(transfer('p-throws'), empty))).status).toBe(500);
  const { code, output } = await type(find('--copies copies.jsonl')).ended;
  expect(output).toMatch(/STRICTER .*p-mint signing MINT ETH/);
  expect(output).toMatch(/NONSENSE .*p-throws .*the handler: it answered HTTP 500/);
  expect(output).toMatch(/same +1 /);
  expect(code).toBe(1);
});

test('shape 3: a function and a Python application forget, and the limit does not', async () => {
  const mirror = type(find('--dir var/mirror-1'));
  await says(mirror, 'listening on ');
  const { mirrored } = (await import(pathToFileURL(join(dir, 'mirrored.mjs')).href)) as {
    mirrored: (handler: CloudFunction, url: string) => CloudFunction;
  };
  const call = mirrored(coldFunction(keys), `http://127.0.0.1:${ports.mirror}/copies`);
  const event = (id: string, isBase64Encoded: boolean) => {
    const body = ask({ ...transfer(id), source: '3' });
    const path = '/fireblocks/v2/tx_sign_request';
    return { path, body: isBase64Encoded ? Buffer.from(body).toString('base64') : body, isBase64Encoded };
  };
  for (const id of ['f-1', 'f-2', 'f-3', 'f-over'])
    expect(actionIn((await call(event(id, id === 'f-2'))).body)).toBe('APPROVE');

  const port = await freePorts(1);
  const python = start('python3', [
    join(process.cwd(), 'test/support/handlers/wsgi_handler.py'),
    ...[`${port}`, 'keys/cosigner-a.pub.pem', 'keys/handler.pem'],
    `http://127.0.0.1:${ports.mirror}/copies`,
  ]);
  await says(python, 'listening');
  const url = `http://127.0.0.1:${port}`;
  expect(actionIn((await post(url, ask({ ...transfer('w-1'), source: '4' }))).text)).toBe('APPROVE');
  expect(
    actionIn((await post(url, ask({ ...transfer('w-hidden', 50n * ETHER), source: '4' }, modest))).text),
  ).toBe('APPROVE');
  await says(mirror, 'w-hidden');
  // The copy of the one before it may be behind it; it is delivered before the application ends.
  python.stop();
  await python.ended;
  const { code, output } = await summaryOf(mirror);
  expect(output).toMatch(/STRICTER .*f-over .*the handler says APPROVE, we say REJECT: .*payouts-per-hour/);
  expect(output).not.toMatch(/STRICTER .*f-3/);
  expect(output).toMatch(/same +4 /);
  expect(code).toBe(1);
});

test('nginx copies requests, and the mirror says what it would have answered', async () => {
  const mirror = type(find('--dir var/mirror-1'));
  await says(mirror, 'listening on ');
  await serve(
    middlewareHandler(keys, (_, __, next) => next()),
    ports.handler,
  );
  const port = await freePorts(1);
  writeFileSync(
    join(dir, 'nginx.conf'),
    `pid ${dir}/nginx.pid; error_log stderr; daemon off; master_process off;
events {}
http { access_log off; client_body_temp_path ${dir}/body; proxy_temp_path ${dir}/proxy;
  fastcgi_temp_path ${dir}/f; uwsgi_temp_path ${dir}/u; scgi_temp_path ${dir}/s;
  server { listen 127.0.0.1:${port}; include ${dir}/mirror.conf; } }
`,
  );
  const nginx = start('nginx', ['-c', join(dir, 'nginx.conf'), '-p', dir, '-e', 'stderr']);
  const url = `http://127.0.0.1:${port}`;
  const reply = await eventually('nginx does not answer', () =>
    post(url, ask({ ...transfer('n-1'), source: '5' })).catch(() => undefined),
  );
  expect(actionIn(reply.text)).toBe('APPROVE');
  // Its answer comes by another way.
  await fetch(`http://127.0.0.1:${ports.mirror}/copies`, {
    method: 'POST',
    body: JSON.stringify({ answer: reply.text }),
  });
  expect(actionIn((await post(url, ask({ ...transfer('n-2'), source: '5' }))).text)).toBe('APPROVE');
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  // Nginx has sent its copy by then; the mirror, which may be slower, has read it when it answers what comes after.
  expect((await fetch(`http://127.0.0.1:${ports.mirror}/copies`)).status).toBe(404);
  const { code, output } = await summaryOf(mirror);
  expect(output).toContain('of which 1 could be compared');
  expect(output).toContain('no answer seen to n-2, TRANSFER ETH to VAULT 1');
  expect(output).toContain('APPROVE 2, REJECT 0');
  expect(code).toBe(0);
  nginx.stop();
  await nginx.ended;
});

test('the switch: the ledger, the policy, a replica with the handler’s own key, and the page', async () => {
  expect(await type(find('ledger init')).ended).toMatchObject({ code: 0 });
  expect(await type(find('policy activate')).ended).toMatchObject({ code: 0 });
  const replica = type(find('countersign serve'));
  await says(replica, 'replica listens');
  const url = `http://127.0.0.1:${ports.http}`;
  expect(actionIn((await post(url, ask(transfer('s-1')))).text)).toBe('APPROVE');
  const other = (claims: string) => claims.replace('"payouts"', '"somebody"');
  expect(actionIn((await post(url, ask(transfer('s-other'), other))).text)).toBe('RETRY');
  const page = await type(find('countersign status')).ended;
  expect(page).toMatchObject({ code: 0, output: expect.stringContaining('decisions   are made\n') });
  await eventually(
    'the page does not say what waits',
    async () =>
      (await type(find('countersign status')).ended).output.includes('SIGNER_NOT_LISTED') ? true : undefined,
    90_000,
  );

  expect(await type(find('freeze --config')).ended).toMatchObject({ code: 0 });
  expect(actionIn((await post(url, ask(transfer('s-2')))).text)).toBe('RETRY');
  expect(actionIn((await post(url, ask(transfer('s-1')))).text)).toBe('RETRY');
  expect(await type(find('unfreeze way-back')).ended).toMatchObject({ code: 0 });
  expect(actionIn((await post(url, ask(transfer('s-2')))).text)).toBe('APPROVE');
  replica.stop();
  await replica.ended;
});

test('the ledger of the switch is none for a mirror', async () => {
  mkdirSync(join(dir, 'var/mirror-3'), { recursive: true });
  writeFileSync(join(dir, 'var/mirror-3/mirror.db'), readFileSync(join(dir, 'ledger.db')));
  const refused = await start(process.execPath, [
    ...[MAIN, 'mirror', '--config', 'config.yaml', '--answer-key', 'keys/handler.pub.pem'],
    ...['--dir', 'var/mirror-3', '--copies', 'copies.jsonl'],
  ]).ended;
  expect(refused).toMatchObject({ code: 2, output: expect.stringContaining('decided (event 2, policy)') });
});

test('every command of the page was typed, and every file of it was written', () => {
  expect(commands.filter((line) => !ran.has(line))).toEqual([]);
  expect(commands.length).toBeGreaterThan(8);
  const files = blocks.flatMap(({ file }) => file ?? []);
  expect(files.sort()).toEqual([
    ...[
      'config.yaml',
      'copy-to-mirror.mjs',
      'copy_to_mirror.py',
      'mirror.conf',
      'mirrored.mjs',
      'policy.yaml',
    ],
    'record-copies.mjs',
  ]);
  expect(blocks.filter(({ language, file }) => language !== 'sh' && file === undefined)).toEqual([]);
});
