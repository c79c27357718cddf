/**
 * A co-signer's key and an answer key are replaced under load, as docs/operations.md says: several replicas as processes, which
 * find the new document by themselves, in folders that are swapped as Kubernetes swaps a mounted Secret.
 *
 * The load plays both sides of the vendor: it signs with the keys that a co-signer has at that instant, and takes an answer
 * only under the key that is registered at that instant.
 */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parse, stringify } from 'yaml';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { withLedger } from '../../src/cli/ledger.js';
import { type Command, countersign } from './command.js';
import { type KeyPair, payloadOf, rsaPair, token, verifies } from './cosigner.js';
import { APPROVER, approving, type Deployment, writeDeployment } from './deployment.js';
import { approvalClaims } from './fireblocks-handler.js';
import { startRedis } from './redis-server.js';

export interface RotationOptions {
  readonly replicas: number;
  /** Requests on their way at once. */
  readonly inFlight: number;
  /** How long each part of it lasts, besides the time that replicas are given to find a new document. */
  readonly partMs: number;
  readonly say?: (line: string) => void;
}

export interface Latencies {
  readonly requests: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly slowestMs: number;
}

export interface Rotation {
  /** One sentence for each request that was not answered as it must be. */
  readonly failures: readonly string[];
  readonly requests: number;
  /** Requests of the co-signer, by the key that signed them. */
  readonly asked: { readonly old: number; readonly next: number };
  /** Answers, by the key that signed them. */
  readonly answered: { readonly old: number; readonly next: number };
  /** Requests with both keys of the co-signer between the first acceptance of the new and the last of the old. */
  readonly overlapping: number;
  /** Answers that were on their way when the answer key changed: either key is taken for them. */
  readonly straddling: number;
  /** What each replica said to requests outside of their key's time: before it, and after it. */
  readonly tooEarly: readonly string[];
  readonly tooLate: readonly string[];
  /** Times that each replica took a document. */
  readonly reloads: readonly number[];
  readonly before: Latencies;
  readonly during: Latencies;
}

/** When keys begin and end, Unix milliseconds. */
interface Plan {
  readonly nextAccepted: number;
  readonly answersSwitch: number;
  readonly oldRefused: number;
}

interface Running {
  readonly url: URL;
  readonly ops: string;
  readonly process: Command;
}

/** A co-signer stops using a key before its time is over: what it sent last must be read until then. */
const MARGIN_MS = 12_000;
/** After the end of a key. */
const PAST_MS = 200;
/** Replicas look every five seconds; the rest is for a busy machine, and for one request to each before the key begins. */
const NOTICE_MS = 30_000;
const HANGUPS = 10;

export async function rotateUnderLoad(options: RotationOptions): Promise<Rotation> {
  const { say = () => undefined, partMs } = options;
  const dir = mkdtempSync(join(tmpdir(), 'countersign-rotation-'));
  const redis = await startRedis();
  const replicas: Running[] = [];
  const agent = new Agent({ keepAlive: true });
  try {
    const deployment = writeDeployment(join(dir, 'made'), {
      ledger: { kind: 'redis', redis: { url: redis.url } },
      policy: approving({ total: "{ sum: count, max: '1000000000', window: lifetime }" }),
      deadline: '20s',
    });
    await makeLedger(deployment);
    const folder = new SwappedFolder(join(dir, 'mounted'), deployment.dir);
    const configFile = folder.file('own-config.yaml');
    for (let index = 0; index < options.replicas; index += 1) replicas.push(await startReplica(configFile));
    const vendor = new Vendor(deployment);
    const load = new Load(replicas, vendor, agent);
    say(`${options.replicas} replicas, ${options.inFlight} requests in flight; warming up …`);
    const stop = load.start(options.inFlight);
    try {
      await sleep(partMs);
      const startMs = Date.now();
      say('Before: one key each.');
      await sleep(partMs);

      const swapMs = Date.now();
      const nextAccepted = swapMs + NOTICE_MS;
      const answersSwitch = nextAccepted + partMs;
      const oldRefused = answersSwitch + partMs + MARGIN_MS;
      vendor.plan = { nextAccepted, answersSwitch, oldRefused };
      say('The document with both keys, and their times, is swapped in.');
      folder.swap((document, keys) => withBothKeys(document, vendor.plan, keys), vendor);
      // What follows would show nothing otherwise.
      await allTook(replicas, { times: 1, byMs: nextAccepted });
      const tooEarly = await load.probe(vendor.cosigner.next);
      say('The next co-signer key begins; then the next answer key; then the old co-signer key ends.');
      await sleep(oldRefused + PAST_MS - Date.now());
      const tooLate = await load.probe(vendor.cosigner.old);
      say(`The old keys are taken out of the document, and replicas are told ${HANGUPS} times to look.`);
      folder.swap(withNextKeys, vendor);
      for (let round = 0; round < HANGUPS; round += 1) {
        for (const { process } of replicas) process.signal('SIGHUP');
        await sleep(partMs / HANGUPS);
      }
      // Signals that come while the process is not scheduled are one signal.
      const nudge = () => {
        for (const { process } of replicas) process.signal('SIGHUP');
      };
      await allTook(replicas, { times: 3, byMs: Date.now() + 60_000, nudge });
      const endMs = Date.now();
      await stop();
      return {
        ...load.figures({ startMs, swapMs, endMs }),
        tooEarly,
        tooLate,
        reloads: await reloadsOf(replicas),
      };
    } finally {
      await stop();
    }
  } finally {
    agent.destroy();
    for (const { process } of replicas) process.signal('SIGTERM');
    await Promise.all(replicas.map(({ process }) => process.ended));
    await redis.stop();
    rmSync(dir, { recursive: true, force: true });
  }
}

