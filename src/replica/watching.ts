/** What is told of a replica's state: looked at anew for each scrape, so that figures are those of now, whoever else asks. */
import type { Logger } from 'pino';
import type { Config } from '../config/schema.js';
import type { RecoveryObserver } from '../core/fence.js';
import type { KnownKey } from '../core/keys.js';
import type { Ledger } from '../core/ports.js';
import type { Readiness } from '../http/readiness.js';
import { certificateFiles, type KeyFile } from '../telemetry/file-metrics.js';
import type { KeyLife } from '../telemetry/key-metrics.js';
import type { Metrics } from '../telemetry/metrics.js';
import { VERSION } from '../version.js';
import { retriesOf, shownPath } from './endpoints.js';
import { answersUntil, type KeySet, keySetsOf, verifiesUntil } from './key-life.js';

export interface Watched {
  readonly config: Config;
  readonly keys: readonly KnownKey[];
  readonly workspaces: readonly {
    readonly name: string;
    readonly ledger: Pick<Ledger, 'usage' | 'upkeep' | 'witnesses'>;
  }[];
  readonly readiness: Readiness;
}

export function watch(metrics: Metrics, { config, keys, workspaces, readiness }: Watched): void {
  metrics.built(VERSION);
  metrics.expect(
    config.workspaces.flatMap(({ name: workspace, cosigners }) =>
      cosigners.map((cosigner) => ({
        workspace,
        cosigner: cosigner.name,
        path: shownPath(cosigner),
        retries: retriesOf(cosigner),
      })),
    ),
  );
  watchKeys(metrics, config, keys);
  for (const { name: workspace, cosigners } of config.workspaces)
    for (const cosigner of cosigners) {
      if (cosigner.protocol === 'fireblocks')
        metrics.channels.expect({ workspace, cosigner: cosigner.name }, cosigner.mode === 'jwt');
    }
  for (const check of readiness.names)
    metrics.onScrape(async () => metrics.checked(check, (await readiness.problemOf(check)) === undefined));
  for (const { name, ledger } of workspaces) {
    metrics.onScrape(() => metrics.limits.refresh(name, ledger));
    metrics.ledger.forgot(name, 0);
    metrics.onScrape(async () => {
      const { oldest } = await ledger.upkeep.kept();
      metrics.ledger.kept(name, oldest?.atMs, config.ledger.retention);
    });
    if (ledger.witnesses === undefined) continue;
    const { witnesses } = ledger;
    metrics.ledger.recovering(name, false);
    metrics.onScrape(async () => {
      for (const [index, { kind }] of (await witnesses.states()).entries())
        metrics.ledger.witnessState(name, `${index + 1}`, kind === 'member' ? 'up' : kind);
    });
  }
}

/** Again whenever other keys are in force. */
export function watchKeys(
  metrics: Metrics,
  { http, webhooks, ledger, workspaces }: Config,
  keys: readonly KnownKey[],
): void {
  const sets = keySetsOf({ workspaces });
  metrics.files.expect(certificateFiles({ http, webhooks, ledger }), sets.flatMap(keyFilesOf));
  metrics.keys.expect(
    sets.flatMap((set): readonly KeyLife[] => [
      { ...ownerOf(set), use: 'cosigner', validUntil: (nowMs) => verifiesUntil(set, nowMs) },
      { ...ownerOf(set), use: 'answer', validUntil: (nowMs) => answersUntil(set, nowMs) },
    ]),
    keys,
  );
}

function keyFilesOf(set: KeySet): readonly KeyFile[] {
  return [
    ...set.asking.map(({ file }) => ({ ...ownerOf(set), use: 'cosigner' as const, file })),
    ...[set.otherwise, ...set.answering].map(({ file }) => ({
      ...ownerOf(set),
      use: 'answer' as const,
      file,
    })),
  ];
}

function ownerOf({ workspace, cosigner }: KeySet): Pick<KeyFile, 'workspace' | 'cosigner'> {
  return { workspace, cosigner };
}

/** Between two lines about one step of a recovery. */
const PROGRESS_EVENTS = 10_000;

/** A recovery is rare and somebody waits for it: each step is a line. */
export function recoveryObserver(workspace: string, metrics: Metrics, logger: Logger): RecoveryObserver {
  return {
    started(epoch) {
      metrics.ledger.recovering(workspace, true);
      logger.warn({ workspace, epoch }, 'recovering the ledger from its witnesses');
    },
    progress(step, done, total) {
      const isLine = done === total || done % PROGRESS_EVENTS === 0;
      logger[isLine ? 'info' : 'debug']({ workspace, step, done, total }, 'recovering');
    },
    ended(result, detail) {
      metrics.ledger.recovering(workspace, false);
      metrics.ledger.recoveryEnded(workspace, result, detail.milliseconds / 1_000, detail.events);
      const level = result === 'failed' ? 'error' : 'warn';
      logger[level]({ workspace, result, ...detail }, 'recovery ended');
    },
    witnessed: (milliseconds) => metrics.ledger.witnessAppend(workspace, milliseconds / 1_000),
  };
}
