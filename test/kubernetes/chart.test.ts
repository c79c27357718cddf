/** The chart in a real control plane: what the API server takes, where the scheduler puts it, and in which order things happen. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parseAllDocuments } from 'yaml';
import { CHART } from '../chart/generated.js';
import { type KubernetesObject, type Release, valuesOf } from '../chart/helm.js';
import { RELEASES } from '../chart/releases.js';
import { eventually } from '../support/deployment.js';
import { type ControlPlane, type Said, startControlPlane } from './control-plane.js';
import { isReady, type Kubelets, NODES, startKubelets, zoneOf } from './kubelets.js';

type Values = NonNullable<Release['values']>;

const SLOWLY_MS = 180_000;
let plane: ControlPlane;
let kubelets: Kubelets;
let count = 0;

beforeAll(async () => {
  plane = await startControlPlane();
  kubelets = await startKubelets(plane);
  for (const file of ['gateway', 'monitoring']) {
    await plane.kubectl(['create', '--filename', '-'], crdsOf(file));
  }
  await plane.kubectl(['create', '--filename', '-'], surroundings());
}, SLOWLY_MS);

afterAll(async () => {
  await kubelets?.stop();
  await plane?.stop();
});

/** The group is one of Kubernetes itself, which wants to know who approved of the schema. */
function crdsOf(file: string): string {
  const documents = parseAllDocuments(readFileSync(`test/chart/crds/${file}.yaml`, 'utf8'));
  return documents
    .map((document) => {
      document.setIn(['metadata', 'annotations'], { 'api-approved.kubernetes.io': 'unapproved, for a test' });
      return document.toString();
    })
    .join('---\n');
}

/** Disks of each node, one that all share, and what the examples expect of a cluster. */
function surroundings(): string {
  const disk = (name: string, spec: object) => ({
    apiVersion: 'v1',
    kind: 'PersistentVolume',
    metadata: { name },
    spec: { capacity: { storage: '20Gi' }, persistentVolumeReclaimPolicy: 'Retain', ...spec },
  });
  const storageClass = (name: string, annotations: object = {}) => ({
    apiVersion: 'storage.k8s.io/v1',
    kind: 'StorageClass',
    metadata: { name, annotations },
    provisioner: 'kubernetes.io/no-provisioner',
    volumeBindingMode: 'WaitForFirstConsumer',
  });
  const local = (node: string) => ({
    storageClassName: 'zonal',
    accessModes: ['ReadWriteOnce'],
    local: { path: '/mnt/disk' },
    nodeAffinity: {
      required: {
        nodeSelectorTerms: [
          { matchExpressions: [{ key: 'kubernetes.io/hostname', operator: 'In', values: [node] }] },
        ],
      },
    },
  });
  const objects = [
    storageClass('zonal', { 'storageclass.kubernetes.io/is-default-class': 'true' }),
    storageClass('shared'),
    ...NODES.flatMap((node) => [0, 1, 2, 3].map((index) => disk(`${node}-${index}`, local(node)))),
    ...NODES.map((name) =>
      disk(`shared-${name}`, {
        storageClassName: 'shared',
        accessModes: ['ReadWriteMany'],
        nfs: { server: 'files.internal', path: '/countersign' },
      }),
    ),
    {
      apiVersion: 'scheduling.k8s.io/v1',
      kind: 'PriorityClass',
      value: 1_000,
      metadata: { name: 'custody' },
    },
  ];
  return objects.map((object) => JSON.stringify(object)).join('\n---\n');
}

/** A namespace in which pods that are not restricted are refused, and are warned of in their templates already. */
async function newNamespace(): Promise<string> {
  count += 1;
  const name = `test-${count}`;
  const labels = Object.fromEntries(
    ['enforce', 'warn', 'audit'].map((mode) => [`pod-security.kubernetes.io/${mode}`, 'restricted']),
  );
  const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels } };
  await plane.kubectl(['create', '--filename', '-'], JSON.stringify(namespace));
  return name;
}

async function helm(
  command: 'install' | 'upgrade',
  { namespace, release }: { readonly namespace: string; readonly release: Release },
): Promise<Said> {
  const file = join(plane.dir, `${namespace}.json`);
  writeFileSync(file, JSON.stringify(valuesOf(release)));
  const wait = ['--wait', '--timeout', '2m'];
  return plane.run('helm', [command, 'cs', CHART, '--namespace', namespace, '--values', file, ...wait]);
}

/** Fails on a refusal and on a warning, of helm or of the API server. */
async function succeed(
  command: 'install' | 'upgrade',
  at: { readonly namespace: string; readonly release: Release },
): Promise<void> {
  const { code, stderr } = await helm(command, at);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
}

async function list(kind: string, namespace: string, selector = ''): Promise<readonly KubernetesObject[]> {
  const args = ['get', kind, '--namespace', namespace, '--selector', selector, '--output', 'json'];
  return JSON.parse(await plane.kubectl(args)).items;
}

