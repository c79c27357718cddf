/**
 * The five ways in which a Fireblocks co-signer and its handler know each other, on replicas that serve TLS, with curl as
 * the client: it pins a key, or trusts one root, as the co-signer is documented to.
 */
import { execFileSync } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request as httpsRequest } from 'node:https';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, stringify } from 'yaml';
import { authority, type Certified, certificate } from '../support/certificates.js';
import { APPROVER, type ChannelReplica, HOST, question, startChannelReplica } from '../support/channels.js';
import { MAIN } from '../support/cluster.js';
import { outcomeOf } from '../support/command.js';
import { payloadOf, verifies } from '../support/cosigner.js';
import { type Curled, curl } from '../support/curl.js';
import { eventually } from '../support/deployment.js';
import { readJournal } from '../support/journal.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-channels-'));
const SELF = join(dir, 'self');
const ROOTED = join(dir, 'rooted');
const STRICT = join(dir, 'strict');
const NOWHERE = ['10.99.0.0/16'];
const HERE = ['127.0.0.1/32'];

const POLICY = `version: 1
limits:
  eth: { sum: native, max: '100', window: lifetime }
rules:
  - name: refuse-xrp
    match: { kind: transaction, asset: [XRP] }
    effect: reject
  - name: approve
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH] }
    limits: [eth]
    effect: approve
  - name: whitelist
    match: { kind: config-change, type: [UNMANAGED_WALLET] }
    effect: approve
`;

let root: Certified;
let otherRoot: Certified;
let clients: Certified;
let listed: Certified;
let unlisted: Certified;
/** Serves a self-signed certificate, which is pinned: options 2 and 4. */
let self: ChannelReplica;
/** Serves a certificate of an authority: options 1, 3 and 5. */
let rooted: ChannelReplica;
let pin: string;

/** The blocks of commands on the page about Fireblocks, by a word that only one of them holds. */
function commandsWith(word: string): string {
  const page = readFileSync('docs/protocols/fireblocks.md', 'utf8');
  const blocks = [...page.matchAll(/^```sh\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block);
  const [found, ...others] = blocks.filter((block) => block.includes(word));
  if (found === undefined || others.length > 0) throw new Error(`not one block of commands with ${word}`);
  return found;
}

/** Types what the page says, in a folder. */
function type(folder: string, commands: string, env: NodeJS.ProcessEnv = {}): string {
  const bin = join(dir, 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'countersign'), `#!/bin/sh\nexec ${process.execPath} ${MAIN} "$@"\n`, {
    mode: 0o755,
  });
  return execFileSync('sh', ['-e', '-c', commands], {
    cwd: folder,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...env, PATH: `${bin}:${process.env.PATH}` },
  });
}

async function pinsOf(...files: readonly string[]) {
  const { code, stdout, stderr } = await outcomeOf(['keys', 'pin', ...files, '--json']);
  const { pins } = JSON.parse(stdout);
  return { code, stderr, pins: pins.map((each: { readonly pin: string }) => each.pin) };
}

function digestOf({ certificate: file }: Certified): string {
  const text = execFileSync('openssl', ['x509', '-in', file, '-noout', '-fingerprint', '-sha256'], {
    encoding: 'utf8',
  });
  return text.replace(/^.*=/, '').replaceAll(':', '').trim();
}

