/** The board of what waits, in one hash outside of the epochs: a recovery brings back decisions, and not this. */
import type { WaitingAsk, WaitingBoard } from '../../core/waiting.js';
import { MAX_BOARD } from '../../core/waiting.js';
import { aboutOf, aboutText, closed, deliveriesRead } from '../waiting-record.js';
import { SCRIPTS } from './scripts.js';
import type { Session } from './session.js';

/** Asks in one call: a step of the server stays short. */
const CHUNK = 200;

export function createBoard(session: Session): WaitingBoard {
  const order = async (args: readonly string[]) => {
    const { code, fields } = await session.read(SCRIPTS.board, ({ meta, waiting }) => ({
      keys: [meta, waiting],
      args,
    }));
    if (code === 'CLOSED') throw closed();
    return fields;
  };
  return {
    async post(replica, sightings) {
      for (const some of chunks(sightings)) {
        await order([
          ...['post', replica, String(MAX_BOARD), String(some.length)],
          ...some.flatMap(({ askKey, about, deliveries: { firstMs, lastMs, count } }) => [
            ...[askKey, aboutText(about), String(firstMs), String(lastMs), String(count)],
          ]),
        ]);
      }
    },
    async list() {
      const found = new Map<string, string>();
      let cursor = '0';
      do {
        const from = cursor;
        const { fields } = await session.read(SCRIPTS.listed, ({ meta, waiting }) => ({
          keys: [meta, waiting],
          args: [from, String(CHUNK)],
        }));
        const [next = '0', ...texts] = fields;
        for (let index = 0; index < texts.length; index += 2)
          found.set(texts[index] ?? '', texts[index + 1] ?? '');
        cursor = next;
      } while (cursor !== '0');
      const postedAt = found.get('');
      found.delete('');
      return {
        ...(postedAt === undefined ? {} : { postedAtMs: Number(postedAt) }),
        asks: [...found].flatMap(([askKey, text]) => askOf(askKey, text)),
      };
    },
    async remove(askKeys) {
      const removed: string[] = [];
      for (let start = 0; start < askKeys.length; start += CHUNK) {
        const some = askKeys.slice(start, start + CHUNK);
        removed.push(...(await order(['remove', String(some.length), ...some])));
      }
      return removed;
    },
  };
}

/** With nothing to say there is one call all the same: it says that somebody is there. */
function chunks<T>(list: readonly T[]): readonly (readonly T[])[] {
  const count = Math.max(1, Math.ceil(list.length / CHUNK));
  return Array.from({ length: count }, (_, index) => list.slice(index * CHUNK, (index + 1) * CHUNK));
}

function askOf(askKey: string, text: string): readonly WaitingAsk[] {
  const [head = '', ...lines] = text.split('\n');
  const about = aboutOf(head.slice(head.indexOf(' ') + 1));
  if (about === undefined || lines.length === 0) return [];
  const seen = lines.map((line) => {
    const blank = line.indexOf(' ');
    return [line.slice(0, blank), deliveriesRead(line.slice(blank + 1))] as const;
  });
  return [{ askKey, about, seen: new Map(seen) }];
}
