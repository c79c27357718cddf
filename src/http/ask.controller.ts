import { Controller, Inject, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { Answering } from './answering.js';
import { Readiness } from './readiness.js';

/** Every POST is a question; which co-signer's is told by the path and the signature, not by a route table. */
@Controller()
export class AskController {
  constructor(
    @Inject(Answering) private readonly answering: Answering,
    @Inject(Readiness) private readonly readiness: Readiness,
  ) {}

  @Post('*')
  async ask(@Req() request: FastifyRequest, @Res() reply: FastifyReply): Promise<void> {
    const answer = await this.answering.answer({
      path: request.url.split('?', 1)[0] ?? '',
      body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
      headers: { 'user-agent': request.headers['user-agent'] },
    });
    if (answer === undefined) {
      // No answer at all is safer than one the co-signer would take for final.
      reply.hijack();
      reply.raw.destroy();
      return;
    }
    // No connection is left idle for a balancer to send a question into when the door closes.
    if (this.readiness.draining) reply.header('connection', 'close');
    await reply.status(answer.status).header('content-type', answer.contentType).send(answer.body);
  }
}
