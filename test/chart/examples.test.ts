/** Every example: helm finds nothing to complain about, and Kubernetes would take every object. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.js';
import { compilePolicy } from '../../src/core/policy/compile.js';
import { testChains } from '../support/chains.js';
import { lint, render, schemaProblems, valuesOf } from './helm.js';
import { EXAMPLES, RELEASES } from './releases.js';

test.each(RELEASES)('helm lint --strict: %s', async (_name, release) => {
  expect(await lint(release)).toContain('1 chart(s) linted, 0 chart(s) failed');
});

describe.each(RELEASES)('%s', (_name, release) => {
  test('every object is one of Kubernetes', async () => {
    const { text, objects } = await render(release);
    expect(await schemaProblems(text)).toEqual({ checked: objects.length, problems: [] });
  });

  test('no two objects have one name, and all are in the namespace of the release', async () => {
    const { objects } = await render(release);
    const names = objects.map(({ kind, metadata }) => `${kind} ${metadata.name}`);
    expect(names).toEqual([...new Set(names)]);
    expect(new Set(objects.map(({ metadata }) => (metadata as { namespace?: string }).namespace))).toEqual(
      new Set(['default']),
    );
  });

  test('no name is too long, whatever the release is called', async () => {
    const { objects } = await render({
      ...release,
      values: { ...release.values, fullnameOverride: '' },
      called: 'n'.repeat(53),
    }).catch((error: { readonly stderr?: string }) => {
      // The stores for evaluation are named in the document, so their release has one name.
      expect(error.stderr).toContain('evaluation: the document must name');
      return { objects: [] };
    });
    for (const { metadata } of objects) expect(metadata.name.length).toBeLessThanOrEqual(63);
  });
});

describe('the validator', () => {
  test.each([
    ['Deployment', 'minReadySeconds:', 'minReadySecond:'],
    ['NetworkPolicy', 'policyTypes:', 'policyType:'],
    ['PodMonitor', 'podMetricsEndpoints:', 'podMetricEndpoints:'],
  ])('finds a misspelled field of a %s', async (kind, right, wrong) => {
    const { text } = await render({ example: 'standalone' });
    const { problems } = await schemaProblems(text.replace(right, wrong));
    expect(problems).toEqual([expect.stringContaining(`${kind}.yaml`)]);
    expect(problems[0]).toContain(wrong.slice(0, -1));
  });
});

describe.each(EXAMPLES)('the documents of %s', (example) => {
  const { config, files } = valuesOf({ example }) as { config: object; files: Record<string, string> };

  test('the policy can be served', () => {
    const policy = compilePolicy(files['policy.yaml'] ?? '', 'policy.yaml', testChains);
    expect(policy.rules.length).toBeGreaterThan(0);
  });

  test('the configuration arrives as it is, and a replica would take it', async () => {
    const dir = mkdtempSync(join(tmpdir(), 'countersign-chart-'));
    try {
      const release = { example };
      const { data } = (await render(release)).one(
        'ConfigMap',
        example === 'evaluation' ? 'countersign' : undefined,
      );
      for (const [name, text] of Object.entries<string>(data)) {
        mkdirSync(dirname(join(dir, name)), { recursive: true });
        writeFileSync(join(dir, name), text);
      }
      expect(parse(data['config.yaml'])).toEqual(config);
      const load = () => loadConfig(join(dir, 'config.yaml'));
      expect(load).not.toThrow();
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  });
});
