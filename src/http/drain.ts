import { type BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { Answering } from './answering.js';
import { deadlineAfter } from './deadline.js';
import { Readiness } from './readiness.js';

export const DRAIN_MS = Symbol('drain time');

/** No request lives longer than the co-signer waits for it. */
const LAST_ANSWER_MS = 30_000;
const POLL_MS = 20;

/**
 * On SIGTERM: not ready first, and for the configured time the door stays open, so that balancers notice before
 * it closes; then whatever is in flight is answered.
 */
@Injectable()
export class Drain implements BeforeApplicationShutdown {
  constructor(
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Answering) private readonly answering: Answering,
    @Inject(DRAIN_MS) private readonly drainMs: number,
  ) {}

  async beforeApplicationShutdown(): Promise<void> {
    this.readiness.drain();
    await deadlineAfter(this.drainMs).pause(this.drainMs);
    const last = deadlineAfter(LAST_ANSWER_MS);
    while (this.answering.inFlight > 0 && last.remainingMs() > 0) await last.pause(POLL_MS);
  }
}
