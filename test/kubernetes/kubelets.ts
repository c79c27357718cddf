/**
 * Nodes in zones, and what their kubelets would tell the API server: a pod that was scheduled runs and is ready, one of a Job or of
 * `helm test` has done its work, one that was told to end is gone. Nothing of a container runs.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { KubernetesObject } from '../chart/helm.js';
import type { ControlPlane } from './control-plane.js';

const LOOK_EVERY_MS = 100;
const COMPONENT = 'app.kubernetes.io/component';

export interface Kubelets {
  /** While false, new pods do not become ready. */
  starting: boolean;
  /** Pods of components whose commands fail. */
  readonly failing: Set<string>;
  /** Components of pods, in the order in which they were first seen to run. */
  readonly ran: string[];
  /** The fewest ready replicas seen in a namespace. */
  readonly fewestReady: Map<string, number>;
  readonly stop: () => Promise<void>;
}

/** Two nodes in each of three zones: `a-1`, `a-2`, … */
export const NODES = ['a', 'b', 'c'].flatMap((zone) => [`${zone}-1`, `${zone}-2`]);

export function zoneOf(node: string): string {
  return node.slice(0, 1);
}

export async function startKubelets(plane: ControlPlane): Promise<Kubelets> {
  await plane.kubectl(['create', '--filename', '-'], NODES.map(nodeManifest).join('\n---\n'));
  let going = true;
  const kubelets: Kubelets = {
    starting: true,
    failing: new Set(),
    ran: [],
    fewestReady: new Map(),
    stop: async () => {
      going = false;
      await loop;
    },
  };
  const loop = (async () => {
    while (going) {
      const { items } = (await plane.api('GET', '/api/v1/pods')) as {
        readonly items: readonly KubernetesObject[];
      };
      countReady(items, kubelets.fewestReady);
      await Promise.all(items.map((pod) => tend(plane, kubelets, pod)));
      await giveAddresses(plane);
      await sleep(LOOK_EVERY_MS);
    }
  })();
  return kubelets;
}

function nodeManifest(name: string): string {
  return JSON.stringify({
    apiVersion: 'v1',
    kind: 'Node',
    metadata: {
      name,
      labels: {
        'kubernetes.io/hostname': name,
        'topology.kubernetes.io/zone': zoneOf(name),
        'kubernetes.io/os': 'linux',
      },
    },
    status: {
      allocatable: { cpu: '4', memory: '16Gi', pods: '110' },
      capacity: { cpu: '4', memory: '16Gi', pods: '110' },
      conditions: [
        { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'as far as this test goes' },
      ],
    },
  });
}

/** One step of the life of a pod. */
async function tend(plane: ControlPlane, kubelets: Kubelets, pod: KubernetesObject): Promise<void> {
  const { metadata, spec, status } = pod;
  if (spec.nodeName === undefined) return;
  const path = `/api/v1/namespaces/${metadata.namespace}/pods/${metadata.name}`;
  if (metadata.deletionTimestamp !== undefined) {
    await plane.api('DELETE', path, { gracePeriodSeconds: 0 });
    return;
  }
  if (status.phase !== 'Pending' || !kubelets.starting) return;
  const component = metadata.labels?.[COMPONENT] ?? '';
  kubelets.ran.push(component);
  await plane.api('PATCH', `${path}/status`, { status: statusOf(pod, kubelets.failing.has(component)) });
}

/** What a cloud would do: helm waits for the address of a Service of type LoadBalancer. */
async function giveAddresses(plane: ControlPlane): Promise<void> {
  const { items } = (await plane.api('GET', '/api/v1/services')) as { items: readonly KubernetesObject[] };
  for (const { metadata, spec, status } of items) {
    if (spec.type !== 'LoadBalancer' || status.loadBalancer.ingress !== undefined) continue;
    const path = `/api/v1/namespaces/${metadata.namespace}/services/${metadata.name}/status`;
    await plane.api('PATCH', path, { status: { loadBalancer: { ingress: [{ ip: '192.0.2.1' }] } } });
  }
}

function statusOf({ spec }: KubernetesObject, fails: boolean): object {
  const ends = spec.restartPolicy === 'Never';
  const exitCode = fails ? 1 : 0;
  const state = ends
    ? { terminated: { exitCode, reason: fails ? 'Error' : 'Completed' } }
    : { running: { startedAt: new Date().toISOString() } };
  const containerStatuses = spec.containers.map(({ name, image }: { name: string; image: string }) => ({
    name,
    image,
    imageID: image,
    restartCount: 0,
    ready: !ends,
    state,
  }));
  const conditions = ['PodScheduled', 'Initialized', 'ContainersReady', 'Ready'].map((type) => ({
    type,
    status: ends && type.endsWith('Ready') ? 'False' : 'True',
    lastTransitionTime: new Date().toISOString(),
  }));
  const phase = ends ? (fails ? 'Failed' : 'Succeeded') : 'Running';
  return { phase, conditions, containerStatuses, podIP: '10.244.0.1', podIPs: [{ ip: '10.244.0.1' }] };
}

/** Replicas that answer and were not told to end, by namespace. */
function countReady(pods: readonly KubernetesObject[], fewest: Map<string, number>): void {
  const counts = new Map<string, number>();
  for (const { metadata, status } of pods) {
    const { namespace = '', labels, deletionTimestamp } = metadata;
    if (labels?.[COMPONENT] !== 'replica') continue;
    const ready = deletionTimestamp === undefined && isReady(status);
    counts.set(namespace, (counts.get(namespace) ?? 0) + (ready ? 1 : 0));
  }
  for (const [namespace, count] of counts) {
    fewest.set(namespace, Math.min(count, fewest.get(namespace) ?? count));
  }
}

export function isReady(status: KubernetesObject['status']): boolean {
  return (status.conditions ?? []).some(
    ({ type, status: is }: { type: string; status: string }) => type === 'Ready' && is === 'True',
  );
}
