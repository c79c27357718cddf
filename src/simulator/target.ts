/** Whom the simulator plays and whom it asks: from the file that `countersign up` leaves, or named by hand. */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { z } from 'zod';
import { CountersignError, messageOf } from '../core/errors.js';
import { PIN, pinIn, type Trust } from './trust.js';

export type Stage = 'approval' | 'signing';

export interface Cosigner {
  readonly name: string;
  /** The callback URL as it would be configured at the vendor: without the `/v2/…` suffix. */
  readonly url: string;
  /** What it signs with; absent: it speaks plain JSON, and nothing proves who it is. */
  readonly key?: KeyObject;
  /** Signer ids by the stage they serve. */
  readonly signers: Readonly<Record<Stage, readonly string[]>>;
}

/** An io.finnet Virtual Signer, which has nothing to prove itself with but where it calls from. */
export interface VirtualSigner {
  readonly name: string;
  /** Its approval URLs without the last segment. */
  readonly url: string;
  /** Its votes must verify with this. */
  readonly answerKey: KeyObject;
  readonly organisation: string;
  /** What it calls ether. */
  readonly ether: string;
  readonly amounts: 'decimal' | 'base-units';
  /** Absent: its server does not speak the contract mode. */
  readonly contract?: { readonly revision: 'R1' | 'R2'; readonly address: string };
}

export interface Target {
  readonly cosigners: readonly Cosigner[];
  readonly virtualSigners?: readonly VirtualSigner[];
  /** Origins of the single replicas; empty when only the shared address is known. */
  readonly replicaOrigins: readonly string[];
  /** A signed answer must verify with one of these. */
  readonly answerKeys: readonly KeyObject[];
  /** How servers that speak TLS are known; absent: as any program does. */
  readonly trust?: Trust;
}

/** Only what the simulator needs of `up.json`; the rest is other tools' business. */
const upSchema = z.object({
  cosigners: z.array(
    z.object({
      name: z.string(),
      protocol: z.string(),
      mode: z.enum(['jwt', 'json']).default('jwt'),
      url: z.url(),
      /** Null where somebody's own configuration names public keys only. */
      privateKeyFile: z.string().nullable(),
      signerIds: z.array(z.string()).default([]),
      signers: z
        .array(z.object({ id: z.string(), stages: z.array(z.enum(['approval', 'signing'])) }))
        .optional(),
      voting: z
        .object({
          answerPublicKeyFile: z.string().nullable(),
          organisation: z.string(),
          assets: z.record(z.string(), z.string()),
          amounts: z.enum(['decimal', 'base-units']).nullable(),
          contract: z.object({ revision: z.enum(['R1', 'R2']), address: z.string() }).nullable(),
        })
        .optional(),
    }),
  ),
  answerPublicKeyFile: z.string().nullable(),
  certificateFile: z.string().optional(),
  replicaUrls: z.array(z.url()).default([]),
});

/** Reads `DIR/up.json`. FILE_UNREADABLE, CONFIG_INVALID or KEY_INVALID name the file and what is wrong with it. */
export function targetOfDirectory(directory: string): Target {
  const file = join(directory, 'up.json');
  const up = parseUp(readText(file, 'start a cluster first: countersign up'), file);
  const cosigners = up.cosigners
    .filter(({ protocol }) => protocol === 'fireblocks')
    .flatMap((entry): Cosigner[] => {
      const isSigning = entry.mode === 'jwt';
      if (isSigning && (entry.privateKeyFile === null || up.answerPublicKeyFile === null)) return [];
      const signers = entry.signers ?? entry.signerIds.map((id) => ({ id, stages: ['signing' as Stage] }));
      const serving = (stage: Stage) =>
        signers.filter(({ stages }) => stages.includes(stage)).map(({ id }) => id);
      const stages = { approval: serving('approval'), signing: serving('signing') };
      const cosigner = { name: entry.name, url: entry.url, signers: stages };
      if (!isSigning || entry.privateKeyFile === null) return [cosigner];
      return [{ ...cosigner, key: privateKeyOf(beside(directory, entry.privateKeyFile)) }];
    });
  const virtualSigners = up.cosigners.flatMap((entry) => virtualSignerOf(entry, directory));
  if (cosigners.length === 0 && virtualSigners.length === 0) {
    throw new CountersignError(
      'CONFIG_INVALID',
      `${file} names no co-signer that speaks the fireblocks protocol with its private key, or no key that answers verify with; name them with --url, --key, --signer and --answer-key`,
    );
  }
  return {
    cosigners,
    virtualSigners,
    replicaOrigins: up.replicaUrls.map((url) => new URL(url).origin),
    answerKeys:
      up.answerPublicKeyFile === null ? [] : [publicKeyOf(beside(directory, up.answerPublicKeyFile))],
    ...(up.certificateFile !== undefined && {
      trust: { kind: 'pin', pin: pinIn(readText(beside(directory, up.certificateFile))) },
    }),
  };
}

