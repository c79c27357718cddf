/** A Fireblocks co-signer: asks with a token that it has signed, and obeys nothing but a signed answer. */
import { createPrivateKey, createPublicKey, generateKeyPairSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { checkAnswer } from '../../../src/simulator/answer.js';
import { BAD_SIGNATURES } from '../../../src/simulator/forgeries.js';
import { Random } from '../../../src/simulator/random.js';
import { signToken } from '../../../src/simulator/token.js';
import type { Ask } from '../workload/errands.js';
import { CALL_TIMEOUT_MS, type Channel, type ChannelSettings, type Heard } from './channel.js';

export interface FireblocksKeys {
  readonly keyFile: string;
  readonly answerPublicKeyFile: string;
}

/** @param name of the co-signer, which is its path too */
export function fireblocksChannel(
  name: string,
  { keyFile, answerPublicKeyFile }: FireblocksKeys,
  { origin, seed, courier }: ChannelSettings,
): Channel {
  const key = createPrivateKey(readFileSync(keyFile));
  const keys = [createPublicKey(readFileSync(answerPublicKeyFile))];
  const strangerKey = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  const url = `${origin}/${name}/v2/tx_sign_request`;
  const random = new Random(seed, `forgeries of ${name}`);

  async function send({ requestId, stage }: Ask, token: string): Promise<Heard> {
    const reply = await courier.post({ url, body: token, timeoutMs: CALL_TIMEOUT_MS });
    if (reply.kind === 'none') return { outcome: 'none', reason: reply.problem };
    const checked = checkAnswer(reply.status, reply.body, { requestId, stage, keys });
    // What a balancer says when it has nobody is no answer of anybody, and not a signed wrong one.
    if (!checked.ok) return { outcome: reply.status >= 500 ? 'none' : 'wrong', reason: checked.problem };
    const { action, reason } = checked.answer;
    return { outcome: action, ...(reason === undefined ? {} : { reason }) };
  }

  return {
    async prepare(ask) {
      const token = await signToken(ask.payload, key);
      return () => send(ask, token);
    },
    async forge({ payload }, turn) {
      const token = await signToken(payload, key);
      const forgery = BAD_SIGNATURES[turn % BAD_SIGNATURES.length] ?? BAD_SIGNATURES[0];
      const body = await forgery.make({ token, payload, key, strangerKey, random });
      const reply = await courier.post({ url, body, timeoutMs: CALL_TIMEOUT_MS });
      return { name: forgery.name, status: reply.kind === 'reply' ? reply.status : 0 };
    },
  };
}
