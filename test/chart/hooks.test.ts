/** What helm runs around an install and an upgrade: a ledger made once, checked before an upgrade, a policy activated on demand. */
import { describe, expect, test } from '@jest/globals';
import { type KubernetesObject, type Release, render } from './helm.js';

const CONFIG = ['--config', '/etc/countersign/config.yaml'];

async function job(name: string, values: Release['values'] = {}): Promise<KubernetesObject> {
  return (await render({ example: 'standalone', values })).one('Job', `cs-countersign-${name}`);
}

function hookOf({ metadata }: KubernetesObject): string | undefined {
  return metadata.annotations?.['helm.sh/hook'];
}

function commandsOf({ spec }: KubernetesObject): string[][] {
  return spec.template.spec.containers.map(({ args }: { args: string[] }) => args);
}

const TWO_WORKSPACES = {
  config: {
    workspaces: ['main', 'second'].map((name) => ({
      name,
      policyFile: 'policy.yaml',
      cosigners: [
        {
          name: `cosigner-of-${name}`,
          protocol: 'fireblocks',
          path: `/${name}`,
          publicKeys: [{ file: 'cosigner-a.pub.pem' }],
          answerKey: { file: 'secrets/countersign-keys/answer-signing.pem', algorithm: 'RS256' },
        },
      ],
    })),
  },
};

describe('the ledger', () => {
  test('is made after the first install, never on an upgrade, and one that is there stays', async () => {
    const made = await job('ledger-init');
    expect(hookOf(made)).toBe('post-install');
    expect(commandsOf(made)).toEqual([['ledger', 'init', '--exist-ok', ...CONFIG, '--workspace', 'main']]);
  });

  test('is made for each workspace', async () => {
    expect(commandsOf(await job('ledger-init', TWO_WORKSPACES)).map((args) => args.at(-1))).toEqual([
      'main',
      'second',
    ]);
  });

  test('is not made when somebody else does', async () => {
    const { all } = await render({
      example: 'standalone',
      values: { ledger: { init: false, check: false } },
    });
    expect(all('Job')).toEqual([]);
  });

  test('is asked before an upgrade, with the new documents', async () => {
    const check = await job('ledger-check');
    expect(hookOf(check)).toBe('pre-upgrade');
    expect(commandsOf(check)).toEqual([['ledger', 'status', ...CONFIG, '--workspace', 'main']]);
    const { one } = await render({ example: 'standalone' });
    const next = one('ConfigMap', 'cs-countersign-next');
    expect(hookOf(next)).toBe('pre-upgrade');
    expect(next.data).toEqual(one('ConfigMap').data);
    expect(check.spec.template.spec.volumes[0].projected.sources[0]).toEqual({
      configMap: { name: 'cs-countersign-next' },
    });
    const weights = [next, check].map(({ metadata }) =>
      Number(metadata.annotations?.['helm.sh/hook-weight']),
    );
    expect(weights).toEqual([-2, -1]);
  });

  test('is asked under the new rules of the network, and without a volume that may not be there yet', async () => {
    const { one } = await render({
      example: 'standalone',
      values: {
        config: { ledger: { redis: { url: 'rediss://10.30.0.1:6390' } } },
        networkPolicy: { stores: [], extraEgress: [{ ports: [{ port: 4318 }] }] },
        storage: { enabled: true, accessModes: ['ReadWriteMany'] },
        activation: { operatorKey: { secretName: 'alice' } },
      },
    });
    const policy = one('NetworkPolicy', 'cs-countersign-next');
    const check = one('Job', 'cs-countersign-ledger-check');
    expect(hookOf(policy)).toBe('pre-upgrade');
    expect(policy.metadata.annotations).toEqual(one('ConfigMap', 'cs-countersign-next').metadata.annotations);
    expect(check.spec.template.metadata.labels).toMatchObject(policy.spec.podSelector.matchLabels);
    expect(policy.spec.policyTypes).toEqual(['Egress']);
    const [names, store, extra] = policy.spec.egress;
    expect(names.ports.map(({ port }: { port: number }) => port)).toEqual([53, 53]);
    expect(store).toEqual({
      to: [{ ipBlock: { cidr: '10.30.0.1/32' } }],
      ports: [{ port: 6390, protocol: 'TCP' }],
    });
    expect(extra).toEqual({ ports: [{ port: 4318 }] });
    // What the release itself allows begins with the same.
    expect(one('NetworkPolicy').spec.egress.slice(0, 3)).toEqual(policy.spec.egress);
    for (const name of ['ledger-init', 'ledger-check', 'policy-activate']) {
      expect(JSON.stringify(one('Job', `cs-countersign-${name}`))).not.toContain('"storage"');
    }
    expect(JSON.stringify(one('Deployment'))).toContain('"storage"');
  });

  test('of one machine is made on that machine, and is not asked from outside', async () => {
    const { one, all } = await render({ example: 'pilot' });
    const [rule] = one('Job', 'cs-countersign-ledger-init').spec.template.spec.affinity.podAffinity
      .requiredDuringSchedulingIgnoredDuringExecution;
    expect(rule.topologyKey).toBe('kubernetes.io/hostname');
    expect(all('Job')).toHaveLength(1);
    expect(JSON.stringify(all('Job'))).toContain('"name":"storage"');
  });
});

