/** The machines that ask, one shape for each protocol they speak. */
import { z } from 'zod';
import { channelFields, ofMode, requireOfMode } from './channel-schema.js';
import {
  certificateDigests,
  duration,
  type FileSchema,
  instant,
  MAX_DEADLINE_MS,
  MS_PER_UNIT,
  name,
  networks,
  path,
} from './values.js';

const signerId = z.string().min(1).max(256);
const stage = z.enum(['signing', 'approval']);
const cosignerName = name.describe('No two co-signers of the document have one name.');
const deadline = duration.refine(
  (ms) => ms >= 100 && ms <= MAX_DEADLINE_MS,
  'must be between 100ms and 28s: co-signers give up at 30s',
);

const notBefore = instant.optional();
const notAfter = instant.optional();

export function cosignerSchema(file: FileSchema) {
  return z.discriminatedUnion('protocol', [fireblocksSchema(file), iofinnetSchema(file)], {
    error: 'must have a protocol: fireblocks or iofinnet',
  });
}

function fireblocksSchema(file: FileSchema) {
  const answerKey = z.strictObject({
    file: file.describe('The private key, PEM: RSA-2048 for RS256, P-256 for ES256.'),
    algorithm: z.enum(['RS256', 'ES256']).describe('Must be what the key is for.'),
  });
  const fields = z.strictObject({
    name: cosignerName,
    protocol: z.literal('fireblocks').describe('What it speaks.'),
    ...channelFields,
    path: path.describe(
      'Its callback URL ends with this; it appends the rest itself: `/v2/tx_sign_request`, or `/tx_sign_request` with ' +
        '`mode: json`. Several co-signers of mode `jwt` may share one path: the key that verifies tells them apart.',
    ),
    publicKeys: z
      .array(
        z.strictObject({
          file: file.describe('SPKI PEM, RSA of 2048 bit or more.'),
          notBefore: notBefore.describe('From when on it verifies requests; default: always.'),
          notAfter: notAfter.describe('From when on it verifies nothing any more; default: never.'),
        }),
      )
      .min(1)
      .max(20)
      .optional()
      .describe(
        'The keys that its requests are signed with; two while a key is being replaced. Their times may overlap. Mode ' +
          '`jwt` needs them.',
      ),
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
    answerKey: answerKey
      .optional()
      .describe(
        'The key its answers are signed with, unless `answerKeys` names another. Mode `jwt` needs it.',
      ),
    answerKeys: z
      .array(
        answerKey.extend({
          signers: z
            .array(signerId)
            .min(1)
            .max(1_000)
            .optional()
            .describe(
              'The API users this key is registered for; without the list it stands in for `answerKey`.',
            ),
          notBefore: notBefore.describe('From when on it signs; default: always.'),
          notAfter: notAfter.describe('From when on it signs nothing any more; default: never.'),
        }),
      )
      .max(1_000)
      .default([])
      .describe(
        'Keys registered for particular API users, or for a time. Of those whose time is now one that lists the signer ' +
          'signs, or else one without a list, or else `answerKey`; of several the one with the latest `notBefore`. ' +
          'No two for one signer have the same `notBefore`.',
      ),
    retrySupported: z
      .boolean()
      .default(true)
      .describe(
        'False for a co-signer that does not know `RETRY`: it is kept waiting up to 25s, then the connection is closed ' +
          'without an answer.',
      ),
    retries: retriesSchema()
      .optional()
      .describe('How long it goes on asking after `RETRY`, as the vendor’s support has set it for you.'),
    deadline: deadline.optional().describe('Instead of the general `deadline`.'),
    callbackUrl: z
      .url({ protocol: /^https?$/, error: 'must be http://… or https://…' })
      .max(1_024)
      .optional()
      .meta({ title: 'URL' })
      .describe(
        'The callback URL that the vendor should have of it, without `/v2/…`: what `countersign doctor` compares. ' +
          'Without it only that it ends with `path`.',
      ),
  });
  return fields.superRefine(requireOfMode).transform((given) => ofMode(given));
}

/** What the vendor's support can set: https://developers.fireblocks.com/reference/response-object */
function retriesSchema() {
  const { s, h } = MS_PER_UNIT;
  return z
    .strictObject({
      interval: duration
        .refine((ms) => ms >= 30 * s && ms <= h, 'must be between 30s and 1h')
        .prefault('3m')
        .describe('Between two asks; 30s to 1h.'),
      attempts: z.int().min(1).max(5_760).default(20).describe('How often in all, the first time included.'),
      total: duration
        .refine((ms) => ms >= 30 * s && ms <= 48 * h, 'must be between 30s and 48h')
        .prefault('60m')
        .describe('From the first ask to the last; at most 48h. It ends with this or with `attempts`.'),
    })
    .refine(({ interval, total }) => interval <= total, {
      path: ['interval'],
      message: 'must not be longer than total',
    });
}

