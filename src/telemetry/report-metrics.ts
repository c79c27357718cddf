/** What Prometheus sees of reports: what vendors say became of transactions, and what they did to charges. */
import { Counter, Gauge, type Registry } from 'prom-client';
import { FATES, type Report, type Settlement } from '../core/report.js';

/** What was done with a notification. */
export const NOTIFICATION_RESULTS = ['recorded', 'known', 'ignored', 'failed'] as const;
export type NotificationResult = (typeof NOTIFICATION_RESULTS)[number];

export type SignedAlarm = NonNullable<Settlement['alarm']>;
const ALARMS: readonly SignedAlarm[] = ['UNAPPROVED', 'REJECTED', 'RELEASED'];
const SOURCES: readonly Report['source'][] = ['webhook', 'api'];

export class ReportMetrics {
  readonly #reports: Counter<'workspace' | 'source' | 'fate'>;
  readonly #released: Counter<'workspace'>;
  readonly #alarms: Counter<'workspace' | 'kind'>;
  readonly #byOthers: Counter<'workspace'>;
  readonly #unknownStatuses: Counter<'workspace'>;
  readonly #notifications: Counter<'workspace' | 'event' | 'result'>;
  readonly #refused: Counter<'workspace' | 'reason'>;
  readonly #unknownPaths: Counter;
  readonly #keysLoaded: Gauge<'workspace'>;
  readonly #keysFailed: Counter<'workspace'>;
  /** By workspace: when its keys were last loaded, Unix milliseconds. */
  readonly #keys = new Map<string, () => number | undefined>();

  constructor(registry: Registry) {
    const registers = [registry];
    const labelNames = ['workspace'] as const;
    this.#reports = new Counter({
      name: 'countersign_reports_total',
      help: 'Reports of vendors that said something new of a transaction, by what they mean: pending is never recorded, so each is counted.',
      labelNames: ['workspace', 'source', 'fate'],
      registers,
    });
    this.#released = new Counter({
      name: 'countersign_released_transactions_total',
      help: 'Transactions whose charges were given back because a vendor reported that they ended unsigned.',
      labelNames,
      registers,
    });
    this.#alarms = new Counter({
      name: 'countersign_signed_without_approval_total',
      help: 'Transactions that were signed though no approval stands here, each counted once by a replica. UNAPPROVED: nobody asked; REJECTED: the answer was a rejection; RELEASED: it was said to have ended unsigned.',
      labelNames: ['workspace', 'kind'],
      registers,
    });
    this.#byOthers = new Counter({
      name: 'countersign_signed_by_others_total',
      help: 'Reports of transactions that nobody asked about here and that only otherSigners signed.',
      labelNames,
      registers,
    });
    this.#unknownStatuses = new Counter({
      name: 'countersign_report_unknown_statuses_total',
      help: 'Reports with a status that this version does not know; unless they show a signature they change nothing.',
      labelNames,
      registers,
    });
    this.#notifications = new Counter({
      name: 'countersign_webhook_notifications_total',
      help: 'Authentic notifications by what was done with them. recorded: it said something new; known: nothing new; ignored: about nothing that is decided here; failed: answered 503, the vendor delivers it again.',
      labelNames: ['workspace', 'event', 'result'],
      registers,
    });
    this.#refused = new Counter({
      name: 'countersign_webhook_refused_total',
      help: 'Messages at the path of webhooks that were not taken for notifications. WORKSPACE: signed by the vendor for another customer; MALFORMED: authentic, and not understood; KEYS_UNAVAILABLE and OVERLOADED: the vendor delivers it again.',
      labelNames: ['workspace', 'reason'],
      registers,
    });
    this.#unknownPaths = new Counter({
      name: 'countersign_webhook_unknown_paths_total',
      help: 'Messages at the port of webhooks to a path that no workspace has.',
      registers,
    });
    this.#keysLoaded = new Gauge({
      name: 'countersign_webhook_keys_loaded_timestamp_seconds',
      help: 'When the keys that verify notifications were last loaded; 0: never, and every notification is answered 503.',
      labelNames,
      registers,
      collect: () => {
        for (const [workspace, loadedAtMs] of this.#keys)
          this.#keysLoaded.set({ workspace }, (loadedAtMs() ?? 0) / 1_000);
      },
    });
    this.#keysFailed = new Counter({
      name: 'countersign_webhook_key_failures_total',
      help: 'Attempts to load the keys that verify notifications that failed; those known before stay in use.',
      labelNames,
      registers,
    });
  }

  /** Series of what settles reports begin at zero, so that the first alarm is an increase. */
  expect(workspace: string): void {
    for (const kind of ALARMS) this.#alarms.inc({ workspace, kind }, 0);
    for (const source of SOURCES) for (const fate of FATES) this.#reports.inc({ workspace, source, fate }, 0);
    this.#released.inc({ workspace }, 0);
    this.#byOthers.inc({ workspace }, 0);
    this.#unknownStatuses.inc({ workspace }, 0);
  }

  expectWebhooks(
    workspace: string,
    { events, reasons }: { readonly events: readonly string[]; readonly reasons: readonly string[] },
    keysLoadedAtMs: () => number | undefined,
  ): void {
    this.#keys.set(workspace, keysLoadedAtMs);
    this.#keysFailed.inc({ workspace }, 0);
    for (const reason of reasons) this.#refused.inc({ workspace, reason }, 0);
    for (const event of events)
      for (const result of NOTIFICATION_RESULTS) this.#notifications.inc({ workspace, event, result }, 0);
  }

  settled(workspace: string, { source, fate }: Report, { changed, given }: Settlement): void {
    if (changed || fate === 'pending') this.#reports.inc({ workspace, source, fate });
    if (given.length > 0) this.#released.inc({ workspace });
  }

  alarmed(workspace: string, kind: SignedAlarm): void {
    this.#alarms.inc({ workspace, kind });
  }

  signedByOthers(workspace: string): void {
    this.#byOthers.inc({ workspace });
  }

  statusUnknown(workspace: string): void {
    this.#unknownStatuses.inc({ workspace });
  }

  notified(workspace: string, event: string, result: NotificationResult): void {
    this.#notifications.inc({ workspace, event, result });
  }

  refused(workspace: string, reason: string): void {
    this.#refused.inc({ workspace, reason });
  }

  pathUnknown(): void {
    this.#unknownPaths.inc();
  }

  keysFailed(workspace: string): void {
    this.#keysFailed.inc({ workspace });
  }
}
