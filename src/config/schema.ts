/**
 * The configuration document of a replica. One strict schema: a misspelled key is an error that names itself.
 * Secrets are always paths to files; relative paths are relative to the document.
 *
 * docs/configuration.md is generated from it: a title names a kind of value, a description says what a field means.
 */
import { z } from 'zod';
import { apiSchema } from './api-schema.js';
import { cosignerSchema } from './cosigner-schema.js';
import { ledgerSchema, locksSchema } from './ledger-schema.js';
import {
  cidr,
  duration,
  type FileSchema,
  fileSchema,
  MAX_DEADLINE_MS,
  MS_PER_UNIT,
  name,
  port,
  size,
} from './values.js';
import { otherSigners, webhookServerSchema, workspaceWebhooksSchema } from './webhook-schema.js';

const host = z.string().min(1).default('0.0.0.0').describe('The address to listen on.');

/** The schema of a document that stands in `folder`. */
export function configSchema(folder: string) {
  const file = fileSchema(folder);
  return z.strictObject({
    http: httpSchema(file).describe('The port that co-signers talk to.'),
    ops: z
      .strictObject({ host, port: port.describe('Must differ from `http.port`.') })
      .describe('The port that the platform talks to: `/livez`, `/readyz`, `/metrics`. Never expose it.'),
    webhooks: webhookServerSchema(file)
      .optional()
      .describe(
        'The port that vendors send their notifications to, of what became of transactions; absent: none are received.',
      ),
    deadline: duration
      .refine(
        (ms) => ms >= 100 && ms <= MAX_DEADLINE_MS,
        'must be between 100ms and 28s: co-signers give up at 30s',
      )
      .prefault('20s')
      .describe('How long one request may be worked on before it is answered "ask again"; 100ms to 28s.'),
    drain: duration
      .refine((ms) => ms <= 60 * MS_PER_UNIT.s, 'must be at most 60s')
      .prefault('0s')
      .describe(
        'How long a replica told to stop still takes requests while `/readyz` already says no; at most 60s. ' +
          'Longer than the balancer takes to notice.',
      ),
    ledger: ledgerSchema(file).describe('The shared memory of all replicas.'),
    locks: locksSchema(file)
      .optional()
      .describe(
        'Where replicas agree which of them does what needs doing once. No decision depends on it. Default: the ' +
          'witnesses, or else the one standalone server.',
      ),
    workspaces: z
      .array(workspaceSchema(file))
      .min(1)
      .max(50)
      .describe('Custody organisations: each has its co-signers, its policy and its part of the ledger.'),
    operators: z
      .array(
        z.strictObject({
          name: name.describe('No two operators have one name.'),
          publicKeyFile: file.describe('The public half of the operator’s key, PEM.'),
        }),
      )
      .min(1)
      .max(50)
      .describe('Whose signed word makes a policy the active one.'),
    audit: z
      .strictObject({
        directory: file
          .optional()
          .describe(
            'Where files of lines go, on a disk that outlives the replica; made when there is none. Without it ' +
              '`countersign audit follow` exports.',
          ),
        checkpointKey: z
          .strictObject({ file: file.describe('The private key, PEM: Ed25519.') })
          .describe(
            'What signs how far the export has come. Keep its public half where replicas cannot write.',
          ),
        originals: z
          .strictObject({
            directory: file.describe(
              'Where files of sealed lines go, on a disk that outlives the replica; made when there is none. All ' +
                'replicas may share it.',
            ),
            recipientKeyFile: file.describe(
              'For whom they are sealed: a public key, PEM, RSA of at least 3072 bit. Keep its private half offline.',
            ),
          })
          .optional()
          .describe(
            'Keeps the messages of co-signers and our answers word for word, sealed. No answer waits for it: what ' +
              'cannot be written is dropped and counted.',
          ),
      })
      .optional()
      .describe('The export of the journal as evidence; without it nothing is exported.'),
    tracing: z
      .strictObject({
        endpoint: z
          .string()
          .regex(
            /^https?:\/\/[^@\s?#]+$/,
            'must be http://host:port or https://host:port, without credentials',
          )
          .meta({ title: 'URL' })
          .describe('An OTLP/HTTP collector; `/v1/traces` is added.'),
      })
      .optional()
      .describe(
        'Sends a trace of each request, with the time of each step. Without it the SDK of OpenTelemetry is not loaded.',
      ),
    logging: z
      .strictObject({
        level: z
          .enum(['debug', 'info', 'warn', 'error'])
          .default('info')
          .describe('Decisions are logged at `info`: above it they are only in the ledger.'),
      })
      .prefault({})
      .describe('JSON lines on standard output.'),
  });
}

function httpSchema(file: FileSchema) {
  return z.strictObject({
    host,
    port: port.describe('0 takes any free port.'),
    bodyLimit: size.prefault('4MiB').describe('Larger bodies are answered 413.'),
    trustedProxies: z
      .array(cidr)
      .max(100)
      .default([])
      .describe(
        'Balancers in front, as CIDR: from these a forwarded address counts (`X-Forwarded-For`, the right-most that is ' +
          'not one of them).',
      ),
    tls: z
      .strictObject({
        certificateFile: file.describe('The certificate and its chain, PEM.'),
        keyFile: file.describe('Its private key, PEM.'),
        clientCaFile: file
          .optional()
          .describe('The authority that clients’ certificates are of, PEM. Without it none is asked for.'),
        clientCertificates: z
          .enum(['required', 'optional'])
          .optional()
          .describe(
            'With `clientCaFile`; default `required`: only clients with such a certificate may connect. `optional`: ' +
              'others may too, and co-signers that list `clientCertificates` still demand theirs.',
          ),
        minVersion: z
          .enum(['TLSv1.2', 'TLSv1.3'])
          .default('TLSv1.2')
          .describe('Clients that speak older versions only are refused.'),
        keepKey: z
          .boolean()
          .default(true)
          .describe(
            'A renewed certificate is taken only if its key is the one in use: co-signers that pin the key would refuse ' +
              'another, and every transaction would fail. False where none does (the vendor’s options 1, 3, 5).',
          ),
      })
      .optional()
      .describe(
        'The files are looked at again while the replica runs, and new connections get the new certificate. Without ' +
          'this section the port speaks plain HTTP: then a balancer in front ends TLS.',
      ),
  });
}

function workspaceSchema(file: FileSchema) {
  return z.strictObject({
    name: name.describe('No two workspaces have one name. It is part of every key in the ledger.'),
    policyFile: file.describe(
      'What `countersign policy activate` activates; replicas read the policy from the ledger, not from here.',
    ),
    assetsFile: file
      .optional()
      .describe('Assets beyond the built-in table, as `countersign assets import` wrote them.'),
    assetsSha256: z
      .string()
      .regex(/^[0-9a-f]{64}$/, 'must be 64 hex digits, as `countersign assets import` printed them')
      .optional()
      .describe('Pins `assetsFile`: a file with another hash is refused at start-up.'),
    prevouts: prevoutsSchema(file)
      .optional()
      .describe('Who vouches for what Bitcoin inputs are worth; legacy inputs cannot be approved without.'),
    cosigners: z.array(cosignerSchema(file)).min(1).max(100).describe('The machines that ask.'),
    api: apiSchema(file)
      .optional()
      .describe('Fireblocks’ REST API, which is read and never written to. Without it it is never called.'),
    unfinishedAfter: duration
      .prefault('1d')
      .describe(
        'When a transaction that was approved for signing and has not ended raises an alert; only where webhooks or ' +
          '`api.sweep` tell how transactions end.',
      ),
    webhooks: workspaceWebhooksSchema(file)
      .optional()
      .describe('Notifications of Fireblocks about its transactions; needs the section `webhooks`.'),
    otherSigners,
  });
}

/** CAIP-2: the first 32 hex digits of the genesis block. */
const BITCOIN_MAINNET = 'bip122:000000000019d6689c085ae165831e93';

function prevoutsSchema(file: FileSchema) {
  const bitcoinCore = z.strictObject({
    url: z
      .string()
      .regex(/^https?:\/\/[^@\s]+$/, 'must be http://host:port/ or https://host:port/, without credentials')
      .meta({ title: 'URL' })
      .describe('The RPC endpoint of a node of your own.'),
    credentialsFile: file
      .optional()
      .describe('Holds `user:password`; Bitcoin Core’s `.cookie` is one. Read for each call.'),
    chain: z
      .string()
      .regex(/^bip122:[0-9a-f]{32}$/)
      .default(BITCOIN_MAINNET)
      .describe('CAIP-2 id of the chain it follows.'),
    timeout: duration.prefault('3s').describe('A node that takes longer leaves the request undecided.'),
  });
  return z.union(
    [
      z.strictObject({
        file: file.describe(
          '`{"txid:vout": {"value": "<satoshi>", "script": "<hex>"}}`, read for each request.',
        ),
      }),
      z.strictObject({ bitcoinCore: bitcoinCore.describe('Asked with `gettxout`.') }),
    ],
    { error: 'must have a file, or bitcoinCore' },
  );
}

export type Config = z.output<ReturnType<typeof configSchema>>;
export type WorkspaceConfig = Config['workspaces'][number];
export type ApiConfig = NonNullable<WorkspaceConfig['api']>;
export type RedisConfig = Extract<Config['ledger'], { kind: 'redis' }>['redis'];
export type CosignerConfig = WorkspaceConfig['cosigners'][number];
export type FireblocksConfig = Extract<CosignerConfig, { protocol: 'fireblocks' }>;
/** The vendor's options 1, 4 and 5. */
export type SignedFireblocksConfig = Extract<FireblocksConfig, { mode: 'jwt' }>;
/** The vendor's options 2 and 3. */
export type UnsignedFireblocksConfig = Extract<FireblocksConfig, { mode: 'json' }>;
export type IofinnetConfig = Extract<CosignerConfig, { protocol: 'iofinnet' }>;
