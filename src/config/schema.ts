/**
 * The configuration document of a replica. One strict schema: a misspelled key is an error that names itself.
 * Secrets are always paths to files; relative paths are relative to the document.
 *
 * docs/configuration.md is generated from it: a title names a kind of value, a description says what a field means.
 */
import { z } from 'zod';
import { ledgerSchema, locksSchema } from './ledger-schema.js';
import { duration, type FileSchema, fileSchema, MS_PER_UNIT, name, path, port, size } from './values.js';

const signerId = z.string().min(1).max(256);
const host = z.string().min(1).default('0.0.0.0').describe('The address to listen on.');

const stage = z.enum(['signing', 'approval']);

/** Co-signers give up after 30 s; the answer still has to be signed and to travel. */
const MAX_DEADLINE_MS = 28 * MS_PER_UNIT.s;

/** The schema of a document that stands in `folder`. */
export function configSchema(folder: string) {
  const file = fileSchema(folder);
  return z.strictObject({
    http: httpSchema(file).describe('The port that co-signers talk to.'),
    ops: z
      .strictObject({ host, port: port.describe('Must differ from `http.port`.') })
      .describe('The port that the platform talks to: `/livez`, `/readyz`, `/metrics`. Never expose it.'),
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
      })
      .optional()
      .describe('The export of the journal as evidence; without it nothing is exported.'),
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
    tls: z
      .strictObject({
        certificateFile: file.describe('The certificate and its chain, PEM.'),
        keyFile: file.describe('Its private key, PEM.'),
        clientCaFile: file
          .optional()
          .describe('Only clients with a certificate of this authority may connect.'),
      })
      .optional()
      .describe('Without it the port speaks plain HTTP: then a balancer in front ends TLS.'),
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

function cosignerSchema(file: FileSchema) {
  const answerKey = z.strictObject({
    file: file.describe('The private key, PEM: RSA-2048 for RS256, P-256 for ES256.'),
    algorithm: z.enum(['RS256', 'ES256']).describe('Must be what the key is for.'),
  });
  return z.strictObject({
    name: name.describe('No two co-signers of the document have one name.'),
    protocol: z
      .literal('fireblocks', 'must be fireblocks: this version speaks no other protocol')
      .describe('What it speaks.'),
    mode: z
      .literal('jwt', 'must be jwt: this version does not speak plain JSON')
      .default('jwt')
      .describe('Messages are signed both ways.'),
    path: path.describe(
      'Its callback URL ends with this; it appends `/v2/tx_sign_request` itself. Several co-signers may share one ' +
        'path: the key that verifies tells them apart.',
    ),
    publicKeys: z
      .array(z.strictObject({ file: file.describe('SPKI PEM, RSA of 2048 bit or more.') }))
      .min(1)
      .max(20)
      .describe('The keys that its requests are signed with; two while a key is being replaced.'),
    signers: z
      .array(
        z.strictObject({
          id: signerId.describe('The API user’s id.'),
          stages: z.array(stage).min(1).default(['signing']).describe('What it may be asked for.'),
        }),
      )
      .min(1)
      .max(1_000)
      .optional()
      .describe(
        'Which API users ask through it. Without the list anybody may ask for signatures, and nobody for approvals ' +
          'or configuration changes.',
      ),
    answerKey: answerKey.describe('The key its answers are signed with, unless `answerKeys` names another.'),
    answerKeys: z
      .array(
        answerKey.extend({
          signers: z.array(signerId).min(1).max(1_000).describe('The API users this key is registered for.'),
        }),
      )
      .max(1_000)
      .default([])
      .describe('Keys registered for particular API users. A signer stands in one of them at most.'),
    retrySupported: z
      .boolean()
      .default(true)
      .describe(
        'False for a co-signer that does not know `RETRY`: it is kept waiting up to 25s, then the connection is closed ' +
          'without an answer.',
      ),
    deadline: duration.optional().describe('Instead of the general `deadline`.'),
  });
}

export type Config = z.output<ReturnType<typeof configSchema>>;
export type WorkspaceConfig = Config['workspaces'][number];
export type RedisConfig = Extract<Config['ledger'], { kind: 'redis' }>['redis'];
export type CosignerConfig = WorkspaceConfig['cosigners'][number];
