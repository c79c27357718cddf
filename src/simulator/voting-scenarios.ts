/** What Virtual Signers, and strangers on their network, do to a server that votes. */
import { setTimeout as sleep } from 'node:timers/promises';
import { eightDecimals, shortAmount } from './amount-text.js';
import { DOCUMENTED_PLACE, ETH, etherTransfer } from './invention.js';
import type { Play, Settled } from './play.js';
import {
  contractCall,
  nonce,
  operationId,
  transferOperation,
  unapprovable,
  type VotedTransfer,
} from './virtual-signer.js';

/** One transfer, asked about once. */
export async function vote(play: Play): Promise<void> {
  const signer = play.virtualSigner();
  if (signer !== undefined) await play.settleVote(transferOperation(invented(play)), signer);
}

/** Every signer asks at once, some of them twice, all with nonces of their own. */
export async function voteByAll(play: Play): Promise<void> {
  const operation = transferOperation(invented(play));
  const [first, ...others] = play.virtualSigners;
  if (first === undefined) return;
  const askers = [first, ...others, play.random.pick([first, ...others])];
  const settled = await Promise.all(askers.map((signer) => play.settleVote(operation, signer)));
  play.sameVote(operation.id, settled);
}

/** Other content under an id: never approved beside what was, and no obstacle to what comes after a refusal. */
export async function otherOperation(play: Play): Promise<void> {
  const signer = play.virtualSigner();
  if (signer === undefined) return;
  const transfer = invented(play);
  const operation = transferOperation(transfer);
  const other = transferOperation({ ...transfer, amount: shortAmount(ETH_WEI / 7n, 18) });
  const first = await play.settleVote(operation, signer);
  const second = await play.ballot(other.body(signer), signer, nonce(play.random));
  if (isApproved(first) && second?.kind === 'vote' && second.action === 'APPROVE')
    play.complain(operation.id, 'two contents of one operation were approved');
  play.sameVote(operation.id, [first, await play.settleVote(operation, signer)]);
}

/** The signed vote for a harmless operation must not be one for another that has the same nonce. */
export async function nonceReuse(play: Play): Promise<void> {
  const signer = play.virtualSigner();
  if (signer === undefined) return;
  const digits = nonce(play.random);
  const harmless = transferOperation(invented(play));
  const other = transferOperation(invented(play));
  const first = await play.ballot(harmless.body(signer), signer, digits);
  const second = await play.ballot(other.body(signer), signer, digits);
  if (first?.kind === 'vote' && first.action === 'APPROVE' && second?.kind === 'vote')
    play.complain(other.id, `a nonce that was approved for another operation got a vote (${second.action})`);
}

/** What no policy may approve. */
export async function neverApproved(play: Play): Promise<void> {
  const signer = play.virtualSigner();
  if (signer === undefined) return;
  const operation = unapprovable(play.random);
  const settled = await play.settleVote(operation, signer);
  if (isApproved(settled)) play.complain(operation.id, `${operation.about} was approved`);
}

/** An operation that ends while it is asked about: whatever was said before, no vote afterwards. */
export async function expired(play: Play): Promise<void> {
  const signer = play.virtualSigner();
  if (signer === undefined) return;
  const expiresAtMs = Date.now() + 500;
  const operation = transferOperation({ ...invented(play), expiresAtMs });
  await play.ballot(operation.body(signer), signer, nonce(play.random));
  await sleep(Math.max(0, expiresAtMs - Date.now()) + 50);
  const late = await play.ballot(operation.body(signer), signer, nonce(play.random));
  if (late?.kind === 'vote')
    play.complain(operation.id, `an operation that had expired got a vote (${late.action})`);
}

/** Muddles in body and headers: refused, or at least not approved. */
export async function muddle(play: Play): Promise<void> {
  const { random } = play;
  const signer = play.virtualSigner();
  if (signer === undefined) return;
  const { id, body } = transferOperation(invented(play));
  const { id: _id, ...nameless } = body(signer);
  const heard = random.chance(50)
    ? await play.ballot(
        random.pick<object | string>([
          '{',
          '[]',
          '"id"',
          nameless,
          { ...body(signer), id: 7 },
          '{"id":"a","id":"b"}',
        ]),
        signer,
        nonce(random),
      )
    : await play.ballot(
        body(signer),
        signer,
        random.pick(['', '-1', '01', '1e3', '9223372036854775807', '1,1']),
      );
  if (heard !== undefined && !(heard.kind === 'none' && heard.status === 400))
    play.complain(id, `a muddle was answered with ${heard.kind === 'none' ? heard.status : heard.kind}`);
}

/** The contract mode: asked twice, the same; asked in another layout, nothing. */
export async function contractMode(play: Play): Promise<void> {
  const { random } = play;
  const signer = play.virtualSigner((each) => each.contract !== undefined);
  if (signer?.contract === undefined) return;
  const transfer = invented(play);
  const { revision } = signer.contract;
  const amount = weiOf(transfer);
  const question = { transfer, amount: signer.amounts === 'base-units' ? amount : transfer.amount, revision };
  const first = await play.callContract(signer, contractCall(signer, question));
  const second = await play.callContract(signer, contractCall(signer, question));
  if (first?.kind === 'vote' && second?.kind === 'vote' && first.action !== second.action)
    play.complain(transfer.id, `one call was answered ${first.action} and ${second.action}`);
  const other = contractCall(signer, {
    ...question,
    transfer: { ...transfer, id: operationId(random) },
    revision: revision === 'R1' ? 'R2' : 'R1',
  });
  const misread = await play.callContract(signer, other);
  if (misread?.kind === 'vote') play.complain(transfer.id, 'a call in another layout got a vote');
}

const ETH_WEI = 10n ** 18n;

/** The amounts and addresses of the other protocol's transfers: they share one policy. */
function invented({ random }: Play): VotedTransfer {
  const { amount, destination } = etherTransfer(random);
  // Mostly one that the example policy names by its address.
  const { address } = random.chance(60) ? DOCUMENTED_PLACE : destination;
  return {
    id: operationId(random),
    amount: shortAmount(amount, ETH.decimals),
    usd: eightDecimals((amount * ETH.price) / ETH_WEI, 8),
    address,
  };
}

function weiOf({ amount }: VotedTransfer): string {
  const [whole = '', fraction = ''] = amount.split('.');
  return BigInt(whole + fraction.padEnd(18, '0')).toString();
}

function isApproved(settled: Settled): boolean {
  return settled.kind === 'final' && settled.answer.action === 'APPROVE';
}
