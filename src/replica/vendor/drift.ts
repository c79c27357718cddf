/**
 * Notices that the workspace's own policy at the vendor's changed under us, from what requests show of it. Each replica
 * remembers which versions it has seen, and begins with those that the journal holds from before it started; a version is
 * news once, so requests on their way under two of them ring once.
 */
import type { Logger } from 'pino';
import { z } from 'zod';
import { messageOf } from '../../core/errors.js';
import type { JournalEvent, Ledger } from '../../core/ports.js';
import type { Request, VendorRules } from '../../core/request.js';
import type { VendorMetrics } from '../../telemetry/vendor-metrics.js';

export interface DriftSettings {
  readonly workspace: string;
  readonly ledger: Pick<Ledger, 'state' | 'events'>;
  readonly metrics: Pick<VendorMetrics, 'expectPolicies' | 'policyChanged'>;
  readonly logger: Pick<Logger, 'warn'>;
}

/** Of the journal, when the first request shows rules. */
const LOOKED_AT_EVENTS = 500;
/** Remembered of one kind; older ones are news again. */
const MOST_VERSIONS = 64;
const MOST_KINDS = 256;

const journalSchema = z.object({
  journal: z.object({
    request: z.object({
      vendorRules: z.object({
        snapshot: z.string().optional(),
        rule: z.string().optional(),
        ruleSha256: z.string().optional(),
      }),
    }),
  }),
});

export class Drift {
  /** By what is compared: the version of all rules, or the text of one. */
  readonly #seen = new Map<string, Set<string>>();
  readonly #startedAtMs = Date.now();
  #ready: Promise<void> | undefined;

  constructor(private readonly settings: DriftSettings) {
    settings.metrics.expectPolicies(settings.workspace);
  }

  /** Never throws. */
  noted(request: Request): void {
    if (request.kind !== 'transaction' || request.vendorRules === undefined) return;
    const { vendorRules } = request;
    this.#ready ??= this.#look();
    void this.#ready.then(() => this.#compare(vendorRules, request));
  }

  async #look(): Promise<void> {
    const { ledger, logger, workspace } = this.settings;
    try {
      const { sequence } = await ledger.state();
      const events = await ledger.events(Math.max(0, sequence - LOOKED_AT_EVENTS), LOOKED_AT_EVENTS);
      for (const event of events) this.#remember(event);
    } catch (error) {
      logger.warn(
        { workspace, problem: messageOf(error) },
        'under which rules of the vendor earlier requests came is not known',
      );
    }
  }

  #remember({ atMs, body }: JournalEvent): void {
    const read = journalSchema.safeParse(body);
    if (!read.success || atMs >= this.#startedAtMs) return;
    const { snapshot, rule, ruleSha256 } = read.data.journal.request.vendorRules;
    this.#isNews({
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(rule === undefined ? {} : { rule }),
      ...(ruleSha256 === undefined ? {} : { ruleSha256 }),
    });
  }

  #compare(rules: VendorRules, { cosigner, requestId }: Request): void {
    const { workspace, metrics, logger } = this.settings;
    if (!this.#isNews(rules)) return;
    metrics.policyChanged(workspace);
    logger.warn({ workspace, cosigner, requestId, ...rules }, 'the workspace’s own policy changed under us');
  }

  /** The first of its kind is none: there is nothing that it could differ from. */
  #isNews({ snapshot, rule = '', ruleSha256 = '' }: VendorRules): boolean {
    const [kind, version] = snapshot === undefined ? [`rule ${rule}`, ruleSha256] : ['snapshot', snapshot];
    const seen = this.#seen.get(kind);
    if (seen === undefined) {
      if (this.#seen.size < MOST_KINDS) this.#seen.set(kind, new Set([version]));
      return false;
    }
    if (seen.has(version)) return false;
    const [oldest] = seen;
    if (seen.size >= MOST_VERSIONS && oldest !== undefined) seen.delete(oldest);
    seen.add(version);
    return true;
  }
}
