/** What the chart is rendered with in tests: each example, and everything that they leave off. */
import { readdirSync } from 'node:fs';
import { CHART } from './generated.js';
import type { Release } from './helm.js';

export const EXAMPLES = readdirSync(`${CHART}/examples`).map((file) => file.replace('.yaml', ''));

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
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [
            { matchExpressions: [{ key: 'kubernetes.io/os', operator: 'In', values: ['linux'] }] },
          ],
        },
      },
    },
    priorityClassName: 'custody',
    networkPolicy: { extraEgress: [{ ports: [{ port: 4318 }] }] },
    config: { http: { tls: { certificateFile: 'secrets/tls/tls.crt', keyFile: 'secrets/tls/tls.key' } } },
  },
};

export const RELEASES: readonly [string, Release][] = [
  ...EXAMPLES.map((example): [string, Release] => [example, { example }]),
  ['everything at once', EVERYTHING],
  ['a first install', { example: 'standalone', values: { user: null } }],
  ['an upgrade', { example: 'standalone', upgrade: true }],
];
