/** The Deployment: replicas that are replaced without a loss, and that can do nothing but answer. */
import { describe, expect, test } from '@jest/globals';
import { type KubernetesObject, type Release, render } from './helm.js';

type Values = NonNullable<Release['values']>;

async function deployment(values: Values = {}, example = 'standalone'): Promise<KubernetesObject> {
  return (await render({ example, values })).one('Deployment');
}

async function pod(values: Values = {}, example = 'standalone') {
  return (await deployment(values, example)).spec.template.spec;
}

async function checksum(values: Values): Promise<string> {
  return (await deployment(values)).spec.template.metadata.annotations['checksum/config'];
}

describe('a rollout', () => {
  test('takes no replica away before another has come', async () => {
    const { spec } = await deployment();
    expect(spec).toMatchObject({
      replicas: 3,
      minReadySeconds: 5,
      strategy: { type: 'RollingUpdate', rollingUpdate: { maxUnavailable: 0, maxSurge: 1 } },
    });
  });

  test.each([
    ['10s', 5, 50],
    ['500ms', 5, 41],
    ['1m', 0, 95],
    ['60s', 60, 155],
  ])(
    'leaves time for a drain of %s after %d s and the last answers: %d s',
    async (drain, preStopSeconds, grace) => {
      const { terminationGracePeriodSeconds, containers } = await pod({ config: { drain }, preStopSeconds });
      expect(terminationGracePeriodSeconds).toBe(grace);
      expect(containers[0].lifecycle).toEqual(
        preStopSeconds === 0 ? undefined : { preStop: { sleep: { seconds: preStopSeconds } } },
      );
    },
  );

  test('may be given more time', async () => {
    expect((await pod({ terminationGracePeriodSeconds: 120 })).terminationGracePeriodSeconds).toBe(120);
  });

  test('of an embedded ledger never has two processes on one file', async () => {
    const { spec } = await deployment({}, 'pilot');
    expect(spec).toMatchObject({ replicas: 1, strategy: { type: 'Recreate' } });
  });

  test('scales by itself when told so, and is then not told how many', async () => {
    const { one } = await render({
      example: 'standalone',
      values: { autoscaling: { enabled: true, maxReplicas: 7 } },
    });
    expect(one('Deployment').spec).not.toHaveProperty('replicas');
    expect(one('HorizontalPodAutoscaler').spec).toMatchObject({
      scaleTargetRef: { name: 'cs-countersign', kind: 'Deployment' },
      minReplicas: 3,
      maxReplicas: 7,
    });
  });
});

describe('a rollout happens', () => {
  const before = checksum({});

  test.each<[string, Values]>([
    ['the document', { config: { deadline: '19s' } }],
    ['a public key', { files: { 'alice.pub.pem': 'another key' } }],
  ])('when %s changes', async (_what, values) => {
    expect(await checksum(values)).not.toBe(await before);
  });

  test.each<[string, Values]>([
    ['the policy', { files: { 'policy.yaml': 'version: 1\nrules: []\n' } }],
    ['a limit of the network', { networkPolicy: { stores: [] } }],
  ])('not when %s changes', async (_what, values) => {
    expect(await checksum(values)).toBe(await before);
  });
});

describe('probes', () => {
  test('ask three different things, and none of them asks Redis', async () => {
    const { startupProbe, livenessProbe, readinessProbe } = (await pod()).containers[0];
    expect(startupProbe.tcpSocket).toEqual({ port: 'http' });
    expect(livenessProbe.httpGet).toEqual({ path: '/livez', port: 'ops' });
    expect(readinessProbe.httpGet).toEqual({ path: '/readyz/draining', port: 'ops' });
  });

  test('use the ports of the document', async () => {
    const { containers } = await pod({ config: { http: { port: 8443 }, ops: { port: 9999 } } });
    expect(containers[0].ports).toEqual([
      { name: 'http', containerPort: 8443 },
      { name: 'ops', containerPort: 9999 },
    ]);
  });
});