async function makeLedger({ configFile, operatorKeyFile: privateKeyFile }: Deployment): Promise<void> {
  await withLedger({ config: configFile }, async (ledger, workspace, config) => {
    await ledger.init();
    await activatePolicyFile({ config, workspace, ledger, privateKeyFile, startEmpty: [] });
  });
}

async function startReplica(configFile: string): Promise<Running> {
  const process = countersign(['serve', '--config', configFile]);
  await process.says('replica listens');
  const line = process
    .stdout()
    .split('\n')
    .find((text) => text.includes('replica listens'));
  const { http, ops } = JSON.parse(line ?? '{}') as { readonly http: number; readonly ops: number };
  return {
    url: new URL(`http://127.0.0.1:${http}/own/v2/tx_sign_request`),
    ops: `http://127.0.0.1:${ops}`,
    process,
  };
}

/** Rejects when one of them has not taken a document so many times by that instant. */
async function allTook(
  replicas: readonly Running[],
  { times, byMs, nudge }: { readonly times: number; readonly byMs: number; readonly nudge?: () => void },
): Promise<void> {
  while (!(await reloadsOf(replicas)).every((count) => count >= times)) {
    if (Date.now() > byMs) throw new Error(`a replica has not taken a document ${times} times in its time`);
    nudge?.();
    await sleep(100);
  }
}

async function reloadsOf(replicas: readonly Running[]): Promise<readonly number[]> {
  return Promise.all(
    replicas.map(async ({ ops }) => {
      const text = await (await fetch(`${ops}/metrics`)).text();
      return Number(/^countersign_reloads_total\{part="configuration",result="ok"\} (\d+)/m.exec(text)?.[1]);
    }),
  );
}

/** The keys that the vendor's side has, and when it uses which. */
class Vendor {
  readonly cosigner: { readonly old: KeyPair; readonly next: KeyPair };
  readonly answer: { readonly old: KeyPair; readonly next: KeyPair };
  plan: Plan = { nextAccepted: Infinity, answersSwitch: Infinity, oldRefused: Infinity };

  constructor({ cosigner, answer }: Deployment) {
    this.cosigner = { old: cosigner, next: rsaPair() };
    this.answer = { old: answer, next: rsaPair() };
  }

  /** The keys that the co-signer may sign with; during the overlap both. */
  asking(nowMs: number): readonly ('old' | 'next')[] {
    const old = nowMs < this.plan.oldRefused - MARGIN_MS ? (['old'] as const) : [];
    const next = nowMs >= this.plan.nextAccepted ? (['next'] as const) : [];
    return [...old, ...next];
  }

  /** The keys that may be registered between these two instants: one, unless it changed in between. */
  registered(fromMs: number, toMs: number): readonly ('old' | 'next')[] {
    const at = (ms: number) => (ms < this.plan.answersSwitch ? 'old' : 'next');
    return at(fromMs) === at(toMs) ? [at(fromMs)] : ['old', 'next'];
  }
}

type Document = ReturnType<typeof parse>;

