/**
 * TLS by a proxy, by the lines that the page about Fireblocks shows: real HAProxy and nginx in front of a replica, and what
 * the replica knows of callers then.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stringify } from 'yaml';
import { generateKeyFiles } from '../../src/keys/generate.js';
import { authority, type Certified, certificate } from '../support/certificates.js';
import { APPROVER, HOST, question } from '../support/channels.js';
import { freePorts } from '../support/cluster.js';
import { curl } from '../support/curl.js';
import { approving, eventually } from '../support/deployment.js';
import { type RunningReplica, startReplica } from '../support/replica.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-proxies-'));
const children: ChildProcess[] = [];
/** Another than the proxies', which are trusted to say where a request comes from. */
const CALLER = '127.0.0.5';
let root: Certified;
let client: Certified;
let replica: RunningReplica;
const ports = { haproxy: 0, nginx: 0 };

const page = readFileSync('docs/protocols/fireblocks.md', 'utf8');

/** The block of the page that holds this word, with the files of this test. */
function linesWith(word: string, from: string): string {
  const blocks = [...page.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, , text = '']) => text);
  const [found, ...others] = blocks.filter((text) => text.includes(word));
  if (found === undefined || others.length > 0) throw new Error(`not one block with ${word}`);
  return found.replaceAll(from, `${folder}/`);
}

function start(program: string, ...args: readonly string[]): void {
  children.push(spawn(program, args, { stdio: 'ignore' }));
}

beforeAll(async () => {
  mkdirSync(join(folder, 'logs'));
  root = authority(folder, 'root');
  const clients = authority(folder, 'clients');
  client = certificate(folder, clients, 'DNS:proxy.example.com');
  const served = certificate(folder, root, `DNS:${HOST}`);
  writeFileSync(
    join(folder, 'callback.pem'),
    `${readFileSync(served.certificate)}${readFileSync(served.key)}`,
  );
  writeFileSync(join(folder, 'callback.key'), readFileSync(served.key));

  generateKeyFiles('ed25519', join(folder, 'operator.pem'));
  writeFileSync(join(folder, 'policy.yaml'), approving());
  const configFile = join(folder, 'config.yaml');
  const plain = { protocol: 'fireblocks', mode: 'json', allowUnauthenticatedJson: true };
  const signers = [{ id: APPROVER, stages: ['approval'] }];
  const config = {
    http: { host: '127.0.0.1', port: 0, trustedProxies: ['127.0.0.1'] },
    ops: { host: '127.0.0.1', port: 0 },
    ledger: { kind: 'embedded', embedded: { file: 'ledger.db' } },
    workspaces: [
      {
        name: 'main',
        policyFile: 'policy.yaml',
        cosigners: [
          { name: 'gcp', path: '/fireblocks-gcp', ...plain, networks: [CALLER], signers },
          { name: 'elsewhere', path: '/elsewhere', ...plain, networks: ['10.99.0.0/16'], signers },
        ],
      },
    ],
    operators: [{ name: 'operator', publicKeyFile: 'operator.pub.pem' }],
  };
  writeFileSync(configFile, stringify(config));
  replica = await startReplica({ configFile, operatorKeyFile: join(folder, 'operator.pem') });
  const haproxy = await freePorts(2);
  const nginx = haproxy + 1;
  Object.assign(ports, { haproxy, nginx });
  const { host } = new URL(replica.http);

  const times = 'defaults\n  mode http\n  timeout client 60s\n  timeout server 60s\n  timeout connect 60s\n';
  const front = linesWith('forwardfor', '/etc/haproxy/').replace(':8443', `127.0.0.1:${haproxy}`);
  const back = `default_backend replicas\nbackend replicas\n  server a ${host}\n`;
  writeFileSync(join(folder, 'haproxy.cfg'), `${times}frontend cosigners\n${front}${back}`);
  start('haproxy', '-db', '-f', join(folder, 'haproxy.cfg'));

  const server = linesWith('ssl_verify_client', '/etc/nginx/').replace('8443', `127.0.0.1:${nginx}`);
  const places = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${folder}/${name};`)
    .join('\n');
  writeFileSync(
    join(folder, 'nginx.conf'),
    `daemon off; master_process off; pid ${folder}/pid;\nevents {}\nhttp { access_log off; ${places}\n` +
      `upstream replicas { server ${host}; }\nserver {\n${server}` +
      `location /elsewhere/ { proxy_set_header X-Forwarded-For $remote_addr; proxy_pass http://replicas; }\n}\n}\n`,
  );
  start('nginx', '-p', folder, '-e', join(folder, 'nginx.log'), '-c', join(folder, 'nginx.conf'));
});

afterAll(async () => {
  for (const child of children) child.kill('SIGKILL');
  await replica?.close();
  rmSync(folder, { recursive: true, force: true });
});

describe.each(['haproxy', 'nginx'] as const)('%s', (proxy) => {
  const ask = (path: string, id: string, ...options: readonly string[]) => {
    const resolve = ['--resolve', `${HOST}:${ports[proxy]}:127.0.0.1`, '--cacert', root.certificate];
    const body = JSON.stringify(question(id));
    resolve.push('--interface', CALLER);
    return curl(`https://${HOST}:${ports[proxy]}${path}/tx_sign_request`, body, ...resolve, ...options);
  };
  const shown = () => ['--cert', client.certificate, '--key', client.key];

  test('lets the JSON path be asked with a certificate, and the replica sees the address of the caller', async () => {
    const reply = await eventually('it does not listen', async () => {
      const heard = await ask('/fireblocks-gcp', `with-${proxy}`, ...shown());
      return heard.code === 7 ? undefined : heard;
    });
    expect(reply).toMatchObject({ code: 0, status: 200 });
    expect(JSON.parse(reply.body)).toEqual({ action: 'APPROVE', requestId: `with-${proxy}` });
  });

  test('refuses it without one', async () => {
    const before = await replica.sequence();
    const forged = ['--header', 'x-forwarded-for: 127.0.0.7'];
    expect(await ask('/fireblocks-gcp', 'without')).toMatchObject({ code: 0, status: 403 });
    expect(await ask('/fireblocks-gcp', 'without', ...forged)).toMatchObject({ code: 0, status: 403 });
    expect(await replica.sequence()).toBe(before);
  });

  test('reports an address that no caller can choose', async () => {
    const forged = ['--header', 'x-forwarded-for: 10.99.0.1'];
    const before = await replica.sequence();
    expect(await ask('/elsewhere', 'forged', ...forged)).toMatchObject({ code: 0, status: 401 });
    expect(await replica.sequence()).toBe(before);
  });
});
