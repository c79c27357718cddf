/** What a scenario can do: ask until something final is heard, be refused, and complain. */
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answer, type Checked, checkAnswer, checkPlainAnswer } from './answer.js';
import type { Courier, Manner, Reply } from './courier.js';
import { Random } from './random.js';
import type { CallOutcome, Tally } from './tally.js';
import type { Cosigner, Stage, Target, VirtualSigner } from './target.js';
import { signToken } from './token.js';
import { type Heard, hear, hearContract, nonce, type Operation, type VoteReply } from './virtual-signer.js';

/** The vendor's paths: one for both stages of a transaction, one for changes of the workspace. */
export type Route = '/v2/tx_sign_request' | '/v2/config_change_sign_request';

/** The vendor's own time limit for one call. */
const CALL_TIMEOUT_MS = 30_000;

/** Before a call that got no reply is made again: a replica that was killed needs a moment, not a storm. */
const REDELIVERY_PAUSE_MS = 100;

/** What a stranger or a muddle may be told. */
const REFUSALS: ReadonlySet<number> = new Set([400, 401, 404, 413]);

/** Bodies above this are meant to be too large for any server. */
const HUGE_BYTES = 1_048_576;

/** A machine and one of the signers it serves. */
export interface Asker {
  readonly cosigner: Cosigner;
  readonly signer: string;
}

export interface Ask {
  readonly route: Route;
  readonly stage: Stage;
  readonly requestId: string;
  /** In words, for the summary: `0.01 ETH from vault 0 to VAULT 1`. */
  readonly about: string;
  /** JSON text as this signer presents it. */
  readonly payload: (signer: string) => string;
}

export interface Delivery {
  readonly ask: Ask;
  readonly asker: Asker;
  /** How the first call is made; calls after it are plain. */
  readonly manner?: Manner;
}

export type Settled =
  | { readonly kind: 'final'; readonly answer: Answer }
  /** Only RETRY was heard until patience ended. */
  | { readonly kind: 'undecided' }
  /** A wrong answer or none, recorded as a violation; or the run was stopped. */
  | { readonly kind: 'void' };

export interface Patience {
  /** How long one delivery is pursued, through RETRY answers and lost calls. */
  readonly totalMs: number;
  /** How long a co-signer waits after a RETRY. */
  readonly afterRetryMs: number;
}

/** What all plays of a run share. */
export interface Theatre {
  readonly target: Target;
  readonly seed: string;
  readonly courier: Courier;
  readonly tally: Tally;
  readonly patience: Patience;
  readonly signal: AbortSignal;
}

interface VotingCall {
  readonly url: string;
  readonly route: string;
  readonly text: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** One run of one scenario. */
export class Play {
  /** What is asked. */
  readonly random: Random;
  /**
   * Who asks whom: a stream of its own, because lost calls draw from it, and what is asked must not depend on them.
   */
  readonly #routing: Random;

  constructor(
    readonly scenario: string,
    place: number,
    private readonly theatre: Theatre,
  ) {
    this.random = new Random(theatre.seed, `play ${place}`);
    this.#routing = new Random(theatre.seed, `routing ${place}`);
  }

  /** A random machine and signer that serve the stage; undefined when there is none. */
  asker(stage: Stage, fits: (cosigner: Cosigner) => boolean = () => true): Asker | undefined {
    const serving = this.theatre.target.cosigners
      .filter(fits)
      .flatMap((cosigner) => cosigner.signers[stage].map((signer) => ({ cosigner, signer })));
    const [first, ...others] = serving;
    return first === undefined ? undefined : this.#routing.pick([first, ...others]);
  }

