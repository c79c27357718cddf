/** The protocol with real keys, ready to receive. */
import type { Received } from '../../src/core/ports.js';
import type { ConfigChangeRequest, TransactionRequest } from '../../src/core/request.js';
import { answerKeyRing } from '../../src/keys/answer-keys.js';
import { cosignerKeyRing } from '../../src/keys/cosigner-keys.js';
import { type FireblocksCosigner, fireblocksProtocol } from '../../src/protocols/fireblocks/fireblocks.js';
import { type KeyPair, rsaPair, token } from './cosigner.js';
import { inbound, requestIn } from './inbound.js';

export const TRANSACTION = '/v2/tx_sign_request';
export const CONFIG_CHANGE = '/v2/config_change_sign_request';

export interface Handler {
  readonly protocol: ReturnType<typeof fireblocksProtocol>;
  receive(body: string | Uint8Array, route?: string): Promise<Received>;
  /** An honest transaction of the first co-signer. */
  transaction(claims: object | string): Promise<TransactionRequest>;
  configChange(claims: object | string): Promise<ConfigChangeRequest>;
  /** Why an honest transaction of the first co-signer is answered 400. */
  malformed(claims: object | string, route?: string): Promise<string>;
}

export function handler(
  cosigner: KeyPair,
  answer: KeyPair = cosigner,
  options: Omit<FireblocksCosigner, 'name' | 'workspace'> = {},
): Handler {
  const identity = { name: 'cosigner-a', workspace: 'main' };
  const protocol = fireblocksProtocol({
    cosigners: [{ ...identity, ...options }],
    cosignerKeys: cosignerKeyRing([
      { ...identity, publicKeys: [{ key: cosigner.publicKey, file: 'a.pem' }] },
    ]),
    answerKeys: answerKeyRing([{ cosigner: identity.name, answerKey: answer.privateKey }]),
  });
  const receive = (body: string | Uint8Array, route = TRANSACTION) =>
    protocol.receive(inbound({ route, body: Buffer.from(body) }));
  const honest = async (claims: object | string, route: string) => {
    return requestIn(await receive(token(claims, cosigner.privateKey), route));
  };
  return {
    protocol,
    receive,
    async transaction(claims) {
      const request = await honest(claims, TRANSACTION);
      if (request.kind !== 'transaction') throw new Error('not a transaction');
      return request;
    },
    async configChange(claims) {
      const request = await honest(claims, CONFIG_CHANGE);
      if (request.kind !== 'config-change') throw new Error('not a configuration change');
      return request;
    },
    async malformed(claims, route = TRANSACTION) {
      const received = await receive(token(claims, cosigner.privateKey), route);
      if (received.kind !== 'refused' || received.status !== 400) throw new Error(`not malformed`);
      return received.problem;
    },
  };
}

/** A signing request with the documented fields; small, complete and our own. */
export function signingClaims(overrides: object = {}): Record<string, unknown> {
  return {
    txId: '6a9d2e0c-0a53-4a0e-9d6c-1f2b7a8c9d10',
    requestId: '6a9d2e0c-0a53-4a0e-9d6c-1f2b7a8c9d10',
    operation: 'TRANSFER',
    sourceType: 'VAULT',
    sourceId: '7',
    destType: 'VAULT',
    destId: '8',
    asset: 'ETH',
    amount: 0.5,
    amountStr: '0.500000000000000000',
    requestedAmount: 0.5,
    requestedAmountStr: '0.5',
    fee: '0.000021',
    destAddressType: 'WHITELISTED',
    destAddress: '0x00000000000000000000000000000000000000aa',
    destinations: [
      {
        amountNative: 0.5,
        amountNativeStr: '0.5',
        amountUSD: 1000.25,
        dstAddressType: 'WHITELISTED',
        dstId: '8',
        dstName: 'Treasury',
        dstSubType: '',
        dstType: 'VAULT',
        displayDstAddress: '0x00000000000000000000000000000000000000aa',
        action: 'ALLOW',
      },
    ],
    rawTx: [{ keyDerivationPath: '[ 44, 60, 7, 0, 0 ]', rawTx: '02c0', payload: 'ab' }],
    players: ['p1'],
    signerId: 'signer-1',
    ...overrides,
  };
}

/** The same transaction before anything is serialised. */
export function approvalClaims(overrides: object = {}): Record<string, unknown> {
  const { fee: _fee, rawTx: _rawTx, destinations: _destinations, ...claims } = signingClaims();
  return {
    ...claims,
    destinations: [{ amountNativeStr: '0.5', amountUSD: 1000.25, dstId: '8', dstType: 'VAULT' }],
    ...overrides,
  };
}

export { rsaPair };
