/** NOTES.txt says what is unsafe in these values, and nothing that is not so. */
import { describe, expect, test } from '@jest/globals';
import { notes, type Release, render } from './helm.js';

type Values = NonNullable<Release['values']>;

/** The standalone example, with everything that it leaves to be desired put right. */
const SAFE: Values = {
  config: {
    audit: { directory: '/var/lib/countersign/audit' },
    ledger: {
      redis: { url: null, cluster: { nodes: ['10.20.0.1:6379'] } },
      durability: {
        mode: 'witness',
        witnesses: ['a', 'b', 'c'].map((name) => ({ url: `rediss://witness-${name}.internal:6379` })),
      },
    },
  },
  storage: { enabled: true, accessModes: ['ReadWriteMany'] },
};

async function warnings(
  values: Values,
  base: Values = SAFE,
  example = 'standalone',
): Promise<readonly string[]> {
  const text = await notes({ example, values: merged(base, values), ignoreSchema: true });
  return text.split('\n').flatMap((line) => (line.startsWith('  ! ') ? [line.slice(4)] : []));
}

function merged(base: Values, over: Values): Values {
  const result = { ...base, ...over };
  for (const key of Object.keys(base)) {
    const [below, above] = [base[key], over[key]];
    if (isObject(below) && isObject(above)) result[key as keyof Values] = merged(below, above);
  }
  return result;
}

