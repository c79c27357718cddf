/** Work that should be done by one replica at a time. No decision depends on it: it must be harmless when two do it. */
export interface SingleFlight {
  /** Resolves to `busy` when somebody else is at it. The signal aborts when that can no longer be relied upon. */
  run<T>(name: string, work: (signal: AbortSignal) => Promise<T>): Promise<T | 'busy'>;
}
