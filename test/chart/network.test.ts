/** Who may reach the replicas, whom they may reach, and how co-signers and Prometheus come to them. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { type Release, render, valuesOf } from './helm.js';

type Values = NonNullable<Release['values']>;

interface Rule {
  readonly ports?: readonly { readonly port: number | string }[];
  readonly to?: readonly object[];
  readonly from?: readonly object[];
}

async function policy(values: Values = {}, release: Release = { example: 'standalone' }) {
  return (await render({ ...release, values })).one('NetworkPolicy').spec;
}

/** The rule about this port; the peers it allows, undefined when everybody. */
async function stores(
  port: number,
  values: Values,
  release?: Release,
): Promise<readonly object[] | undefined> {
  const egress: readonly Rule[] = (await policy(values, release)).egress;
  const found = egress.filter(({ ports }) => ports?.some((each) => each.port === port));
  expect(found).toHaveLength(1);
  return found[0]?.to;
}

describe('the network policy', () => {
  test('is on, and closes both directions', async () => {
    const { policyTypes, podSelector } = await policy();
    expect(policyTypes).toEqual(['Ingress', 'Egress']);
    expect(podSelector.matchLabels).toEqual({
      'app.kubernetes.io/name': 'countersign',
      'app.kubernetes.io/instance': 'cs',
    });
  });

  test('lets the balancer in on both ports, Prometheus on the one for the platform, and nobody else but our test', async () => {
    const { ingress } = await policy({
      networkPolicy: { balancers: [{ podSelector: { a: 1 } }], prometheus: [{ podSelector: { b: 2 } }] },
    });
    expect(ingress).toEqual([
      {
        from: [
          { podSelector: { a: 1 } },
          {
            podSelector: { matchLabels: expect.objectContaining({ 'app.kubernetes.io/component': 'test' }) },
          },
        ],
        ports: [
          { port: 'http', protocol: 'TCP' },
          { port: 'ops', protocol: 'TCP' },
        ],
      },
      { from: [{ podSelector: { b: 2 } }], ports: [{ port: 'ops', protocol: 'TCP' }] },
    ]);
  });

  test('lets out to names, to the replicas for our test, and to the stores; nothing else', async () => {
    const { egress } = await policy();
    const ports = egress.map((rule: Rule) => rule.ports?.map(({ port }) => port));
    expect(ports).toEqual([[53, 53], [6379], ['http', 'ops']]);
    expect(egress[1].to).toEqual([{ ipBlock: { cidr: '10.20.0.0/24' } }]);
  });

  test('without peers it opens a port to the addresses of the document', async () => {
    const values = {
      networkPolicy: { stores: [] },
      config: { ledger: { redis: { url: 'rediss://10.1.2.3:7000' } } },
    };
    expect(await stores(7000, values)).toEqual([{ ipBlock: { cidr: '10.1.2.3/32' } }]);
  });

  test('and to any address where the document has a name', async () => {
    expect(await stores(6379, { networkPolicy: { stores: [] } })).toBeUndefined();
  });

  test('knows Sentinels, what they name, witnesses and other addresses', async () => {
    const release = { example: 'three-zones' };
    const values = {
      networkPolicy: { stores: [] },
      config: { locks: { nodes: [{ url: 'rediss://10.0.0.9:4318' }] } },
    };
    expect(await stores(26379, values, release)).toBeUndefined();
    expect(await stores(6379, values, release)).toBeUndefined();
    expect(await stores(4318, values, release)).toEqual([{ ipBlock: { cidr: '10.0.0.9/32' } }]);
  });

  test('knows a Redis Cluster and a Bitcoin node', async () => {
    const nodes = ['10.0.0.1:7001', '10.0.0.2:7001'];
    const values = {
      networkPolicy: { stores: [] },
      acknowledge: { operatorAfterFailover: true },
      config: { ledger: { redis: { url: null, cluster: { nodes } } } },
    };
    expect(await stores(7001, values, { example: 'standalone' })).toEqual([
      { ipBlock: { cidr: '10.0.0.1/32' } },
      { ipBlock: { cidr: '10.0.0.2/32' } },
    ]);
  });

  test('lets out to the vendor, whatever the stores are, and takes its keys from Secrets', async () => {
    const example = 'standalone';
    const { config } = valuesOf({ example }) as { config: { workspaces: [object] } };
    const [workspace] = config.workspaces;
    const api = {
      url: 'https://api.fireblocks.io',
      apiKeyFile: 'secrets/viewer/id',
      sweep: {},
      privateKeyFile: 'secrets/viewer/key.pem',
    };
    const values = { config: { workspaces: [{ ...workspace, api }] } };
    expect(await stores(443, values, { example })).toBeUndefined();
    expect(await stores(6379, values, { example })).toEqual([{ ipBlock: { cidr: '10.20.0.0/24' } }]);
    const { volumes } = (await render({ example, values })).one('Deployment').spec.template.spec;
    expect(JSON.stringify(volumes)).toContain('"name":"viewer"');
  });

  test('can be left to others', async () => {
    expect(
      (await render({ example: 'standalone', values: { networkPolicy: { enabled: false } } })).all(
        'NetworkPolicy',
      ),
    ).toEqual([]);
  });
});