function isObject(value: unknown): value is Values {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const COSIGNER = {
  name: 'cosigner-a',
  protocol: 'fireblocks',
  path: '/fireblocks',
  publicKeys: [{ file: 'cosigner-a.pub.pem' }],
  answerKey: { file: 'secrets/countersign-keys/answer-signing.pem', algorithm: 'RS256' },
  signers: [{ id: 'one' }],
};

function withCosigner(change: object): Values {
  return {
    config: {
      workspaces: [{ name: 'main', policyFile: 'policy.yaml', cosigners: [{ ...COSIGNER, ...change }] }],
    },
  };
}

const PLAIN = {
  name: 'plain',
  protocol: 'fireblocks',
  path: '/plain',
  mode: 'json',
  signers: [{ id: 'one' }],
  allowUnauthenticatedJson: true,
  networks: ['10.1.0.0/16'],
};

function ofCosigner(cosigner: object, http: object = {}): Values {
  return {
    config: { http, workspaces: [{ name: 'main', policyFile: 'policy.yaml', cosigners: [cosigner] }] },
  };
}

test('nothing is said of what is safe', async () => {
  expect(await warnings({})).toEqual([]);
});

describe('a warning', () => {
  test.each<[string, Values, string]>([
    [
      'an image by its tag',
      { image: { digest: '' } },
      'image.digest is empty: whoever can move the tag decides what approves your transactions.',
    ],
    [
      'two replicas',
      { replicas: 2 },
      'Fewer than 3 replicas: while one is replaced, the death of a node leaves none.',
    ],
    [
      'no password',
      { config: { ledger: { redis: { passwordFile: null } } } },
      'config.ledger.redis has no passwordFile: whoever reaches Redis can change counters.',
    ],
    [
      'an operator key in the cluster',
      { activation: { operatorKey: { secretName: 'alice' } } },
      "An operator's private key is in the Secret alice: whoever can read it, or start pods here, can change what is approved.",
    ],
    [
      'anybody may ask',
      withCosigner({ signers: undefined }),
      'Co-signer cosigner-a lists no signers: any of its API users may ask for signatures.',
    ],
    [
      'a co-signer without RETRY',
      withCosigner({ retrySupported: false }),
      'Co-signer cosigner-a does not know RETRY: what cannot be decided within 25 s fails for good.',
    ],
    [
      'no balancer that repeats',
      { ingress: { enabled: false } },
      'No Ingress and no HTTPRoute: with a balancer that only passes connections through, the death of a replica loses what is in flight. Put one in front that ends TLS and repeats (docs/kubernetes.md).',
    ],
    [
      'TLS that may be passed through',
      {
        config: { http: { tls: { certificateFile: 'secrets/tls/tls.crt', keyFile: 'secrets/tls/tls.key' } } },
      },
      'config.http.tls with an Ingress or HTTPRoute: if the controller passes TLS through, the death of a replica loses what is in flight; let it end TLS and speak TLS to the pods.',
    ],
    [
      'a Gateway that may not repeat',
      { ingress: { enabled: false }, httpRoute: { enabled: true, parentRefs: [{ name: 'edge' }] } },
      'An HTTPRoute says nothing of repeating: give the Gateway a policy of its own kind that sends a request to another pod when a connection fails or closes without an answer, or the death of a replica loses what is in flight.',
    ],
    [
      'requests in the clear',
      { service: { type: 'LoadBalancer' } },
      'service.type LoadBalancer without config.http.tls: requests travel in the clear.',
    ],
    [
      'an open network',
      { networkPolicy: { enabled: false } },
      "networkPolicy.enabled is false: every pod of the cluster reaches the replicas' metrics and readiness.",
    ],
    [
      'a port that is open to everywhere',
      { networkPolicy: { stores: [] } },
      'networkPolicy.stores is empty and the document has names: pods may connect to port 6379 of any address.',
    ],
    [
      'nobody looks',
      { metrics: { podMonitor: { enabled: false } } },
      'No ServiceMonitor and no PodMonitor: see that something else scrapes the ops port.',
    ],
    [
      'nobody is woken',
      { metrics: { prometheusRule: { enabled: false } } },
      'No PrometheusRule: nobody is woken when co-signers are told to ask again for minutes.',
    ],
    [
      'no audit trail',
      { config: { audit: null } },
      'The document has no audit section: the journal is kept in the ledger only.',
    ],
    [
      'decisions that are not logged',
      { config: { logging: { level: 'warn' } } },
      'config.logging.level is above info: decisions are not logged.',
    ],
    [
      'an upgrade that nothing checks',
      { ledger: { check: false } },
      'ledger.check is false: an upgrade with a wrong password or address rolls out, and every replica then answers RETRY.',
    ],
  ])('%s', async (_what, values, sentence) => {
    expect(await warnings(values)).toEqual([sentence]);
  });

  test('one Redis in the clear, behind a fence', async () => {
    const found = await warnings({ config: { ledger: { redis: { url: 'redis://redis:6379' } } } }, {});
    expect(found).toEqual([
      'Fence mode: after a promotion of Redis, or a restart that may have lost something, nothing is decided until an operator runs countersign ledger activate.',
      'config.ledger.redis.url: the connection is not encrypted, and who can write to it can change counters: use rediss://.',
      'The document has no audit section: the journal is kept in the ledger only.',
    ]);
  });
});

test('three zones leave one thing to be done outside the chart', async () => {
  expect(await warnings({}, {}, 'three-zones')).toEqual([
    expect.stringContaining('An HTTPRoute says nothing of repeating'),
  ]);
});

test('the stores for evaluation and the embedded ledger are named for what they are', async () => {
  expect(await notes({ example: 'evaluation' })).toContain('for evaluation, not for money.');
  expect(await notes({ example: 'pilot' })).toContain('  ! The embedded ledger has one replica');
});

test('the way to the first answer', async () => {
  const text = await notes({ example: 'standalone' });
  expect(text).toContain('Countersign 0.1.0 as cs-countersign in default: 3 replicas, ledger fence.');
  expect(text).toContain('https://callback.example/fireblocks   (they append /v2/tx_sign_request)');
  expect(text).toContain(
    'countersign policy activate --config config.yaml --workspace main --key OPERATOR.pem',
  );
  const activated = await notes({
    example: 'standalone',
    values: { activation: { operatorKey: { secretName: 'a' } } },
  });
  expect(activated).not.toContain('countersign policy activate');
});

describe('plain JSON', () => {
  const unauthenticated =
    'CALLERS ARE NOT AUTHENTICATED: co-signer plain speaks plain JSON (mode: json), so whoever calls from its networks, or shows a listed certificate, is answered as if they were it.';
  const ofController =
    'Co-signer plain has networks, and requests come from the Ingress or Gateway controller: name it in config.http.trustedProxies.';

  test('is shouted about, and its networks are not those of the controller', async () => {
    expect(await warnings(ofCosigner(PLAIN))).toEqual([unauthenticated, ofController]);
    expect(await warnings(ofCosigner(PLAIN, { trustedProxies: ['10.2.0.0/16'] }))).toEqual([unauthenticated]);
  });

  test('behind a Service that hides who calls', async () => {
    const service = { type: 'LoadBalancer', externalTrafficPolicy: '' };
    const exposed = { ...ofCosigner(PLAIN), ingress: { enabled: false }, service };
    const hidden =
      "Co-signer plain has networks, and nodes put their own address in place of the caller's: set service.externalTrafficPolicy: Local, or name a balancer that reports it in config.http.trustedProxies.";
    expect(await warnings(exposed)).toContain(hidden);
    const local = { ...exposed, service: { ...service, externalTrafficPolicy: 'Local' } };
    expect(await warnings(local)).not.toContain(hidden);
    const { one } = await render({ example: 'standalone', values: local });
    expect(one('Service', 'cs-countersign').spec.externalTrafficPolicy).toBe('Local');
  });

  test('with client certificates behind a controller that ends TLS', async () => {
    const tls = {
      certificateFile: 'secrets/tls/tls.crt',
      keyFile: 'secrets/tls/tls.key',
      clientCaFile: 'secrets/tls/ca.crt',
    };
    const { networks: _networks, ...certified } = { ...PLAIN, clientCertificates: ['ab'.repeat(32)] };
    expect(await warnings(ofCosigner(certified, { tls }))).toContain(
      'Co-signer plain lists client certificates, and replicas see those of the Ingress or Gateway controller, if any: with a controller that ends TLS it is refused.',
    );
  });

  test('what co-signers append, and what helm test asks, is without /v2', async () => {
    const text = await notes({ example: 'standalone', values: ofCosigner(PLAIN) });
    expect(text).toContain('https://callback.example/plain   (they append /tx_sign_request)');
    const { one } = await render({ example: 'standalone', values: ofCosigner(PLAIN) });
    const script = JSON.stringify(one('Pod', 'cs-countersign-test'));
    expect(script).toContain('/plain/tx_sign_request');
    expect(script).not.toContain('/v2/');
  });
});

test('a certificate from a Secret stands in a folder that Kubernetes renews in place', async () => {
  const tls = { certificateFile: 'secrets/callback-tls/tls.crt', keyFile: 'secrets/callback-tls/tls.key' };
  const { one } = await render({ example: 'standalone', values: { config: { http: { tls } } } });
  const { volumes, containers } = one('Deployment').spec.template.spec;
  const { projected } = volumes.find(({ name }: { readonly name: string }) => name === 'documents');
  expect(projected.sources).toContainEqual({
    secret: {
      name: 'callback-tls',
      items: ['tls.crt', 'tls.key'].map((key) => ({ key, path: `secrets/callback-tls/${key}` })),
    },
  });
  const mounts = containers[0].volumeMounts.filter(
    ({ name }: { readonly name: string }) => name === 'documents',
  );
  // A single file would stay what it was when the pod started.
  expect(mounts).toEqual([{ name: 'documents', mountPath: '/etc/countersign', readOnly: true }]);
});
