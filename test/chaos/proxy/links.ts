/** What can be done to the traffic between two members of the bed, and what the proxy has seen of it. */

/** `pass`; `hold`: nothing gets through and nobody is told, as in a partition, until it heals; `refuse`: as a closed port. */
export type Mode = 'pass' | 'hold' | 'refuse';

/** Everything between these two; `*` is everybody. */
export interface Between {
  readonly from: string;
  readonly to: string;
}

export type Order =
  | ({ readonly order: 'set'; readonly mode: Mode; readonly delayMs?: number } & Between)
  /** Resets every open connection. */
  | ({ readonly order: 'reset' } & Between)
  /** The next so many scripts are passed on, and the connection is reset before the reply comes back. */
  | ({ readonly order: 'cut-replies'; readonly count: number } & Between)
  | ({ readonly order: 'figures' } & Between);

/** Since the proxy was started, over all links that are meant. */
export interface Figures {
  readonly connections: number;
  readonly open: number;
  readonly bytes: number;
  /** Pieces of traffic that had to wait for the end of a partition. */
  readonly held: number;
  readonly delayed: number;
  readonly refused: number;
  /** Connections that were reset. */
  readonly reset: number;
  /** Replies that never arrived. */
  readonly cutReplies: number;
}

export interface Listener {
  readonly name: string;
  readonly listen: number;
  readonly forward: number;
}

export interface ProxyPlan {
  readonly listeners: readonly Listener[];
  /** Who calls from which address; every other address is `others`. */
  readonly sources: Readonly<Record<string, string>>;
}
