/** What a misspelled word was probably meant to be. */

/** Text longer than this is nobody's typing error. */
const MAX_LENGTH = 64;

/** The known word with the fewest edits to it; undefined when none is near. */
export function nearestOf(word: string, known: readonly string[]): string | undefined {
  if (word.length > MAX_LENGTH) return undefined;
  let nearest: string | undefined;
  // Of one or two letters every other short word would be near.
  let fewest = word.length < 3 ? 1 : Math.floor(word.length / 3) + 1;
  for (const candidate of known) {
    if (candidate.length > MAX_LENGTH) continue;
    const edits = distance(word.toLowerCase(), candidate.toLowerCase());
    if (edits < fewest) {
      fewest = edits;
      nearest = candidate;
    }
  }
  return nearest;
}

/** Levenshtein distance, one row at a time. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (let i = 1; i <= a.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= b.length; j += 1) {
      const substituted = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : 1);
      next.push(Math.min(substituted, (row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1));
    }
    row = next;
  }
  return row[b.length] ?? 0;
}