describe('a pod', () => {
  test('is not root, writes nowhere, has no capabilities and no token', async () => {
    const spec = await pod();
    expect(spec).toMatchObject({ automountServiceAccountToken: false, enableServiceLinks: false });
    expect(spec.securityContext).toEqual({
      runAsNonRoot: true,
      runAsUser: 65532,
      runAsGroup: 65532,
      fsGroup: 65532,
      fsGroupChangePolicy: 'OnRootMismatch',
      seccompProfile: { type: 'RuntimeDefault' },
    });
    expect(spec.containers[0].securityContext).toEqual({
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
    });
  });

  test('so do the pods of hooks and tests', async () => {
    const values = { activation: { operatorKey: { secretName: 'alice' } } };
    const { all } = await render({ example: 'standalone', values });
    const specs = [
      ...all('Job').map(({ spec }) => spec.template.spec),
      ...all('Pod').map(({ spec }) => spec),
    ];
    expect(specs).toHaveLength(4);
    for (const spec of specs) {
      expect(spec).toMatchObject({
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true },
      });
      for (const { securityContext, resources } of spec.containers) {
        expect(securityContext).toMatchObject({
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
        });
        expect(resources.limits).toHaveProperty('memory');
      }
    }
  });

  test('leaves the user to the platform when told so', async () => {
    expect((await pod({ user: null })).securityContext).toEqual({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
  });

  test('runs the image by its digest, whatever the tag says', async () => {
    const digest = `sha256:${'a'.repeat(64)}`;
    expect((await pod({ image: { digest, tag: 'v1' } })).containers[0].image).toBe(
      `registry.example/countersign@${digest}`,
    );
    expect((await pod({ image: { digest: '' } })).containers[0].image).toBe(
      'registry.example/countersign:0.1.0',
    );
  });

  test('is spread over zones and nodes, each version for itself, without those that are down', async () => {
    const { topologySpreadConstraints } = await pod({ topologySpread: { zone: 'DoNotSchedule' } });
    expect(topologySpreadConstraints).toHaveLength(2);
    for (const key of ['topology.kubernetes.io/zone', 'kubernetes.io/hostname']) {
      expect(topologySpreadConstraints).toContainEqual(
        expect.objectContaining({
          topologyKey: key,
          maxSkew: 1,
          whenUnsatisfiable: 'DoNotSchedule',
          nodeTaintsPolicy: 'Honor',
          matchLabelKeys: ['pod-template-hash'],
        }),
      );
    }
  });
});

describe('files', () => {
  test('one folder holds the document, the files beside it, and of each Secret what the document names', async () => {
    const { volumes, containers } = await pod();
    expect(volumes).toEqual([
      {
        name: 'documents',
        projected: {
          defaultMode: 0o440,
          sources: [
            { configMap: { name: 'cs-countersign' } },
            {
              secret: {
                name: 'countersign-keys',
                items: [{ key: 'answer-signing.pem', path: 'secrets/countersign-keys/answer-signing.pem' }],
              },
            },
            {
              secret: {
                name: 'countersign-redis',
                items: [{ key: 'password', path: 'secrets/countersign-redis/password' }],
              },
            },
          ],
        },
      },
    ]);
    expect(containers[0].volumeMounts).toEqual([
      { name: 'documents', mountPath: '/etc/countersign', readOnly: true },
    ]);
    expect(containers[0].args).toEqual(['serve', '--config', '/etc/countersign/config.yaml']);
  });

  test('beside the document arrive as they are, byte by byte', async () => {
    const text = 'version: 1\r\n# ünïcode, "quotes", {{ braces }}, <tags> & \\backslashes\n\n\trules\n  ';
    const { one } = await render({ example: 'standalone', values: { files: { 'more.txt': text } } });
    expect(one('ConfigMap').data['more.txt']).toBe(text);
  });

  test('may come from a vault', async () => {
    const { one } = await render({ example: 'three-zones' });
    const { volumes, containers } = one('Deployment').spec.template.spec;
    expect(volumes).toContainEqual(
      expect.objectContaining({
        name: 'vault',
        csi: expect.objectContaining({ driver: 'secrets-store.csi.k8s.io' }),
      }),
    );
    expect(containers[0].volumeMounts).toContainEqual({
      name: 'vault',
      mountPath: '/mnt/vault',
      readOnly: true,
    });
    expect(JSON.stringify(volumes[0])).not.toContain('answer');
  });

  test('of an embedded ledger lie on a claim that outlives the release', async () => {
    const { one } = await render({ example: 'pilot' });
    expect(one('PersistentVolumeClaim')).toMatchObject({
      metadata: { annotations: { 'helm.sh/resource-policy': 'keep' } },
      spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '5Gi' } } },
    });
    expect(one('Deployment').spec.template.spec.volumes).toContainEqual({
      name: 'storage',
      persistentVolumeClaim: { claimName: 'cs-countersign' },
    });
  });

  test('a claim that is there is used, and none is made', async () => {
    const { one, all } = await render({ example: 'pilot', values: { storage: { existingClaim: 'mine' } } });
    expect(all('PersistentVolumeClaim')).toEqual([]);
    expect(one('Deployment').spec.template.spec.volumes).toContainEqual({
      name: 'storage',
      persistentVolumeClaim: { claimName: 'mine' },
    });
  });
});

describe('when nodes are emptied', () => {
  test('one replica goes at a time, and one that does not start stops nobody', async () => {
    const { one } = await render({ example: 'standalone' });
    expect(one('PodDisruptionBudget').spec).toMatchObject({
      maxUnavailable: 1,
      unhealthyPodEvictionPolicy: 'AlwaysAllow',
    });
  });

  test('a single replica does not keep its node for ever', async () => {
    expect((await render({ example: 'pilot' })).all('PodDisruptionBudget')).toEqual([]);
  });
});

test('the account has no token, and one that is there is used', async () => {
  const { one } = await render({ example: 'standalone' });
  expect(one('ServiceAccount').automountServiceAccountToken).toBe(false);
  const own = await render({ example: 'standalone', values: { serviceAccount: { name: 'mine' } } });
  expect(own.all('ServiceAccount')).toEqual([]);
  expect(own.one('Deployment').spec.template.spec.serviceAccountName).toBe('mine');
});
