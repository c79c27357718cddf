/** What Prometheus and Grafana are given. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { render } from './helm.js';

const RULES = 'deploy/prometheus';
const DASHBOARDS = 'deploy/grafana';

describe('monitors', () => {
  test('of pods find the replicas, under the name that alerts speak of', async () => {
    const { one, all } = await render({
      example: 'standalone',
      values: { metrics: { podMonitor: { labels: { a: 'b' } } } },
    });
    expect(one('PodMonitor').metadata.labels).toMatchObject({ a: 'b' });
    expect(one('PodMonitor').spec).toMatchObject({
      jobLabel: 'app.kubernetes.io/name',
      podMetricsEndpoints: [{ port: 'ops', path: '/metrics', interval: '15s' }],
    });
    const { matchLabels } = one('PodMonitor').spec.selector;
    expect(one('Deployment').spec.template.metadata.labels).toMatchObject(matchLabels);
    expect(all('ServiceMonitor')).toEqual([]);
  });

  test('of Services find the one for the platform', async () => {
    const metrics = { podMonitor: { enabled: false }, serviceMonitor: { enabled: true, interval: '30s' } };
    const { one, all } = await render({ example: 'standalone', values: { metrics } });
    const { selector, endpoints } = one('ServiceMonitor').spec;
    expect(endpoints).toEqual([{ port: 'ops', path: '/metrics', interval: '30s' }]);
    const found = all('Service').filter(({ metadata }) =>
      Object.entries(selector.matchLabels).every(([key, value]) => metadata.labels?.[key] === value),
    );
    expect(found.map(({ metadata }) => metadata.name)).toEqual(['cs-countersign-ops']);
  });
});

test('the PrometheusRule holds every group of rules, as it is', async () => {
  const { one } = await render({ example: 'standalone' });
  const files = readdirSync(RULES).filter((name) => name.endsWith('.rules.yaml'));
  const groups = files.flatMap((name) => parse(readFileSync(`${RULES}/${name}`, 'utf8')).groups);
  expect(groups.length).toBeGreaterThan(0);
  expect(one('PrometheusRule').spec.groups).toEqual(groups);
});

test('the dashboards arrive as they are, where the side-car looks', async () => {
  const { one } = await render({ example: 'standalone' });
  const found = one('ConfigMap', 'cs-countersign-dashboard');
  const files = readdirSync(DASHBOARDS).filter((name) => name.endsWith('.json'));
  expect(files.length).toBeGreaterThan(0);
  expect(found.metadata.labels).toMatchObject({ grafana_dashboard: '1' });
  expect(found.data).toEqual(
    Object.fromEntries(files.map((name) => [name, readFileSync(`${DASHBOARDS}/${name}`, 'utf8')])),
  );
});