function withBothKeys(
  document: Document,
  plan: Plan,
  keys: { readonly cosigner: string; readonly answer: string },
) {
  const [cosigner] = document.workspaces[0].cosigners;
  const [{ file }] = cosigner.publicKeys;
  const instant = (ms: number) => new Date(ms).toISOString();
  cosigner.publicKeys = [
    { file, notAfter: instant(plan.oldRefused) },
    { file: keys.cosigner, notBefore: instant(plan.nextAccepted) },
  ];
  cosigner.answerKeys = [{ file: keys.answer, algorithm: 'RS256', notBefore: instant(plan.answersSwitch) }];
}

function withNextKeys(document: Document, keys: { readonly cosigner: string; readonly answer: string }) {
  const [cosigner] = document.workspaces[0].cosigners;
  cosigner.publicKeys = [{ file: keys.cosigner }];
  cosigner.answerKey = { file: keys.answer, algorithm: 'RS256' };
}

/** `..data` is a link to a folder of one moment; everything else is a link into `..data`. */
class SwappedFolder {
  readonly #folder: string;
  readonly #made: string;
  #moments = 0;

  constructor(folder: string, made: string) {
    this.#folder = folder;
    this.#made = made;
    mkdirSync(folder, { recursive: true });
    this.#point(this.#moment());
    for (const name of ['own-config.yaml', 'own-policy.yaml', 'keys'])
      symlinkSync(join('..data', name), this.file(name));
  }

  file(name: string): string {
    return join(this.#folder, name);
  }

  /** Another moment of the folder, in which the document is another and the next keys are there. */
  swap(
    change: (document: Document, keys: { readonly cosigner: string; readonly answer: string }) => void,
    { cosigner, answer }: Pick<Vendor, 'cosigner' | 'answer'>,
  ): void {
    const moment = this.#moment();
    const keys = { cosigner: 'keys/next-cosigner.pub.pem', answer: 'keys/next-answer.pem' };
    const place = (name: string) => join(this.#folder, moment, name);
    writeFileSync(place(keys.cosigner), cosigner.next.publicKey.export({ type: 'spki', format: 'pem' }));
    const options = { mode: 0o600 };
    writeFileSync(
      place(keys.answer),
      answer.next.privateKey.export({ type: 'pkcs8', format: 'pem' }),
      options,
    );
    const document = parse(readFileSync(place('own-config.yaml'), 'utf8'));
    change(document, keys);
    writeFileSync(place('own-config.yaml'), stringify(document));
    this.#point(moment);
  }

  #moment(): string {
    this.#moments += 1;
    const name = `..moment-${this.#moments}`;
    cpSync(this.#made, join(this.#folder, name), { recursive: true });
    return name;
  }

  #point(moment: string): void {
    symlinkSync(moment, this.file('..data_tmp'));
    renameSync(this.file('..data_tmp'), this.file('..data'));
  }
}

interface Asked {
  readonly sentMs: number;
  readonly ms: number;
  readonly with: 'old' | 'next';
  readonly answeredWith: 'old' | 'next' | undefined;
  readonly straddles: boolean;
  readonly overlaps: boolean;
  readonly problem: string | undefined;
}

class Load {
  readonly #replicas: readonly Running[];
  readonly #vendor: Vendor;
  readonly #agent: Agent;
  readonly #asked: Asked[] = [];
  #count = 0;

  constructor(replicas: readonly Running[], vendor: Vendor, agent: Agent) {
    this.#replicas = replicas;
    this.#vendor = vendor;
    this.#agent = agent;
  }

  /** Returns how it is stopped: resolves when nothing is on its way any more. */
  start(inFlight: number): () => Promise<void> {
    let going = true;
    const workers = Array.from({ length: inFlight }, async () => {
      while (going) this.#asked.push(await this.#ask());
    });
    return async () => {
      going = false;
      await Promise.all(workers);
    };
  }

  /** One request to each replica, signed with this key: the answer's status and reason as its metrics have it. */
  async probe({ privateKey }: KeyPair): Promise<readonly string[]> {
    return Promise.all(
      this.#replicas.map(async ({ url, ops }) => {
        const before = await refusalsOf(ops);
        const { status } = await post(url, token(this.#claims(), privateKey), this.#agent);
        const after = await refusalsOf(ops);
        const risen = [...after].filter(([reason, count]) => count > (before.get(reason) ?? 0));
        return [status, ...risen.map(([reason]) => reason)].join(' ');
      }),
    );
  }

