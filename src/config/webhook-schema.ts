/** Notifications of vendors: the port they come to, and per workspace the path, whose they are and which keys sign them. */
import { z } from 'zod';
import type { Problem } from '../core/document.js';
import { type FileSchema, path, port, size } from './values.js';

export function webhookServerSchema(file: FileSchema) {
  return z.strictObject({
    host: z.string().min(1).default('0.0.0.0').describe('The address to listen on.'),
    port: port.describe('0 takes any free port. Must differ from the others.'),
    bodyLimit: size.prefault('1MiB').describe('Larger bodies are answered 413.'),
    tls: z
      .strictObject({
        certificateFile: file.describe(
          'The certificate and its chain, PEM. The vendor wants a public authority’s.',
        ),
        keyFile: file.describe('Its private key, PEM.'),
      })
      .optional()
      .describe('Without it the port speaks plain HTTP: then a balancer in front ends TLS.'),
  });
}

const LOOPBACK = /^http:\/\/(127\.0\.0\.1|localhost|\[::1\])(:\d{1,5})?\//;

const jwksUrl = z
  .string()
  .max(2_048)
  .refine(
    (text) => /^https:\/\/[^@\s?#]+$/.test(text) || LOOPBACK.test(text),
    'must be https://host/path, without credentials: what answers there says whose word is believed',
  )
  .meta({ title: 'URL' });

const pins = z
  .array(
    z
      .string()
      .regex(/^[A-Za-z0-9_-]{43}$/, 'must be a thumbprint (RFC 7638, SHA-256): 43 characters of base64url')
      .meta({ title: 'thumbprint' }),
  )
  .min(1)
  .max(20)
  .optional();

const ids = z.array(z.string().min(1).max(256));

export function workspaceWebhooksSchema(file: FileSchema) {
  return z.strictObject({
    path: path.describe('Where its notifications arrive. No two workspaces share one.'),
    workspaceIds: ids
      .min(1)
      .max(20)
      .describe(
        'The vendor’s ids of the workspaces it takes notifications of. The vendor signs for all its customers with the ' +
          'same keys: this says which of them is meant.',
      ),
    jwks: z
      .union(
        [
          z.strictObject({
            url: jwksUrl.describe(
              'Where the vendor publishes its keys. Fetched in the background, kept while the server is away.',
            ),
            pins: pins.describe(
              'Thumbprints of the keys that are accepted, whatever else is published. When the vendor rotates its keys ' +
                'nothing verifies until this is changed.',
            ),
          }),
          z.strictObject({
            file: file.describe(
              'A key set (RFC 7517) for networks without a way out. Taken again when it changes.',
            ),
          }),
        ],
        { error: 'must have a url, or a file' },
      )
      .describe('The keys that sign notifications.'),
    legacyKeyFile: file
      .optional()
      .describe(
        'SPKI PEM. Accept the vendor’s former kind of signature (`Fireblocks-Signature`) where the new one is missing.',
      ),
  });
}

export const otherSigners = ids
  .max(1_000)
  .default([])
  .describe(
    'Ids of the users and API users who may sign without asking here. What only they signed is counted, and is no alarm. ' +
      'Everything else that is signed without an approval of ours is.',
  );

interface WithWebhooks {
  readonly http: { readonly port: number };
  readonly ops: { readonly port: number };
  readonly webhooks?: { readonly port: number } | undefined;
  readonly workspaces: readonly {
    readonly webhooks?: { readonly path: string } | undefined;
    readonly otherSigners: readonly string[];
    readonly cosigners: readonly object[];
  }[];
}

/** What the schema cannot say. */
export function webhookContradictions({ http, ops, webhooks, workspaces }: WithWebhooks): Problem[] {
  const problems: Problem[] = [];
  const paths = new Set<string>();
  workspaces.forEach(({ webhooks: own, otherSigners: others, cosigners }, index) => {
    const at = ['workspaces', index];
    const asking = cosigners.flatMap(signersOf);
    if (others.some((id) => asking.includes(id)))
      problems.push({
        path: [...at, 'otherSigners'],
        message: 'names a signer of a co-signer: that one asks here',
      });
    if (own === undefined) return;
    if (webhooks === undefined)
      problems.push({ path: [...at, 'webhooks'], message: 'needs the section webhooks with a port' });
    if (paths.has(own.path))
      problems.push({ path: [...at, 'webhooks', 'path'], message: 'is the path of another workspace' });
    paths.add(own.path);
  });
  if (webhooks === undefined) return problems;
  if (paths.size === 0)
    problems.push({ path: ['webhooks'], message: 'is used by no workspace: none has webhooks' });
  if (webhooks.port !== 0 && [http.port, ops.port].includes(webhooks.port))
    problems.push({ path: ['webhooks', 'port'], message: 'must differ from http.port and ops.port' });
  return problems;
}

function signersOf(cosigner: {
  readonly signers?: readonly { readonly id: string }[] | undefined;
}): string[] {
  return (cosigner.signers ?? []).map(({ id }) => id);
}
