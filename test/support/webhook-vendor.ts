/** The vendor's end of webhooks for tests, on node:crypto and node:http alone: keys, their server, and signed notifications. */
import { createHash, type KeyObject, sign } from 'node:crypto';
import { createServer, type Server } from 'node:http';
import { base64url, type KeyPair, rsaPair } from './cosigner.js';

export interface VendorKey extends KeyPair {
  readonly kid: string;
}

export function vendorKey(kid: string, modulusLength = 2048): VendorKey {
  return { kid, ...rsaPair(modulusLength) };
}

/** The public half as a member of a key set. */
export function jwkOf({ kid, publicKey }: Pick<VendorKey, 'kid' | 'publicKey'>, more: object = {}): object {
  return { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig', alg: 'RS512', ...more };
}

/** RFC 7638. */
export function thumbprint({ publicKey }: Pick<VendorKey, 'publicKey'>): string {
  const { e, n } = publicKey.export({ format: 'jwk' });
  return createHash('sha256').update(`{"e":"${e}","kty":"RSA","n":"${n}"}`).digest('base64url');
}

export function keySet(...keys: readonly Pick<VendorKey, 'kid' | 'publicKey'>[]): string {
  return JSON.stringify({ keys: keys.map((key) => jwkOf(key)) });
}

/** A detached JWS of exactly this header. */
export function detached(body: string, key: KeyObject, header: object | string): string {
  const protectedHeader = base64url(typeof header === 'string' ? header : JSON.stringify(header));
  const input = `${protectedHeader}.${base64url(body)}`;
  return `${protectedHeader}..${base64url(sign('sha512', Buffer.from(input), key))}`;
}

/** What an honest vendor sends in `Fireblocks-Webhook-Signature`. */
export function signatureOf(
  body: string,
  { kid, privateKey }: Pick<VendorKey, 'kid' | 'privateKey'>,
): string {
  return detached(body, privateKey, { alg: 'RS512', kid, typ: 'JOSE' });
}

/** The former kind: RSA-SHA512 over the body alone, base64. */
export function legacySignatureOf(body: string, key: KeyObject): string {
  return sign('sha512', Buffer.from(body), key).toString('base64');
}

export interface KeyServer {
  readonly url: string;
  /** Requests that came. */
  readonly asked: () => number;
  /** What it answers from now on. */
  answer: (response: {
    status?: number;
    headers?: Record<string, string>;
    body?: string;
    delayMs?: number;
  }) => void;
  readonly stop: () => Promise<void>;
}

export async function keyServer(body: string, headers: Record<string, string> = {}): Promise<KeyServer> {
  let asked = 0;
  let next = { status: 200, headers, body, delayMs: 0 };
  const server = createServer((_request, response) => {
    asked += 1;
    const { status, headers: own, body: text, delayMs } = next;
    setTimeout(() => {
      response.writeHead(status, { 'content-type': 'application/json', ...own });
      response.end(text);
    }, delayMs).unref();
  });
  await listen(server);
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}/.well-known/jwks.json`,
    asked: () => asked,
    answer: (response) => {
      next = { status: 200, headers: {}, body: '', delayMs: 0, ...response };
    },
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server): Promise<void> {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

export const WORKSPACE_ID = '1f3c2a90-6c1e-4c55-9d0e-6ad7c0a7a001';
let notifications = 0;

/** The text of a notification about a transaction. */
export function notification(data: object, envelope: object = {}): string {
  notifications += 1;
  return JSON.stringify({
    id: `00000000-0000-4000-8000-${`${notifications}`.padStart(12, '0')}`,
    resourceId: (data as { id?: string }).id,
    webhookId: '6f9a4a1e-37e1-4a5c-8c43-000000000001',
    workspaceId: WORKSPACE_ID,
    eventType: 'transaction.status.updated',
    eventVersion: 1,
    createdAt: Date.now(),
    data,
    ...envelope,
  });
}

/** The vendor's view of an outgoing transaction. */
export function outgoing(id: string, status: string, overrides: object = {}): object {
  const nowMs = Date.now();
  return {
    id,
    status,
    subStatus: '',
    externalTxId: null,
    operation: 'TRANSFER',
    assetId: 'ETH',
    source: { id: '7', type: 'VAULT_ACCOUNT', name: 'hot', subType: '' },
    destination: { id: '8', type: 'VAULT_ACCOUNT', name: 'cold', subType: '' },
    destinations: [],
    amountInfo: { amount: '0.5', requestedAmount: '0.5', netAmount: '0.5', amountUSD: null },
    feeInfo: {},
    createdBy: 'a1b2',
    signedBy: [],
    rejectedBy: '',
    txHash: '',
    createdAt: nowMs - 60_000,
    lastUpdated: nowMs,
    ...overrides,
  };
}
