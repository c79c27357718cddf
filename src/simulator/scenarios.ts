/** What co-signers do to a callback handler, on good days and bad ones. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { approvalAsk, configAsk, signingAsk } from './asks.js';
import { configChange } from './change-invention.js';
import type { Manner } from './courier.js';
import { BAD_SIGNATURES, type Forgery, GARBAGE, NO_QUESTIONS } from './forgeries.js';
import { anyTransfer, burstTransfer, etherTransfer, otherDestination, retold } from './invention.js';
import type { Ask, Asker, Play, Settled } from './play.js';
import type { Stage } from './target.js';
import { signToken } from './token.js';
import { type EtherTransfer, unsignedBytes } from './transaction.js';
import {
  contractMode,
  expired,
  muddle,
  neverApproved,
  nonceReuse,
  otherOperation,
  vote,
  voteByAll,
} from './voting-scenarios.js';

export interface Scenario {
  readonly about: string;
  /** How often it is played, beside the others. */
  readonly weight: number;
  /** The signers it cannot do without. */
  readonly stages: readonly Stage[];
  /** Whom it cannot do without, where not any Fireblocks co-signer will do: one that signs (`key`), or speaks plain JSON. */
  readonly by?: 'virtual-signer' | 'contract' | 'key' | 'json';
  /** Different asks in one play. */
  readonly asks: number;
  readonly play: (play: Play, part: Part) => Promise<void>;
}

export interface Part {
  /** How many different asks this play may have. */
  readonly asks: number;
  /** How many plays of this scenario the programme has before this one. */
  readonly turn: number;
}

export const SCENARIOS = {
  happy: {
    about: 'one request, one answer',
    weight: 40,
    stages: ['signing'],
    asks: 1,
    play: happy,
  },
  duplicate: {
    about: 'the same request from several co-signers to several replicas at once',
    weight: 20,
    stages: ['signing'],
    asks: 1,
    play: duplicate,
  },
  conflict: {
    about: 'other content under the id of a request that was answered',
    weight: 10,
    stages: ['signing'],
    asks: 2,
    play: conflict,
  },
  'approval-then-signing': {
    about: 'both stages of one transaction',
    weight: 10,
    stages: ['approval', 'signing'],
    asks: 2,
    play: approvalThenSigning,
  },
  'config-change': {
    about: 'a change of the workspace',
    weight: 6,
    stages: ['approval'],
    asks: 1,
    play: changeOfWorkspace,
  },
  slow: {
    about: 'clients that send slowly, cut the body or do not wait, and ask again',
    weight: 4,
    stages: ['signing'],
    asks: 1,
    play: slow,
  },
  'bad-signature': {
    about: 'requests that no configured key verifies',
    weight: 4,
    stages: ['signing'],
    asks: 1,
    by: 'key',
    play: (play, { turn }) => forged(play, BAD_SIGNATURES, turn),
  },
  garbage: {
    about: 'bodies that are no request',
    weight: 4,
    stages: ['signing'],
    asks: 1,
    by: 'key',
    play: (play, { turn }) => forged(play, GARBAGE, turn),
  },
  'plain-garbage': {
    about: 'plain JSON: bodies that are no request',
    weight: 4,
    stages: ['signing'],
    asks: 1,
    by: 'json',
    play: plainGarbage,
  },
  burst: {
    about: 'many alike at once, until a limit is full',
    weight: 1,
    stages: ['signing'],
    asks: 30,
    play: burst,
  },
  vote: {
    about: 'io.finnet: one transfer, one vote',
    weight: 20,
    stages: [],
    asks: 1,
    by: 'virtual-signer',
    play: vote,
  },
  'vote-by-all': {
    about: 'io.finnet: all signers ask about one operation at once',
    weight: 12,
    stages: [],
    asks: 1,
    by: 'virtual-signer',
    play: voteByAll,
  },
  'vote-conflict': {
    about: 'io.finnet: other content under the id of an operation',
    weight: 6,
    stages: [],
    asks: 2,
    by: 'virtual-signer',
    play: otherOperation,
  },
  'nonce-reuse': {
    about: 'io.finnet: two operations under one nonce',
    weight: 6,
    stages: [],
    asks: 2,
    by: 'virtual-signer',
    play: nonceReuse,
  },
  'never-approved': {
    about: 'io.finnet: what no policy may approve',
    weight: 6,
    stages: [],
    asks: 1,
    by: 'virtual-signer',
    play: neverApproved,
  },
  expired: {
    about: 'io.finnet: operations that end while they are asked about',
    weight: 3,
    stages: [],
    asks: 1,
    by: 'virtual-signer',
    play: expired,
  },
  muddle: {
    about: 'io.finnet: bodies and nonces that are none',
    weight: 4,
    stages: [],
    asks: 1,
    by: 'virtual-signer',
    play: muddle,
  },
  contract: {
    about: 'io.finnet: the contract mode, in its layout and another',
    weight: 6,
    stages: [],
    asks: 2,
    by: 'contract',
    play: contractMode,
  },
} as const satisfies Record<string, Scenario>;

