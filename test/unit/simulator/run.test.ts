import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { afterEach, describe, expect, it } from '@jest/globals';
import { type RunOptions, run } from '../../../src/simulator/run.js';
import { type ScenarioName, scenariosOf } from '../../../src/simulator/scenarios.js';
import type { Summary } from '../../../src/simulator/tally.js';
import type { Cosigner, Target } from '../../../src/simulator/target.js';
import { eventually } from '../../support/eventually.js';
import { type Character, type FakeHandler, startFakeHandler } from '../../support/fake-handler.js';

const KEYS = [0, 1].map(() => generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey);
const ALL = scenariosOf('fireblocks').filter((name) => name !== 'plain-garbage');

let handler: FakeHandler | undefined;

afterEach(async () => {
  await handler?.close();
  handler = undefined;
});

async function playAgainst(character: Character, changes: Partial<RunOptions> & { room?: number } = {}) {
  handler ??= await startFakeHandler(character, {
    cosignerKeys: KEYS.map((key) => createPublicKey(key)),
    ...(changes.room === undefined ? {} : { room: changes.room }),
  });
  return run({
    target: targetOf(handler),
    scenarios: ALL,
    requests: 80,
    concurrency: 4,
    seed: 'a seed',
    patience: { totalMs: 60_000, afterRetryMs: 5 },
    signal: new AbortController().signal,
    ...changes,
  });
}

function targetOf({ url, answerKey }: FakeHandler): Target {
  const cosigners = KEYS.map(
    (key, index): Cosigner => ({
      name: `cosigner-${index}`,
      url,
      key,
      signers: { signing: [`signer-${index}`], approval: [`approver-${index}`] },
    }),
  );
  const [first, ...others] = cosigners;
  if (first === undefined) throw new Error('no co-signer');
  return { cosigners: [first, ...others], replicaOrigins: [], answerKeys: [answerKey] };
}

function total(summary: Summary, outcome: keyof Summary['scenarios'][number]['outcomes']): number {
  return summary.scenarios.reduce((sum, { outcomes }) => sum + outcomes[outcome], 0);
}

describe('a run against a handler that does what it should', () => {
  it('plays every scenario and finds nothing wrong', async () => {
    const summary = await playAgainst('honest', { room: 30 });
    expect(summary.violationSamples).toEqual([]);
    expect(summary.scenarios.map(({ scenario }) => scenario).sort()).toEqual([...ALL].sort());
    expect(summary.asks).toBeGreaterThanOrEqual(80);
    expect(total(summary, 'APPROVE')).toBeGreaterThanOrEqual(30);
    expect(handler?.approved()).toBe(30);
  });

  it('says why, with the numbers of a reason taken out and one decision in full', async () => {
    const summary = await playAgainst('honest', { scenarios: ['burst'], requests: 25, room: 3 });
    const refused = summary.reasons.find(({ action }) => action === 'REJECT');
    expect(refused).toMatchObject({ reason: 'limit room is full: … of …', count: 44 });
    expect(refused?.sample).toMatchObject({ reason: 'limit room is full: 3 of 3' });
    expect(refused?.sample.asked).toMatch(/^sign \d\.\d+ ETH from vault 0 to VAULT 1$/);
  });

  it('asks again after RETRY, and counts the RETRY answers apart', async () => {
    const summary = await playAgainst('hesitant', { scenarios: ['happy'], requests: 20 });
    expect(summary.violationSamples).toEqual([]);
    expect(total(summary, 'RETRY')).toBe(20);
    expect(total(summary, 'APPROVE')).toBe(20);
  });

  it('delivers again after a reset', async () => {
    const summary = await playAgainst('resetting', {
      scenarios: ['happy', 'duplicate', 'conflict'],
      requests: 30,
    });
    expect(summary.violationSamples).toEqual([]);
    expect(total(summary, 'lost')).toBeGreaterThan(3);
  });

  it('measures how long answers take', async () => {
    const [figures] = (await playAgainst('slow', { scenarios: ['happy'], requests: 5 })).scenarios;
    expect(figures?.p50Ms).toBeGreaterThan(35);
    expect(figures?.maxMs).toBeGreaterThanOrEqual(figures?.p99Ms ?? Number.POSITIVE_INFINITY);
  });

  it('asks the same under the same ids when the seed is the same', async () => {
    await playAgainst('honest', { requests: 60 });
    const ids = () => new Set(handler?.heard.map(({ requestId }) => requestId));
    const before = ids();
    const again = await playAgainst('honest', { requests: 60 });
    expect(again.violationSamples).toEqual([]);
    expect(ids()).toEqual(before);
    await playAgainst('honest', { requests: 60, seed: 'another seed' });
    expect(ids().size).toBeGreaterThan(before.size);
  });

  it('keeps to the rate', async () => {
    const summary = await playAgainst('honest', { scenarios: ['happy'], requests: 20, ratePerSecond: 40 });
    expect(summary.elapsedMs).toBeGreaterThan(450);
  });

  it('stops with what it has when it is told to', async () => {
    const stopped = new AbortController();
    const running = playAgainst('slow', {
      scenarios: ['happy'],
      requests: 1_000,
      signal: stopped.signal,
    });
    await eventually(async () => expect(handler?.heard.length).toBeGreaterThan(20));
    stopped.abort();
    const summary = await running;
    expect(summary.violationSamples).toEqual([]);
    expect(summary.asks).toBeGreaterThan(3);
    expect(summary.asks).toBeLessThan(1_000);
  });
});