beforeAll(async () => {
  for (const folder of [SELF, ROOTED, STRICT]) mkdirSync(folder);
  root = authority(dir, 'root');
  otherRoot = authority(dir, 'other-root');
  clients = authority(dir, 'clients');
  listed = certificate(dir, clients, 'DNS:listed.example.com');
  unlisted = certificate(dir, clients, 'DNS:unlisted.example.com');
  type(SELF, commandsWith('-newkey rsa:2048'));
  [pin] = (await pinsOf(join(SELF, 'callback.pem'))).pins;
  type(
    SELF,
    'openssl genrsa -out recipient.pem 3072 && openssl rsa -in recipient.pem -pubout -out recipient.pub.pem',
  );
  type(SELF, 'openssl genpkey -algorithm ed25519 -out checkpoint.pem');
  self = await startChannelReplica(SELF, {
    policy: POLICY,
    more: {
      audit: {
        checkpointKey: { file: 'checkpoint.pem' },
        originals: { directory: 'originals', recipientKeyFile: 'recipient.pub.pem' },
      },
    },
    tls: {
      certificateFile: 'callback.pem',
      keyFile: 'callback.key',
      clientCaFile: clients.certificate,
      clientCertificates: 'optional',
    },
    cosigners: {
      pinned: { mode: 'json', networks: HERE },
      hybrid: { mode: 'jwt' },
      elsewhere: { mode: 'json', networks: NOWHERE },
      certified: { mode: 'json', clientCertificates: [digestOf(listed)] },
      'hybrid-elsewhere': { mode: 'jwt', networks: NOWHERE },
      'hybrid-certified': { mode: 'jwt', clientCertificates: [digestOf(listed)] },
    },
  });
  const served = certificate(dir, root, `DNS:${HOST}`);
  copyFileSync(served.certificate, join(ROOTED, 'callback.pem'));
  copyFileSync(served.key, join(ROOTED, 'callback.key'));
  rooted = await startChannelReplica(ROOTED, {
    policy: POLICY,
    tls: { certificateFile: 'callback.pem', keyFile: 'callback.key', keepKey: false, minVersion: 'TLSv1.3' },
    cosigners: { root: { mode: 'json', networks: HERE }, key: { mode: 'jwt' } },
  });
});

afterAll(async () => {
  await self?.stop();
  await rooted?.stop();
  rmSync(dir, { recursive: true, force: true });
});

const pinning = (key = pin) => ['--insecure', '--pinnedpubkey', key, ...self.resolve];
const trusting = ({ certificate: file } = root) => ['--cacert', file, ...rooted.resolve];

function plain(id: string, more: object = {}): string {
  return JSON.stringify(question(id, more));
}

/** The bare object of an answer in plain JSON. */
function plainAnswer({ code, status, contentType, body }: Curled): unknown {
  expect({ code, status, contentType }).toEqual({ code: 0, status: 200, contentType: 'application/json' });
  return JSON.parse(body);
}

/** The claims of a signed answer. */
function signedAnswer({ code, status, contentType, body }: Curled, replica: ChannelReplica): unknown {
  expect({ code, status, contentType }).toEqual({ code: 0, status: 200, contentType: 'application/jwt' });
  expect(verifies(body, replica.answerKey)).toBe(true);
  return JSON.parse(payloadOf(body));
}

const approval = (requestId: string) => ({ action: 'APPROVE', requestId });

