/**
 * The configuration document of a replica. One strict schema: a misspelled key is an error that names itself.
 * Secrets are always paths to files; relative paths are relative to the document.
 */
import { resolve } from 'node:path';
import { z } from 'zod';

const DURATION = /^(\d{1,9})(ms|s|m|h|d)$/;
const MS_PER_UNIT = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const SIZE = /^(\d{1,9})(B|KiB|MiB)$/;
const BYTES_PER_UNIT = { B: 1, KiB: 1_024, MiB: 1_048_576 } as const;

/** `8s`, `500ms`, `90d` → milliseconds. */
const duration = z
  .string()
  .regex(DURATION, 'must be a duration such as 500ms, 8s, 5m, 1h or 90d')
  .transform((text) => {
    const [, count, unit] = DURATION.exec(text) ?? [];
    return Number(count) * MS_PER_UNIT[unit as keyof typeof MS_PER_UNIT];
  });

/** `64KiB`, `4MiB` → bytes. */
const size = z
  .string()
  .regex(SIZE, 'must be a size such as 512B, 64KiB or 4MiB')
  .transform((text) => {
    const [, count, unit] = SIZE.exec(text) ?? [];
    return Number(count) * BYTES_PER_UNIT[unit as keyof typeof BYTES_PER_UNIT];
  });

const port = z.int().min(0).max(65_535);
const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,62}$/i, 'must be 1–63 letters, digits, dots, dashes or underscores');
const path = z
  .string()
  .regex(/^(\/[A-Za-z0-9._~-]+)+$/, 'must be a path such as /fireblocks, without a slash at its end');

const stage = z.enum(['signing', 'approval']);

/** Co-signers give up after 30 s; the answer still has to be signed and to travel. */
const MAX_DEADLINE_MS = 28 * MS_PER_UNIT.s;

/** The schema of a document that stands in `folder`. */
export function configSchema(folder: string) {
  const filePath = z
    .string()
    .min(1)
    .max(1_024)
    .transform((file) => resolve(folder, file));

  const answerKey = z.strictObject({ file: filePath, algorithm: z.enum(['RS256', 'ES256']) });

  const fireblocksCosigner = z.strictObject({
    name,
    protocol: z.literal('fireblocks', 'must be fireblocks: this version speaks no other protocol'),
    mode: z.literal('jwt', 'must be jwt: this version does not speak plain JSON').default('jwt'),
    path,
    publicKeys: z
      .array(z.strictObject({ file: filePath }))
      .min(1)
      .max(20),
    signers: z
      .array(
        z.strictObject({
          id: z.string().min(1).max(256),
          stages: z.array(stage).min(1).default(['signing']),
        }),
      )
      .min(1)
      .max(1_000)
      .optional(),
    answerKey,
    answerKeys: z
      .array(answerKey.extend({ signers: z.array(z.string().min(1).max(256)).min(1).max(1_000) }))
      .max(1_000)
      .default([]),
    retrySupported: z.boolean().default(true),
    deadline: duration.optional(),
  });

  const redis = z.strictObject({
    url: z.string().regex(/^rediss?:\/\//, 'must be redis://host:port or rediss://host:port'),
    username: z.string().min(1).optional(),
    passwordFile: filePath.optional(),
    tls: z.strictObject({ caFile: filePath }).optional(),
  });

  const ledger = z.discriminatedUnion(
    'kind',
    [
      z.strictObject({
        kind: z.literal('redis'),
        redis,
        embedded: z.strictObject({ file: filePath }).optional(),
        durability: z
          .strictObject({ mode: z.literal('fence', 'must be fence: this version has no witnesses') })
          .default({ mode: 'fence' }),
        retention: duration.default(90 * MS_PER_UNIT.d),
      }),
      z.strictObject({
        kind: z.literal('embedded'),
        embedded: z.strictObject({ file: filePath }),
        redis: redis.optional(),
        retention: duration.default(90 * MS_PER_UNIT.d),
      }),
    ],
    { error: 'must have a kind: redis or embedded' },
  );

  const workspace = z.strictObject({
    name,
    policyFile: filePath,
    assetsFile: filePath.optional(),
    cosigners: z.array(fireblocksCosigner).min(1).max(100),
  });

  return z.strictObject({
    http: z.strictObject({
      host: z.string().min(1).default('0.0.0.0'),
      port,
      bodyLimit: size.default(4 * BYTES_PER_UNIT.MiB),
      tls: z
        .strictObject({ certificateFile: filePath, keyFile: filePath, clientCaFile: filePath.optional() })
        .optional(),
    }),
    ops: z.strictObject({ host: z.string().min(1).default('0.0.0.0'), port }),
    deadline: duration
      .refine(
        (ms) => ms >= 100 && ms <= MAX_DEADLINE_MS,
        'must be between 100ms and 28s: co-signers give up at 30s',
      )
      .default(20 * MS_PER_UNIT.s),
    drain: duration.refine((ms) => ms <= 60 * MS_PER_UNIT.s, 'must be at most 60s').default(0),
    ledger,
    workspaces: z.array(workspace).min(1).max(50),
    operators: z
      .array(z.strictObject({ name, publicKeyFile: filePath }))
      .min(1)
      .max(50),
    logging: z
      .strictObject({ level: z.enum(['debug', 'info', 'warn', 'error']).default('info') })
      .default({ level: 'info' }),
  });
}

export type Config = z.output<ReturnType<typeof configSchema>>;
export type WorkspaceConfig = Config['workspaces'][number];
export type CosignerConfig = WorkspaceConfig['cosigners'][number];
