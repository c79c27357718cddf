/**
 * How a Fireblocks co-signer and its handler know each other: the vendor's five options come to two modes here. In `jwt`
 * (options 1, 4 and 5) both sign; in `json` (options 2 and 3) nobody does, and the TLS certificate vouches for us alone.
 */
import { z } from 'zod';
import { certificateDigests, networks } from './values.js';

export const channelFields = {
  mode: z
    .enum(['jwt', 'json'], 'must be jwt or json')
    .default('jwt')
    .describe(
      '`jwt`: messages are signed both ways (the vendor’s options 1, 4, 5). `json`: nothing is signed and anybody who ' +
        'gets through may ask (options 2, 3); needs `allowUnauthenticatedJson`, and `networks` or `clientCertificates`.',
    ),
  allowUnauthenticatedJson: z
    .literal(true, 'must be true, or absent')
    .optional()
    .describe(
      'Says that you know what `mode: json` means: its callers are not authenticated by any message.',
    ),
  networks: networks
    .optional()
    .describe('Where its requests come from, as CIDR; from everywhere else they are refused.'),
  clientCertificates: certificateDigests
    .optional()
    .describe(
      'SHA-256 of the certificates it may connect with; needs `http.tls.clientCaFile`. Co-signers have none: a proxy ' +
        'beside them shows it.',
    ),
};

interface KeyedFields {
  readonly publicKeys?: unknown;
  readonly answerKey?: unknown;
  readonly answerKeys: readonly unknown[];
}

type ChannelFields = z.output<z.ZodObject<typeof channelFields>> & KeyedFields;

/** Its messages are signed. */
type Signed<Fields extends ChannelFields> = Omit<Fields, 'mode' | 'publicKeys' | 'answerKey'> & {
  readonly mode: 'jwt';
  readonly publicKeys: NonNullable<Fields['publicKeys']>;
  readonly answerKey: NonNullable<Fields['answerKey']>;
};

/** Nobody signs. */
type Unsigned<Fields extends ChannelFields> = Omit<
  Fields,
  'mode' | 'publicKeys' | 'answerKey' | 'answerKeys'
> & {
  readonly mode: 'json';
};

/** Everywhere is no network. */
const EVERYWHERE = /\/0$/;

/** What each of the modes needs, and what would only seem to mean something in it. */
export function requireOfMode(fields: ChannelFields, context: z.RefinementCtx): void {
  const problem = (path: string, message: string): void =>
    context.addIssue({ code: 'custom', path: [path], message });
  if (fields.mode === 'jwt') {
    if (fields.publicKeys === undefined) problem('publicKeys', 'is missing');
    if (fields.answerKey === undefined) problem('answerKey', 'is missing');
    if (fields.allowUnauthenticatedJson !== undefined)
      problem('allowUnauthenticatedJson', 'belongs to mode: json');
    return;
  }
  if (fields.allowUnauthenticatedJson === undefined)
    problem(
      'mode',
      'json needs allowUnauthenticatedJson: true, because no message proves who asks; choose jwt where the co-signer can (the vendor’s options 1, 4, 5)',
    );
  if (fields.networks === undefined && fields.clientCertificates === undefined)
    problem(
      'mode',
      'json needs networks or clientCertificates: nothing else tells a co-signer from a stranger',
    );
  if (fields.clientCertificates === undefined && fields.networks?.some((network) => EVERYWHERE.test(network)))
    problem('networks', 'holds every address: with mode: json anybody could ask');
  for (const [name, value] of Object.entries({
    publicKeys: fields.publicKeys,
    answerKey: fields.answerKey,
    answerKeys: fields.answerKeys[0],
  }))
    if (value !== undefined) problem(name, 'belongs to mode: jwt; in plain JSON nothing is signed');
}

/** One type for each mode, of fields that {@link requireOfMode} has nothing against. */
export function ofMode<Fields extends ChannelFields>(fields: Fields): Signed<Fields> | Unsigned<Fields> {
  const { mode, publicKeys, answerKey, answerKeys, ...others } = fields;
  // The compiler does not see that these are the members of the one or the other.
  return (mode === 'jwt' ? { ...others, mode, publicKeys, answerKey, answerKeys } : { ...others, mode }) as
    | Signed<Fields>
    | Unsigned<Fields>;
}