describe('what the co-signer is documented to do', () => {
  test('option 1, public key: a known authority, signed both ways', async () => {
    const url = `${rooted.origin}/key/v2/tx_sign_request`;
    const reply = await curl(url, rooted.signed(question('one')), ...trusting());
    expect(signedAnswer(reply, rooted)).toEqual(approval('one'));
  });

  test('option 2, certificate: the pinned key, plain JSON both ways', async () => {
    const reply = await curl(`${self.origin}/pinned/tx_sign_request`, plain('two'), ...pinning());
    expect(plainAnswer(reply)).toEqual(approval('two'));
  });

  test('option 3, root: that root, plain JSON both ways', async () => {
    const reply = await curl(`${rooted.origin}/root/tx_sign_request`, plain('three'), ...trusting());
    expect(plainAnswer(reply)).toEqual(approval('three'));
  });

  test('option 4, public key and certificate: the pinned key, signed both ways', async () => {
    const url = `${self.origin}/hybrid/v2/tx_sign_request`;
    const reply = await curl(url, self.signed(question('four')), ...pinning());
    expect(signedAnswer(reply, self)).toEqual(approval('four'));
  });

  test('option 5, public key and root: that root, signed both ways', async () => {
    const url = `${rooted.origin}/key/v2/tx_sign_request`;
    const reply = await curl(url, rooted.signed(question('five')), ...trusting());
    expect(signedAnswer(reply, rooted)).toEqual(approval('five'));
  });

  test('a configuration change in plain JSON', async () => {
    const change = { requestId: 'change', signerId: APPROVER, type: 'UNMANAGED_WALLET', extraInfo: {} };
    const url = `${self.origin}/pinned/config_change_sign_request`;
    expect(plainAnswer(await curl(url, JSON.stringify(change), ...pinning()))).toEqual(approval('change'));
  });

  test('any content type, and white space around the object', async () => {
    const url = `${self.origin}/pinned/tx_sign_request`;
    for (const contentType of ['application/json', 'text/plain', 'application/jwt', '']) {
      const header = ['--header', `content-type: ${contentType}`];
      const reply = await curl(url, `\r\n ${plain('two')}\v\f\n`, ...header, ...pinning());
      expect(plainAnswer(reply)).toEqual(approval('two'));
    }
  });

  test('the lines of the documentation that show it as a pinning co-signer does', () => {
    const port = self.origin.split(':').at(-1);
    const line = commandsWith('--insecure --pinnedpubkey')
      .replace(':8443/fireblocks/', `:${port}/hybrid/`)
      .replace('curl ', `curl --silent --resolve ${HOST}:${port}:127.0.0.1 `);
    expect(type(SELF, line, { PIN: pin })).toBe('unauthorized\n');
    const other = `sha256//${Buffer.alloc(32, 1).toString('base64')}`;
    expect(() => type(SELF, line, { PIN: other })).toThrow(expect.objectContaining({ status: 90 }));
  });
});

describe('a co-signer that knows another handler gets no answer', () => {
  test.each(['/pinned/tx_sign_request', '/hybrid/v2/tx_sign_request'])('pinned key, %s', async (path) => {
    const other = `sha256//${Buffer.alloc(32, 1).toString('base64')}`;
    const before = await self.events();
    const { code, status } = await curl(`${self.origin}${path}`, plain('pinned'), ...pinning(other));
    expect({ code, status }).toEqual({ code: 90, status: 0 });
    expect(await self.events()).toBe(before);
  });

  test.each(['/root/tx_sign_request', '/key/v2/tx_sign_request'])('root, %s', async (path) => {
    const { code, status } = await curl(`${rooted.origin}${path}`, plain('root'), ...trusting(otherRoot));
    expect({ code, status }).toEqual({ code: 60, status: 0 });
  });

  test('an older version of TLS', async () => {
    const url = `${rooted.origin}/key/v2/tx_sign_request`;
    const { code } = await curl(url, rooted.signed(question('old')), '--tls-max', '1.2', ...trusting());
    expect(code).toBe(35);
    const twelve = await curl(
      `${self.origin}/pinned/tx_sign_request`,
      plain('two'),
      '--tls-max',
      '1.2',
      ...pinning(),
    );
    expect(plainAnswer(twelve)).toEqual(approval('two'));
    const eleven = ['--tls-max', '1.1', '--ciphers', 'DEFAULT@SECLEVEL=0', ...pinning()];
    expect((await curl(`${self.origin}/pinned/tx_sign_request`, plain('two'), ...eleven)).code).toBe(35);
  });
});