/** None, when it is of another protocol, or when nobody could check its votes or ask in terms that it knows. */
function virtualSignerOf(
  { name, url, voting }: z.infer<typeof upSchema>['cosigners'][number],
  directory: string,
): readonly VirtualSigner[] {
  const ether = Object.entries(voting?.assets ?? {}).find(([, asset]) => asset === 'ETH')?.[0];
  if (voting === undefined || voting.answerPublicKeyFile === null || voting.amounts === null) return [];
  if (ether === undefined) return [];
  const { organisation, amounts, contract } = voting;
  const answerKey = publicKeyOf(beside(directory, voting.answerPublicKeyFile));
  return [{ name, url, answerKey, organisation, ether, amounts, ...(contract !== null && { contract }) }];
}

export interface HandMadeTarget {
  readonly url: string;
  /** One co-signer for each private key; without any, one that speaks plain JSON. */
  readonly keyFiles: readonly string[];
  /** `ID` or `ID=approval,signing`; without stages a signer serves the signing stage, as in the configuration. */
  readonly signers: readonly string[];
  readonly answerKeyFiles: readonly string[];
  readonly mode: 'jwt' | 'json';
  /** Of an https URL: the pinned key, or the file of the only authority that counts. */
  readonly pin?: string;
  readonly caFile?: string;
}

export function targetByHand(named: HandMadeTarget): Target {
  const { url, keyFiles, signers, answerKeyFiles, mode } = named;
  if (!URL.canParse(url)) throw new CountersignError('USAGE', `--url ${url} is not a URL`);
  const stages = signers.map(parseSigner);
  const serving = (stage: Stage) => stages.filter((signer) => signer.stages.has(stage)).map(({ id }) => id);
  const stagesOf = { approval: serving('approval'), signing: serving('signing') };
  const trust = trustOf(named);
  if (mode === 'json') {
    if (keyFiles.length + answerKeyFiles.length > 0)
      throw new CountersignError(
        'USAGE',
        'with --mode json nothing is signed: leave --key and --answer-key out',
      );
    if (signers.length === 0) throw new CountersignError('USAGE', '--url needs --signer beside it');
    const cosigner = { name: 'cosigner-1', url, signers: stagesOf };
    return { cosigners: [cosigner], replicaOrigins: [], answerKeys: [], ...trust };
  }
  const cosigners = keyFiles.map((file, index): Cosigner => {
    const name = `cosigner-${index + 1}`;
    return { name, url, key: privateKeyOf(file), signers: stagesOf };
  });
  if (cosigners.length === 0 || answerKeyFiles.length === 0 || signers.length === 0) {
    throw new CountersignError('USAGE', '--url needs --key, --signer and --answer-key beside it');
  }
  return { cosigners, replicaOrigins: [], answerKeys: answerKeyFiles.map(publicKeyOf), ...trust };
}

function trustOf({ pin, caFile }: HandMadeTarget): Pick<Target, 'trust'> {
  if (pin !== undefined && caFile !== undefined)
    throw new CountersignError('USAGE', '--pin and --ca exclude one another, as at the vendor');
  if (pin !== undefined) {
    if (!PIN.test(pin))
      throw new CountersignError('USAGE', '--pin must be sha256//…, as countersign keys pin prints it');
    return { trust: { kind: 'pin', pin } };
  }
  return caFile === undefined ? {} : { trust: { kind: 'root', ca: readText(caFile) } };
}

function parseSigner(text: string): { readonly id: string; readonly stages: ReadonlySet<string> } {
  const [id = '', stages = 'signing', ...rest] = text.split('=');
  const named = stages.split(',');
  if (id === '' || rest.length > 0 || named.some((stage) => stage !== 'approval' && stage !== 'signing')) {
    throw new CountersignError('USAGE', `--signer ${text} is not of the form ID or ID=approval,signing`);
  }
  return { id, stages: new Set(named) };
}

function parseUp(text: string, file: string): z.infer<typeof upSchema> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new CountersignError('CONFIG_INVALID', `${file} is not JSON`, { cause });
  }
  const parsed = upSchema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new CountersignError(
    'CONFIG_INVALID',
    `${file}: ${issue?.path.join('.') || 'document'}: ${issue?.message ?? 'is not as expected'}`,
  );
}

/** A relative path of `up.json` is relative to its directory, or to where `up` was started. */
function beside(directory: string, file: string): string {
  const joined = join(directory, file);
  return !isAbsolute(file) && existsSync(joined) ? joined : file;
}

function readText(file: string, advice = ''): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    const then = advice === '' ? '' : `; ${advice}`;
    throw new CountersignError('FILE_UNREADABLE', `${file} cannot be read (${messageOf(cause)})${then}`, {
      cause,
    });
  }
}

function privateKeyOf(file: string): KeyObject {
  const text = readText(file);
  let key: KeyObject;
  try {
    key = createPrivateKey(text);
  } catch (cause) {
    throw new CountersignError('KEY_INVALID', `${file} holds no private key in PEM form`, { cause });
  }
  if (key.asymmetricKeyType === 'rsa') return key;
  throw new CountersignError('KEY_INVALID', `${file} is no RSA key: co-signers sign with RS256`);
}

function publicKeyOf(file: string): KeyObject {
  const text = readText(file);
  try {
    return createPublicKey(text);
  } catch (cause) {
    throw new CountersignError('KEY_INVALID', `${file} holds no public key in PEM form`, { cause });
  }
}
