/** Every example: helm finds nothing to complain about, and Kubernetes would take every object. */
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.js';
import { compilePolicy } from '../../src/core/policy/compile.js';
import { testChains } from '../support/chains.js';
import { CHART } from './generated.js';
import { lint, type Release, render, schemaProblems, valuesOf } from './helm.js';

const EXAMPLES = readdirSync(`${CHART}/examples`).map((file) => file.replace('.yaml', ''));

/** Everything that the examples leave off. */
const EVERYTHING: Release = {
  example: 'standalone',
  values: {
    autoscaling: { enabled: true },
    httpRoute: { enabled: true, parentRefs: [{ name: 'edge', namespace: 'gateways', sectionName: 'https' }] },
    storage: { enabled: true, accessModes: ['ReadWriteMany'], storageClassName: 'shared' },
    activation: { operatorKey: { secretName: 'alice' }, startEmpty: ['usd-per-day'] },
    metrics: {
      serviceMonitor: { enabled: true, labels: { release: 'prometheus' } },
      podMonitor: { enabled: false },
      prometheusRule: { enabled: true, labels: { release: 'prometheus' } },
    },
    imagePullSecrets: [{ name: 'pull' }],
    service: { type: 'LoadBalancer', annotations: { example: 'yes' } },
    serviceAccount: { annotations: { example: 'yes' } },
    podAnnotations: { example: 'yes' },
    podLabels: { team: 'custody' },
    nodeSelector: { disk: 'fast' },
    tolerations: [{ key: 'custody', operator: 'Exists' }],
    affinity: {
      nodeAffinity: { requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms: [{}] } },
    },
    priorityClassName: 'custody',
    networkPolicy: { extraEgress: [{ ports: [{ port: 4318 }] }] },
    config: { http: { tls: { certificateFile: 'secrets/tls/tls.crt', keyFile: 'secrets/tls/tls.key' } } },
  },
};

const RELEASES: readonly [string, Release][] = [
  ...EXAMPLES.map((example): [string, Release] => [example, { example }]),
  ['everything at once', EVERYTHING],
  ['a first install', { example: 'standalone', values: { user: null } }],
  ['an upgrade', { example: 'standalone', upgrade: true }],
];

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