describe('what is answered without being asked of the ledger', () => {
  const good = plain('stranger');
  const signed = () => self.signed(question('stranger'));
  const shows = (shown: Certified) => ['--cert', shown.certificate, '--key', shown.key];
  const cases: readonly (readonly [
    string,
    string,
    () => string | Buffer,
    () => readonly string[],
    number,
  ])[] = [
    ['plain JSON to a path of signed messages', '/hybrid/tx_sign_request', () => good, () => [], 404],
    ['plain JSON as if it were signed', '/hybrid/v2/tx_sign_request', () => good, () => [], 401],
    ['a signed message to a path of plain JSON', '/pinned/v2/tx_sign_request', signed, () => [], 404],
    ['a signed message as plain JSON', '/pinned/tx_sign_request', signed, () => [], 400],
    ['another path', '/pinned/v3/tx_sign_request', () => good, () => [], 404],
    ['the path alone', '/pinned', () => good, () => [], 404],
    ["a stranger's address", '/elsewhere/tx_sign_request', () => good, () => [], 401],
    ["a stranger's address, at a path that is none", '/elsewhere/x', () => good, () => [], 401],
    [
      "a stranger's address that claims another",
      '/elsewhere/tx_sign_request',
      () => good,
      () => ['--header', 'x-forwarded-for: 10.99.0.1'],
      401,
    ],
    ["a stranger's address, signed", '/hybrid-elsewhere/v2/tx_sign_request', signed, () => [], 401],
    ['no client certificate', '/certified/tx_sign_request', () => good, () => [], 401],
    ['another client certificate', '/certified/tx_sign_request', () => good, () => shows(unlisted), 401],
    ['no client certificate, signed', '/hybrid-certified/v2/tx_sign_request', signed, () => [], 401],
    ['another one, signed', '/hybrid-certified/v2/tx_sign_request', signed, () => shows(unlisted), 401],
    ['an empty body', '/pinned/tx_sign_request', () => '', () => [], 400],
    ['blanks', '/pinned/tx_sign_request', () => ' \r\n', () => [], 400],
    ['no JSON', '/pinned/tx_sign_request', () => 'x', () => [], 400],
    [
      'bytes that are no text',
      '/pinned/tx_sign_request',
      () => Buffer.from([0x7b, 0xff, 0x7d]),
      () => [],
      400,
    ],
    ['a byte order mark', '/pinned/tx_sign_request', () => `\uFEFF${good}`, () => [], 400],
    ['a list', '/pinned/tx_sign_request', () => `[${good}]`, () => [], 400],
    ['text', '/pinned/tx_sign_request', () => JSON.stringify(good), () => [], 400],
    ['half an object', '/pinned/tx_sign_request', () => good.slice(0, -1), () => [], 400],
    ['an object and more', '/pinned/tx_sign_request', () => `${good}{}`, () => [], 400],
    ['a member twice', '/pinned/tx_sign_request', () => `{"requestId":"a",${good.slice(1)}`, () => [], 400],
    ['no request id', '/pinned/tx_sign_request', () => plain('a', { requestId: '' }), () => [], 400],
    [
      'a request id that is no text',
      '/pinned/tx_sign_request',
      () => plain('a', { requestId: 7 }),
      () => [],
      400,
    ],
    ['a transaction as a change', '/pinned/config_change_sign_request', () => good, () => [], 400],
    ['a body above the limit', '/pinned/tx_sign_request', () => ' '.repeat(65_537), () => [], 413],
  ];

  let events = 0;
  beforeAll(async () => {
    events = await self.events();
  });

  test.each(cases)('%s', async (_, path, body, options, status) => {
    const paths = await self.metric('countersign_unknown_paths_total');
    const reply = await curl(`${self.origin}${path}`, body(), ...options(), ...pinning());
    expect(reply).toMatchObject({ code: 0, status, contentType: 'text/plain;' });
    expect(await self.metric('countersign_unknown_paths_total')).toBe(paths + (status === 404 ? 1 : 0));
  });

  test('none of it left anything in the ledger', async () => {
    expect(await self.events()).toBe(events);
  });

  test('a client certificate of an authority that is not ours counts as none', async () => {
    const foreign = certificate(dir, otherRoot, 'DNS:foreign.example.com');
    const url = `${self.origin}/certified/tx_sign_request`;
    expect((await curl(url, good, ...shows(foreign), ...pinning())).status).toBe(401);
  });

  test('the listed client certificate is let in', async () => {
    const options = [...shows(listed), ...pinning()];
    const asked = await curl(`${self.origin}/certified/tx_sign_request`, plain('listed'), ...options);
    expect(plainAnswer(asked)).toEqual(approval('listed'));
    const url = `${self.origin}/hybrid-certified/v2/tx_sign_request`;
    const reply = await curl(url, self.signed(question('listed-2')), ...options);
    expect(signedAnswer(reply, self)).toEqual(approval('listed-2'));
  });

  test('the log says what is set up otherwise than at the vendor', () => {
    expect(self.command.stdout()).toContain('a path of plain JSON, where mode: jwt is configured');
    expect(self.command.stdout()).toContain('a path of signed messages, where mode: json is configured');
  });
});

