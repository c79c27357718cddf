/** Requests that anybody may have written, on every ledger: what they bind, and what two replicas make of one at once. */
import { describe, expect, test } from '@jest/globals';
import { type DecisionPorts, decide } from '../../src/core/decide.js';
import type { Outcome } from '../../src/core/decision.js';
import { askKeyOf, decidedUnder } from '../../src/core/fingerprint.js';
import type { Ledger } from '../../src/core/ports.js';
import type { Destination, Request } from '../../src/core/request.js';
import { deadlineAfter } from '../../src/http/deadline.js';
import { type Given, onEachLedger } from '../support/each-ledger.js';
import { ALICE, type Change, destination, question, rulesOf } from '../support/policy.js';
import { chainsThat, PAYS_ALICE, Witness } from '../support/ports.js';

const LIMITED = `limits:
  eth: { sum: native, max: '0.015', window: lifetime }
rules:
  - name: ether
    match: { kind: transaction, operation: [TRANSFER], asset: [ETH] }
    limits: [eth]
    effect: approve
`;
const REFUSING = LIMITED.replace('limits: [eth]\n    effect: approve', 'effect: reject');

const RAW = [{ keyDerivationPath: '[ 44, 60, 0, 0, 0 ]', bytes: '02ef', digest: 'aa' }] as const;

function ask(change: Change = {}, anonymous = true): Request {
  const { request } = question({ ...change, request: { rawTransactions: RAW, ...change.request } });
  return anonymous ? { ...request, anonymous: true } : request;
}

/** A replica with an opinion of its own: the version of the policy is the ledger's all the same. */
function replicaOf(given: Given, document = LIMITED, ledger: Pick<Ledger, 'commit'> = given.ledger) {
  const rules = { ...rulesOf(document), versions: given.versions };
  const rulebook = { current: async () => rules, forget: () => undefined };
  const ports = {
    ledger,
    rulebook,
    chains: chainsThat(async () => PAYS_ALICE),
    clock: { now: Date.now },
    observer: new Witness(),
  } as unknown as DecisionPorts;
  return (request: Request) => decide(request, ports, deadlineAfter(20_000));
}

async function said(outcome: Promise<Outcome>): Promise<string> {
  const known = await outcome;
  if (known.kind === 'undecided') return `undecided ${known.reason}`;
  return `${known.decision.effect} ${known.decision.reason}${known.repeated ? ' again' : ''}`;
}

/** The same content, of which something else is said of the destination. */
function asked(change: Partial<Destination>): Request {
  return ask({ intent: { destinations: [destination(change)] } });
}

const OTHER = { intent: { extraParameters: { other: 'content' } } };

