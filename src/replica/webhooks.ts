/** Notifications of vendors: for each workspace that has them its path, its keys, and what is done with a report. */
import type { Logger } from 'pino';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import type { ReadinessCheck } from '../http/readiness.js';
import { type NotificationEndpoint, RECEIVING_REASONS, Receiving } from '../http/receiving.js';
import { RemoteKeys } from '../keys/remote-keys.js';
import { KeySetFile, type KeySource, notificationKeys } from '../keys/webhook-keys.js';
import { EVENT_TYPES, notificationReader, REFUSAL_REASONS } from '../protocols/fireblocks/notification.js';
import type { Metrics } from '../telemetry/metrics.js';
import type { ReloadedPart } from './reloading.js';
import type { Settler } from './settling.js';

export interface WebhookPorts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Of the workspace with this name. */
  readonly settlerOf: (workspace: string) => Settler;
}

export interface Webhooks {
  readonly receiving: Receiving;
  /** That keys were never had keeps no replica from deciding. */
  readonly checks: readonly ReadinessCheck[];
  readonly parts: readonly ReloadedPart[];
  stop(): void;
}

/** Throws FILE_UNREADABLE or KEY_INVALID for files; keys behind a URL may come later. Undefined: none are received. */
export function openWebhooks(
  { webhooks, workspaces }: Pick<Config, 'webhooks' | 'workspaces'>,
  ports: WebhookPorts,
): Webhooks | undefined {
  if (webhooks === undefined) return undefined;
  const opened = workspaces.flatMap((workspace) =>
    workspace.webhooks === undefined ? [] : [open(workspace, workspace.webhooks, ports)],
  );
  const { metrics, logger } = ports;
  return {
    receiving: new Receiving({ endpoints: opened.map(({ endpoint }) => endpoint), metrics, logger }),
    checks: opened.map(({ check }) => check),
    parts: opened.flatMap(({ parts }) => parts),
    stop: () => {
      for (const { source } of opened) source.stop();
    },
  };
}

type WebhooksConfig = NonNullable<WorkspaceConfig['webhooks']>;

function open({ name }: WorkspaceConfig, config: WebhooksConfig, ports: WebhookPorts) {
  const { metrics, logger, settlerOf } = ports;
  const { source, parts } = keysOf(name, config, { metrics, logger });
  const keys = notificationKeys(source, config.legacyKeyFile);
  metrics.reports.expectWebhooks(
    name,
    { events: EVENT_TYPES, reasons: [...REFUSAL_REASONS, ...RECEIVING_REASONS] },
    () => source.loadedAtMs,
  );
  const endpoint: NotificationEndpoint = {
    path: config.path,
    workspace: name,
    read: notificationReader({ keys, workspaceIds: config.workspaceIds }),
    settle: settlerOf(name),
  };
  const check: ReadinessCheck = {
    name: `webhooks:${name}`,
    problem: async () => undefined,
    warning: () =>
      source.loadedAtMs === undefined
        ? 'the keys that verify notifications have never been loaded: each is answered 503'
        : undefined,
  };
  return { source, parts, endpoint, check };
}

function keysOf(
  workspace: string,
  { jwks }: WebhooksConfig,
  { metrics, logger }: Pick<WebhookPorts, 'metrics' | 'logger'>,
): { readonly source: KeySource; readonly parts: readonly ReloadedPart[] } {
  if ('file' in jwks) {
    const source = new KeySetFile(jwks.file);
    const reload = async () => source.reload();
    return { source, parts: [{ name: `webhook-keys:${workspace}`, files: () => [source.file], reload }] };
  }
  const { url, pins } = jwks;
  // One line when it begins to fail and one when all is well again; what is left out of a set is told once.
  let problem: string | undefined;
  let told = '';
  const source = new RemoteKeys({
    url,
    pins,
    observer: {
      loaded(keys, left) {
        if (problem !== undefined) logger.info({ workspace, keys }, 'webhook keys are loaded again');
        problem = undefined;
        if (left.join() !== told) logger.warn({ workspace, keys, left }, 'some webhook keys are not used');
        told = left.join();
      },
      failed(reason) {
        metrics.reports.keysFailed(workspace);
        if (reason !== problem) logger.error({ workspace, problem: reason }, 'webhook keys are not loaded');
        problem = reason;
      },
    },
  });
  source.start();
  return { source, parts: [] };
}