describe('co-signers come', () => {
  test('by an Ingress that ends TLS, on their own paths only', async () => {
    const { one } = await render({ example: 'standalone' });
    const { spec, metadata } = one('Ingress');
    expect(spec).toEqual({
      ingressClassName: 'haproxy',
      tls: [{ hosts: ['callback.example'], secretName: 'callback-tls' }],
      rules: [
        {
          host: 'callback.example',
          http: {
            paths: [
              {
                path: '/fireblocks',
                pathType: 'Prefix',
                backend: { service: { name: 'cs-countersign', port: { name: 'http' } } },
              },
            ],
          },
        },
      ],
    });
    const snippet: string = metadata.annotations?.['haproxy.org/backend-config-snippet'] ?? '';
    const tested = readFileSync('deploy/haproxy/haproxy.cfg', 'utf8');
    const lines = snippet.trim().split('\n');
    expect(lines).toHaveLength(6);
    for (const line of lines) expect(tested).toMatch(new RegExp(`^  ${line.replaceAll(' ', ' +')}$`, 'm'));
  });

  test('by a Gateway', async () => {
    const { one } = await render({ example: 'three-zones' });
    expect(one('HTTPRoute').spec).toEqual({
      parentRefs: [{ name: 'edge', namespace: 'gateways' }],
      hostnames: ['callback.example'],
      rules: [
        {
          matches: [{ path: { type: 'PathPrefix', value: '/fireblocks' } }],
          timeouts: { request: '35s' },
          backendRefs: [{ name: 'cs-countersign', port: 80 }],
        },
      ],
    });
  });

  test('to the port of the document, and the other port is no part of that Service', async () => {
    const { one } = await render({ example: 'standalone', values: { service: { port: 8000 } } });
    expect(one('Service').spec.ports).toEqual([
      { name: 'http', port: 8000, targetPort: 'http', appProtocol: 'http' },
    ]);
    expect(one('Service', 'cs-countersign-ops').spec).toMatchObject({
      clusterIP: 'None',
      publishNotReadyAddresses: true,
      ports: [{ name: 'ops', port: 9090, targetPort: 'ops' }],
    });
  });

  test('and the proxy is told when replicas speak TLS themselves', async () => {
    const tls = { certificateFile: 'secrets/tls/tls.crt', keyFile: 'secrets/tls/tls.key' };
    const { one } = await render({ example: 'standalone', values: { config: { http: { tls } } } });
    expect(one('Service').spec.ports[0].appProtocol).toBe('https');
  });
});