onEachLedger('asked by anybody', (given) => {
  const approving = (request: Request) => said(replicaOf(given)(request));
  const refusing = (request: Request) => said(replicaOf(given, REFUSING)(request));
  const events = async () => (await given.ledger.state()).sequence;

  test('an approval and a refusal are recorded once, and repeated whatever the policy has come to think', async () => {
    expect(await approving(ask())).toBe('approve APPROVED');
    const after = await events();
    expect(await approving(ask())).toBe('approve APPROVED again');
    expect(await refusing(ask())).toBe('approve APPROVED again');
    const other = ask({ request: { requestId: 'r2', txId: 't2' } });
    expect(await events()).toBe(after);
    expect(await refusing(other)).toBe('reject RULE_REJECTS');
    expect(await refusing(other)).toBe('reject RULE_REJECTS again');
    expect(await approving(other)).toBe('reject RULE_REJECTS again');
    expect(await events()).toBe(after + 1);
  });

  test('a refusal binds its own content only', async () => {
    expect(await refusing(ask(OTHER))).toBe('reject RULE_REJECTS');
    expect(await refusing(ask({ request: { txId: 'another' } }))).toBe('reject RULE_REJECTS');
    expect(await approving(ask())).toBe('approve APPROVED');
  });

  test.each<[string, Request]>([
    ['another worth', asked({ usd: '1' })],
    ['a worth of nothing', asked({ usd: '0' })],
    ['another kind of address', asked({ addressType: 'ONE_TIME' })],
    ['another sub-type', asked({ subType: 'EXTERNAL' })],
    ['an address whose case is wrong', asked({ address: `0x${ALICE.slice(2).toUpperCase()}` })],
    [
      'a path with a blank inside a number',
      ask({ request: { rawTransactions: [{ ...RAW[0], keyDerivationPath: '[ 4 4, 60, 0, 0, 0 ]' }] } }),
    ],
    ['another signer', ask({ request: { signer: 'signer-2' } })],
    ['an id of the initiator', ask({ intent: { externalTxId: 'x-1' } })],
  ])('nor does a refusal bind the same content told with %s', async (_, told) => {
    expect(await refusing(told)).toBe('reject RULE_REJECTS');
    expect(await approving(told)).toBe('reject RULE_REJECTS again');
    expect(await approving(ask())).toBe('approve APPROVED');
    expect(await approving(told)).toBe('reject RULE_REJECTS again');
  });

  test('an approval binds the request id, for those who sign too, and theirs binds it for all', async () => {
    expect(await approving(ask())).toBe('approve APPROVED');
    expect(await approving(ask(OTHER))).toBe('reject CONFLICT_CONTENT');
    expect(await approving(ask(OTHER, false))).toBe('reject CONFLICT_CONTENT again');
    expect(await approving(ask({}, false))).toBe('approve APPROVED again');
    expect(await approving(ask({ request: { txId: 'another' } }))).toBe('reject CONFLICT_BINDING');
    const signed = { request: { requestId: 'r2', txId: 't2' }, intent: { destinations: [] } };
    expect(await refusing(ask(signed, false))).toBe('reject RULE_REJECTS');
    expect(await refusing(ask(signed))).toBe('reject RULE_REJECTS again');
  });

  test('a transaction is charged once, whoever asks about it at whatever stage', async () => {
    const approval = { request: { stage: 'approval' as const } };
    expect(await approving(ask(approval))).toBe('approve APPROVED');
    expect(await approving(ask())).toBe('approve APPROVED');
    expect(await approving(ask({ request: { requestId: 'r1-of-another-co-signer' } }, false))).toBe(
      'approve APPROVED',
    );
    // 0.01 of 0.015 are used, so another transaction does not fit.
    expect(await approving(ask({ request: { requestId: 'r2', txId: 't2' } }))).toBe('reject LIMIT_EXCEEDED');
  });

  test('an approval that was released is approved no more, whatever the policy says now', async () => {
    expect(await approving(ask())).toBe('approve APPROVED');
    await given.ledger.release({
      moneyKey: 'fireblocks:t1',
      reason: 'failed',
      authority: { kind: 'operator', statement: 'a.b.c' },
    });
    expect(await approving(ask())).toBe('reject RELEASED_BEFORE');
    expect(await refusing(ask())).toBe('reject RELEASED_BEFORE again');
  });

  test('what was decided is found by the key that it is asked again under', async () => {
    const found = async (request: Request) => {
      const keys = decidedUnder(askKeyOf(request));
      return (await Promise.all(keys.map((key) => given.ledger.lookup(key)))).some(Boolean);
    };
    const other = ask({ request: { requestId: 'r2', txId: 't2' } });
    expect([await found(ask()), await found(other)]).toEqual([false, false]);
    await approving(ask());
    await refusing(other);
    expect([await found(ask()), await found(other)]).toEqual([true, true]);
  });

  describe('two replicas of different opinions at once give one answer', () => {
    test.each(interleavings(3, 3))('%s', async (order) => {
      const turns = scheduleOf(order);
      const one = replicaOf(
        given,
        LIMITED,
        turns.taking('A', given.ledger),
      )(ask()).finally(() => turns.left('A'));
      const two = replicaOf(
        given,
        REFUSING,
        turns.taking('B', given.ledger),
      )(ask()).finally(() => turns.left('B'));
      const effects = (await Promise.all([said(one), said(two)])).map((text) => text.split(' ')[0]);
      expect(new Set(effects).size).toBe(1);
      expect(await approving(ask())).toContain(`${effects[0]} `);
      expect(await refusing(ask())).toContain(`${effects[0]} `);
    });
  });
});

/** Every order in which so many steps of A and of B can be taken. */
function interleavings(ofA: number, ofB: number): readonly string[] {
  if (ofA === 0 || ofB === 0) return ['A'.repeat(ofA) + 'B'.repeat(ofB)];
  return [
    ...interleavings(ofA - 1, ofB).map((rest) => `A${rest}`),
    ...interleavings(ofA, ofB - 1).map((rest) => `B${rest}`),
  ];
}

/** Lets calls of two callers through in this order; one that has no more to say is not waited for. */
function scheduleOf(order: string) {
  const steps = [...order];
  const gone = new Set<string>();
  const wake: (() => void)[] = [];
  const moved = (): void => {
    while (steps[0] !== undefined && gone.has(steps[0])) steps.shift();
    for (const each of wake.splice(0)) each();
  };
  return {
    taking: (who: string, ledger: Ledger): Pick<Ledger, 'commit'> => ({
      async commit(...call) {
        while (steps.length > 0 && steps[0] !== who) await new Promise<void>((resolve) => wake.push(resolve));
        const reply = await ledger.commit(...call);
        steps.shift();
        moved();
        return reply;
      },
    }),
    left(who: string) {
      gone.add(who);
      moved();
    },
  };
}
