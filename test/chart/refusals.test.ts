/** What must not be is refused, with a sentence that says what to change. */
import { describe, expect, test } from '@jest/globals';
import { type Release, refusal } from './helm.js';

const FENCED = { durability: { mode: 'fence' } };
const SENTINEL = { sentinel: { name: 'countersign', nodes: ['10.0.0.1:26379'] }, url: null };
const EMBEDDED = {
  kind: 'embedded',
  embedded: { file: '/var/lib/countersign/ledger.db' },
  redis: null,
  durability: null,
};

type Values = NonNullable<Release['values']>;
type Case = readonly [what: string, values: Values, sentence: string, release?: Release];

const CASES: readonly Case[] = [
  [
    'no image',
    { image: { repository: '' } },
    'image.repository: is missing; deploy/Dockerfile builds the image',
  ],
  [
    'a privileged port',
    { config: { http: { port: 443 } } },
    'config.http.port: 443 needs a capability that the pods do not have, and 0 takes any port: choose one from 1024 on',
  ],
  [
    'any port',
    { config: { ops: { port: 0 } } },
    'config.ops.port: 0 needs a capability that the pods do not have, and 0 takes any port: choose one from 1024 on',
  ],
  [
    'one port for co-signers and the platform',
    { config: { http: { port: 9090 } } },
    'config.ops.port: must differ from config.http.port',
  ],
  [
    'one port for co-signers and notifications',
    { config: { webhooks: { port: 8080 } } },
    'config.webhooks.port: must differ from config.http.port and config.ops.port',
  ],
  [
    'a host that nothing reaches',
    { config: { ops: { host: '127.0.0.1' } } },
    'config.ops.host: nothing outside the pod reaches 127.0.0.1: leave it away',
  ],
  [
    'a private key in a ConfigMap',
    { files: { 'alice.pub.pem': '-----BEGIN PRIVATE KEY-----\nMC4\n' } },
    'files.alice.pub.pem: holds a private key, and a ConfigMap is no place for one: put it into a Secret NAME under KEY, and write secrets/NAME/KEY in the document',
  ],
  [
    'a file in the place of the document',
    { files: { 'config.yaml': '' } },
    'files.config.yaml: is the name of the document itself',
  ],
  [
    'a policy that is nowhere',
    { files: { 'policy.yaml': null } },
    'config.workspaces[0].policyFile: there is no policy.yaml: give it in files, or write secrets/NAME/KEY for the key KEY of the Secret NAME',
  ],
  [
    'a file that nothing mounts',
    { config: { operators: [{ name: 'alice', publicKeyFile: '/mnt/alice.pem' }] } },
    'config.operators[0].publicKeyFile: nothing is mounted at /mnt/alice.pem: it must lie in storage.mountPath (with storage.enabled) or in one of extraVolumeMounts',
  ],
  [
    'a mount that only looks like a parent',
    {
      config: { operators: [{ name: 'alice', publicKeyFile: '/mnt-2/alice.pem' }] },
      extraVolumes: [{ name: 'more', emptyDir: {} }],
      extraVolumeMounts: [{ name: 'more', mountPath: '/mnt' }],
    },
    'config.operators[0].publicKeyFile: nothing is mounted at /mnt-2/alice.pem: it must lie in storage.mountPath (with storage.enabled) or in one of extraVolumeMounts',
  ],
  [
    'a policy that is no YAML',
    { files: { 'policy.yaml': 'rules: [' } },
    'files: a policy is not YAML: error converting YAML to JSON: yaml: line 1: did not find expected node content',
  ],
  [
    'more than a ConfigMap holds',
    { files: { 'assets.json': 'x'.repeat(1_000_000) } },
    'files: together with the document more than a ConfigMap holds (1 MB): mount asset listings by extraVolumes',
  ],
  [
    'two ways to Redis',
    { config: { ledger: { redis: { ...SENTINEL, url: 'rediss://redis.internal' } } } },
    'config.ledger.redis: must have exactly one of url, sentinel and cluster',
  ],
  [
    'an embedded ledger of several replicas',
    { config: { ledger: EMBEDDED }, storage: { enabled: true, accessModes: ['ReadWriteMany'] } },
    'config.ledger.kind: embedded is for one replica: replicas of several nodes cannot share its file; set replicas to 1 and autoscaling off, or use Redis',
  ],
  [
    'an embedded ledger on no volume',
    { config: { ledger: EMBEDDED }, replicas: 1 },
    'config.ledger.embedded.file: nothing is mounted at /var/lib/countersign/ledger.db: it must lie in storage.mountPath (with storage.enabled) or in one of extraVolumeMounts',
  ],
  [
    'an embedded ledger beside the document',
    {
      config: { ledger: { ...EMBEDDED, embedded: { file: 'ledger.db' } } },
      replicas: 1,
      storage: { enabled: true },
    },
    'config.ledger.embedded.file: ledger.db would be lost with the pod: name a folder of storage.mountPath (with storage.enabled) or of one of extraVolumeMounts',
  ],
  [
    'an audit trail that goes with the pod',
    { config: { audit: { directory: 'var/audit' } } },
    'config.audit.directory: var/audit would be lost with the pod: name a folder of storage.mountPath (with storage.enabled) or of one of extraVolumeMounts',
    { ignoreSchema: true },
  ],
  [
    'originals that go with the pod',
    {
      config: {
        audit: { originals: { directory: 'var/originals', recipientKeyFile: 'keys/recipient.pub.pem' } },
      },
    },
    'config.audit.originals.directory: var/originals would be lost with the pod: name a folder of storage.mountPath (with storage.enabled) or of one of extraVolumeMounts',
    { ignoreSchema: true },
  ],
  [
    'originals sealed for nobody',
    {
      config: {
        audit: {
          originals: { directory: '/var/lib/countersign/originals', recipientKeyFile: 'recipient.pub.pem' },
        },
      },
      storage: { enabled: true, accessModes: ['ReadWriteMany'] },
    },
    'config.audit.originals.recipientKeyFile: there is no recipient.pub.pem: give it in files, or write secrets/NAME/KEY for the key KEY of the Secret NAME',
    { ignoreSchema: true },
  ],
  [
    'a disk of one node for several replicas',
    { storage: { enabled: true } },
    'storage.accessModes: several replicas share the volume: it must be ReadWriteMany',
  ],
  [
    'a fence behind Sentinel that nobody has thought about',
    { config: { ledger: { redis: SENTINEL, ...FENCED } } },
    'config.ledger.durability.mode: with Sentinel or Cluster in fence mode nothing is decided after a fail-over until an operator has activated the ledger: use mode witness, or set acknowledge.operatorAfterFailover',
  ],
  [
    'too few witnesses',
    {
      config: {
        ledger: {
          redis: SENTINEL,
          durability: { mode: 'witness', witnesses: [{ url: 'rediss://a' }, { url: 'rediss://b' }] },
        },
      },
    },
    'config.ledger.durability.witnesses: 2 of them: mode witness needs an odd number of at least three, each on a disk of its own',
  ],
  [
    'no witnesses where they are the default',
    { config: { ledger: { redis: SENTINEL, durability: null } } },
    'config.ledger.durability.witnesses: 0 of them: mode witness needs an odd number of at least three, each on a disk of its own',
  ],
  [
    'no drain with several replicas',
    { config: { drain: '0s' } },
    'config.drain: 0s loses requests in every rollout: make it longer than the balancer takes to notice, 5s or more',
  ],
  [
    'no drain at all',
    { config: { drain: null } },
    'config.drain: 0s loses requests in every rollout: make it longer than the balancer takes to notice, 5s or more',
  ],
  [
    'too little time to end',
    { terminationGracePeriodSeconds: 30 },
    'terminationGracePeriodSeconds: 30 is too short: preStopSeconds, drain and the last answers take 50; leave it away',
  ],
  [
    'one replica that scales',
    { autoscaling: { enabled: true, minReplicas: 1 } },
    'autoscaling.minReplicas: must be 2 or more: one replica cannot be replaced without loss',
  ],
  [
    'a ceiling below the floor',
    { autoscaling: { enabled: true, minReplicas: 4, maxReplicas: 3 } },
    'autoscaling.maxReplicas: must not be below autoscaling.minReplicas',
  ],
  [
    'two monitors',
    { metrics: { serviceMonitor: { enabled: true } } },
    'metrics: serviceMonitor and podMonitor would scrape everything twice: enable one',
  ],
  [
    'a closed network without a door',
    { networkPolicy: { balancers: [] } },
    "networkPolicy.balancers: is empty, so nobody could call: name the balancer's pods or addresses",
  ],
  [
    'a closed network and a monitor',
    { networkPolicy: { prometheus: [] } },
    'networkPolicy.prometheus: is empty, so Prometheus could not scrape: name its pods',
  ],
  [
    'an Ingress without TLS',
    { ingress: { tlsSecretName: '' } },
    'ingress: host and tlsSecretName are needed: co-signers call https:// only',
  ],
  ['a route without a Gateway', { httpRoute: { enabled: true } }, 'httpRoute.parentRefs: names no Gateway'],
  [
    'stores for evaluation without a password',
    { evaluation: { redis: true } },
    'evaluation.passwordSecret.name: is missing: make a Secret that holds a password',
  ],
  [
    'stores for evaluation that the document does not name',
    { evaluation: { witnesses: true, passwordSecret: { name: 'password' } } },
    'evaluation: the document must name cs-countersign-witness-0.cs-countersign-witness, or replicas would not use it',
  ],
];