describe('a run against a handler that misbehaves', () => {
  const cases: readonly { character: Character; scenario: ScenarioName; problem: RegExp }[] = [
    { character: 'forgetful', scenario: 'duplicate', problem: /^two deliveries of one ask were answered / },
    {
      character: 'gullible',
      scenario: 'conflict',
      problem: /^other content under this id was answered APPROVE/,
    },
    { character: 'trusting', scenario: 'bad-signature', problem: /^the status is 200, not one of 400, 401/ },
    { character: 'trusting', scenario: 'garbage', problem: /^the status is 200, not one of 400, 401/ },
    {
      character: 'impostor',
      scenario: 'happy',
      problem: /^the signature does not verify with the answer key$/,
    },
    { character: 'confused', scenario: 'happy', problem: /^requestId is not the one that was asked$/ },
    { character: 'talkative', scenario: 'happy', problem: /^there is a claim "txId"$/ },
    {
      character: 'shy',
      scenario: 'duplicate',
      problem: /^action "IGNORE" means nothing at the signing stage$/,
    },
    { character: 'broken', scenario: 'happy', problem: /^the status is 500, not 200$/ },
    {
      character: 'broken',
      scenario: 'garbage',
      problem: /^the status is 500, not one of 400, 401, 404, 413$/,
    },
  ];
  it.each(cases)(
    'tells that a $character handler is wrong, by $scenario',
    async ({ character, scenario, problem }) => {
      const summary = await playAgainst(character, { scenarios: [scenario], requests: 20 });
      expect(summary.violations).toBeGreaterThan(0);
      expect(summary.violationSamples.map((violation) => violation.problem)).toContainEqual(
        expect.stringMatching(problem),
      );
    },
  );

  it('tells that nobody answers', async () => {
    handler = await startFakeHandler('honest', { cosignerKeys: [] });
    const summary = await playAgainst('honest', {
      // A port that was free a moment ago may be somebody's by now; this one is nobody's.
      target: targetOf({ ...handler, url: 'http://127.0.0.1:1' }),
      scenarios: ['happy'],
      requests: 2,
      patience: { totalMs: 250, afterRetryMs: 5 },
    });
    expect(summary.violations).toBe(2);
    expect(summary.violationSamples[0]?.problem).toMatch(/^no answer in 0.25 s \(.*connect ECONNREFUSED/);
  });
});

describe('a co-signer that was given no key', () => {
  async function playPlainly(character: Character, changes: Partial<RunOptions> = {}) {
    handler = await startFakeHandler(character, { cosignerKeys: [], room: 30 });
    const signers = { signing: ['signer-0'], approval: ['approver-0'] };
    const target = {
      replicaOrigins: [],
      answerKeys: [],
      cosigners: [{ name: 'plain', url: `${handler.url}/plain`, signers }],
    };
    return playAgainst(character, { target, scenarios: scenariosOf('fireblocks'), ...changes });
  }

  it('plays what needs no key, and finds nothing wrong with an honest handler', async () => {
    const summary = await playPlainly('honest');
    expect(summary.violationSamples).toEqual([]);
    const played = summary.scenarios.map(({ scenario }) => scenario);
    expect(played).toEqual(
      scenariosOf('fireblocks').filter((name) => name !== 'bad-signature' && name !== 'garbage'),
    );
    expect(total(summary, 'APPROVE')).toBeGreaterThanOrEqual(30);
    expect(total(summary, 'refused')).toBeGreaterThanOrEqual(1);
  });

  it.each<[Character, string]>([
    ['talkative', 'there is a claim "txId"'],
    ['confused', 'requestId is not the one that was asked'],
    ['shy', 'action "IGNORE" means nothing at the signing stage'],
    ['trusting', 'the content type is not application/json'],
    ['gullible', 'other content under this id was answered APPROVE, not REJECT'],
    ['forgetful', 'two deliveries of one ask were answered'],
    ['broken', 'the status is 500, not 200'],
  ])('notices a handler that is %s', async (character, problem) => {
    const summary = await playPlainly(character, { requests: 60 });
    expect(summary.violationSamples.map((violation) => violation.problem).join('\n')).toContain(problem);
  });
});
