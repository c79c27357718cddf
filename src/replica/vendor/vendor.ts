/**
 * What a replica does on the vendor's side, beside deciding: it follows approved transactions to their end, asks about
 * those that are overdue, checks that it is still asked, and notices other rules. No decision waits for any of it.
 */
import type { Logger } from 'pino';
import type { ApiConfig, Config, WorkspaceConfig } from '../../config/schema.js';
import { messageOf } from '../../core/errors.js';
import type { Clock, Ledger } from '../../core/ports.js';
import type { Request } from '../../core/request.js';
import type { SingleFlight } from '../../core/single-flight.js';
import { API_PROBLEMS, type FireblocksApi } from '../../protocols/fireblocks/api.js';
import { HANDLER_RESULTS } from '../../protocols/fireblocks/handlers.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { CallPurpose } from '../../telemetry/vendor-metrics.js';
import { Elected } from '../elected.js';
import type { Settler } from '../settling.js';
import { type Credentials, doctorCredentials, openVendorApi } from './api.js';
import { Drift } from './drift.js';
import { Follower, followingLog } from './following.js';
import { expectedHandlers, HandlerWatch } from './handler-checking.js';
import { SWEEP_RESULTS, Sweep, type SweepObserver } from './sweeping.js';

export interface VendorWorkspace {
  readonly name: string;
  readonly ledger: Ledger;
  readonly settle: Settler;
  readonly ports: { readonly clock: Clock };
}

export interface VendorParts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  readonly alone: SingleFlight;
  /** The configuration with the keys that are in force. */
  readonly inForce: () => Config;
}

export interface Vendor {
  /** Told of every authentic request. Never throws. */
  noted(request: Request): void;
  start(): void;
  stop(): Promise<void>;
}

/** Throws FILE_UNREADABLE or KEY_INVALID. */
export function openVendor(
  config: Config,
  workspaces: readonly VendorWorkspace[],
  parts: VendorParts,
): Vendor {
  const drifts = new Map(
    workspaces.map(({ name, ledger }) => [
      name,
      new Drift({ workspace: name, ledger, metrics: parts.metrics.vendor, logger: parts.logger }),
    ]),
  );
  const jobs = config.workspaces.flatMap((settings) => {
    const workspace = workspaces.find(({ name }) => name === settings.name);
    if (workspace === undefined) return [];
    return [follower(settings, workspace, parts), handlerWatch(settings, parts)].filter(
      (job) => job !== undefined,
    );
  });
  return {
    noted: (request) => drifts.get(request.workspace)?.noted(request),
    start() {
      for (const job of jobs) job.start();
    },
    stop: async () => void (await Promise.all(jobs.map((job) => job.stop()))),
  };
}

/** Whether anybody tells how the transactions of a workspace end. */
export function isTold({ webhooks, api }: Pick<WorkspaceConfig, 'webhooks' | 'api'>): boolean {
  return webhooks !== undefined || api?.sweep !== undefined;
}

function follower(
  settings: WorkspaceConfig,
  { name, ledger, settle, ports: { clock } }: VendorWorkspace,
  { metrics, logger, alone }: VendorParts,
): Elected | undefined {
  if (!isTold(settings)) return undefined;
  const { api, unfinishedAfter } = settings;
  const log = followingLog({
    failing: (problem) => logger.warn({ workspace: name, problem }, 'transactions are not followed'),
    well: () => logger.info({ workspace: name }, 'transactions are followed again'),
  });
  const sweep =
    api?.sweep === undefined
      ? undefined
      : new Sweep({
          api: opened(name, 'sweep', { api, credentials: api, metrics, logger }),
          settle,
          clock,
          afterMs: api.sweep.after,
          everyMs: api.sweep.every,
          observer: sweepObserver(name, metrics, logger),
        });
  const follower = new Follower({
    ledger,
    clock,
    unfinishedAfterMs: unfinishedAfter,
    ...(sweep && { sweep }),
    observer: {
      followed(figures) {
        log.followed();
        metrics.vendor.followed(name, figures);
      },
    },
  });
  return new Elected({
    name: `follow:${name}`,
    alone,
    failed: log.failed,
    left: () => metrics.vendor.left(name),
    work: (signal) => follower.follow(signal),
  });
}

function handlerWatch(
  { name, api }: WorkspaceConfig,
  { metrics, logger, alone, inForce }: VendorParts,
): Elected | undefined {
  if (api?.doctor?.every === undefined) return undefined;
  const watch = new HandlerWatch({
    workspace: name,
    everyMs: api.doctor.every,
    logger,
    metrics: metrics.vendor,
    api: opened(name, 'doctor', { api, credentials: doctorCredentials(api), metrics, logger }),
    expected: () => expectedHandlers(name, inForce()),
  });
  return new Elected({
    name: `doctor:${name}`,
    alone,
    failed: (error) =>
      logger.error({ workspace: name, problem: messageOf(error) }, 'callback handlers are not checked'),
    left() {
      watch.left();
      metrics.vendor.handlersLeft(name, HANDLER_RESULTS);
    },
    work: (signal) => watch.watch(signal),
  });
}

interface Opening extends Pick<VendorParts, 'metrics' | 'logger'> {
  readonly api: ApiConfig;
  readonly credentials: Credentials;
}

function opened(workspace: string, purpose: CallPurpose, opening: Opening): FireblocksApi {
  const { api, credentials, metrics, logger } = opening;
  metrics.vendor.expectCalls(workspace, purpose, ['ok', ...API_PROBLEMS]);
  const { api: client, warnings } = openVendorApi(api, credentials, (result) =>
    metrics.vendor.called(workspace, purpose, result),
  );
  for (const warning of warnings) logger.warn(warning);
  return client;
}

/** What was settled has a line of its own already. */
function sweepObserver(workspace: string, metrics: Metrics, logger: Logger): SweepObserver {
  const settled = ['signed', 'completed', 'failed', 'never-signed'];
  metrics.vendor.expectSweeps(workspace, SWEEP_RESULTS);
  return {
    asked({ txId, approvedAtMs }, { result, problem }) {
      metrics.vendor.swept(workspace, result);
      if (settled.includes(result)) return;
      const line = { workspace, txId, approvedAt: new Date(approvedAtMs).toISOString(), result, problem };
      logger[result === 'pending' ? 'info' : 'warn'](
        line,
        'the vendor was asked about an overdue transaction',
      );
    },
    failed: (problem, message, restMs) =>
      logger.warn(
        { workspace, problem, message, restMs: Math.round(restMs) },
        'the vendor could not be asked about overdue transactions',
      ),
  };
}
