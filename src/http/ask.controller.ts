import type { Socket } from 'node:net';
import { type PeerCertificate, TLSSocket } from 'node:tls';
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
      headers: headersOf(request.raw.rawHeaders),
      address: request.ip,
      certificateSha256: () => certificateOf(request.raw.socket),
    });
    if (answer === undefined) {
      // No answer at all is safer than one the co-signer would take for final.
      reply.hijack();
      reply.raw.destroy();
      return;
    }
    // No connection is left idle for a balancer to send a question into when the door closes.
    if (this.readiness.draining) reply.header('connection', 'close');
    await reply
      .status(answer.status)
      .headers({ ...answer.headers, 'content-type': answer.contentType })
      // Bytes, because to a text of some types the framework appends a charset, and the type may be signed.
      .send(Buffer.from(answer.body));
  }
}

/** As they came: the framework has read some of them already, and changed others. */
export function headersOf(raw: readonly string[]): Readonly<Record<string, string>> {
  const headers: Record<string, string> = Object.create(null);
  for (let index = 0; index < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    const value = raw[index + 1] ?? '';
    headers[name] = headers[name] === undefined ? value : `${headers[name]}, ${value}`;
  }
  return headers;
}

function certificateOf(socket: Socket): string | undefined {
  if (!(socket instanceof TLSSocket) || !socket.authorized) return undefined;
  // Null once the connection is closed, whatever the types say.
  const certificate: PeerCertificate | null = socket.getPeerCertificate();
  return certificate?.fingerprint256?.replaceAll(':', '').toLowerCase();
}
