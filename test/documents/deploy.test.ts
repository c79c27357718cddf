/** The files of deploy/ agree with one another and with the program: no container engine is needed to see it. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.js';

const text = (file: string): string => readFileSync(file, 'utf8');
const program = JSON.parse(text('package.json'));

/** What the program needs to end after its drain; docs/operations.md says the same. */
const ENDING_S = 35;

describe('the Dockerfile', () => {
  const instructions = text('deploy/Dockerfile')
    .replaceAll(/^#.*\n/gm, '')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .flatMap((line) => {
      const [, name, rest] = /^([A-Z]+) +(.*)$/.exec(line) ?? [];
      return name === undefined || rest === undefined ? [] : [{ name, rest }];
    });
  const all = (name: string) => instructions.filter((each) => each.name === name).map(({ rest }) => rest);

  test('copies only what there is, and what its ignore file lets through', () => {
    const sources = all('COPY')
      .filter((rest) => !rest.startsWith('--from='))
      .flatMap((rest) => rest.split(/\s+/).slice(0, -1));
    expect(sources).toEqual(
      expect.arrayContaining(['package.json', 'package-lock.json', 'src', 'deploy/examples']),
    );
    const ignored = text('deploy/Dockerfile.dockerignore')
      .split('\n')
      .filter((line) => line !== '' && line[0] !== '#');
    expect(ignored[0]).toBe('*');
    for (const source of sources) {
      expect({ source, exists: existsSync(source) }).toEqual({ source, exists: true });
      expect(ignored).toContain(`!${source}`);
    }
  });

  test('installs exactly what the lockfile says, and leaves tools out of the last stage', () => {
    const installs = all('RUN').filter((rest) => rest.includes('npm') && !rest.startsWith('rm '));
    expect(installs.map((rest) => rest.split(' --no-audit')[0])).toEqual([
      'npm ci --omit=optional',
      'npm run --silent build',
      'npm ci --omit=dev --omit=optional',
    ]);
    const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
    expect(last.filter(({ name }) => name === 'RUN').map(({ rest }) => rest.split(' ')[0])).toEqual(['rm']);
  });

  test('is readable for its user, however strict the checkout was', () => {
    const copied = all('COPY').flatMap((rest) => rest.match(/(?<=\/build\/)\S+/g) ?? []);
    const opened = all('RUN').find((rest) => rest.startsWith('chmod -R go=rX '));
    // npm makes what it installs readable.
    expect(opened?.split(' ').slice(3).sort()).toEqual(
      copied.filter((name) => name !== 'node_modules').sort(),
    );
    const last = instructions.slice(instructions.findLastIndex(({ name }) => name === 'FROM'));
    const others = last.filter(({ name, rest }) => name === 'COPY' && !rest.startsWith('--from=build '));
    expect(others).toEqual([]);
  });

  test('is of the Node that the program needs, not root, and its first process is the program', () => {
    expect(all('ARG')).toEqual([expect.stringMatching(/^NODE=node:24-/)]);
    expect(program.engines.node).toMatch(/^>=24\./);
    expect(all('FROM').map((from) => from.replace(' AS build', ''))).toEqual(Array(2).fill('$' + '{NODE}'));
    expect(all('USER')).toEqual(['65532:65532']);
    const [, main] = JSON.parse(all('ENTRYPOINT')[0] ?? '');
    expect(main).toBe(join(all('WORKDIR').at(-1) ?? '', program.bin.countersign));
    expect(all('HEALTHCHECK')).toEqual([]);
  });

  test('has the user that the chart asks for', () => {
    expect(parse(text('helm/countersign/values.yaml')).user).toBe(65532);
  });
});

interface Service {
  readonly volumes?: readonly string[];
  readonly depends_on?: readonly string[];
  readonly ports?: readonly string[];
  readonly networks?: readonly string[] | Readonly<Record<string, { readonly ipv4_address: string }>>;
  readonly extra_hosts?: readonly string[];
  readonly stop_grace_period?: string;
  readonly read_only?: boolean;
  readonly environment?: Readonly<Record<string, string>>;
}

