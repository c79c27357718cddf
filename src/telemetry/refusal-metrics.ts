/** What Prometheus sees of messages that never became a request. */
import { Counter, type Registry } from 'prom-client';
import type { Received } from '../core/ports.js';

const HELP = [
  'Messages that never became a request: bad signatures, malformed or oversized bodies.',
  'TOKEN: not even the form of a signed message; HEADER: one that no co-signer writes; SIGNATURE: no configured key;',
  'KEY_EXPIRED, KEY_NOT_YET: a configured key outside its window; PAYLOAD: a known key, and no request;',
  'CALLER: from a network, or with a client certificate, that is not listed.',
].join(' ');

const HANDSHAKE_HELP = [
  'TLS connections to a replica that ended before they carried a message.',
  'CLIENT_CERTIFICATE: none, or none that clientCaFile vouches for now; ALERT: the client said why, mostly that it does not trust our certificate;',
  'PROTOCOL: no version or cipher in common, or no TLS; CLOSED: the client went away, as health checks of balancers do.',
].join(' ');

const HANDSHAKE_FAILURES = ['CLIENT_CERTIFICATE', 'ALERT', 'PROTOCOL', 'CLOSED'] as const;
export type HandshakeFailure = (typeof HANDSHAKE_FAILURES)[number];

/** Codes and reasons with which a message is refused. */
const REFUSALS = [
  ['UNAUTHENTICATED', ''],
  ['UNAUTHENTICATED', 'TOKEN'],
  ['UNAUTHENTICATED', 'HEADER'],
  ['UNAUTHENTICATED', 'SIGNATURE'],
  ['UNAUTHENTICATED', 'KEY_EXPIRED'],
  ['UNAUTHENTICATED', 'KEY_NOT_YET'],
  ['UNAUTHENTICATED', 'PAYLOAD'],
  ['UNAUTHENTICATED', 'CALLER'],
  ['REQUEST_MALFORMED', ''],
  ['BODY_TOO_LARGE', ''],
] as const;

export class RefusalMetrics {
  readonly #refused: Counter<'path' | 'code' | 'reason'>;
  readonly #unknownPaths: Counter;
  readonly #handshakes: Counter<'server' | 'reason'>;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#refused = new Counter({
      name: 'countersign_refused_messages_total',
      help: HELP,
      labelNames: ['path', 'code', 'reason'],
      registers,
    });
    this.#unknownPaths = new Counter({
      name: 'countersign_unknown_paths_total',
      help: 'Requests to a path that no co-signer is configured for.',
      registers,
    });
    this.#handshakes = new Counter({
      name: 'countersign_tls_handshakes_failed_total',
      help: HANDSHAKE_HELP,
      labelNames: ['server', 'reason'],
      registers,
    });
  }

  /** From now on there are figures of this path. */
  expect(path: string): void {
    for (const [code, reason] of REFUSALS) this.#refused.inc({ path, code, reason }, 0);
  }

  refused(path: string, { code, reason }: Pick<Received & { kind: 'refused' }, 'code' | 'reason'>): void {
    this.#refused.inc({ path, code, reason: reason ?? '' });
  }

  pathUnknown(): void {
    this.#unknownPaths.inc();
  }

  /** From now on there are figures of this server, as the configuration names it, e.g. `http.tls`. */
  expectHandshakes(server: string): void {
    for (const reason of HANDSHAKE_FAILURES) this.#handshakes.inc({ server, reason }, 0);
  }

  handshakeFailed(server: string, reason: HandshakeFailure): void {
    this.#handshakes.inc({ server, reason });
  }
}
