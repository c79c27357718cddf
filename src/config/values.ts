/** The kinds of values a configuration document is made of, each with the sentence for a wrong one. */
import { isIP } from 'node:net';
import { resolve } from 'node:path';
import { z } from 'zod';

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;
export const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE = /^(\d{1,9})(B|KiB|MiB)$/;
const BYTES_PER_UNIT = { B: 1, KiB: 1_024, MiB: 1_048_576 } as const;

/** `8s`, `500ms`, `90d` → milliseconds. */
export const duration = z
  .string()
  .regex(DURATION, 'must be a duration such as 500ms, 8s, 5m, 1h or 90d')
  .transform((text) => {
    const [, count, unit] = DURATION.exec(text) ?? [];
    return Number(count) * MS_PER_UNIT[unit as keyof typeof MS_PER_UNIT];
  })
  .meta({ title: 'duration' });

/** RFC 3339 with an offset, `2026-12-01T09:00:00Z` or `…+01:00` → Unix milliseconds: nobody has to guess a time zone. */
export const instant = z.iso
  .datetime({
    offset: true,
    error: 'must be an instant such as 2026-12-01T09:00:00Z or 2026-12-01T10:00:00+01:00',
  })
  .transform((text) => Date.parse(text))
  .meta({ title: 'instant' });

/** `64KiB`, `4MiB` → bytes. */
export const size = z
  .string()
  .regex(SIZE, 'must be a size such as 512B, 64KiB or 4MiB')
  .transform((text) => {
    const [, count, unit] = SIZE.exec(text) ?? [];
    return Number(count) * BYTES_PER_UNIT[unit as keyof typeof BYTES_PER_UNIT];
  })
  .meta({ title: 'size' });

export const port = z.int().min(0).max(65_535).meta({ title: 'port' });
export const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i, 'must be 1–63 letters, digits, dots, dashes or underscores')
  .meta({ title: 'name' });
export const path = z
  .string()
  .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'must be a path such as /fireblocks, without a slash at its end')
  .meta({ title: 'URL path' });

/** Co-signers give up after 30 s; the answer still has to be signed and to travel. */
export const MAX_DEADLINE_MS = 28 * MS_PER_UNIT.s;

/** `10.1.0.0/16`, `fd00::/8`; an address alone is a network of one. */
export const cidr = z
  .string()
  .refine((text) => {
    const [address = '', bits, ...rest] = text.split('/');
    const family = isIP(address);
    if (family === 0 || rest.length > 0) return false;
    return (
      bits === undefined || (/^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= (family === 4 ? 32 : 128))
    );
  }, 'must be a network such as 10.1.0.0/16 or fd00::/8')
  .meta({ title: 'network' });

/** Where requests of one co-signer come from. */
export const networks = z.array(cidr).min(1).max(100);

/** Certificates by their SHA-256, as `openssl x509 -fingerprint -sha256` prints it without the colons. */
export const certificateDigests = z
  .array(
    z
      .string()
      .regex(/^[0-9a-f]{64}$/i, 'must be the 64 hex digits of a certificate’s SHA-256')
      .transform((digest) => digest.toLowerCase())
      .meta({ title: 'SHA-256' }),
  )
  .min(1)
  .max(20);

/** A text that becomes an absolute path. */
export type FileSchema = z.ZodPipe<z.ZodString, z.ZodTransform<string, string>>;

/** Files of a document that stands in `folder`. */
export function fileSchema(folder: string): FileSchema {
  return z
    .string()
    .min(1)
    .max(1_024)
    .transform((path) => resolve(folder, path))
    .meta({ title: 'file' });
}
