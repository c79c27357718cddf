/**
 * The lines of an audit file. There are two kinds, each one JSON object in one exact spelling:
 *
 *   {"sequence":7,"at":"2026-03-04T03:12:45.123Z","type":"decision","body":{…},"previous":"<hex>"}
 *   {"audit":"checkpoint","ledger":"…","workspace":"…","sequence":7,"hash":"<hex>","count":7,"line":9,"at":"…",
 *    "key":"<hex>","signature":"<hex>"}                                             (one line, shown as two)
 *
 * An event names the SHA-256 of the event line before it; 64 zeros before the first. A line's SHA-256 is over its bytes
 * without the line feed. A checkpoint says how far the chain has come; its signature (Ed25519, RFC 8032) is over the
 * bytes of its line before `,"signature":`. An event's line depends on nothing but the event and the chain, so whoever
 * exports an event writes the same bytes.
 */
import { createHash, hash, type KeyObject, sign, verify } from 'node:crypto';
import { z } from 'zod';
import type { JournalEvent } from '../core/ports.js';

/** `previous` of the first event of a chain. */
export const NO_HASH = '0'.repeat(64);

/** Longer ones are no lines of ours: the largest carries a policy document. */
export const MAX_LINE_BYTES = 16 * 1024 * 1024;

export const LINE_FEED = 10;

/** How far a chain has come. */
export interface Position {
  /** Of the last event; 0 before the first. */
  readonly sequence: number;
  /** SHA-256 of its line, hex. */
  readonly hash: string;
  /** Events so far. */
  readonly count: number;
}

export const BEGINNING: Position = { sequence: 0, hash: NO_HASH, count: 0 };

const sha256Hex = z.string().regex(/^[0-9a-f]{64}$/);

const checkpointSchema = z.strictObject({
  audit: z.literal('checkpoint'),
  ledger: z.string().min(1).max(256),
  workspace: z.string().min(1).max(256),
  sequence: z.int().nonnegative(),
  hash: sha256Hex,
  count: z.int().nonnegative(),
  /** The number of this line in its file, from 1. A line 1 begins a stretch of its own. */
  line: z.int().positive(),
  /** When it was written, by the exporter's clock. */
  at: z.iso.datetime(),
  /** SHA-256 of the public key as SubjectPublicKeyInfo, hex. */
  key: sha256Hex,
  signature: z.string().regex(/^[0-9a-f]{128}$/),
});

export type Checkpoint = Readonly<z.infer<typeof checkpointSchema>>;

export interface EventHead {
  readonly kind: 'event';
  readonly sequence: number;
  readonly at: string;
  readonly type: string;
  readonly previous: string;
}

export type Line =
  | EventHead
  | { readonly kind: 'checkpoint'; readonly checkpoint: Checkpoint; readonly signed: Buffer }
  | { readonly kind: 'broken'; readonly problem: string };

/** Without the line feed. */
export function eventLine({ sequence, atMs, type, body }: JournalEvent, previous: string): string {
  const at = new Date(atMs).toISOString();
  return `{"sequence":${sequence},"at":"${at}","type":"${type}","body":${JSON.stringify(body)},"previous":"${previous}"}`;
}

/** Without the line feed. */
export function checkpointLine(
  fields: Omit<Checkpoint, 'audit' | 'key' | 'signature'>,
  signer: CheckpointKey,
): string {
  const { ledger, workspace, sequence, hash, count, line, at } = fields;
  const said = { audit: 'checkpoint', ledger, workspace, sequence, hash, count, line, at, key: signer.id };
  const signed = JSON.stringify(said).slice(0, -1);
  const signature = sign(null, Buffer.from(signed), signer.privateKey).toString('hex');
  return `${signed},"signature":"${signature}"}`;
}

export interface CheckpointKey {
  /** Ed25519. */
  readonly privateKey: KeyObject;
  /** See {@link keyId}. */
  readonly id: string;
}

/** SHA-256 of a public key as SubjectPublicKeyInfo, hex. */
export function keyId(publicKey: KeyObject): string {
  return createHash('sha256')
    .update(publicKey.export({ type: 'spki', format: 'der' }))
    .digest('hex');
}

export function hasSigned(
  publicKey: KeyObject,
  { checkpoint, signed }: { readonly checkpoint: Checkpoint; readonly signed: Buffer },
): boolean {
  return verify(null, signed, publicKey, Buffer.from(checkpoint.signature, 'hex'));
}

export function hashOf(line: Uint8Array | string): string {
  return hash('sha256', line, 'hex');
}

const EVENT = '{"sequence":';
const CHECKPOINT = '{"audit":"checkpoint",';
const HEAD =
  /^\{"sequence":([1-9]\d{0,15}),"at":"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z)","type":"([a-z-]{1,32})","body":\{/;
const LONGEST_HEAD = 128;
const TAIL = /\},"previous":"([0-9a-f]{64})"\}$/;
const TAIL_LENGTH = 1 + ',"previous":""}'.length + 64;

/**
 * What a line is, by its bytes without the line feed. The body of an event is not looked at: what was exported is
 * vouched for by the chain, not by its shape.
 */
export function readLine(line: Buffer): Line {
  const start = line.toString('latin1', 0, LONGEST_HEAD);
  if (start.startsWith(EVENT)) return readEvent(start, line.toString('latin1', line.length - TAIL_LENGTH));
  if (start.startsWith(CHECKPOINT)) return readCheckpoint(line);
  return broken(line.length === 0 ? 'it is empty' : 'it is neither an event nor a checkpoint');
}

function readEvent(start: string, end: string): Line {
  const head = HEAD.exec(start);
  const tail = TAIL.exec(end);
  if (head === null || tail === null) return broken('it is not spelled as an event is');
  const [, sequence = '', at = '', type = ''] = head;
  return { kind: 'event', sequence: Number(sequence), at, type, previous: tail[1] ?? '' };
}

function readCheckpoint(line: Buffer): Line {
  const text = line.toString('utf8');
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return broken('it is not JSON');
  }
  const { data: checkpoint } = checkpointSchema.safeParse(value);
  if (checkpoint === undefined) return broken('it is not spelled as a checkpoint is');
  // One spelling only, so that no byte can change without the signature.
  if (JSON.stringify(checkpoint) !== text) return broken('it is not spelled as a checkpoint is');
  return { kind: 'checkpoint', checkpoint, signed: line.subarray(0, line.lastIndexOf(',"signature":')) };
}

function broken(problem: string): Line {
  return { kind: 'broken', problem };
}

/** The event of a line that was vouched for. Undefined when it is none. */
export function eventOf(line: Buffer): ExportedEvent | undefined {
  const read = readLine(line);
  if (read.kind !== 'event') return undefined;
  const text = line.toString('utf8');
  const from = text.indexOf(',"body":') + ',"body":'.length;
  const bodyText = text.slice(from, text.lastIndexOf(',"previous":"'));
  return { sequence: read.sequence, atMs: Date.parse(read.at), type: read.type, bodyText };
}

/** An event as it was exported. */
export interface ExportedEvent {
  readonly sequence: number;
  readonly atMs: number;
  readonly type: string;
  /** JSON text. */
  readonly bodyText: string;
}
