/** Fireblocks' REST API: where it is, who asks, and what is asked. */
import { z } from 'zod';
import { duration, type FileSchema, MS_PER_UNIT } from './values.js';

const LOOPBACK = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/;

/** `https://api.fireblocks.io/v1` → `https://api.fireblocks.io`. */
const url = z
  .string()
  .max(256)
  .refine((text) => {
    if (!URL.canParse(text)) return false;
    const { protocol, hostname, pathname, search, hash, username, password } = new URL(text);
    if (`${search}${hash}${username}${password}` !== '' || !/^\/(v1\/?)?$/.test(pathname)) return false;
    return protocol === 'https:' || (protocol === 'http:' && LOOPBACK.test(hostname));
  }, 'must be https://host, as https://api.fireblocks.io: no path but /v1, no credentials; http only on this machine')
  .transform((text) => new URL(text).origin)
  .meta({ title: 'URL' });

const between = (least: number, most: number, sentence: string) =>
  duration.refine((ms) => ms >= least && ms <= most, sentence);

const period = between(1_000, MS_PER_UNIT.d, 'must be between 1s and 1d');

export function apiSchema(file: FileSchema) {
  return z.strictObject({
    url: url.describe(
      '`https://api.fireblocks.io`; of other regions and the sandbox their own. `/v1` may stand at its end.',
    ),
    apiKeyFile: file.describe('Holds the id of the API user who asks; a Viewer is enough for `sweep`.'),
    privateKeyFile: file.describe('The private key of that API user, PEM, RSA. Read when a replica starts.'),
    caFile: file
      .optional()
      .describe('An authority besides those that Node trusts, PEM: of a proxy that ends TLS.'),
    timeout: between(100, MS_PER_UNIT.m, 'must be between 100ms and 1m')
      .prefault('10s')
      .describe('How long one call may take; 100ms to 1m.'),
    requestsPerMinute: z
      .int()
      .min(1)
      .max(1_000)
      .default(60)
      .describe('How often it is called at most, by the one replica that does.'),
    sweep: z
      .strictObject({
        after: between(1_000, 30 * MS_PER_UNIT.d, 'must be between 1s and 30d')
          .prefault('1h')
          .describe(
            'A transaction that was approved for signing so long ago, and has not ended, is asked about.',
          ),
        every: period.prefault('5m').describe('How often overdue ones are looked for; 1s to 1d.'),
      })
      .optional()
      .describe(
        'Asks what became of approved transactions of which no webhook has told the end. Off without it.',
      ),
    doctor: z
      .strictObject({
        apiKeyFile: file
          .optional()
          .describe('An API user of its own: co-signers are shown to administrators only.'),
        privateKeyFile: file.optional().describe('Its private key, PEM, RSA.'),
        every: period
          .optional()
          .describe(
            'Replicas check by themselves so often, and raise an alert. Without it only the command does.',
          ),
      })
      .refine(
        ({ apiKeyFile, privateKeyFile }) => (apiKeyFile === undefined) === (privateKeyFile === undefined),
        'needs both of apiKeyFile and privateKeyFile, or neither',
      )
      .optional()
      .describe(
        'Whether every API user still has this handler, with this key: `countersign doctor`. Mind what its API user may do.',
      ),
  });
}
