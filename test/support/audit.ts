/** Audit files as an exporter writes them, of events that a test makes up. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openDirectory } from '../../src/audit/directory.js';
import { auditFilesIn } from '../../src/audit/file.js';
import {
  BEGINNING,
  type CheckpointKey,
  eventLine,
  hashOf,
  keyId,
  type Position,
} from '../../src/audit/line.js';
import type { Chain, Sink } from '../../src/audit/sink.js';
import type { JournalEvent } from '../../src/core/ports.js';

export interface TestKey {
  readonly key: CheckpointKey;
  readonly keys: ReadonlyMap<string, KeyObject>;
}

export function testKey(): TestKey {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const id = keyId(publicKey);
  return { key: { privateKey, id }, keys: new Map([[id, publicKey]]) };
}

export const CHAIN: Chain = { ledger: 'f2c1d7a0-0000-4000-8000-000000000001', workspace: 'main' };

/** Event `sequence`; the same every time. */
export function eventAt(sequence: number, body: Readonly<Record<string, unknown>> = {}): JournalEvent {
  return {
    sequence,
    atMs: Date.UTC(2026, 2, 4) + sequence * 1000,
    type: 'decision',
    body: { decision: { effect: 'approve', sequence }, note: 'ü ,"previous":"', ...body },
  };
}

/** What follows from a position when these events do. */
export function follow(
  from: Position,
  events: readonly JournalEvent[],
): { readonly lines: readonly string[]; readonly position: Position } {
  let position = from;
  const lines = events.map((event) => {
    const line = eventLine(event, position.hash);
    position = { sequence: event.sequence, hash: hashOf(line), count: position.count + 1 };
    return line;
  });
  return { lines, position };
}

/** Appends pieces of events, each with its checkpoint; returns where the chain is then. */
export async function append(
  sink: Sink,
  from: Position,
  pieces: readonly (readonly number[])[],
): Promise<Position> {
  let position = from;
  for (const piece of pieces) {
    const next = follow(
      position,
      piece.map((sequence) => eventAt(sequence)),
    );
    await sink.append(next.lines, next.position);
    position = next.position;
  }
  return position;
}

export interface TestFolder {
  readonly folder: string;
  readonly files: () => readonly string[];
  readonly open: (key: TestKey, more?: { readonly maxFileBytes?: number; readonly chain?: Chain }) => Sink;
  readonly problems: string[];
  readonly remove: () => void;
}

export function testFolder(): TestFolder {
  const folder = mkdtempSync(join(tmpdir(), 'countersign-audit-'));
  const problems: string[] = [];
  return {
    folder,
    problems,
    files: () => auditFilesIn([folder]),
    open({ key }, { maxFileBytes, chain = CHAIN } = {}) {
      const sink = openDirectory({
        directory: folder,
        key,
        chain,
        damaged: (problem) => problems.push(problem),
        ...(maxFileBytes === undefined ? {} : { maxFileBytes }),
      });
      if (sink === undefined) throw new Error('another exporter writes there');
      return sink;
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

/** A folder with these pieces from the beginning. */
export async function writtenBy(
  key: TestKey,
  pieces: readonly (readonly number[])[],
  maxFileBytes?: number,
): Promise<TestFolder> {
  const folder = testFolder();
  const sink = folder.open(key, maxFileBytes === undefined ? {} : { maxFileBytes });
  await sink.begin(BEGINNING);
  await append(sink, BEGINNING, pieces);
  await sink.close();
  return folder;
}
