import {
  type ArgumentsHost,
  type BeforeApplicationShutdown,
  Catch,
  Controller,
  type ExceptionFilter,
  Inject,
  Injectable,
  Post,
  Req,
  Res,
} from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { messageOf } from '../core/errors.js';
import type { OutboundMessage } from '../core/messages.js';
import { headersOf } from './ask.controller.js';
import { deadlineAfter } from './deadline.js';
import { LOGGER, statusOf } from './failure.filter.js';
import { Readiness } from './readiness.js';
import { Receiving } from './receiving.js';

/** Every POST is a notification; whose is told by the path, and then by what is signed. */
@Controller()
export class WebhookController {
  constructor(
    @Inject(Receiving) private readonly receiving: Receiving,
    @Inject(Readiness) private readonly readiness: Readiness,
  ) {}

  @Post('*')
  async receive(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const answer = await this.receiving.receive({
      path: request.url.split('?', 1)[0] ?? '',
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      headers: headersOf(request.raw.rawHeaders),
    });
    if (this.readiness.draining) reply.header('connection', 'close');
    await send(reply, answer);
  }
}

/** Whatever never became a notification: oversized bodies, other methods, faults. */
@Catch()
export class WebhookFailureFilter implements ExceptionFilter {
  constructor(
    @Inject(Receiving) private readonly receiving: Receiving,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async catch(error: unknown, host: ArgumentsHost): Promise<void> {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const status = statusOf(error);
    if (status === 404 || status === 413) {
      await send(reply, this.receiving.refuse(request.url.split('?', 1)[0] ?? '', status));
      return;
    }
    if (status >= 500) this.logger.error({ error: messageOf(error) }, 'unexpected fault');
    const contentType = 'text/plain; charset=utf-8';
    // Of 4xx a vendor makes nothing any more, of 5xx it makes another delivery.
    if (status >= 500) await send(reply, { status: 503, contentType, body: 'try again\n' });
    else await send(reply, { status, contentType, body: 'bad request\n' });
  }
}

async function send(reply: FastifyReply, { status, contentType, body }: OutboundMessage): Promise<void> {
  await reply.status(status).header('content-type', contentType).send(Buffer.from(body));
}

/** Longer than one notification may take. */
const LAST_NOTIFICATION_MS = 15_000;
const POLL_MS = 20;

/** When the door closes, what was received is settled. */
@Injectable()
export class WebhookDrain implements BeforeApplicationShutdown {
  constructor(@Inject(Receiving) private readonly receiving: Receiving) {}

  async beforeApplicationShutdown(): Promise<void> {
    const last = deadlineAfter(LAST_NOTIFICATION_MS);
    while (this.receiving.inFlight > 0 && last.remainingMs() > 0) await last.pause(POLL_MS);
  }
}
