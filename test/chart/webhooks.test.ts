/** The port of notifications in Kubernetes: off unless the document has it, and then for the vendor alone. */
import { expect, test } from '@jest/globals';
import { type Release, refusal, render, schemaProblems, valuesOf } from './helm.js';

type Values = NonNullable<Release['values']>;

interface Rule {
  readonly ports?: readonly { readonly port: number | string }[];
  readonly to?: readonly object[];
  readonly from?: readonly object[];
}

const VENDOR = { ipBlock: { cidr: '3.135.57.98/32' } };

async function withWebhooks(values: Values = {}, jwks: object = { url: 'https://keys.example/jwks.json' }) {
  const { config } = valuesOf({ example: 'standalone' }) as { config: { workspaces: readonly object[] } };
  const webhooks = { path: '/hooks', workspaceIds: ['w'], jwks };
  const workspaces = config.workspaces.map((workspace) => ({ ...workspace, webhooks }));
  const rendered = await render({
    example: 'standalone',
    values: { ...values, config: { webhooks: { port: 8090 }, workspaces } },
  });
  expect((await schemaProblems(rendered.text)).problems).toEqual([]);
  return rendered;
}

test('without the section there is no port, no Service and no rule', async () => {
  const { all, one } = await render({ example: 'standalone' });
  expect(all('Service').map(({ metadata }) => metadata.name)).not.toContain('cs-countersign-webhooks');
  const [container] = one('Deployment').spec.template.spec.containers;
  expect(container.ports.map(({ name }: { name: string }) => name)).toEqual(['http', 'ops']);
});

test('with it the replicas have a port that no Service and nobody else reaches, until values say so', async () => {
  const { all, one } = await withWebhooks();
  const [container] = one('Deployment').spec.template.spec.containers;
  expect(container.ports).toContainEqual({ name: 'webhooks', containerPort: 8090 });
  expect(all('Service')).toHaveLength(2);
  const { ingress } = one('NetworkPolicy').spec;
  expect(ingress.flatMap(({ ports }: Rule) => ports?.map(({ port }) => port))).not.toContain('webhooks');
});

test('the vendor’s addresses reach that port and no other', async () => {
  const { all, one } = await withWebhooks({
    webhooks: { service: { enabled: true, type: 'LoadBalancer' } },
    networkPolicy: { webhooks: [VENDOR] },
  });
  const service = all('Service').find(({ metadata }) => metadata.name.endsWith('-webhooks'));
  expect(service?.spec).toMatchObject({
    type: 'LoadBalancer',
    externalTrafficPolicy: 'Local',
    ports: [{ name: 'webhooks', port: 443, targetPort: 'webhooks', appProtocol: 'http' }],
  });
  const rules: readonly Rule[] = one('NetworkPolicy').spec.ingress;
  expect(rules.filter(({ from }) => JSON.stringify(from).includes('3.135.57.98'))).toEqual([
    { from: [VENDOR], ports: [{ port: 'webhooks', protocol: 'TCP' }] },
  ]);
});

test('the way out to the keys is not the way to the stores', async () => {
  const out = async (values: Values, jwks?: object) =>
    ((await withWebhooks(values, jwks)).one('NetworkPolicy').spec.egress as readonly Rule[]).filter(
      ({ ports }) => ports?.some(({ port }) => Number(port) === 443),
    );
  const ports = [{ port: 443, protocol: 'TCP' }];
  expect(await out({})).toEqual([{ ports }]);
  expect(await out({ networkPolicy: { vendors: [VENDOR] } })).toEqual([{ ports, to: [VENDOR] }]);
  expect(await out({}, { file: 'secrets/fireblocks/jwks.json' })).toEqual([]);
});

test('what cannot work is refused', async () => {
  expect(
    await refusal({ example: 'standalone', values: { webhooks: { service: { enabled: true } } } }),
  ).toContain('webhooks.service: there is no port for it');
});
