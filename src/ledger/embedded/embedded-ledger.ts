/** The shared memory of one machine: a SQLite file that its processes share, behind the same port as Redis. */
import { assert } from '../../core/errors.js';
import type { Ledger } from '../../core/ports.js';
import type { Board } from '../../core/waiting.js';
import { clockProblems } from '../clock-check.js';
import {
  checkProposal,
  checkRelease,
  checkReport,
  checkWorkspace,
  fillSteps,
  MAX_EVENTS,
} from '../proposal.js';
import type { Request } from './call.js';
import type { EmbeddedStore } from './store.js';
import { StoreThread } from './thread.js';

export interface EmbeddedLedgerSettings {
  /** Made when there is none, in a directory that exists. */
  readonly file: string;
  readonly workspace: string;
  /** How long another process may hold the file; below every deadline. */
  readonly busyTimeoutMs?: number;
}

const BUSY_TIMEOUT_MS = 5000;

/** What a method of the store returns: the thread passes it on as it is. */
type Outcome<Method extends Request['method'] & keyof EmbeddedStore> = ReturnType<EmbeddedStore[Method]>;

export function createEmbeddedLedger(settings: EmbeddedLedgerSettings): Ledger {
  checkWorkspace(settings.workspace);
  const thread = new StoreThread({ busyTimeoutMs: BUSY_TIMEOUT_MS, ...settings });
  const call = <Method extends Request['method'] & keyof EmbeddedStore>(
    request: Request & { readonly method: Method },
  ) => thread.call(request) as Promise<Outcome<Method>>;
  return {
    kind: 'embedded',
    init: () => call({ method: 'init' }),
    state: () => call({ method: 'state' }),
    async commit(proposal) {
      checkProposal(proposal);
      return call({ method: 'commit', proposal });
    },
    async fill(entries, moments = []) {
      for (const step of fillSteps(entries, moments)) await call({ method: 'fill', step });
    },
    activate: (activation) => call({ method: 'activate', activation }),
    freeze: (freeze) => call({ method: 'freeze', freeze }),
    unfreeze: (id, statements) => call({ method: 'unfreeze', id, statements }),
    async release(request) {
      checkRelease(request);
      return call({ method: 'release', request });
    },
    transaction: (moneyKey) => call({ method: 'transaction', moneyKey }),
    async report(said) {
      checkReport(said);
      return call({ method: 'report', report: said });
    },
    fateOf: (moneyKey) => call({ method: 'fateOf', moneyKey }),
    async events(after, limit) {
      assert(limit > 0 && limit <= MAX_EVENTS, `between 1 and ${MAX_EVENTS} events are read at a time`);
      return call({ method: 'events', after, limit });
    },
    exports: {
      state: () => call({ method: 'exportState' }),
      moved: (identity, mark) => call({ method: 'exported', identity, mark }),
    },
    upkeep: {
      kept: () => call({ method: 'kept' }),
      trim: (order) => call({ method: 'trim', order }),
      // A file has one epoch.
      sweep: async () => 0,
    },
    waiting: {
      post: async (replica, sightings) =>
        void (await thread.call({ method: 'postWaiting', replica, sightings })),
      list: () => thread.call({ method: 'listWaiting' }) as Promise<Board>,
      remove: (askKeys) => thread.call({ method: 'removeWaiting', askKeys }) as Promise<readonly string[]>,
    },
    usage: (counters) => call({ method: 'usage', counters }),
    lookup: (askKey) => call({ method: 'lookup', askKey }),
    remembered: (fact) => thread.call({ method: 'remembered', fact }) as Promise<string | undefined>,
    check: async () => [
      ...(await call({ method: 'check' })),
      ...(await clockProblems(() => call({ method: 'state' }))),
    ],
    close: () => thread.close(),
  };
}
