/** Originals of a test's own, and what became of those that were handed over. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { existsSync } from 'node:fs';
import { linesOf, originalsFilesIn } from '../../src/audit/file.js';
import { keyId } from '../../src/audit/line.js';
import {
  type OpenedOriginal,
  type Original,
  type Recipient,
  readOriginal,
} from '../../src/audit/original.js';
import type { OriginalsObserver } from '../../src/audit/originals.js';

export interface RecipientPair {
  readonly recipient: Recipient;
  readonly privateKey: KeyObject;
}

export function recipientPair(): RecipientPair {
  const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { recipient: { publicKey, id: keyId(publicKey) }, privateKey };
}

/** Message `number`; the same every time. */
export function originalAt(number: number, change: Partial<Original> = {}): Original {
  return {
    atMs: Date.UTC(2026, 2, 4, 3) + number,
    protocol: 'fireblocks',
    workspace: 'main',
    cosigner: 'a',
    requestId: `r${number}`,
    sequence: number + 1,
    request: {
      route: '/v2/tx_sign_request',
      address: '10.0.0.1',
      certificateSha256: undefined,
      headers: { 'content-type': 'application/jwt' },
      body: Buffer.from(`the question „${number}“`),
    },
    answer: { status: 200, contentType: 'application/jwt', body: `the answer „${number}“` },
    ...change,
  };
}

export interface Seen extends OriginalsObserver {
  count: number;
  lost: number;
  readonly problems: string[];
  readonly failures: string[];
}

export function seen(): Seen {
  const all: Seen = {
    count: 0,
    lost: 0,
    problems: [],
    failures: [],
    written: (count) => {
      all.count += count;
    },
    dropped: (count, problem) => {
      all.lost += count;
      all.problems.push(problem);
    },
    failed: (error) => {
      all.failures.push(error instanceof Error ? error.message : String(error));
    },
  };
  return all;
}

/** All that the files below a folder hold, in their order; text for what cannot be opened. */
export async function openAll(
  folder: string,
  privateKey: KeyObject,
): Promise<readonly (OpenedOriginal | string)[]> {
  const all: (OpenedOriginal | string)[] = [];
  if (!existsSync(folder)) return all;
  for (const file of originalsFilesIn([folder]))
    for await (const lines of linesOf(file))
      for (const { bytes, complete } of lines) {
        const shown = complete ? readOriginal(bytes) : 'cut off';
        all.push(typeof shown === 'string' ? shown : await shown.open(privateKey));
      }
  return all;
}

export function idsOf(all: readonly (OpenedOriginal | string)[]): readonly string[] {
  return all.map((original) => (typeof original === 'string' ? original : original.requestId));
}