/** 22 characters of base64url, or 32 hex digits with room to spare, are 128 bits. */
const SECRET_SEGMENT = /\/[A-Za-z0-9_-]{22,128}$/;
/** Twenty-two times the same letter is no secret, nor is a sentence in words. */
const FEWEST_DIFFERENT = 10;

const secretPath = path.refine((text) => {
  const segment = SECRET_SEGMENT.exec(text)?.[0] ?? '';
  return new Set(segment.slice(1)).size >= FEWEST_DIFFERENT;
}, 'must end with a segment that nobody can guess, of at least 22 characters: /iofinnet/ and what `openssl rand -hex 16` prints');

const id = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,64}$/, 'must be 1–64 letters, digits, dashes or underscores')
  .meta({ title: 'id' });

/** Lists have no place in it: of several entries one would be taken for the whole. */
const place = z
  .string()
  .regex(
    /^[A-Za-z_]\w{0,63}(\.[A-Za-z_]\w{0,63}){0,7}$/,
    'must be names with dots between, e.g. details.amount',
  )
  .meta({ title: 'place in the body' })
  .optional();

function iofinnetSchema(file: FileSchema) {
  return z.strictObject({
    name: cosignerName,
    protocol: z.literal('iofinnet').describe('What it speaks: one Virtual Signer.'),
    path: secretPath.describe(
      'Its approval URLs are this and `/transaction` or `/reshare`. The last segment is a secret of at least 22 ' +
        'characters, because requests are not signed. No two Virtual Signers share a path.',
    ),
    organisation: id.describe(
      'The id of the organisation it votes for; bodies that name another are refused.',
    ),
    answerKey: z
      .strictObject({
        file: file.describe('The private key, PEM, Ed25519. Every Virtual Signer should have its own.'),
        algorithm: z.literal('Ed25519').describe('The only one it knows.'),
      })
      .describe(
        'The key its votes are signed with; `countersign keys show` prints what the Virtual Signer wants.',
      ),
    networks: networks.describe(
      'Where its requests come from, as CIDR; from everywhere else they are refused.',
    ),
    clientCertificates: certificateDigests
      .optional()
      .describe('SHA-256 of the certificates it may connect with; needs `http.tls.clientCaFile`.'),
    requestKeys: z
      .array(z.strictObject({ file: file.describe('SPKI PEM, Ed25519.') }))
      .min(1)
      .max(20)
      .optional()
      .describe(
        'The keys that its requests are signed with, should the vendor publish such keys: then no request is accepted ' +
          'without a signature.',
      ),
    assets: z
      .record(id, z.string().min(1).max(100))
      .default({})
      .describe(
        'The vendor’s asset ids, and what policy, limits and registry call them. Others are not approved.',
      ),
    amounts: z
      .enum(['decimal', 'base-units'])
      .optional()
      .describe(
        'What amounts in bodies are in. The vendor’s texts contradict one another: without this amounts are unknown. ' +
          'Say it when you have seen a body of yours.',
      ),
    transferFields: z
      .strictObject({
        vault: place.describe('The id of the vault that pays.'),
        asset: place.describe('The vendor’s id of the asset.'),
        amount: place.describe('The amount, in what `amounts` says.'),
        usd: place.describe('What it is worth in US dollars.'),
        destination: place.describe('The address that is paid, or the contract that is called.'),
        contractData: place.describe('The call data, hex.'),
        rawTransaction: place.describe('The bytes to be signed, hex.'),
        expiresAt: place.describe('Until when it may be approved, RFC 3339.'),
      })
      .default({})
      .describe(
        'Where bodies of the type `OperationTransferOut_v3` hold what policy needs: the vendor has not published it.',
      ),
    contract: z
      .strictObject({
        revision: z
          .enum(['R1', 'R2'])
          .describe('The layout that this Virtual Signer encodes; R1 has no `SourceUrl` in its metadata.'),
        address: z
          .string()
          .regex(/^0x[0-9a-fA-F]{40}$/, 'must be 0x and 40 hex digits')
          .meta({ title: 'address' })
          .describe('What it is told to be `ApprovalSmartContractAddress`.'),
        chainId: z
          .string()
          .regex(/^[1-9]\d{0,17}$/, 'must be a whole number in quotes')
          .default('1')
          .describe('What it is told to be the id of the chain.'),
      })
      .optional()
      .describe(
        'Also serve the smart-contract mode, at `/rpc` below `path`. Its answers are not signed, so it is weaker: off ' +
          'unless this section is there.',
      ),
    deadline: deadline.prefault('2500ms').describe('How long one request may be worked on; 100ms to 28s.'),
  });
}