describe('what is said of callers that nobody vouches for', () => {
  test('at the start, by the metrics, by status and by policy check', async () => {
    const sentence =
      'CALLERS ARE NOT AUTHENTICATED: co-signer pinned of workspace main speaks plain JSON (mode: json), so whoever calls from 127.0.0.1/32 is answered as if they were it, under whatever signer they name, and can fill limits.';
    expect(self.command.stdout()).toContain(sentence);
    const gauge = (name: string) =>
      `countersign_cosigner_unauthenticated{workspace="main",cosigner="${name}"}`;
    expect(await self.metric(gauge('pinned'))).toBe(1);
    expect(await self.metric(gauge('certified'))).toBe(1);
    expect(await self.metric(gauge('hybrid'))).toBe(0);
    const status = await outcomeOf(['status', '--config', self.configFile]);
    expect(status.stdout).toContain(`warning     ${sentence}`);
    const check = await outcomeOf([
      'policy',
      'check',
      join(SELF, 'policy.yaml'),
      '--config',
      self.configFile,
    ]);
    expect(check.stdout).toContain(`! ${sentence}`);
    expect((await outcomeOf(['policy', 'check', join(SELF, 'policy.yaml')])).stdout).not.toContain('CALLERS');
  });
});

describe('in plain JSON', () => {
  const ask = (id: string, more: object = {}) =>
    curl(`${self.origin}/pinned/tx_sign_request`, plain(id, more), ...pinning());
  const reason = async (reply: Promise<Curled>) => {
    const answer = JSON.parse((await reply).body);
    return [answer.action, answer.rejectionReason];
  };

  test('a replay gets the same answer, byte for byte, and is charged once', async () => {
    const first = await ask('replayed');
    const events = await self.events();
    expect(await ask('replayed')).toEqual(first);
    expect(await ask('replayed')).toEqual(first);
    expect(await self.events()).toBe(events);
  });

  test('a stranger burns no request by a content that is refused', async () => {
    expect((await reason(ask('burnt', { asset: 'XRP' })))[0]).toBe('REJECT');
    expect((await reason(ask('burnt', { asset: 'XRP', amountStr: '9' })))[0]).toBe('REJECT');
    expect(plainAnswer(await ask('burnt'))).toEqual(approval('burnt'));
    // What was refused stays so.
    expect((await reason(ask('burnt', { asset: 'XRP' })))[0]).toBe('REJECT');
  });

  test('no two contents of one request are approved, whatever the way it is asked', async () => {
    expect(plainAnswer(await ask('two-ways'))).toEqual(approval('two-ways'));
    const other = { extraParameters: { other: 'content' } };
    expect((await reason(ask('two-ways', other)))[1]).toContain(
      'the same request id came with other content',
    );
    const url = `${self.origin}/hybrid/v2/tx_sign_request`;
    const signed = async (more: object) =>
      signedAnswer(await curl(url, self.signed(question('two-ways', more)), ...pinning()), self);
    expect(await signed(other)).toMatchObject({ action: 'REJECT' });
    const events = await self.events();
    expect(await signed({})).toEqual(approval('two-ways'));
    expect(await self.events()).toBe(events);
  });

  test('what a co-signer that signs was refused stays refused', async () => {
    const url = `${self.origin}/hybrid/v2/tx_sign_request`;
    const refused = await curl(url, self.signed(question('refused', { asset: 'XRP' })), ...pinning());
    expect(signedAnswer(refused, self)).toMatchObject({ action: 'REJECT' });
    expect((await reason(ask('refused')))[1]).toContain('the same request id came with other content');
  });

  test('an API user that is not listed is told to ask again', async () => {
    expect(plainAnswer(await ask('unlisted', { signerId: 'somebody' }))).toEqual({
      action: 'RETRY',
      requestId: 'unlisted',
    });
  });

  test('the journal says that nobody vouched for who asked', async () => {
    const events = await readJournal(self.configFile);
    const requests = events.flatMap(({ type, body }) => {
      const { journal } = body as {
        readonly journal?: { readonly request: Readonly<Record<string, unknown>> };
      };
      return type === 'decision' && journal !== undefined ? [journal.request] : [];
    });
    expect(requests.find(({ requestId }) => requestId === 'two')).toMatchObject({ anonymous: true });
    expect(requests.find(({ requestId }) => requestId === 'four')).not.toHaveProperty('anonymous');
  });
});

