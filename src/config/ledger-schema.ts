/** The sections `ledger` and `locks` of a configuration document: where the shared memory lives, and what it is trusted to keep. */
import { z } from 'zod';
import { duration, type FileSchema } from './values.js';

const FEWEST_WITNESSES = 3;
const DEFAULT_PORT = 6379;
const HOST = String.raw`(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])`;

const redisUrl = z
  .string()
  .regex(
    new RegExp(String.raw`^rediss?://${HOST}(:\d{1,5})?$`),
    'must be redis://host:port or rediss://host:port; credentials stand in username and passwordFile',
  )
  .meta({ title: 'Redis URL' });

const address = z
  .string()
  .regex(new RegExp(String.raw`^${HOST}:\d{1,5}$`), 'must be host:port')
  .meta({ title: 'address' });

/** How the ports of a Redis are got into. */
function accessSchema(file: FileSchema) {
  return {
    username: z.string().min(1).optional().describe('The ACL user.'),
    passwordFile: file
      .optional()
      .describe('Holds the password; whitespace around it is dropped. Read again for each connection.'),
    tls: tlsSchema(file).optional(),
  };
}

function tlsSchema(file: FileSchema) {
  return z
    .strictObject({
      caFile: file
        .optional()
        .describe('The authority of the server’s certificate, PEM. Default: the system’s authorities.'),
      certificateFile: file.optional().describe('Our own certificate, PEM, for a server that asks for one.'),
      keyFile: file.optional().describe('Its private key, PEM.'),
    })
    .refine(({ certificateFile, keyFile }) => (certificateFile === undefined) === (keyFile === undefined), {
      message: 'certificateFile and keyFile belong together',
    })
    .describe('Speak TLS. With a URL it must be `rediss://`, which alone trusts the system’s authorities.');
}

/** One standalone server. */
function nodeSchema(file: FileSchema) {
  return z
    .strictObject({ url: redisUrl.describe('Its address.'), ...accessSchema(file) })
    .superRefine(urlAgreesWithTls);
}

function urlAgreesWithTls(
  { url, tls }: { readonly url?: string | undefined; readonly tls?: object | undefined },
  context: z.RefinementCtx,
): void {
  if (tls !== undefined && url?.startsWith('redis:')) {
    context.addIssue({
      code: 'custom',
      path: ['url'],
      message: 'says redis:// and there is a tls section: write rediss://',
    });
  }
}

function redisSchema(file: FileSchema) {
  return z
    .strictObject({
      url: redisUrl
        .optional()
        .describe('One standalone server. Exactly one of `url`, `sentinel`, `cluster`.'),
      sentinel: sentinelSchema(file).optional().describe('A primary that Sentinels watch over.'),
      cluster: z
        .strictObject({
          nodes: z
            .array(address)
            .min(1)
            .max(20)
            .superRefine(distinct('node', (node) => node))
            .describe('Nodes that are asked where the ledger’s slot is; name several.'),
        })
        .optional()
        .describe('A Redis Cluster. A workspace’s ledger lives in one slot, on one primary.'),
      ...accessSchema(file),
    })
    .superRefine((redis, context) => {
      const given = (['url', 'sentinel', 'cluster'] as const).filter((key) => redis[key] !== undefined);
      if (given.length !== 1) {
        const found = given.length === 0 ? 'none' : given.join(' and ');
        context.addIssue({
          code: 'custom',
          message: `must have exactly one of url, sentinel and cluster, and has ${found}`,
        });
      }
      urlAgreesWithTls(redis, context);
    });
}

function sentinelSchema(file: FileSchema) {
  return z.strictObject({
    name: z
      .string()
      .regex(/^[A-Za-z0-9._-]{1,100}$/, 'must be the name that `sentinel monitor` gives the primary')
      .describe('What the Sentinels call the primary.'),
    nodes: z
      .array(address)
      .min(1)
      .max(20)
      .superRefine(distinct('Sentinel', (node) => node))
      .describe('The Sentinels; name all of them.'),
    username: z.string().min(1).optional().describe('The ACL user on the Sentinels.'),
    passwordFile: file.optional().describe('Holds the password of the Sentinels.'),
    tls: tlsSchema(file).optional().describe('Speak TLS to the Sentinels.'),
  });
}

function durabilitySchema(file: FileSchema) {
  return z.strictObject({
    mode: z
      .enum(['fence', 'witness'], 'must be fence or witness')
      .optional()
      .describe(
        '`fence`: after a fail-over, or a restart that may have lost something, an operator activates the ledger. ' +
          '`witness`: witnesses hold every event, and replicas recover by themselves. Default: `fence` with `url`, ' +
          '`witness` with `sentinel` or `cluster`.',
      ),
    witnesses: z
      .array(nodeSchema(file))
      .max(9)
      .default([])
      .describe(
        'An odd number of at least three standalone servers with `appendfsync always`, each on a disk of its own; ' +
          'only with `witness`.',
      ),
  });
}

