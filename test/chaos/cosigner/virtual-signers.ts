/**
 * io.finnet Virtual Signers: each asks for a vote at a path of its own, with a nonce for every call, and obeys nothing but
 * a vote that its key verifies for this nonce. Whether one that got no answer sends the same nonce again is not public: here
 * it does every other time.
 */
import { createPublicKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Random } from '../../../src/simulator/random.js';
import { hear, nonce } from '../../../src/simulator/virtual-signer.js';
import { nonceHeaders } from '../../support/virtual-signer.js';
import type { Ask } from '../workload/errands.js';
import { CALL_TIMEOUT_MS, type Channel, type ChannelSettings, type Heard } from './channel.js';
import { NO_VOTE_FOR_OTHER_CONTENT, VOTED_AGAINST } from './record.js';

export interface VirtualSignerKeys {
  readonly name: string;
  readonly path: string;
  readonly answerPublicKeyFile: string;
}

/** What a replica says that could not decide; a balancer that has nobody has other words. */
const UNDECIDED = 'no vote; ask again\n';

export function virtualSignersChannel(
  signers: readonly VirtualSignerKeys[],
  { origin, seed, courier }: ChannelSettings,
): Channel {
  const random = new Random(seed, 'nonces');
  const known = new Map(
    signers.map(({ name, path, answerPublicKeyFile }) => [
      name,
      { url: `${origin}${path}/transaction`, key: createPublicKey(readFileSync(answerPublicKeyFile)) },
    ]),
  );

  async function send({ signer, payload }: Ask, digits: string): Promise<Heard> {
    const to = known.get(signer);
    if (to === undefined) throw new Error(`there is no Virtual Signer ${signer}`);
    const call = { url: to.url, body: payload, timeoutMs: CALL_TIMEOUT_MS, headers: nonceHeaders(digits) };
    const reply = await courier.post(call);
    if (reply.kind === 'none') return { outcome: 'none', reason: reply.problem };
    const heard = hear(reply, digits, to.key);
    if (heard.kind === 'wrong') return { outcome: 'wrong', reason: heard.problem };
    if (heard.kind === 'vote')
      return { outcome: heard.action, ...(heard.action === 'REJECT' && { reason: VOTED_AGAINST }) };
    if (heard.status === 409) return { outcome: 'REJECT', reason: NO_VOTE_FOR_OTHER_CONTENT };
    if (heard.status < 500) return { outcome: 'wrong', reason: `the status is ${heard.status}` };
    return reply.body === UNDECIDED
      ? { outcome: 'RETRY' }
      : { outcome: 'none', reason: `the status is ${heard.status}` };
  }

  return {
    async prepare(ask) {
      let digits = nonce(random);
      return async () => {
        const heard = await send(ask, digits);
        if (heard.outcome !== 'none' || random.chance(50)) digits = nonce(random);
        return heard;
      };
    },
  };
}
