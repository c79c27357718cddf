/**
 * TLS that a replica serves by itself. A certificate that is renewed is taken while the server runs: connections that stand
 * go on, new ones get the new certificate.
 *
 * A co-signer that was given our certificate pins the public key in it (its error is `SSL public key does not match pinned
 * public key`), and one that finds another key lets every transaction fail. So the key stays unless the operator says that
 * nobody pins it: what comes with another key is not taken, and the certificate in use goes on being served.
 */
import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext, type SecureVersion, type Server, type TLSSocket } from 'node:tls';
import { CountersignError, messageOf } from '../core/errors.js';
import { codeOf, isOpenToOthers } from '../keys/key-file.js';
import { pinOf } from '../keys/pins.js';
import type { HandshakeFailure } from '../telemetry/refusal-metrics.js';

export interface TlsSettings {
  readonly certificateFile: string;
  readonly keyFile: string;
  readonly clientCaFile?: string | undefined;
  readonly clientCertificates?: 'required' | 'optional' | undefined;
  readonly minVersion: SecureVersion;
  /** A renewed certificate is taken only with the key that is in use. */
  readonly keepKey: boolean;
}

interface Material {
  readonly cert: string;
  readonly key: string;
  readonly ca?: string;
  readonly minVersion: SecureVersion;
  /** The certificate that is shown, without those of its authorities. */
  readonly leaf: X509Certificate;
}

/** A connection that ended before it carried a message. A client that finds another key than it pinned only goes. */
export interface FailedHandshake {
  readonly reason: HandshakeFailure;
  /** As OpenSSL and Node name it, e.g. `CERT_HAS_EXPIRED`. */
  readonly problem: string;
  /** Of the client or of the balancer; absent when the connection had gone before it could be asked. */
  readonly address?: string | undefined;
}

export class ServerTls {
  #inForce: Material;
  #server: Server | undefined;
  #failed: (handshake: FailedHandshake) => void = () => undefined;

  /**
   * Throws FILE_UNREADABLE, or KEY_INVALID when certificate and key are not a pair.
   *
   * @param name for log and metrics: where the configuration has it, e.g. `http.tls`
   */
  constructor(
    readonly name: string,
    private readonly settings: TlsSettings,
  ) {
    this.#inForce = read(settings);
  }

  files(): readonly string[] {
    const { certificateFile, keyFile, clientCaFile } = this.settings;
    return [certificateFile, keyFile, ...(clientCaFile === undefined ? [] : [clientCaFile])];
  }

  /** What new connections are shown. */
  get certificate(): X509Certificate {
    return this.#inForce.leaf;
  }

  /** Sentences for the operator. */
  get warnings(): readonly string[] {
    const { certificateFile, keyFile } = this.settings;
    const { mode, uid } = statSync(keyFile);
    const problem = untimely(this.#inForce.leaf);
    return [
      ...(problem === undefined ? [] : [`${this.name}: the certificate in ${certificateFile} ${problem}`]),
      ...(isOpenToOthers({ mode, owner: uid }, process.getuid?.() ?? 0)
        ? [`${this.name}: others can read the key file ${keyFile}; chmod 600 ${keyFile}`]
        : []),
    ];
  }

  /** Options of an HTTPS server. */
  options() {
    const { leaf: _leaf, ...context } = this.#inForce;
    if (context.ca === undefined) return context;
    // Without the latter a client without a certificate is let in, and is known to have none.
    return {
      ...context,
      requestCert: true,
      rejectUnauthorized: this.settings.clientCertificates !== 'optional',
    };
  }

  /** From now on what is reloaded is shown by this server, which was made with these options. */
  attach(server: Server): void {
    this.#server = server;
    server.on('tlsClientError', (error, socket) => this.#failed(failureOf(error, socket)));
  }

  /** From now on `failed` is told of each handshake that came to nothing. */
  watch(failed: (handshake: FailedHandshake) => void): void {
    this.#failed = failed;
  }

  /** Takes what the files hold now. Rejects, and leaves everything as it was, when they hold nothing that may be served. */
  async reload(): Promise<void> {
    const { certificateFile, keepKey } = this.settings;
    const found = read(this.settings);
    const problem = untimely(found.leaf);
    if (problem !== undefined)
      throw new CountersignError('KEY_INVALID', `the certificate in ${certificateFile} ${problem}`);
    const [before, after] = [this.#inForce.leaf, found.leaf].map((leaf) => pinOf(leaf.publicKey));
    if (keepKey && before !== after)
      throw new CountersignError(
        'KEY_INVALID',
        `the certificate in ${certificateFile} has another key (${after}) than the one in use (${before}), and co-signers that pin it would refuse every connection: renew it with the same key, or set keepKey: false when nobody pins it`,
      );
    const { leaf: _leaf, ...context } = found;
    this.#server?.setSecureContext(context);
    this.#inForce = found;
  }
}

function failureOf(error: NodeJS.ErrnoException, socket: TLSSocket): FailedHandshake {
  const code = error.code ?? 'unknown';
  // Node closes a connection whose certificate it does not accept, and calls that a reset.
  const unaccepted: unknown = socket.authorizationError;
  const isUnaccepted = unaccepted != null || code === 'ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE';
  return {
    reason: isUnaccepted ? 'CLIENT_CERTIFICATE' : reasonOf(code),
    problem: typeof unaccepted === 'string' ? unaccepted : code,
    address: socket.remoteAddress,
  };
}

function reasonOf(code: string): HandshakeFailure {
  if (!code.startsWith('ERR_SSL_')) return 'CLOSED';
  return code.includes('_ALERT_') ? 'ALERT' : 'PROTOCOL';
}

function read({ certificateFile, keyFile, clientCaFile, minVersion }: TlsSettings): Material {
  const cert = textOf(certificateFile);
  const key = textOf(keyFile);
  const leaf = parsed(certificateFile, 'no certificate in PEM form', () => new X509Certificate(cert));
  const privateKey = parsed(keyFile, 'no private key in PEM form', (): KeyObject => createPrivateKey(key));
  if (!leaf.checkPrivateKey(privateKey))
    throw new CountersignError(
      'KEY_INVALID',
      `the key in ${keyFile} is not that of the certificate in ${certificateFile}`,
    );
  const material = {
    cert,
    key,
    leaf,
    minVersion,
    ...(clientCaFile !== undefined && { ca: authority(clientCaFile) }),
  };
  parsed(certificateFile, 'something that cannot be served', () => createSecureContext(material));
  return material;
}

function authority(file: string): string {
  const text = textOf(file);
  parsed(file, 'no certificate in PEM form', () => new X509Certificate(text));
  return text;
}

function textOf(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch (cause) {
    throw new CountersignError('FILE_UNREADABLE', `cannot read ${file}: ${codeOf(cause)}`, { cause });
  }
}

function parsed<T>(file: string, otherwise: string, read: () => T): T {
  try {
    return read();
  } catch (cause) {
    throw new CountersignError('KEY_INVALID', `${file} holds ${otherwise} (${messageOf(cause)})`, { cause });
  }
}

/** Why nobody accepts it now; undefined when its time is right. */
function untimely({ validFromDate, validToDate }: X509Certificate): string | undefined {
  const now = Date.now();
  if (validToDate.getTime() <= now) return `ended on ${validToDate.toISOString()}`;
  return validFromDate.getTime() > now ? `begins on ${validFromDate.toISOString()} only` : undefined;
}