export type ScenarioName = keyof typeof SCENARIOS;

/** Those that play a protocol. */
export function scenariosOf(protocol: 'fireblocks' | 'iofinnet'): ScenarioName[] {
  const names = Object.keys(SCENARIOS) as ScenarioName[];
  return names.filter((name) => {
    const { by }: Scenario = SCENARIOS[name];
    return (by === 'virtual-signer' || by === 'contract') === (protocol === 'iofinnet');
  });
}

async function happy(play: Play): Promise<void> {
  const { random } = play;
  const approver = play.asker('approval');
  const ask =
    approver !== undefined && random.chance(35)
      ? approvalAsk(anyTransfer(random))
      : signingAsk(etherTransfer(random));
  const asker = ask.stage === 'approval' ? approver : play.asker('signing');
  if (asker !== undefined) await play.settle({ ask, asker });
}

async function duplicate(play: Play): Promise<void> {
  const { random } = play;
  const transfer = etherTransfer(random);
  const ask = signingAsk(transfer);
  const deliveries = Array.from({ length: random.between(2, 5) }, () => signingAsk(retold(transfer, random)));
  const settled = await Promise.all(deliveries.map((delivery) => settleAs('signing', play, delivery)));
  play.alike(ask, settled);
}

async function conflict(play: Play): Promise<void> {
  const { random } = play;
  const asker = play.asker('signing');
  if (asker === undefined) return;
  const transfer = etherTransfer(random);
  const ask = signingAsk(transfer);
  const first = await play.settle({ ask, asker });
  if (first.kind !== 'final') return;
  const other = await play.settle({ ask: contradiction(play, transfer), asker });
  // Where nobody vouches for who asks, what was refused binds no other content.
  const isBound = asker.cosigner.key !== undefined || first.answer.action === 'APPROVE';
  if (isBound && other.kind === 'final' && other.answer.action !== 'REJECT') {
    play.complain(
      ask.requestId,
      `other content under this id was answered ${other.answer.action}, not REJECT`,
    );
  }
  // The standing decision is untouched by the attempt.
  play.alike(ask, [first, await play.settle({ ask, asker })]);
}

/** Each contradicts the transfer in one thing, and agrees with itself unless the bytes are what differs. */
function contradiction({ random }: Play, transfer: EtherTransfer): Ask {
  switch (random.below(5)) {
    case 0:
      return signingAsk({ ...transfer, amount: transfer.amount + 1n });
    case 1:
      return signingAsk({ ...transfer, destination: otherDestination(random, transfer.destination) });
    case 2:
      return signingAsk({ ...transfer, gas: { ...transfer.gas, nonce: transfer.gas.nonce + 1 } });
    case 3:
      // Another transaction that uses the id of this ask.
      return signingAsk({ ...transfer, txId: random.uuid() });
    default:
      return signingAsk(transfer, unsignedBytes({ ...transfer, amount: transfer.amount * 2n }));
  }
}

