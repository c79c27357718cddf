/** Trusted previous outputs. */
export interface Prevout {
  /** Satoshi. */
  readonly value: bigint;
  /** The output script, lower-case hex. */
  readonly script?: string;
}

/** Outpoints are `txid:vout`. An outpoint that is not known is left out; a rejection makes the request undecided. */
export type PrevoutSource = (
  chain: string,
  outpoints: readonly string[],
  signal: AbortSignal,
) => Promise<ReadonlyMap<string, Prevout>>;

export function filePrevouts(_file: string): PrevoutSource {
  return async () => new Map();
}

export function rpcPrevouts(_options: { readonly url: string }): PrevoutSource {
  return async () => new Map();
}