  /** Asks until something final is heard, as a co-signer does, and checks every answer on the way. */
  async settle({ ask, asker, manner }: Delivery): Promise<Settled> {
    const { patience, courier, signal } = this.theatre;
    const message = await this.#messageOf(ask, asker);
    const ends = performance.now() + patience.totalMs;
    let heard = false;
    let last = '';
    for (let call = 0; call === 0 || performance.now() < ends; call += 1) {
      const reply = await courier.post({
        ...message,
        url: this.#address(asker.cosigner, message.route),
        timeoutMs: CALL_TIMEOUT_MS,
        ...(call === 0 && manner !== undefined ? { manner } : {}),
      });
      if (signal.aborted) return { kind: 'void' };
      if (reply.kind === 'none') {
        this.#delivered('lost', reply);
        last = reply.problem;
        await this.#pause(REDELIVERY_PAUSE_MS);
        continue;
      }
      const { requestId } = ask;
      const checked = this.#check(reply, ask, asker);
      if (!checked.ok) {
        this.#delivered('refused', reply);
        return this.complain(requestId, checked.problem);
      }
      const { answer } = checked;
      this.#delivered(answer.action, reply);
      this.#reasoned(ask, answer);
      if (answer.action !== 'RETRY') return { kind: 'final', answer };
      heard = true;
      await this.#pause(patience.afterRetryMs);
    }
    if (heard) return { kind: 'undecided' };
    return this.complain(ask.requestId, `no answer in ${patience.totalMs / 1_000} s (${last})`);
  }

  /** Signed, or as it is where the co-signer was given no key: then it appends no `/v2` either. */
  async #messageOf({ route, payload }: Ask, { cosigner: { key }, signer }: Asker) {
    if (key !== undefined) return { route, body: await signToken(payload(signer), key) };
    const headers = { 'content-type': 'application/json' };
    return { route: route.replace(/^\/v2/, ''), body: payload(signer), headers };
  }

