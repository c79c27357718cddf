/** A pure function of a text that remembers what it found: addresses, keys and signatures come again and again. */

/** At the limit everything is forgotten, so that no stranger's texts fill the memory. */
export function remembered<T>(limit: number, find: (text: string) => T): (text: string) => T {
  const known = new Map<string, { readonly found: T }>();
  return (text) => {
    const before = known.get(text);
    if (before !== undefined) return before.found;
    const found = find(text);
    if (known.size >= limit) known.clear();
    known.set(text, { found });
    return found;
  };
}
