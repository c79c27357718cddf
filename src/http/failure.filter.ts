import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Inject } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Logger } from 'pino';
import { messageOf } from '../core/errors.js';
import { Answering } from './answering.js';

export const LOGGER = Symbol('logger');

/**
 * The one exception filter. Whatever reaches it never became a decision: oversized bodies, other methods, faults.
 * A body tells nothing of the inside.
 */
@Catch()
export class FailureFilter implements ExceptionFilter {
  constructor(
    @Inject(Answering) private readonly answering: Answering,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async catch(error: unknown, host: ArgumentsHost): Promise<void> {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const status = statusOf(error);
    if (status === 404 || status === 413) {
      const answer = this.answering.refuse(request.url.split('?', 1)[0] ?? '', status);
      await reply.status(status).header('content-type', answer.contentType).send(answer.body);
      return;
    }
    if (status >= 500)
      this.logger.error(
        { error: messageOf(error), stack: error instanceof Error ? error.stack : undefined },
        'unexpected fault',
      );
    await reply
      .status(status)
      .header('content-type', 'text/plain; charset=utf-8')
      .send(status >= 500 ? 'internal fault\n' : 'bad request\n');
  }
}

export function statusOf(error: unknown): number {
  if (error instanceof HttpException) return error.getStatus();
  const status: unknown = (error as { readonly statusCode?: unknown } | null)?.statusCode;
  return typeof status === 'number' && status >= 400 && status < 500 ? status : 500;
}