describe('values that must not be', () => {
  test.each(CASES)('%s', async (_what, values, sentence, release = {}) => {
    expect(await refusal({ example: 'standalone', values, ...release })).toBe(sentence);
  });
});

describe('values of another shape', () => {
  test.each<[string, Values, string]>([
    ['a misspelled value', { replica: 3 }, "- at '': additional properties 'replica' not allowed"],
    [
      'a misspelled value further in',
      { networkPolicy: { balancer: [] } },
      "- at '/networkPolicy': additional properties 'balancer' not allowed",
    ],
    [
      'a misspelled key of the document',
      { config: { http: { prot: 1 } } },
      "- at '/config/http': additional properties 'prot' not allowed",
    ],
    [
      'a misspelled key of an operator',
      { config: { operators: [{ name: 'alice', publicKeyFile: 'alice.pub.pem', keyfile: 'k' }] } },
      "- at '/config/operators/0': additional properties 'keyfile' not allowed",
    ],
    [
      'a duration without a unit',
      { config: { drain: '10' } },
      "- at '/config/drain': '10' does not match pattern '^(\\\\d{1,9})(ms|s|m|h|d)$'",
    ],
    ['a number as text', { replicas: '3' }, "- at '/replicas': got string, want integer"],
    ['root', { user: 0 }, "- at '/user': minimum: got 0, want 1"],
    [
      'a digest that is none',
      { image: { digest: 'latest' } },
      "- at '/image/digest': 'latest' does not match pattern '^(sha256:[0-9a-f]{64})?$'",
    ],
  ])('%s', async (_what, values, message) => {
    expect(await refusal({ example: 'standalone', values })).toBe(message);
  });

  test('a password in an address', async () => {
    const values = { config: { ledger: { redis: { url: 'rediss://countersign:hush@redis:6379' } } } };
    expect(await refusal({ example: 'standalone', values })).toContain(
      "at '/config/ledger/redis/url': 'rediss://countersign:hush@redis:6379' does not match pattern",
    );
  });

  test('no document at all', async () => {
    expect(await refusal({})).toBe(
      "- at '/config': missing properties 'http', 'ops', 'ledger', 'workspaces', 'operators'",
    );
  });
});
