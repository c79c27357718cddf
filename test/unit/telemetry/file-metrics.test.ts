/** When certificates end and how old key files are: read from the files themselves, for each scrape. */
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { certificateFiles, FileMetrics } from '../../../src/telemetry/file-metrics.js';

/** Ends on 2027-12-26T15:24:21Z. */
const SOONER = `-----BEGIN CERTIFICATE-----
MIIBejCCASGgAwIBAgIUBOfUO9h20uE4oWovPcIcCRGpZ5owCgYIKoZIzj0EAwIw
EzERMA8GA1UEAwwIdGVzdCA0MDAwHhcNMjYxMTIxMTUyNDIxWhcNMjcxMjI2MTUy
NDIxWjATMREwDwYDVQQDDAh0ZXN0IDQwMDBZMBMGByqGSM49AgEGCCqGSM49AwEH
A0IABNn6ebIrPftLL8e0iA17xfc8ZhkoFi/h0AnJD00VbKsA9NKCwgWbcOvwPxT3
U07MHJ7DhHe3esmYvGr2Ng2k03ejUzBRMB0GA1UdDgQWBBSp3nBvhOKKlZg6OQ+u
6JSwQTrL3DAfBgNVHSMEGDAWgBSp3nBvhOKKlZg6OQ+u6JSwQTrL3DAPBgNVHRMB
Af8EBTADAQH/MAoGCCqGSM49BAMCA0cAMEQCIAY2NR3THwfxsCTLili3jGezVCbz
p7yABvlFsbj3g8UgAiBWXcM4nC4JwwNRLEsyi+NuaJhVOhsjnRZ4lgxQOaS3zg==
-----END CERTIFICATE-----`;
/** Ends on 2040-07-30T15:24:21Z. */
const LATER = `-----BEGIN CERTIFICATE-----
MIIBfTCCASOgAwIBAgIUIiYDyfCdyBFYR4vxs/92xI8CHu0wCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJdGVzdCA1MDAwMB4XDTI2MTEyMTE1MjQyMVoXDTQwMDczMDE1
MjQyMVowFDESMBAGA1UEAwwJdGVzdCA1MDAwMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEshjy3orKwgbz5XsueLXdhU/50+ga7SH8eQ1LKbIOaUFl+H72eo/FkRzq
XFMd5TxPvhhXAnkGUwf5hysHHinPMaNTMFEwHQYDVR0OBBYEFDZP6zvwNeNBFF8f
sst72U4/NIqzMB8GA1UdIwQYMBaAFDZP6zvwNeNBFF8fsst72U4/NIqzMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDSAAwRQIgP8F4Pl++nwmEue7St8znXIc7
oNoKkET0cNFHlgKQIDMCIQDp2VqVyRf9J8/5JQA8MLP9trXHVrH3MJ5TGEzxm2Qj
4Q==
-----END CERTIFICATE-----`;

const SOONER_SECONDS = Date.parse('2027-12-26T15:24:21Z') / 1_000;
const LATER_SECONDS = Date.parse('2040-07-30T15:24:21Z') / 1_000;

let dir: string;
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'countersign-files-'));
});
afterEach(() => rmSync(dir, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const file = join(dir, name);
  writeFileSync(file, text);
  return file;
}

async function valuesOf(registry: Registry, name: string) {
  const values = (await registry.getSingleMetric(name)?.get())?.values ?? [];
  return values.map(({ labels, value }) => [...Object.values(labels), value]);
}

const EXPIRY = 'countersign_certificate_expiry_timestamp_seconds';

test('a chain ends with its first certificate, a choice of authorities with its last', async () => {
  const registry = new Registry();
  const both = `${SOONER}\n${LATER}\n`;
  new FileMetrics(registry).expect(
    [
      { field: 'http.tls.certificateFile', file: write('chain.pem', both) },
      { field: 'http.tls.clientCaFile', file: write('ca.pem', both) },
    ],
    [],
  );
  expect(await valuesOf(registry, EXPIRY)).toEqual([
    ['http.tls.certificateFile', SOONER_SECONDS],
    ['http.tls.clientCaFile', LATER_SECONDS],
  ]);
});

test('a renewed file is seen, and one that cannot be read counts as expired', async () => {
  const registry = new Registry();
  const file = write('tls.pem', SOONER);
  new FileMetrics(registry).expect([{ field: 'http.tls.certificateFile', file }], []);
  const end = async () => (await valuesOf(registry, EXPIRY))[0]?.[1];
  expect(await end()).toBe(SOONER_SECONDS);
  writeFileSync(file, LATER);
  expect(await end()).toBe(LATER_SECONDS);
  writeFileSync(file, 'no certificate');
  expect(await end()).toBe(0);
  writeFileSync(file, SOONER.replace('MII', 'AAA'));
  expect(await end()).toBe(0);
  rmSync(file);
  expect(await end()).toBe(0);
});

test('of several key files for one use the oldest counts; one that is gone has no age', async () => {
  const registry = new Registry();
  const [old, young] = [write('old.pem', ''), write('young.pem', '')];
  utimesSync(old, 1_000, 1_000);
  utimesSync(young, 2_000, 2_000);
  const key = { workspace: 'main', cosigner: 'east', use: 'answer' } as const;
  new FileMetrics(registry).expect(
    [],
    [
      { ...key, file: young },
      { ...key, file: old },
      { ...key, use: 'cosigner', file: join(dir, 'none.pem') },
    ],
  );
  const name = 'countersign_key_file_modified_timestamp_seconds';
  expect(await valuesOf(registry, name)).toEqual([['main', 'east', 'answer', 1_000]]);
});

test('certificates are found wherever the configuration names them', () => {
  const config = {
    http: { tls: { certificateFile: '/a', keyFile: '/b', clientCaFile: '/c' } },
    ledger: { redis: { tls: { caFile: '/d' } }, durability: { witnesses: [{ tls: { caFile: '/e' } }] } },
  };
  expect(certificateFiles(config)).toEqual([
    { field: 'http.tls.certificateFile', file: '/a' },
    { field: 'http.tls.clientCaFile', file: '/c' },
    { field: 'ledger.redis.tls.caFile', file: '/d' },
    { field: 'ledger.durability.witnesses.0.tls.caFile', file: '/e' },
  ]);
});

test('of what is served, its end and its beginning, which may not be those of the file', async () => {
  const registry = new Registry();
  const metrics = new FileMetrics(registry);
  metrics.expect([{ field: 'http.tls.certificateFile', file: write('next.pem', LATER) }], []);
  metrics.serves('http.tls', () => new X509Certificate(SOONER));
  expect(await valuesOf(registry, EXPIRY)).toEqual([
    ['http.tls.certificateFile', LATER_SECONDS],
    ['http.tls (served)', SOONER_SECONDS],
  ]);
  const begin = new X509Certificate(SOONER).validFromDate.getTime() / 1_000;
  expect(await valuesOf(registry, 'countersign_certificate_not_before_timestamp_seconds')).toEqual([
    ['http.tls (served)', begin],
  ]);
});
