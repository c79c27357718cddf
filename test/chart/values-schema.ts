/**
 * The shape of the chart's values. `config` is the product's own schema, so helm refuses what a replica would refuse; what
 * each key means stands in values.yaml, above it.
 */
import { z } from 'zod';
import { configSchema } from '../../src/config/schema.js';

/** Parts of Kubernetes objects, which the validation of the rendered objects looks at. */
const objects = z.array(z.looseObject({}));
const map = z.looseObject({});
const texts = z.record(z.string(), z.string());
const count = z.int().min(1).max(1_000);
/** DNS-1123, the names of most objects; empty where the chart has a default. */
const objectName = z.string().regex(/^([a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?)?$/);
const quantity = z.string().regex(/^\d+(\.\d+)?([KMGT]i?)?$/);
const spread = z.enum(['DoNotSchedule', 'ScheduleAnyway']);

const image = z.strictObject({
  repository: z.string(),
  digest: z.string().regex(/^(sha256:[0-9a-f]{64})?$/),
  tag: z.string().regex(/^([A-Za-z0-9_][A-Za-z0-9._-]{0,127})?$/),
  pullPolicy: z.enum(['Always', 'IfNotPresent', 'Never']),
});

const storage = z.strictObject({
  enabled: z.boolean(),
  mountPath: z.string().regex(/^\/[^:]+$/),
  existingClaim: objectName,
  storageClassName: objectName,
  size: quantity,
  accessModes: z
    .array(z.enum(['ReadWriteOnce', 'ReadWriteMany', 'ReadWriteOncePod']))
    .min(1)
    .max(1),
});

const monitor = z.strictObject({
  enabled: z.boolean(),
  labels: texts,
  interval: z.string().regex(/^\d+(s|m)$/),
});
const labelled = z.strictObject({ enabled: z.boolean(), labels: texts });

const networkPolicy = z.strictObject({
  enabled: z.boolean(),
  balancers: objects,
  prometheus: objects,
  webhooks: objects,
  vendors: objects,
  stores: objects,
  dns: objects.min(1),
  extraEgress: objects,
});

const evaluation = z.strictObject({
  redis: z.boolean(),
  witnesses: z.boolean(),
  image: z.string().min(1),
  passwordSecret: z.strictObject({ name: objectName, key: z.string().min(1) }),
  storageClassName: objectName,
  size: quantity,
});

const service = {
  type: z.enum(['ClusterIP', 'NodePort', 'LoadBalancer']),
  port: z.int().min(1).max(65_535),
  annotations: texts,
};

const edge = {
  service: z.strictObject({ ...service, externalTrafficPolicy: z.enum(['', 'Local', 'Cluster']) }),
  webhooks: z.strictObject({ service: z.strictObject({ enabled: z.boolean(), ...service }) }),
  ingress: z.strictObject({
    enabled: z.boolean(),
    className: objectName,
    host: z.string(),
    tlsSecretName: objectName,
    annotations: texts,
  }),
  httpRoute: z.strictObject({ enabled: z.boolean(), parentRefs: objects, hostnames: z.array(z.string()) }),
};

const pods = {
  resources: map,
  preStopSeconds: z.int().min(0).max(60),
  terminationGracePeriodSeconds: z.int().min(0).max(600),
  topologySpread: z.strictObject({ zone: spread, host: spread }),
  podDisruptionBudget: z.strictObject({ maxUnavailable: count }),
  /** Helm drops a value that is set to null. */
  user: z.int().min(1).max(2_147_483_647).optional(),
  podAnnotations: texts,
  podLabels: texts,
  nodeSelector: texts,
  tolerations: objects,
  affinity: map,
  priorityClassName: objectName,
  serviceAccount: z.strictObject({ name: objectName, annotations: texts }),
};

/** All values; the chart's values.yaml gives every one of them. */
export function valuesSchema() {
  return z.strictObject({
    nameOverride: objectName,
    fullnameOverride: objectName,
    /** Helm gives this to charts that are part of another. */
    global: map.optional(),
    replicas: count,
    image,
    imagePullSecrets: objects,
    config: configSchema('/'),
    files: z.record(z.string().regex(/^[A-Za-z0-9._-]{1,253}$/), z.string()),
    ledger: z.strictObject({ init: z.boolean(), check: z.boolean() }),
    activation: z.strictObject({
      operatorKey: z.strictObject({ secretName: objectName, key: z.string().min(1) }),
      startEmpty: z.array(z.string()),
    }),
    storage,
    extraVolumes: objects,
    extraVolumeMounts: objects,
    ...edge,
    autoscaling: z.strictObject({
      enabled: z.boolean(),
      minReplicas: count,
      maxReplicas: count,
      targetCPUUtilizationPercentage: z.int().min(1).max(100),
    }),
    ...pods,
    networkPolicy,
    metrics: z.strictObject({
      serviceMonitor: monitor,
      podMonitor: monitor,
      prometheusRule: labelled,
      dashboard: labelled,
    }),
    acknowledge: z.strictObject({ operatorAfterFailover: z.boolean() }),
    evaluation,
  });
}
