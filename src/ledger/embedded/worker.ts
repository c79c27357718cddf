/**
 * The thread in which the embedded ledger's file is read and written: SQLite is synchronous, and a file that another
 * process holds must not stop the replica. Calls that wait together share one transaction, and so one flush.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { CountersignError, messageOf } from '../../core/errors.js';
import { list, post, remove } from './board.js';
import type { Call, Reply } from './call.js';
import { remembered } from './release.js';
import { EmbeddedStore, type StoreSettings } from './store.js';

const settings = workerData as StoreSettings;
let store: EmbeddedStore | undefined;
let waiting: Call[] = [];

parentPort?.on('message', (call: Call) => {
  waiting.push(call);
  if (waiting.length === 1) setImmediate(answerAll);
});

function answerAll(): void {
  const calls = waiting;
  waiting = [];
  const outcomes = attemptAll(calls);
  calls.forEach(({ id }, index) => {
    const outcome = outcomes[index];
    if (outcome !== undefined) parentPort?.postMessage(replyOf(id, outcome));
  });
}

function attemptAll(calls: readonly Call[]): readonly PromiseSettledResult<unknown>[] {
  try {
    return current().transact(calls.map((call) => (opened: EmbeddedStore) => perform(opened, call)));
  } catch (cause) {
    const message = `the ledger's file could not be written: ${messageOf(cause)}`;
    const reason = new CountersignError('LEDGER_UNAVAILABLE', message, { cause });
    return calls.map(() => ({ status: 'rejected', reason }));
  }
}

/** The open file; opened anew when there is none yet, or when another one is in its place. */
function current(): EmbeddedStore {
  if (store !== undefined && !store.isCurrent()) {
    store.close();
    store = undefined;
  }
  store ??= new EmbeddedStore(settings);
  return store;
}

function perform(opened: EmbeddedStore, { request }: Call): unknown {
  switch (request.method) {
    case 'init':
      return opened.init();
    case 'state':
      return opened.state();
    case 'commit':
      return opened.commit(request.proposal);
    case 'fill':
      return opened.fill(request.step);
    case 'activate':
      return opened.activate(request.activation);
    case 'freeze':
      return opened.freeze(request.freeze);
    case 'unfreeze':
      return opened.unfreeze(request.id, request.statements);
    case 'events':
      return opened.events(request.after, request.limit);
    case 'exportState':
      return opened.exportState();
    case 'exported':
      return opened.exported(request.identity, request.mark);
    case 'usage':
      return opened.usage(request.counters);
    case 'release':
      return opened.release(request.request);
    case 'transaction':
      return opened.transaction(request.moneyKey);
    case 'report':
      return opened.report(request.report);
    case 'fateOf':
      return opened.fateOf(request.moneyKey);
    case 'kept':
      return opened.kept();
    case 'trim':
      return opened.trim(request.order);
    case 'postWaiting':
      return post(opened, request.replica, request.sightings);
    case 'listWaiting':
      return list(opened);
    case 'removeWaiting':
      return remove(opened, request.askKeys);
    case 'lookup':
      return opened.lookup(request.askKey);
    case 'remembered':
      return remembered(opened, request.fact);
    case 'check':
      return opened.check();
  }
}

/** Errors lose their class on the way between threads. */
function replyOf(id: number, outcome: PromiseSettledResult<unknown>): Reply {
  if (outcome.status === 'fulfilled') return { id, value: outcome.value };
  const { reason } = outcome;
  const code = reason instanceof CountersignError ? reason.code : 'LEDGER_UNAVAILABLE';
  return { id, failure: { code, message: messageOf(reason) } };
}
