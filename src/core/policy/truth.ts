/** Three-valued logic (Kleene): a condition is true, false, or unknown when the request does not carry the fact. */
export type Truth = 'true' | 'false' | 'unknown';

export function truthOf(value: boolean): Truth {
  return value ? 'true' : 'false';
}

/** True when all are; false when one is; unknown otherwise. Of nothing: true. */
export function allOf(truths: Iterable<Truth>): Truth {
  let all: Truth = 'true';
  for (const truth of truths) {
    if (truth === 'false') return 'false';
    if (truth === 'unknown') all = 'unknown';
  }
  return all;
}

/** True when one is; false when all are; unknown otherwise. Of nothing: false. */
export function anyOf(truths: Iterable<Truth>): Truth {
  let any: Truth = 'false';
  for (const truth of truths) {
    if (truth === 'true') return 'true';
    if (truth === 'unknown') any = 'unknown';
  }
  return any;
}