type Redis = z.output<ReturnType<typeof redisSchema>>;
type Durability = z.output<ReturnType<typeof durabilitySchema>>;

const defaultMode = ({ url }: Redis): 'fence' | 'witness' => (url === undefined ? 'witness' : 'fence');

function checkDurability(
  { redis, durability }: { readonly redis: Redis; readonly durability: Durability },
  context: z.RefinementCtx,
): void {
  const { witnesses, mode = defaultMode(redis) } = durability;
  const mistake = (path: readonly PropertyKey[], message: string) =>
    context.addIssue({ code: 'custom', path: ['durability', ...path], message });
  if (mode === 'fence') {
    if (witnesses.length > 0) mistake(['witnesses'], 'are not used with mode fence: set mode: witness');
    return;
  }
  if (witnesses.length < FEWEST_WITNESSES || witnesses.length % 2 === 0) {
    const why = durability.mode === undefined ? ' (the default with sentinel and cluster)' : '';
    mistake(
      witnesses.length === 0 ? [] : ['witnesses'],
      `mode witness${why} needs an odd number of at least ${FEWEST_WITNESSES} witnesses, and has ${witnesses.length}`,
    );
  }
  const own = new Set([redis.url, ...(redis.cluster?.nodes ?? [])].map((each) => each && hostAndPort(each)));
  witnesses.forEach(({ url }, index) => {
    if (own.has(hostAndPort(url)))
      mistake(['witnesses', index, 'url'], 'is a server of the ledger itself: a witness must be another');
  });
  distinct<{ readonly url: string }>('witness', ({ url }) => url)(witnesses, {
    addIssue: ({ path, message }) => mistake(['witnesses', ...path], message),
  });
}

export function ledgerSchema(file: FileSchema) {
  const redis = redisSchema(file);
  const embedded = z.strictObject({ file: file.describe('The database file.') });
  const retention = duration
    .prefault('90d')
    .describe(
      'How long decisions are kept: a policy with a longer window is refused. What is older is forgotten, and lifetime limits keep their totals.',
    );
  return z.discriminatedUnion(
    'kind',
    [
      z
        .strictObject({
          kind: z.literal('redis').describe('Replicas on several machines share one Redis or Valkey.'),
          redis: redis.describe('How to reach it.'),
          embedded: embedded.optional().describe('Accepted and not used.'),
          durability: durabilitySchema(file).prefault({}).describe('What the store is trusted to keep.'),
          retention,
        })
        .superRefine(checkDurability)
        .transform(({ durability, ...ledger }) => ({
          ...ledger,
          durability: { ...durability, mode: durability.mode ?? defaultMode(ledger.redis) },
        })),
      z.strictObject({
        kind: z.literal('embedded').describe('All replicas run on one machine and share a database file.'),
        embedded: embedded.describe('Where the file is.'),
        redis: redis.optional().describe('Accepted and not used.'),
        retention,
      }),
    ],
    { error: 'must have a kind: redis or embedded' },
  );
}

export function locksSchema(file: FileSchema) {
  return z.strictObject({
    nodes: z
      .array(nodeSchema(file))
      .min(1)
      .max(9)
      .superRefine((nodes, context) => {
        if (nodes.length % 2 === 0) {
          context.addIssue({
            code: 'custom',
            message: `must be an odd number of independent servers, and are ${nodes.length}`,
          });
        }
        distinct<{ readonly url: string }>('node', ({ url }) => url)(nodes, context);
      })
      .describe('An odd number of independent servers, none a replica of another.'),
  });
}

interface Issues {
  addIssue(issue: { readonly code: 'custom'; readonly path: PropertyKey[]; readonly message: string }): void;
}

/** Refuses the second of two elements that are one server. */
function distinct<T>(kind: string, urlOf: (element: T) => string) {
  return (elements: readonly T[], context: Issues): void => {
    const seen = new Set<string>();
    elements.forEach((element, index) => {
      const server = hostAndPort(urlOf(element));
      if (seen.has(server)) {
        context.addIssue({ code: 'custom', path: [index], message: `the ${kind} ${server} is listed twice` });
      }
      seen.add(server);
    });
  };
}

/** `redis://Host` and `host:6379` are one server. */
function hostAndPort(url: string): string {
  const server = url.replace(/^rediss?:\/\//, '').toLowerCase();
  return /:\d+$/.test(server) && !server.endsWith(']') ? server : `${server}:${DEFAULT_PORT}`;
}