async function burst(play: Play, { asks }: Part): Promise<void> {
  const { random } = play;
  // 0.05 to 0.25 ETH: together more than one destination should get so quickly, and not so much that nothing else fits.
  const amount = 50_000_000_000_000_000n + random.bigBelow(200_000_000_000_000_000n);
  const burstAsks = Array.from({ length: asks }, () => signingAsk(burstTransfer(random, amount)));
  const settled = await Promise.all(burstAsks.map((ask) => settleAs('signing', play, ask)));
  // A refusal stays a refusal and an approval is not taken back, however full the limits are now.
  await Promise.all(
    burstAsks.map(async (ask, index) => {
      const before = settled[index];
      if (before?.kind === 'final') play.alike(ask, [before, await settleAs('signing', play, ask)]);
    }),
  );
}

async function approvalThenSigning(play: Play): Promise<void> {
  const { random } = play;
  const transfer = etherTransfer(random);
  const approver = play.asker('approval');
  if (approver === undefined) return;
  const approval = await play.settle({ ask: approvalAsk(transfer), asker: approver });
  if (approval.kind !== 'final') return;
  const signing = await settleAs('signing', play, signingAsk(transfer));
  const refused = approval.answer.action === 'REJECT' && approver.cosigner.key !== undefined;
  if (refused && signing.kind === 'final' && signing.answer.action !== 'REJECT') {
    play.complain(transfer.requestId, 'rejected at the approval stage, approved at signing');
  }
}

async function changeOfWorkspace(play: Play): Promise<void> {
  const asker = play.asker('approval');
  if (asker === undefined) return;
  const ask = configAsk(configChange(play.random));
  const settled = await Promise.all([play.settle({ ask, asker }), play.settle({ ask, asker })]);
  play.alike(ask, settled);
}

async function slow(play: Play): Promise<void> {
  const asker = play.asker('signing');
  if (asker === undefined) return;
  const ask = signingAsk(etherTransfer(play.random));
  const manner = play.random.pick<Manner>(['slow-body', 'cut-body', 'hang-up']);
  play.alike(ask, [await play.settle({ ask, asker, manner }), await play.settle({ ask, asker })]);
}

/** Every forgery has its turn. */
async function forged(play: Play, forgeries: readonly [Forgery, ...Forgery[]], turn: number): Promise<void> {
  const { random } = play;
  const asker = play.asker('signing', ({ key }) => key !== undefined);
  const key = asker?.cosigner.key;
  if (asker === undefined || key === undefined) return;
  const { name, route, make } = forgeries[turn % forgeries.length] ?? forgeries[0];
  const ask = signingAsk(etherTransfer(random));
  const payload = ask.payload(asker.signer);
  const token = await signToken(payload, key);
  const body = await make({ token, payload, key, strangerKey: strangerKey(), random });
  await play.beRefused(name, route ?? ask.route, { cosigner: asker.cosigner, body });
}

/** Every one has its turn. */
async function plainGarbage(play: Play, { turn }: Part): Promise<void> {
  const asker = play.asker('signing', ({ key }) => key === undefined);
  if (asker === undefined) return;
  const { name, route, make } = NO_QUESTIONS[turn % NO_QUESTIONS.length] ?? NO_QUESTIONS[0];
  const payload = signingAsk(etherTransfer(play.random)).payload(asker.signer);
  const body = make(payload, play.random);
  await play.beRefused(name, route ?? '/tx_sign_request', { cosigner: asker.cosigner, body });
}

function settleAs(stage: Stage, play: Play, ask: Ask): Promise<Settled> {
  const asker: Asker | undefined = play.asker(stage);
  return asker === undefined ? Promise.resolve({ kind: 'void' }) : play.settle({ ask, asker });
}

let stranger: KeyObject | undefined;

/** Nobody's key; made on first use, because making one takes a good part of a second. */
function strangerKey(): KeyObject {
  stranger ??= generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey;
  return stranger;
}