async function replicas(namespace: string): Promise<readonly KubernetesObject[]> {
  const pods = await list('pods', namespace, 'app.kubernetes.io/component=replica');
  return pods.filter(({ metadata, status }) => metadata.deletionTimestamp === undefined && isReady(status));
}

async function nodesOf(namespace: string): Promise<readonly string[]> {
  return (await replicas(namespace)).map(({ spec }) => spec.nodeName).sort();
}

/** Everything that is in the namespace besides what Kubernetes puts into each. */
async function left(namespace: string): Promise<readonly string[]> {
  const kinds = (
    await plane.kubectl(['api-resources', '--namespaced', '--verbs', 'list', '--output', 'name'])
  )
    .trim()
    .split('\n')
    .filter((kind) => !/^(events|podmetrics|bindings|endpoints$)/.test(kind));
  const names = await plane.kubectl(['get', kinds.join(','), '--namespace', namespace, '--output', 'name']);
  const own = ['configmap/kube-root-ca.crt', 'serviceaccount/default'];
  return names
    .trim()
    .split('\n')
    .filter((name) => !own.includes(name));
}

describe.each(RELEASES.filter(([, { upgrade }]) => upgrade !== true))('%s', (_name, release) => {
  let namespace: string;

  test(
    'is installed, with every pod running and no warning',
    async () => {
      namespace = await newNamespace();
      if (release.values?.nodeSelector !== undefined) {
        await plane.kubectl(['label', 'nodes', '--all', '--overwrite', 'disk=fast']);
      }
      await succeed('install', { namespace, release });
    },
    SLOWLY_MS,
  );

  test(
    'has no field that the API server does not know',
    async () => {
      for (const what of ['manifest', 'hooks']) {
        const { stdout } = await plane.run('helm', ['get', what, 'cs', '--namespace', namespace]);
        const strictly = ['--server-side', '--dry-run=server', '--validate=strict', '--force-conflicts'];
        const { code, stderr } = await plane.run(
          'kubectl',
          ['apply', ...strictly, '--namespace', namespace, '--filename', '-'],
          stdout,
        );
        expect({ what, code, stderr }).toEqual({ what, code: 0, stderr: '' });
      }
    },
    SLOWLY_MS,
  );

  test(
    'answers helm test',
    async () => {
      const { code, stderr } = await plane.run('helm', ['test', 'cs', '--namespace', namespace]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    },
    SLOWLY_MS,
  );

  test(
    'leaves its disks when it goes, and nothing else',
    async () => {
      await plane.run('helm', ['uninstall', 'cs', '--namespace', namespace, '--wait']);
      const rest = await eventually('pods are still there', async () => {
        const names = await left(namespace);
        return names.some((name) => name.startsWith('pod/')) ? undefined : names;
      });
      expect(rest.filter((name) => !name.startsWith('persistentvolumeclaim/'))).toEqual([]);
      await plane.kubectl(['delete', 'persistentvolumeclaims', '--all', '--namespace', namespace]);
    },
    SLOWLY_MS,
  );
});

describe('three zones', () => {
  const release: Release = { example: 'three-zones' };
  let namespace: string;
  const upgrade = async (values: Values) => {
    await succeed('upgrade', { namespace, release: { ...release, values } });
    // Helm does not wait for the last of the old ones to go.
    const last = ['rollout', 'status', 'deployment/cs-countersign', '--timeout', '2m'];
    await plane.kubectl([...last, '--namespace', namespace]);
  };
  const uids = async () => (await replicas(namespace)).map(({ metadata }) => metadata.uid).sort();

  beforeAll(async () => {
    namespace = await newNamespace();
    await succeed('install', { namespace, release });
  }, SLOWLY_MS);

  test('have a replica each', async () => {
    expect((await nodesOf(namespace)).map(zoneOf)).toEqual(['a', 'b', 'c']);
  });

  test(
    'another policy replaces no replica',
    async () => {
      const before = await uids();
      await upgrade({ files: { 'policy.yaml': 'version: 1\nrules:\n  - { name: all, effect: approve }\n' } });
      expect(await uids()).toEqual(before);
    },
    SLOWLY_MS,
  );

  test(
    'another document replaces all, never fewer than three answer, and each zone has one again',
    async () => {
      const before = await uids();
      kubelets.fewestReady.delete(namespace);
      await upgrade({ config: { deadline: '19s' } });
      expect((await uids()).filter((uid) => before.includes(uid))).toEqual([]);
      expect(kubelets.fewestReady.get(namespace)).toBe(3);
      expect((await nodesOf(namespace)).map(zoneOf)).toEqual(['a', 'b', 'c']);
    },
    SLOWLY_MS,
  );

  test(
    'six replicas are two in each, all on nodes of their own',
    async () => {
      await upgrade({ replicas: 6 });
      expect(await nodesOf(namespace)).toEqual(NODES);
      // Which of them go again is not the scheduler's choice, so another version is spread anew.
      await upgrade({ config: { deadline: '18s' } });
      expect((await nodesOf(namespace)).map(zoneOf)).toEqual(['a', 'b', 'c']);
    },
    SLOWLY_MS,
  );

  test(
    'a second node is not emptied before the first replica has another place',
    async () => {
      const [first, second] = await nodesOf(namespace);
      const drain = (node: string | undefined, timeout: string) =>
        plane.run('kubectl', [
          'drain',
          String(node),
          '--ignore-daemonsets',
          '--pod-selector',
          `app.kubernetes.io/instance=cs`,
          '--timeout',
          timeout,
        ]);
      kubelets.starting = false;
      try {
        expect(await drain(first, '20s')).toMatchObject({ code: 0 });
        const refused = await drain(second, '8s');
        expect(refused.code).not.toBe(0);
        expect(refused.stderr).toContain("Cannot evict pod as it would violate the pod's disruption budget.");
        expect(await nodesOf(namespace)).toHaveLength(2);
      } finally {
        kubelets.starting = true;
      }
      expect(await drain(second, '60s')).toMatchObject({ code: 0 });
      await plane.kubectl(['uncordon', ...NODES]);
      await eventually('three replicas', async () =>
        (await nodesOf(namespace)).length === 3 ? true : undefined,
      );
    },
    SLOWLY_MS,
  );

  test(
    'the replica of a zone that is gone comes up in another',
    async () => {
      expect((await nodesOf(namespace)).map(zoneOf)).toContain('c');
      await plane.kubectl(['taint', 'nodes', 'c-1', 'c-2', 'gone=yes:NoExecute']);
      try {
        await eventually(
          'three replicas in two zones',
          async () => {
            const zones = (await nodesOf(namespace)).map(zoneOf);
            return zones.length === 3 && !zones.includes('c') ? true : undefined;
          },
          30_000,
        );
      } finally {
        await plane.kubectl(['taint', 'nodes', 'c-1', 'c-2', 'gone-']);
      }
    },
    SLOWLY_MS,
  );
});

describe('around an install and an upgrade', () => {
  const release: Release = {
    example: 'standalone',
    values: { activation: { operatorKey: { secretName: 'alice' } } },
  };
  let namespace: string;

  beforeAll(async () => {
    namespace = await newNamespace();
  });

  test(
    'the ledger is made and then the policy is activated; neither before the replicas are there',
    async () => {
      kubelets.ran.length = 0;
      await succeed('install', { namespace, release });
      expect(kubelets.ran).toEqual(['replica', 'replica', 'replica', 'ledger-init', 'policy-activate']);
    },
    SLOWLY_MS,
  );

  test(
    'an upgrade asks the ledger first, activates at the end, and makes no ledger',
    async () => {
      kubelets.ran.length = 0;
      await succeed('upgrade', { namespace, release });
      expect(kubelets.ran).toEqual(['ledger-check', 'policy-activate']);
    },
    SLOWLY_MS,
  );

  test(
    'an upgrade whose ledger could not be decided on touches nothing',
    async () => {
      const before = await plane.kubectl([
        'get',
        'deployment/cs-countersign',
        'configmap/cs-countersign',
        '--namespace',
        namespace,
        '--output',
        'json',
      ]);
      kubelets.failing.add('ledger-check');
      kubelets.ran.length = 0;
      const values = { ...release.values, config: { deadline: '18s' } };
      const { code, stderr } = await helm('upgrade', { namespace, release: { ...release, values } });
      kubelets.failing.clear();
      expect({ code, stderr }).toEqual({
        code: 1,
        stderr: expect.stringContaining('pre-upgrade hooks failed'),
      });
      expect(kubelets.ran).toEqual(['ledger-check', 'ledger-check', 'ledger-check']);
      const after = await plane.kubectl([
        'get',
        'deployment/cs-countersign',
        'configmap/cs-countersign',
        '--namespace',
        namespace,
        '--output',
        'json',
      ]);
      expect(after).toBe(before);
    },
    SLOWLY_MS,
  );

  test(
    'a rollback activates the policy of the older release',
    async () => {
      await plane.run('helm', ['uninstall', 'cs', '--namespace', namespace, '--wait']);
      await succeed('install', { namespace, release });
      const values = { ...release.values, replicas: 2 };
      await succeed('upgrade', { namespace, release: { ...release, values } });
      kubelets.ran.length = 0;
      const { code, stderr } = await plane.run('helm', [
        'rollback',
        'cs',
        '1',
        '--namespace',
        namespace,
        '--wait',
      ]);
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(kubelets.ran).toEqual(['replica', 'policy-activate']);
    },
    SLOWLY_MS,
  );

  test(
    'an upgrade that asks for a first volume and another store is checked before either is there',
    async () => {
      const values = {
        ...release.values,
        storage: { enabled: true, storageClassName: 'shared', accessModes: ['ReadWriteMany'] },
        config: { ledger: { redis: { url: 'rediss://redis.internal:6390' } } },
      };
      kubelets.ran.length = 0;
      await succeed('upgrade', { namespace, release: { ...release, values } });
      expect(kubelets.ran[0]).toBe('ledger-check');
    },
    SLOWLY_MS,
  );
});