  #check(
    { status, headers, body }: Reply & { kind: 'reply' },
    { requestId, stage }: Ask,
    { cosigner }: Asker,
  ): Checked {
    if (cosigner.key === undefined)
      return checkPlainAnswer({ status, contentType: headers['content-type'], body }, { requestId, stage });
    return checkAnswer(status, body, { requestId, stage, keys: this.theatre.target.answerKeys });
  }

  get virtualSigners(): readonly VirtualSigner[] {
    return this.theatre.target.virtualSigners ?? [];
  }

  /** A random one that fits; undefined when there is none. */
  virtualSigner(fits: (signer: VirtualSigner) => boolean = () => true): VirtualSigner | undefined {
    const [first, ...others] = this.virtualSigners.filter(fits);
    return first === undefined ? undefined : this.#routing.pick([first, ...others]);
  }

  /** One request for a vote; undefined: no reply, or a wrong one, which is a violation. */
  async ballot(body: object | string, signer: VirtualSigner, digits: string): Promise<Heard | undefined> {
    const accept = `sig1=("content-type" "digest");nonce=${digits};keyid="eddsa-key"`;
    const headers = { 'content-type': 'application/json', 'accept-signature': accept, 'vs-nonce': digits };
    const route = this.#routing.pick(['/transaction', '/reshare']);
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    return this.#heard({ ...signer, route, text, headers }, (reply) => hear(reply, digits, signer.answerKey));
  }

  /** One call of the signer's contract. */
  async callContract(signer: VirtualSigner, text: string): Promise<Heard | undefined> {
    const headers = { 'content-type': 'application/json' };
    return this.#heard({ ...signer, route: '/rpc', text, headers }, hearContract);
  }

  /** Asks until there is a vote, with a new nonce each time. */
  async settleVote(operation: Operation, signer: VirtualSigner): Promise<Settled> {
    const { patience, signal } = this.theatre;
    const ends = performance.now() + patience.totalMs;
    let heard: Heard | undefined;
    do {
      heard = await this.ballot(operation.body(signer), signer, nonce(this.#routing));
      if (signal.aborted || heard?.kind === 'wrong') return { kind: 'void' };
      if (heard?.kind === 'vote') {
        const answer: Answer = { action: heard.action, reason: undefined };
        this.theatre.tally.reasoned(answer.action, {
          requestId: operation.id,
          asked: operation.about,
          reason: '',
        });
        return { kind: 'final', answer };
      }
      if (heard !== undefined && heard.status !== 503)
        return this.complain(operation.id, `an honest operation got the status ${heard.status}`);
      await this.#pause(heard === undefined ? REDELIVERY_PAUSE_MS : patience.afterRetryMs);
    } while (performance.now() < ends);
    if (heard !== undefined) return { kind: 'undecided' };
    return this.complain(operation.id, `no answer in ${patience.totalMs / 1_000} s`);
  }

  /** All votes among these must be one vote. */
  sameVote(id: string, settled: readonly Settled[]): void {
    const actions = new Set(settled.flatMap((one) => (one.kind === 'final' ? [one.answer.action] : [])));
    if (actions.size > 1) this.complain(id, `one operation got different votes: ${[...actions].join(', ')}`);
  }

  async #heard(
    { url, route, text, headers }: VotingCall,
    listen: (reply: VoteReply) => Heard,
  ): Promise<Heard | undefined> {
    const { courier, signal } = this.theatre;
    const address = this.#address({ url }, route);
    const reply = await courier.post({ url: address, body: text, headers, timeoutMs: CALL_TIMEOUT_MS });
    if (signal.aborted) return undefined;
    if (reply.kind === 'none') {
      this.#delivered('lost', reply);
      return undefined;
    }
    const heard = listen(reply);
    this.#delivered(heard.kind === 'vote' ? heard.action : reply.status === 503 ? 'RETRY' : 'refused', reply);
    if (heard.kind === 'wrong') this.complain(route, heard.problem);
    return heard;
  }

  /** Sends what nobody may act on; everything but a plain refusal is a violation. */
  async beRefused(
    what: string,
    route: string,
    { cosigner, body }: { cosigner: Cosigner; body: string | Buffer },
  ) {
    const { patience, courier, signal } = this.theatre;
    const ends = performance.now() + patience.totalMs;
    for (let call = 0; call === 0 || performance.now() < ends; call += 1) {
      const url = this.#address(cosigner, route);
      const reply = await courier.post({ url, body, timeoutMs: CALL_TIMEOUT_MS, alone: true });
      if (signal.aborted) return;
      if (reply.kind === 'reply') {
        this.#delivered('refused', reply);
        if (!REFUSALS.has(reply.status)) {
          this.complain(what, `the status is ${reply.status}, not one of ${[...REFUSALS].join(', ')}`);
        }
        return;
      }
      // A server may close the connection on a body it will not read; that too is a refusal.
      if (body.length > HUGE_BYTES) {
        this.#delivered('refused', reply);
        return;
      }
      this.#delivered('lost', reply);
      await this.#pause(REDELIVERY_PAUSE_MS);
    }
    this.complain(what, `no answer in ${patience.totalMs / 1_000} s`);
  }

  /** All final answers among these must be one answer, word for word. Returns it. */
  alike(ask: Ask, settled: readonly Settled[]): Answer | undefined {
    const answers = settled.flatMap((one) => (one.kind === 'final' ? [one.answer] : []));
    const [first] = answers;
    const other = answers.find(({ action, reason }) => action !== first?.action || reason !== first.reason);
    if (first !== undefined && other !== undefined) {
      this.complain(
        ask.requestId,
        `two deliveries of one ask were answered ${inWords(first)} and ${inWords(other)}`,
      );
    }
    return first;
  }

  complain(requestId: string, problem: string): Settled {
    if (!this.theatre.signal.aborted)
      this.theatre.tally.violated({ scenario: this.scenario, requestId, problem });
    return { kind: 'void' };
  }

  /** The load balancer's address, or one replica's own when those are known. */
  #address(cosigner: Pick<Cosigner, 'url'>, route: string): string {
    const { replicaOrigins } = this.theatre.target;
    const base = cosigner.url.replace(/\/$/, '');
    const [first, ...others] = replicaOrigins;
    if (first === undefined) return `${base}${route}`;
    const { pathname } = new URL(base);
    const path = pathname === '/' ? '' : pathname;
    return `${this.#routing.pick([new URL(base).origin, first, ...others])}${path}${route}`;
  }

  #delivered(outcome: CallOutcome, { elapsedMs }: Reply): void {
    this.theatre.tally.delivered(this.scenario, outcome, elapsedMs);
  }

  #reasoned({ requestId, about }: Ask, { action, reason }: Answer): void {
    this.theatre.tally.reasoned(action, { requestId, asked: about, reason: reason ?? '' });
  }

  async #pause(milliseconds: number): Promise<void> {
    await sleep(milliseconds, undefined, { signal: this.theatre.signal }).catch(() => undefined);
  }
}

function inWords({ action, reason }: Answer): string {
  return reason === undefined ? action : `${action} (${reason})`;
}