test('an original in plain JSON is shown as one that nobody signed', async () => {
  const key = ['--key', join(SELF, 'recipient.pem'), '--public-key', join(SELF, 'keys/cosigner.pub.pem')];
  const shown = (id: string) =>
    outcomeOf(['audit', 'open', join(SELF, 'originals'), ...key, '--request', id]);
  const plainly = await shown('two');
  expect(plainly).toMatchObject({ code: 0 });
  expect(plainly.stdout).toContain(
    'asked     /tx_sign_request from 127.0.0.1, in plain JSON, which nobody signs\n',
  );
  expect(plainly.stdout).toContain('answered  200, in plain JSON, which nobody signs\n');
  expect((await shown('four')).stdout).toContain('cosigner.pub.pem\n');
});

test('networks that change are taken while the replica runs; another mode takes a restart, and the log names it', async () => {
  const document = readFileSync(self.configFile, 'utf8');
  const change = (edit: (cosigners: Record<string, unknown>[]) => void) => {
    const config = parse(document);
    edit(config.workspaces[0].cosigners);
    writeFileSync(self.configFile, stringify(config));
  };
  const status = async () =>
    (await curl(`${self.origin}/pinned/tx_sign_request`, plain('two'), ...pinning())).status;
  change(([pinned = {}]) => Object.assign(pinned, { networks: NOWHERE }));
  await self.reload('"msg":"reloaded"');
  expect(await status()).toBe(401);
  change(([pinned = {}]) => {
    for (const name of ['networks', 'allowUnauthenticatedJson']) delete pinned[name];
    const answerKey = { file: 'keys/answer.pem', algorithm: 'RS256' };
    Object.assign(pinned, { mode: 'jwt', publicKeys: [{ file: 'keys/cosigner.pub.pem' }], answerKey });
  });
  await self.reload('needs a restart');
  // As it was before: nothing of another mode is taken.
  expect(await status()).toBe(401);
  writeFileSync(self.configFile, document);
  await self.reload('"msg":"reloaded"');
  expect(await status()).toBe(200);
});

/** Goes on asking over one connection, and others, until it is stopped. */
function traffic(replica: ChannelReplica) {
  const port = Number(replica.origin.split(':').at(-1));
  const kept = new Agent({ keepAlive: true, maxSockets: 1 });
  const outcomes: string[] = [];
  const sockets = new Set<unknown>();
  let going = true;
  const once = (agent: Agent | false, id: string) =>
    new Promise<string>((resolve) => {
      const call = httpsRequest(
        {
          host: '127.0.0.1',
          port,
          path: '/pinned/tx_sign_request',
          method: 'POST',
          agent,
          rejectUnauthorized: false,
        },
        (response) => {
          response.resume().on('end', () => resolve(`${response.statusCode}`));
        },
      );
      call.on('error', (error) => resolve(error.message));
      call.on('socket', (socket) => agent !== false && sockets.add(socket));
      call.end(plain(id));
    });
  const ask = async (agent: Agent | false, name: string) => {
    for (let turn = 0; going; turn += 1) outcomes.push(await once(agent, `${name}-${turn % 20}`));
  };
  const asking = Promise.all([ask(kept, 'kept'), ask(false, 'new')]);
  return {
    /** After a few more calls by each. */
    async stop() {
      const enough = outcomes.length + 10;
      while (outcomes.length < enough) await new Promise((resolve) => setTimeout(resolve, 20));
      going = false;
      await asking;
      kept.destroy();
      return { outcomes, connections: sockets.size };
    },
  };
}