  async #ask(): Promise<Asked> {
    const turn = this.#count;
    const replica = this.#replicas[turn % this.#replicas.length];
    if (replica === undefined) throw new Error('no replica');
    const sentMs = Date.now();
    const choice = this.#vendor.asking(sentMs);
    // By pairs of turns, so that every replica sees both keys.
    const key = choice[Math.floor(turn / this.#replicas.length) % choice.length] ?? 'old';
    const claims = this.#claims();
    const { privateKey } = this.#vendor.cosigner[key];
    const startedAt = performance.now();
    const asked = { sentMs, with: key, overlaps: choice.length > 1 };
    try {
      const { status, body } = await post(replica.url, token(claims, privateKey), this.#agent);
      const ms = performance.now() - startedAt;
      return { ...asked, ms, ...this.#judge({ status, body, sentMs, requestId: claims.requestId }) };
    } catch (error) {
      const ms = performance.now() - startedAt;
      return { ...asked, ms, answeredWith: undefined, straddles: false, problem: `no answer: ${error}` };
    }
  }

  #claims() {
    this.#count += 1;
    const requestId = `rotation-${this.#count}`;
    return { ...approvalClaims({ txId: requestId, requestId, signerId: APPROVER }), requestId };
  }

  #judge(answer: {
    readonly status: number;
    readonly body: string;
    readonly sentMs: number;
    readonly requestId: string;
  }) {
    const { status, body, sentMs, requestId } = answer;
    const registered = this.#vendor.registered(sentMs, Date.now());
    const straddles = registered.length > 1;
    if (status !== 200) return { straddles, answeredWith: undefined, problem: `${status} ${body}` };
    const signedBy = (['old', 'next'] as const).find((key) =>
      verifies(body, this.#vendor.answer[key].publicKey),
    );
    if (signedBy === undefined || !registered.includes(signedBy))
      return {
        straddles,
        answeredWith: signedBy,
        problem: `signed by ${signedBy}, registered is ${registered}`,
      };
    const claims = JSON.parse(payloadOf(body)) as { readonly action: string; readonly requestId: string };
    const isRight = claims.action === 'APPROVE' && claims.requestId === requestId;
    return {
      straddles,
      answeredWith: signedBy,
      problem: isRight ? undefined : `answered ${payloadOf(body)}`,
    };
  }

  figures({
    startMs,
    swapMs,
    endMs,
  }: {
    readonly startMs: number;
    readonly swapMs: number;
    readonly endMs: number;
  }) {
    const asked = this.#asked;
    const counted = (is: (each: Asked) => boolean) => asked.filter(is).length;
    const between = (fromMs: number, toMs: number) =>
      latenciesOf(asked.filter(({ sentMs }) => sentMs >= fromMs && sentMs < toMs).map(({ ms }) => ms));
    return {
      failures: asked.flatMap(({ problem }) => problem ?? []),
      requests: asked.length,
      asked: { old: counted((each) => each.with === 'old'), next: counted((each) => each.with === 'next') },
      answered: {
        old: counted(({ answeredWith }) => answeredWith === 'old'),
        next: counted(({ answeredWith }) => answeredWith === 'next'),
      },
      overlapping: counted(({ overlaps }) => overlaps),
      straddling: counted(({ straddles }) => straddles),
      before: between(startMs, swapMs),
      during: between(swapMs, endMs),
    };
  }
}

function latenciesOf(ms: readonly number[]): Latencies {
  const sorted = ms.toSorted((one, other) => one - other);
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
  return { requests: sorted.length, p50Ms: at(0.5), p99Ms: at(0.99), slowestMs: at(1) };
}

async function refusalsOf(ops: string): Promise<ReadonlyMap<string, number>> {
  const text = await (await fetch(`${ops}/metrics`)).text();
  const found = text.matchAll(/^countersign_refused_messages_total\{[^}]*reason="(\w+)"\} (\d+)/gm);
  return new Map([...found].map(([, reason = '', count]) => [reason, Number(count)]));
}

/** One delivery. Rejects when no answer comes. */
function post(
  url: URL,
  body: string,
  agent: Agent,
): Promise<{ readonly status: number; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: 'POST', agent, timeout: 30_000 }, (response) => {
      const parts: Buffer[] = [];
      response.on('data', (part: Buffer) => parts.push(part));
      response.on('error', reject);
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body: Buffer.concat(parts).toString() }),
      );
    });
    sent.on('timeout', () => sent.destroy(new Error('30 s passed')));
    sent.on('error', reject);
    sent.end(body);
  });
}
