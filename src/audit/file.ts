/** Reading audit files: in pieces, so that a file of any length takes the same memory. */
import { type Dirent, existsSync, readdirSync, statSync } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { join } from 'node:path';
import { CountersignError } from '../core/errors.js';
import { LINE_FEED, MAX_LINE_BYTES } from './line.js';

const PIECE_BYTES = 256 * 1024;

/** Sixteen digits of the event after which it begins, and something that no other file has. */
const FILE_NAME = /^journal-\d{16}-[0-9a-f]{8}\.jsonl$/;

export function fileName(after: number, mark: string): string {
  return `journal-${String(after).padStart(16, '0')}-${mark}.jsonl`;
}

export function isFileName(name: string): boolean {
  return FILE_NAME.test(name);
}

/** When its first message was answered, and something that no other file has: names sort by time. */
const ORIGINALS_FILE_NAME = /^originals-\d{8}T\d{9}Z-[0-9a-f]{8}\.jsonl$/;

export function originalsFileName(atMs: number, mark: string): string {
  return `originals-${new Date(atMs).toISOString().replace(/[-:.]/g, '')}-${mark}.jsonl`;
}

/** One line of a file; its bytes are valid until the next piece is asked for. */
export interface FileLine {
  /** From 1. */
  readonly number: number;
  /** Without the line feed. */
  readonly bytes: Buffer;
  /** Where the line begins in the file. */
  readonly offset: number;
  /** False: the file ends without a line feed, in the middle of it. */
  readonly complete: boolean;
}

/** The lines of a file, a piece at a time. Throws FILE_UNREADABLE, also for a line that is longer than any of ours. */
export async function* linesOf(file: string): AsyncGenerator<readonly FileLine[]> {
  const handle = await opened(file);
  try {
    let rest: Buffer = Buffer.alloc(0);
    let offset = 0;
    let number = 1;
    for (;;) {
      const piece = Buffer.allocUnsafe(rest.length + PIECE_BYTES);
      rest.copy(piece);
      const { bytesRead } = await handle.read(piece, rest.length, PIECE_BYTES, null);
      const filled = piece.subarray(0, rest.length + bytesRead);
      const lines: FileLine[] = [];
      let start = 0;
      for (let end = filled.indexOf(LINE_FEED); end >= 0; end = filled.indexOf(LINE_FEED, start)) {
        lines.push({ number, bytes: filled.subarray(start, end), offset: offset + start, complete: true });
        number += 1;
        start = end + 1;
      }
      rest = filled.subarray(start);
      offset += start;
      if (bytesRead === 0) {
        if (rest.length > 0) lines.push({ number, bytes: rest, offset, complete: false });
        yield lines;
        return;
      }
      if (rest.length > MAX_LINE_BYTES)
        throw new CountersignError(
          'FILE_UNREADABLE',
          `${file}:${number}: longer than any line of an audit file`,
        );
      yield lines;
    }
  } finally {
    await handle.close();
  }
}

async function opened(file: string): Promise<FileHandle> {
  return open(file, 'r').catch((cause) => {
    throw new CountersignError(
      'FILE_UNREADABLE',
      `cannot read ${file}: ${(cause as NodeJS.ErrnoException).code}`,
      {
        cause,
      },
    );
  });
}

/** The audit files below these folders, and the files named themselves. Throws FILE_UNREADABLE when there are none. */
export function auditFilesIn(paths: readonly string[]): readonly string[] {
  return filesIn(paths, FILE_NAME, 'audit files');
}

/** Files of originals, likewise. */
export function originalsFilesIn(paths: readonly string[]): readonly string[] {
  return filesIn(paths, ORIGINALS_FILE_NAME, 'files of originals');
}

function filesIn(paths: readonly string[], name: RegExp, what: string): readonly string[] {
  const files = paths.flatMap((path) => {
    if (!existsSync(path)) throw new CountersignError('FILE_UNREADABLE', `there is no ${path}`);
    if (!statSync(path).isDirectory()) return [path];
    const found = readdirSync(path, { recursive: true, withFileTypes: true })
      .filter((entry: Dirent) => entry.isFile() && name.test(entry.name))
      .map((entry: Dirent) => join(entry.parentPath, entry.name));
    if (found.length === 0) throw new CountersignError('FILE_UNREADABLE', `there are no ${what} in ${path}`);
    return found.sort();
  });
  return [...new Set(files)];
}
