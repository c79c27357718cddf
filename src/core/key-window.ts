/** When a key may be used, and which of several is. */

/** From `notBefore` on, until just before `notAfter`, as documents name them: Unix milliseconds; absent: no end on that side. */
export interface KeyWindow {
  readonly notBefore?: number | undefined;
  readonly notAfter?: number | undefined;
}

export type KeyState = 'valid' | 'not-yet' | 'expired';

export function stateAt({ notBefore, notAfter }: KeyWindow, nowMs: number): KeyState {
  if (notAfter !== undefined && nowMs >= notAfter) return 'expired';
  return notBefore !== undefined && nowMs < notBefore ? 'not-yet' : 'valid';
}

/**
 * Until when, without a gap from now on, at least one of the windows is open: Unix milliseconds, Infinity when one has no
 * end. Undefined: none is open now.
 */
export function coveredUntil(windows: readonly KeyWindow[], nowMs: number): number | undefined {
  let until: number | undefined;
  for (let at = nowMs; ; at = until) {
    const ends = windows
      .filter((window) => stateAt(window, at) === 'valid')
      .map(({ notAfter = Number.POSITIVE_INFINITY }) => notAfter);
    if (ends.length === 0) return until;
    until = Math.max(...ends);
    if (until === Number.POSITIVE_INFINITY) return until;
  }
}

/** An answer key is for the signers it lists; without a list it stands in for the co-signer's `answerKey`. */
export interface ForSigners extends KeyWindow {
  readonly signers?: readonly string[] | undefined;
}

/**
 * The keys that may sign for a signer, those it is listed with first, and among equals the one with the latest beginning
 * first: the first that is open now signs, and else the co-signer's `answerKey`.
 */
export function inOrderFor<Key extends ForSigners>(
  keys: readonly Key[],
  signer: string | undefined,
): readonly Key[] {
  const own = keys.filter(({ signers }) => signer !== undefined && signers?.includes(signer));
  const general = keys.filter(({ signers }) => signers === undefined);
  return [...own.toSorted(latestFirst), ...general.toSorted(latestFirst)];
}

function latestFirst(one: KeyWindow, other: KeyWindow): number {
  return beginningOf(other) - beginningOf(one);
}

/** Before every instant that a document can name, and a number that can be subtracted. */
function beginningOf({ notBefore = Number.MIN_SAFE_INTEGER }: KeyWindow): number {
  return notBefore;
}

/** Where two keys of one signer begin at once, nothing would say which of them signs: the signer, or `answerKey`'s others. */
export function undecidable(keys: readonly ForSigners[]): string | undefined {
  const seen = new Set<string>();
  for (const key of keys) {
    const signers = key.signers?.map((signer) => `the signer ${JSON.stringify(signer)}`) ?? [
      'signers that none lists',
    ];
    for (const who of signers) {
      const id = `${beginningOf(key)} ${who}`;
      if (seen.has(id)) return who;
      seen.add(id);
    }
  }
  return undefined;
}