describe('a certificate that is renewed while the replica runs', () => {
  const url = () => `${self.origin}/pinned/tx_sign_request`;
  const failed = () => self.metric('countersign_reload_failed{part="http.tls"}');
  const served = () =>
    execFileSync('openssl', ['s_client', '-connect', `127.0.0.1:${self.origin.split(':').at(-1)}`], {
      input: '',
      encoding: 'utf8',
      stdio: ['pipe', 'pipe', 'ignore'],
    }).replace(/^[\s\S]*(-----BEGIN CERTIFICATE-----[\s\S]*-----END CERTIFICATE-----)[\s\S]*$/, '$1');

  test('with the same key: the pinning client goes on, and no request is lost', async () => {
    const before = served();
    const asked = traffic(self);
    type(SELF, commandsWith('-key callback.key'));
    await self.reload('"msg":"reloaded"');
    expect(plainAnswer(await curl(url(), plain('renewed'), ...pinning()))).toEqual(approval('renewed'));
    const { outcomes, connections } = await asked.stop();
    expect(served()).not.toBe(before);
    expect(`${served()}\n`).toBe(readFileSync(join(SELF, 'callback.pem'), 'utf8'));
    expect(new Set(outcomes)).toEqual(new Set(['200']));
    expect(connections).toBe(1);
    expect(await failed()).toBe(0);
  });

  test('with another key: the replica keeps the one in use, says why, and raises the alarm', async () => {
    const before = served();
    const files = ['callback.pem', 'callback.key'].map((name) => join(SELF, name));
    for (const file of files) copyFileSync(file, `${file}.kept`);
    type(SELF, commandsWith('-newkey rsa:2048'));
    const { code, stderr } = await pinsOf(`${files[0]}.kept`, files[0] ?? '');
    expect(code).toBe(1);
    expect(stderr).toContain('co-signers that pin it refuse every connection with the other');
    await self.reload('has another key');
    expect(await failed()).toBe(1);
    expect(served()).toBe(before);
    expect(plainAnswer(await curl(url(), plain('kept'), ...pinning()))).toEqual(approval('kept'));
    for (const file of files) copyFileSync(`${file}.kept`, file);
    await self.reload('"msg":"reloaded"');
    expect(await failed()).toBe(0);
  });

  test('what is no pair, or not valid now, is not taken', async () => {
    const before = served();
    const file = join(SELF, 'callback.pem');
    copyFileSync(file, `${file}.kept`);
    copyFileSync(join(ROOTED, 'callback.pem'), file);
    await self.reload('is not that of the certificate');
    writeFileSync(file, 'x');
    await self.reload('holds no certificate in PEM form');
    type(
      SELF,
      'openssl req -new -key callback.key -subj /CN=ended | ' +
        'openssl x509 -req -signkey callback.key -days -1 -out callback.pem',
    );
    await self.reload('ended on');
    expect(served()).toBe(before);
    copyFileSync(`${file}.kept`, file);
    await self.reload('"msg":"reloaded"');
  });

  test('its age and its end are metrics: of the file, and of what is served', async () => {
    const end = (name: string) => `countersign_certificate_expiry_timestamp_seconds{certificate="${name}"}`;
    const days = ((await self.metric(end('http.tls (served)'))) - Date.now() / 1_000) / 86_400;
    expect(days).toBeGreaterThan(364);
    expect(days).toBeLessThan(365.1);
    expect(await self.metric(end('http.tls.certificateFile'))).toBe(
      await self.metric(end('http.tls (served)')),
    );
    const begin = 'countersign_certificate_not_before_timestamp_seconds{certificate="http.tls (served)"}';
    expect(Date.now() / 1_000 - (await self.metric(begin))).toBeLessThan(3_600);
  });

  test('with another key where nobody pins it: it is taken without being told, by a link that is swapped', async () => {
    // As Kubernetes replaces a mounted Secret.
    const next = certificate(dir, root, `DNS:${HOST},DNS:next.example.com`);
    for (const [name, file] of [
      ['callback.pem', next.certificate],
      ['callback.key', next.key],
    ] as const) {
      rmSync(join(ROOTED, name));
      symlinkSync(file, join(ROOTED, name));
    }
    const { pins } = await pinsOf(next.certificate);
    const options = ['--pinnedpubkey', pins[0], ...trusting()];
    const endsAt = performance.now() + 60_000;
    let reply: Curled;
    do {
      reply = await curl(`${rooted.origin}/root/tx_sign_request`, plain('swapped'), ...options);
    } while (reply.code === 90 && performance.now() < endsAt);
    expect(plainAnswer(reply)).toEqual(approval('swapped'));
  });
});

