/**
 * Notifications of vendors, from bytes on the wire to a status code. 200 is answered when the ledger has what was said, and not
 * before: whatever goes wrong on our side is 503, so that the vendor delivers again. To settle something twice changes nothing.
 */
import type { Logger } from 'pino';
import { CountersignError, errorCodeOf, messageOf } from '../core/errors.js';
import type { InboundMessage, OutboundMessage } from '../core/messages.js';
import { DEADLINE_PASSED } from '../core/ports.js';
import type { Settlement } from '../core/report.js';
import type { ReceivedNotification } from '../protocols/fireblocks/notification.js';
import type { ReadReport } from '../protocols/fireblocks/report.js';
import type { Metrics } from '../telemetry/metrics.js';
import { deadlineAfter } from './deadline.js';

/** Where the notifications of one workspace arrive. */
export interface NotificationEndpoint {
  readonly path: string;
  readonly workspace: string;
  readonly read: (message: Pick<InboundMessage, 'body' | 'headers'>) => Promise<ReceivedNotification>;
  /** Rejects when the ledger cannot say. */
  readonly settle: (said: ReadReport & { readonly kind: 'report' }) => Promise<Settlement>;
}

export interface ReceivingParts {
  readonly endpoints: readonly NotificationEndpoint[];
  readonly metrics: Metrics;
  readonly logger: Logger;
}

export interface InboundNotification extends Pick<InboundMessage, 'body' | 'headers'> {
  readonly path: string;
}

/** More are told to come again: nothing waits for notifications, and co-signers wait for decisions. */
const MAX_IN_FLIGHT = 100;
/** How long one may take, the fetch of a new key included; what the ledger then still does is found done by the next delivery. */
const DEADLINE_MS = 10_000;

/** Always the same, whatever was wrong. */
const ANSWERS = {
  200: 'ok\n',
  400: 'bad request\n',
  401: 'unauthorized\n',
  404: 'not found\n',
  413: 'too large\n',
  503: 'try again\n',
} as const;

type Refusal = Pick<ReceivedNotification & { readonly kind: 'refused' }, 'problem'> & {
  readonly status: 400 | 401 | 413 | 503;
  readonly reason: string;
};

/** Reasons of refusals that no protocol gives. */
export const RECEIVING_REASONS = ['BODY_TOO_LARGE', 'OVERLOADED'] as const;

export class Receiving {
  #inFlight = 0;

  constructor(private readonly parts: ReceivingParts) {}

  /** Notifications that are being settled now. */
  get inFlight(): number {
    return this.#inFlight;
  }

  /** Never rejects. */
  async receive({ path, ...message }: InboundNotification): Promise<OutboundMessage> {
    const endpoint = this.#endpointOf(path);
    if (endpoint === undefined) return this.#pathUnknown(path);
    if (this.#inFlight >= MAX_IN_FLIGHT) {
      const problem = 'too many notifications at once';
      return this.#refused(endpoint, { status: 503, reason: 'OVERLOADED', problem });
    }
    this.#inFlight += 1;
    try {
      const received = await endpoint.read(message);
      if (received.kind === 'refused') return this.#refused(endpoint, received);
      return plain(await this.#take(endpoint, received));
    } catch (error) {
      this.parts.metrics.crashed();
      const stack = error instanceof Error ? error.stack : undefined;
      const { workspace } = endpoint;
      this.parts.logger.error({ workspace, error: messageOf(error), stack }, 'unexpected fault');
      return plain(503);
    } finally {
      this.#inFlight -= 1;
    }
  }

  /** An oversized body, or a method other than POST. */
  refuse(path: string, status: 404 | 413): OutboundMessage {
    const endpoint = this.#endpointOf(path);
    if (status === 404 || endpoint === undefined) return this.#pathUnknown(path);
    const problem = 'the body exceeds webhooks.bodyLimit';
    return this.#refused(endpoint, { status, reason: 'BODY_TOO_LARGE', problem });
  }

  async #take(
    { workspace, settle }: NotificationEndpoint,
    { id, eventType, said }: ReceivedNotification & { readonly kind: 'notification' },
  ): Promise<200 | 503> {
    const { metrics, logger } = this.parts;
    if (said === undefined || said.kind === 'ignored') {
      metrics.reports.notified(workspace, eventType, 'ignored');
      logger.debug({ workspace, notification: id, eventType }, 'notification ignored');
      return 200;
    }
    try {
      const settlement = await deadlineAfter(DEADLINE_MS).within(settle(said));
      if (settlement === DEADLINE_PASSED)
        throw new CountersignError('LEDGER_UNAVAILABLE', 'the ledger did not answer in time');
      metrics.reports.notified(workspace, eventType, settlement.changed ? 'recorded' : 'known');
      return 200;
    } catch (error) {
      metrics.reports.notified(workspace, eventType, 'failed');
      const { txId, status } = said.report;
      const fault = { code: errorCodeOf(error), cause: messageOf(error) };
      logger.error({ workspace, notification: id, txId, status, ...fault }, 'notification not settled');
      return 503;
    }
  }

  #endpointOf(path: string): NotificationEndpoint | undefined {
    return this.parts.endpoints.find((endpoint) => endpoint.path === path);
  }

  #pathUnknown(path: string): OutboundMessage {
    this.parts.metrics.reports.pathUnknown();
    this.parts.logger.warn({ path: path.slice(0, 200) }, 'no workspace has this path for webhooks');
    return plain(404);
  }

  #refused({ workspace }: NotificationEndpoint, { status, reason, problem }: Refusal): OutboundMessage {
    this.parts.metrics.reports.refused(workspace, reason);
    this.parts.logger.warn({ workspace, reason, problem }, 'notification refused');
    return plain(status);
  }
}

function plain(status: keyof typeof ANSWERS): OutboundMessage {
  return { status, contentType: 'text/plain; charset=utf-8', body: ANSWERS[status] };
}
