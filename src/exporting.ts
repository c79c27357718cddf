/** The export of the journals, beside the replica that serves: what it is made of, and what is seen of it. */
import type { Logger } from 'pino';
import { openDirectory } from './audit/directory.js';
import { Exporter } from './audit/exporter.js';
import type { CheckpointKey } from './audit/line.js';
import type { Config } from './config/schema.js';
import { messageOf } from './core/errors.js';
import type { Ledger, SingleFlight } from './core/ports.js';
import { readPrivateKeyFile } from './keys/key-file.js';
import type { Metrics } from './telemetry/metrics.js';

type AuditConfig = NonNullable<Config['audit']>;

/** Throws FILE_UNREADABLE or KEY_INVALID. */
export function checkpointKeyOf({ checkpointKey }: AuditConfig): CheckpointKey {
  const { key, spkiSha256 } = readPrivateKeyFile(checkpointKey.file, ['EdDSA']);
  return { privateKey: key, id: spkiSha256 };
}

export interface Exporting {
  /** Exports what is decided by now, and ends. */
  stop(): Promise<void>;
}

export interface ExportingPorts {
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Elects one of the replicas; without it each exports to its own folder, which does no harm. */
  readonly alone?: SingleFlight;
}

/** Throws FILE_UNREADABLE or KEY_INVALID; a folder that cannot be written to is tried again and seen in the metrics. */
export function startExporting(
  audit: Config['audit'],
  workspaces: readonly { readonly name: string; readonly ledger: Ledger }[],
  { metrics, logger, alone }: ExportingPorts,
): Exporting {
  const { directory } = audit ?? {};
  if (audit === undefined || directory === undefined) return { stop: async () => undefined };
  const key = checkpointKeyOf(audit);
  const exporters = workspaces.map(({ name: workspace, ledger }) => {
    const failed = (problem: string) => {
      metrics.audit.failed(workspace);
      logger.error({ workspace, problem }, 'audit export failed');
    };
    return new Exporter({
      ledger,
      ...(alone && { alone: { flight: alone, name: `audit:${workspace}` } }),
      open: (identity) =>
        openDirectory({ directory, key, chain: { ledger: identity, workspace }, damaged: failed }),
      observer: {
        exported: ({ lines, behind }) => metrics.audit.exported(workspace, { lines, behind }),
        failed: (error) => failed(messageOf(error)),
      },
    });
  });
  for (const exporter of exporters) exporter.start();
  return { stop: async () => void (await Promise.all(exporters.map((exporter) => exporter.stop()))) };
}