describe('client certificates that are required', () => {
  let strict: ChannelReplica;

  beforeAll(async () => {
    strict = await startChannelReplica(STRICT, {
      policy: POLICY,
      tls: {
        certificateFile: join(SELF, 'callback.pem'),
        keyFile: join(SELF, 'callback.key'),
        clientCaFile: clients.certificate,
      },
      cosigners: { certified: { mode: 'json', clientCertificates: [digestOf(listed)] } },
    });
  });
  afterAll(() => strict?.stop());

  const failures = (reason: string) =>
    strict.metric(`countersign_tls_handshakes_failed_total{server="http.tls",reason="${reason}"}`);
  const told = (problem: string) =>
    strict.command
      .stdout()
      .split('\n')
      .filter((line) => line.includes(`"problem":"${problem}"`));
  /** No connection, which is counted for this reason and told in the log. */
  async function comesToNothing(reason: string, problem: string, ...shows: readonly string[]) {
    const [counted, lines] = [await failures(reason), told(problem).length];
    const options = [...strict.resolve, ...shows];
    const { code, status } = await curl(`${strict.origin}/certified/tx_sign_request`, plain('a'), ...options);
    expect(status).toBe(0);
    expect(code).not.toBe(0);
    const line = await eventually('it is not counted, or not told', async () =>
      (await failures(reason)) === counted + 1 ? told(problem)[lines] : undefined,
    );
    const said = { level: 'warn', server: 'http.tls', reason, msg: 'TLS handshake failed' };
    expect(JSON.parse(line)).toMatchObject(said);
  }

  test('none: no connection', () =>
    comesToNothing('CLIENT_CERTIFICATE', 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE', '--insecure'));

  test.each(['1.2', '1.3'])('one of another authority: no connection, TLS %s', async (version) => {
    const made = certificate(dir, otherRoot, 'DNS:strange.example.com');
    const shows = ['--cert', made.certificate, '--key', made.key, '--tls-max', version];
    await comesToNothing('CLIENT_CERTIFICATE', 'UNABLE_TO_VERIFY_LEAF_SIGNATURE', '--insecure', ...shows);
  });

  test('a client that does not trust the certificate that it is shown', () =>
    comesToNothing('ALERT', 'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA', '--cacert', otherRoot.certificate));

  test('no TLS at all, and nothing at all', async () => {
    const { port } = new URL(strict.origin);
    const [before, gone] = [await failures('PROTOCOL'), await failures('CLOSED')];
    await fetch(`http://127.0.0.1:${port}/`).catch(() => undefined);
    connect(Number(port), '127.0.0.1').end();
    await eventually('they are not counted', async () =>
      (await failures('PROTOCOL')) === before + 1 && (await failures('CLOSED')) === gone + 1
        ? told('ERR_SSL_HTTP_REQUEST')[0]
        : undefined,
    );
    expect(strict.command.stdout()).not.toContain('CLOSED');
  });

  test('the listed one: an answer', async () => {
    const shows = ['--cert', listed.certificate, '--key', listed.key];
    const options = ['--insecure', ...strict.resolve, ...shows];
    const reply = await curl(`${strict.origin}/certified/tx_sign_request`, plain('a'), ...options);
    expect(plainAnswer(reply)).toEqual(approval('a'));
  });
});