describe('the policy', () => {
  test('is activated by a person, unless an operator key is given to the cluster', async () => {
    const { all, text } = await render({ example: 'standalone' });
    expect(all('Job').map(({ metadata }) => metadata.name)).not.toContain('cs-countersign-policy-activate');
    expect(text).not.toContain('countersign-operator');
  });

  test('is otherwise activated after each install and upgrade, once the ledger is there', async () => {
    const values = {
      activation: { operatorKey: { secretName: 'alice', key: 'k.pem' }, startEmpty: ['a', 'b'] },
    };
    const activate = await job('policy-activate', values);
    expect(hookOf(activate)).toBe('post-install,post-upgrade,post-rollback');
    const weight = (object: KubernetesObject) => Number(object.metadata.annotations?.['helm.sh/hook-weight']);
    expect(weight(activate)).toBeGreaterThan(weight(await job('ledger-init', values)));
    expect(commandsOf(activate)).toEqual([
      [
        'policy',
        'activate',
        ...CONFIG,
        '--workspace',
        'main',
        '--key',
        '/etc/countersign-operator/k.pem',
      ].concat([...['--start-empty', 'a', '--start-empty', 'b']]),
    ]);
    expect(activate.spec.template.spec.volumes.at(-1)).toEqual({
      name: 'operator',
      secret: { secretName: 'alice', defaultMode: 288, items: [{ key: 'k.pem', path: 'k.pem' }] },
    });
  });

  test('and the key is mounted nowhere else', async () => {
    const { one, all } = await render({
      example: 'standalone',
      values: { activation: { operatorKey: { secretName: 'alice' } } },
    });
    const others = [
      one('Deployment'),
      ...all('Pod'),
      ...all('Job').filter((each) => !each.metadata.name.endsWith('activate')),
    ];
    expect(others).toHaveLength(4);
    expect(JSON.stringify(others.map(({ spec }) => spec))).not.toContain('"alice"');
  });
});

test('hooks are no replicas: no Service, budget or monitor selects them', async () => {
  const { all, one } = await render({ example: 'standalone' });
  const component = 'app.kubernetes.io/component';
  expect(one('Service').spec.selector[component]).toBe('replica');
  expect(one('PodDisruptionBudget').spec.selector.matchLabels[component]).toBe('replica');
  for (const { spec } of all('Job')) expect(spec.template.metadata.labels[component]).not.toBe('replica');
});

test('helm test asks through the Services, with our own image', async () => {
  const { one } = await render({ example: 'standalone' });
  const pod = one('Pod', 'cs-countersign-test');
  expect(hookOf(pod)).toBe('test');
  const scripts = pod.spec.containers.map(({ command }: { command: string[] }) => command.at(-1));
  expect(scripts[0]).toContain('fetch("http://cs-countersign-ops:9090/readyz")');
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the script has a template of its own
  expect(scripts[1]).toContain('fetch(`http://cs-countersign:80${path}`');
  expect(scripts[1]).toContain('of [{"path":"/fireblocks/v2/tx_sign_request","statuses":[401]}]');
});
