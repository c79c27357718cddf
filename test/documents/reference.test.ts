/**
 * The generated parts of docs/ are what the code says. `npm run docs` runs this file with COUNTERSIGN_DOCS=write and
 * writes them instead.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.js';
import { parseScope } from '../../src/core/policy/document.js';
import {
  alertsTable,
  changesTable,
  configFields,
  configTables,
  decidedTable,
  fieldsOfOneProtocol,
  metricsTable,
  undecidedTable,
  verificationTable,
} from '../support/reference.js';

const ROOT = join(import.meta.dirname, '../..');
const EXAMPLE = join(ROOT, 'deploy/examples/config.yaml');

describe('generated parts of the documentation are up to date', () => {
  test.each<[string, string, () => string | Promise<string>]>([
    ['docs/configuration.md', 'fields', configTables],
    ['docs/metrics.md', 'metrics', metricsTable],
    ['docs/metrics.md', 'alerts', alertsTable],
    ['docs/operations.md', 'undecided', undecidedTable],
    ['docs/protocols/fireblocks.md', 'config-changes', changesTable],
    ['docs/operations.md', 'decided', decidedTable],
    ['docs/operations.md', 'verification', verificationTable],
  ])('%s, %s', async (name, part, generate) => {
    const file = join(ROOT, name);
    const text = readFileSync(file, 'utf8');
    const begin = `<!-- generated: ${part} (npm run docs) -->\n`;
    const end = `\n<!-- end of ${part} -->`;
    const [before, rest = ''] = text.split(begin);
    const [found, after] = rest.split(end);
    expect({ part, marked: after !== undefined }).toEqual({ part, marked: true });
    const wanted = await generate();
    if (process.env.COUNTERSIGN_DOCS === 'write') {
      writeFileSync(file, `${before}${begin}${wanted}${end}${after}`);
      return;
    }
    expect(found).toBe(wanted);
  });
});

test('every field of the configuration says what it means', () => {
  const silent = configFields().filter(({ schema }) => (schema.description ?? '') === '');
  expect(silent.map(({ path }) => path)).toEqual([]);
});

describe('the example configuration', () => {
  test('loads', () => {
    const config = loadConfig(EXAMPLE);
    expect(config.workspaces[0]?.cosigners.map(({ name }) => name)).toEqual(['cosigner-a', 'cosigner-b']);
    expect(config.drain).toBe(5_000);
  });

  test('still loads with every optional section that it only shows as a comment', () => {
    const text = readFileSync(EXAMPLE, 'utf8');
    const uncommented = text.replace(
      /^(\s*)# ((?: {2})?(?:audit|directory|checkpointKey|originals|tls|certificateFile|keyFile|clientCaFile|clientCertificates|minVersion|keepKey|networks|allowUnauthenticatedJson|assetsFile|assetsSha256|prevouts|tracing|webhooks|host|port|bodyLimit|path|workspaceIds|jwks|legacyKeyFile|otherSigners|url|api|apiKeyFile|privateKeyFile|caFile|timeout|requestsPerMinute|sweep|doctor):|- \{ file)/gm,
      '$1$2',
    );
    const fields = new Set<string>();
    collect(parse(uncommented), '', fields);
    // Of what does not go with a standalone Redis, and of a Bitcoin node, only comments beside the alternatives speak.
    const elsewhere =
      /^(ledger\.(embedded|redis\.(sentinel|cluster)|durability\.witnesses)|locks)\b|\.prevouts\.bitcoinCore|\.jwks\.file$/;
    const others = new Set(fieldsOfOneProtocol('iofinnet'));
    const wanted = configFields()
      .map(({ path }) => path)
      .filter((path) => !elsewhere.test(path) && !others.has(path));
    expect([...fields].sort()).toEqual([...new Set(wanted)].sort());
  });
});

test('the scope of a freeze that docs/operations.md shows is one', () => {
  const text = readFileSync(join(ROOT, 'docs/operations.md'), 'utf8');
  const [, scope = ''] = /--scope '([^']+)'/.exec(text) ?? [];
  expect(Object.keys(parseScope(scope, 'docs/operations.md'))).toEqual(['destination', 'usd']);
});

/** The paths of a document as the reference writes them. */
function collect(value: unknown, path: string, found: Set<string>): void {
  if (Array.isArray(value)) for (const item of value) collect(item, `${path}[]`, found);
  else if (typeof value === 'object' && value !== null) {
    for (const [key, member] of Object.entries(value)) {
      const at = path === '' ? key : `${path}.${key}`;
      found.add(at);
      collect(member, at, found);
    }
  }
}
