/** Evidence, beside the replica that serves: what the export of journals and the keeping of originals are made of. */
import type { Logger } from 'pino';
import { openDirectory } from '../audit/directory.js';
import { Exporter } from '../audit/exporter.js';
import type { CheckpointKey } from '../audit/line.js';
import type { Original } from '../audit/original.js';
import { Originals } from '../audit/originals.js';
import type { Config } from '../config/schema.js';
import { messageOf } from '../core/errors.js';
import type { Ledger } from '../core/ports.js';
import type { SingleFlight } from '../core/single-flight.js';
import { invalid, kindOf, readPrivateKeyFile, readPublicKeyFile } from '../keys/key-file.js';
import type { Metrics } from '../telemetry/metrics.js';
import { Elected } from './elected.js';

type AuditConfig = NonNullable<Config['audit']>;

/** Throws FILE_UNREADABLE or KEY_INVALID. */
export function checkpointKeyOf({ checkpointKey }: AuditConfig): CheckpointKey {
  const { key, spkiSha256 } = readPrivateKeyFile(checkpointKey.file, ['EdDSA']);
  return { privateKey: key, id: spkiSha256 };
}

/** A term begins with reading the newest file, so it is long. */
export const TERM_MS = 3_600_000;

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
    metrics.audit.expect(workspace);
    const failed = (problem: string) => {
      metrics.audit.failed(workspace);
      logger.error({ workspace, problem }, 'audit export failed');
    };
    const exporter = new Exporter({
      ledger,
      open: (identity) =>
        openDirectory({ directory, key, chain: { ledger: identity, workspace }, damaged: failed }),
      observer: {
        exported: ({ lines, behind }) => metrics.audit.exported(workspace, { lines, behind }),
      },
    });
    return new Elected({
      name: `audit:${workspace}`,
      alone,
      termMs: TERM_MS,
      work: (signal) => exporter.export(signal),
      failed: (error) => failed(messageOf(error)),
    });
  });
  for (const exporter of exporters) exporter.start();
  return { stop: async () => void (await Promise.all(exporters.map((exporter) => exporter.stop()))) };
}

/** Originals are kept for many years. */
const MIN_RECIPIENT_BITS = 3_072;

export interface Keeping {
  /** Absent: nothing is kept. */
  readonly keep?: (original: Original) => void;
  /** Writes what waits, as far as it can be written soon. */
  stop(): Promise<void>;
}

/** Throws FILE_UNREADABLE or KEY_INVALID; a folder that cannot be written to is tried again and seen in the metrics. */
export function startKeeping(
  audit: Config['audit'],
  { metrics, logger }: Pick<ExportingPorts, 'metrics' | 'logger'>,
): Keeping {
  if (audit?.originals === undefined) return { stop: async () => undefined };
  const { directory, recipientKeyFile } = audit.originals;
  const { key: publicKey, spkiSha256: id } = readPublicKeyFile(recipientKeyFile, ['RS256']);
  if ((publicKey.asymmetricKeyDetails?.modulusLength ?? 0) < MIN_RECIPIENT_BITS)
    throw invalid(
      recipientKeyFile,
      `its key is ${kindOf(publicKey)}, and RSA of at least ${MIN_RECIPIENT_BITS} bit is expected`,
    );
  // One line when it begins to fail and one when all is written again, however many messages come between.
  let isFailing = false;
  const failing = (problem: string) => {
    if (!isFailing) logger.error({ directory, problem }, 'originals are not kept');
    isFailing = true;
  };
  const originals = new Originals({
    directory,
    recipient: { publicKey, id },
    observer: {
      written(count, waiting) {
        metrics.audit.originalsWritten(count);
        if (!isFailing || waiting > 0) return;
        isFailing = false;
        logger.info({ directory }, 'originals are kept again');
      },
      dropped(count, problem) {
        metrics.audit.originalsDropped(count);
        failing(problem);
      },
      failed(error) {
        metrics.audit.originalsFailed();
        failing(messageOf(error));
      },
    },
  });
  originals.start();
  return { keep: (original) => originals.keep(original), stop: () => originals.close() };
}