describe('compose.yaml', () => {
  const compose = parse(text('deploy/compose.yaml'), { merge: true });
  const services: Readonly<Record<string, Service>> = compose.services;
  const config = loadConfig('deploy/compose/config.yaml');

  test('mounts files that are there, and volumes that it declares', () => {
    const mounts = Object.values(services).flatMap(({ volumes = [] }) =>
      volumes.map((volume) => volume.split(':')[0] ?? ''),
    );
    const [files, volumes] = [
      mounts.filter((each) => each.startsWith('.')),
      mounts.filter((each) => !each.startsWith('.')),
    ];
    expect(files.filter((file) => !existsSync(join('deploy', file)))).toEqual([]);
    expect([...new Set(volumes)].sort()).toEqual(Object.keys(compose.volumes).sort());
  });

  test('gives each store a volume of its own', () => {
    const stores = Object.entries(services).filter(([name]) => /^(redis|sentinel|witness)-/.test(name));
    expect(stores).toHaveLength(9);
    for (const [name, { volumes, networks }] of stores) {
      expect(volumes).toContain(`${name}:/data`);
      expect(Array.isArray(networks) ? networks : Object.keys(networks ?? {})).toEqual(['stores']);
    }
    expect(compose.networks.stores.internal).toBe(true);
  });

  test('has Redis and the Sentinels look no name up: each has the address under which all know it', () => {
    const hosts = Object.entries(services).flatMap(([name, { networks }]) =>
      Array.isArray(networks) ? [] : [`${name}:${Object.values(networks ?? {})[0]?.ipv4_address}`],
    );
    expect(hosts).toHaveLength(6);
    for (const [name, { extra_hosts: known }] of Object.entries(services)) {
      if (/^(redis|sentinel)-/.test(name)) expect(known).toEqual(hosts);
    }
  });

  test('has what the configuration, HAProxy and Prometheus name', () => {
    const names = Object.keys(services);
    const { ledger } = config;
    if (ledger.kind !== 'redis') throw new Error('not Redis');
    const stores = [
      ...(ledger.redis.sentinel?.nodes ?? []).map((node) => node.split(':')[0]),
      ...ledger.durability.witnesses.map(({ url }) => new URL(url).hostname),
    ];
    expect(stores).toHaveLength(6);
    const haproxy = text('deploy/haproxy/haproxy.cfg').matchAll(
      /^ {2}presetenv REPLICA_\d "([^:]+):(\d+)"$/gm,
    );
    const replicas = [...haproxy].map(([, name, port]) => {
      expect(port).toBe(String(config.http.port));
      return name;
    });
    expect(replicas).toHaveLength(3);
    const prometheus = parse(text('deploy/prometheus/prometheus.yaml'));
    const targets = prometheus.scrape_configs.flatMap(
      (each: { static_configs: { targets: string[] }[] }) => each.static_configs[0]?.targets ?? [],
    );
    const scraped = targets.map((target: string) => target.split(':')[0]);
    const wanted = [
      ...stores,
      ...replicas,
      ...scraped,
      text('deploy/redis/sentinel.conf').match(/monitor countersign (\S+)/)?.[1],
    ];
    expect(wanted.filter((name) => !names.includes(String(name)))).toEqual([]);
    const needed = Object.values(services).flatMap(({ depends_on = [] }) => depends_on);
    expect(needed.filter((name) => !names.includes(name))).toEqual([]);
  });

  test('gives replicas the time to end, and opens nothing to other machines', () => {
    for (const name of ['replica-1', 'replica-2', 'replica-3']) {
      const seconds = Number.parseInt(services[name]?.stop_grace_period ?? '', 10);
      expect(seconds).toBeGreaterThanOrEqual(config.drain / 1_000 + ENDING_S);
    }
    const ports = Object.values(services).flatMap(({ ports: published = [] }) => published);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
    expect(Object.entries(services).filter(([, service]) => service.read_only !== true)).toEqual([]);
  });

  test('a policy stands where the configuration looks', () => {
    expect(config.workspaces[0]?.policyFile).toMatch(/compose\/policy\.yaml$/);
    expect(services['replica-1']?.volumes).toContain(
      './examples/policy.yaml:/etc/countersign/policy.yaml:ro',
    );
  });
});

describe('haproxy.cfg', () => {
  const haproxy = text('deploy/haproxy/haproxy.cfg');
  const number = (pattern: RegExp): number => Number(pattern.exec(haproxy)?.[1]);

  test('holds the largest body that replicas take by default, and its head', () => {
    const { http } = loadConfig('deploy/compose/config.yaml');
    const HEAD_BYTES = 64 * 1_024;
    expect(number(/tune\.bufsize (\d+)/)).toBeGreaterThanOrEqual(http.bodyLimit + HEAD_BYTES);
  });

  test('notices a replica that ends before its door closes, and waits longer than co-signers do', () => {
    const noticed = number(/inter (\d+)s/) * number(/fall (\d+)/);
    for (const file of ['deploy/compose/config.yaml', 'deploy/examples/config.yaml']) {
      expect(loadConfig(file).drain / 1_000).toBeGreaterThan(noticed);
    }
    expect(number(/timeout server {2}(\d+)s/)).toBeGreaterThan(30);
    expect(number(/timeout client {2}(\d+)s/)).toBeGreaterThan(number(/timeout server {2}(\d+)s/));
    expect(number(/timeout http-keep-alive (\d+)s/)).toBeLessThan(75);
  });
});

describe('the systemd unit', () => {
  const unit = text('deploy/systemd/countersign.service');
  const setting = (name: string): string | undefined => new RegExp(`^${name}=(.*)$`, 'm').exec(unit)?.[1];

  test('gives the longest drain the time to end, and starts the program', () => {
    const LONGEST_DRAIN_S = 60;
    expect(Number(setting('TimeoutStopSec'))).toBeGreaterThanOrEqual(LONGEST_DRAIN_S + ENDING_S);
    expect(setting('ExecStart')).toContain(`/opt/countersign/${program.bin.countersign} serve --config `);
  });

  test('takes changed files when it is told to reload', () => {
    expect(setting('ExecReload')).toBe('/bin/kill -HUP $MAINPID');
  });

  test('runs as the user that sysusers makes', () => {
    expect(text('deploy/systemd/countersign.sysusers.conf')).toMatch(
      new RegExp(`^u ${setting('User')} - `, 'm'),
    );
  });
});
