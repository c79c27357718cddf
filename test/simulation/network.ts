/**
 * What lies between processes: connections on which requests and replies wait until the schedule delivers them. Order is
 * kept within a connection and nowhere else; a broken connection loses replies, and requests or not; a request may arrive
 * once more, long after; and whoever waits may give up at any time, while the request is still under way.
 */
import { CountersignError } from '../../src/core/errors.js';

/** A process that answers: a server or a witness. */
export interface Node {
  readonly name: string;
  isDown: boolean;
  /** It exists and does nothing: stopped, or its disk hangs. */
  isStalled: boolean;
}

interface Call {
  /** For the trace. */
  readonly what: string;
  readonly run: () => unknown;
  readonly resolve: (value: never) => void;
  readonly reject: (error: unknown) => void;
  isOver: boolean;
}

class Connection {
  readonly requests: Call[] = [];
  readonly replies: { readonly what: string; readonly run: () => void }[] = [];
  isBroken = false;
  /** Nothing arrives over it for now. */
  isHeld = false;

  readonly route: Route;
  /** Carries one request only, apart from the others. */
  readonly isDetour: boolean;

  constructor(route: Route, isDetour: boolean) {
    this.route = route;
    this.isDetour = isDetour;
  }

  /** The node works off the oldest request. What it throws is a reply too. */
  deliverRequest(): void {
    const call = this.requests.shift();
    if (call === undefined) return;
    let settle: () => void;
    try {
      const value = call.run();
      settle = () => call.resolve(value as never);
    } catch (error) {
      settle = () => call.reject(error);
    }
    if (this.isBroken) return;
    const run = () => {
      if (!call.isOver) settle();
      call.isOver = true;
    };
    this.replies.push({ what: call.what, run });
    this.route.waiting.add(call);
  }

  break(isLosingRequests: boolean): void {
    this.isBroken = true;
    this.replies.length = 0;
    if (isLosingRequests) this.requests.length = 0;
  }
}

export interface Delivery {
  /** For the trace, as long as it has not run. */
  readonly text: () => string;
  /** Nobody waits for it any more. */
  readonly isLate: boolean;
  readonly isInstallation: boolean;
  readonly run: () => void;
}

interface Detour {
  readonly letGo: () => void;
  readonly giveUp: () => void;
}

/** From one replica to one node: at most one connection at a time, and perhaps old ones with requests still under way. */
export class Route {
  connections: Connection[] = [];
  /** Calls that nobody has been told the outcome of. */
  readonly waiting = new Set<Call>();
  /** Nothing comes through; what was sent waits. */
  isSlow = false;
  /** No new connection can be made. */
  isCut = false;

  readonly from: { readonly name: string; readonly isStalled: boolean };
  readonly node: Node;

  constructor(from: { readonly name: string; readonly isStalled: boolean }, node: Node) {
    this.from = from;
    this.node = node;
  }

  call<T>(what: string, run: () => T): Promise<T> {
    const connection = this.#connection();
    return new Promise<T>((resolve, reject) => {
      if (connection === undefined) {
        reject(unavailable(this.node));
        return;
      }
      const call: Call = { what, run, resolve, reject, isOver: false };
      connection.requests.push(call);
      this.waiting.add(call);
    });
  }

  #connection(): Connection | undefined {
    const last = this.connections.find(({ isBroken, isDetour }) => !isBroken && !isDetour);
    if (last !== undefined) return last;
    if (this.isCut || this.node.isDown) return undefined;
    const fresh = new Connection(this, false);
    this.connections.push(fresh);
    return fresh;
  }

  /** The oldest call that is waited for is given up; it may still be carried out. */
  giveUp(): boolean {
    for (const call of this.waiting) {
      this.waiting.delete(call);
      if (call.isOver) continue;
      call.isOver = true;
      call.reject(unavailable(this.node));
      return true;
    }
    return false;
  }

  break(isLosingRequests: boolean): void {
    for (const connection of this.connections) connection.break(isLosingRequests);
    while (this.giveUp());
    this.#forgetEmpty();
  }

  /** Nobody is there any more to be told anything. */
  abandon(isLosingRequests: boolean): void {
    for (const call of this.waiting) call.isOver = true;
    this.waiting.clear();
    this.break(isLosingRequests);
  }

  /** The newest request is held up until it is let go, while others overtake it; or it is given up besides. */
  detour(): Detour | undefined {
    const connection = this.connections.find(({ isBroken, isDetour }) => !isBroken && !isDetour);
    const call = connection?.requests.pop();
    if (call === undefined) return undefined;
    const late = new Connection(this, true);
    late.isHeld = true;
    late.requests.push(call);
    this.connections.push(late);
    return {
      letGo: () => {
        late.isHeld = false;
      },
      giveUp: () => {
        late.isBroken = true;
        if (call.isOver) return;
        call.isOver = true;
        call.reject(unavailable(this.node));
      },
    };
  }

  /** What was sent and has not arrived arrives twice, the second time on a connection of which nobody knows any more. */
  repeat(): void {
    const late = new Connection(this, true);
    late.isBroken = true;
    for (const { requests } of this.connections) late.requests.push(...requests);
    if (late.requests.length > 0) this.connections.unshift(late);
  }

  deliverable(): readonly Delivery[] {
    if (this.isSlow || this.connections.length === 0) return [];
    const found: Delivery[] = [];
    const canAnswer = !this.node.isStalled && !this.node.isDown;
    for (const connection of this.connections) {
      if (connection.isHeld) continue;
      if (canAnswer && connection.requests.length > 0) {
        found.push({
          isLate: connection.isBroken,
          isInstallation: connection.requests[0]?.what.startsWith('install') === true,
          text: () => {
            const late = connection.isBroken ? ' (late)' : '';
            return `${this.from.name} -> ${this.node.name}: ${connection.requests[0]?.what}${late}`;
          },
          run: () => {
            connection.deliverRequest();
            this.#forgetEmpty();
          },
        });
      }
      const [reply] = connection.replies;
      if (!this.from.isStalled && reply !== undefined) {
        found.push({
          isLate: false,
          isInstallation: false,
          text: () => `${this.from.name} <- ${this.node.name}: ${reply.what}`,
          run: () => connection.replies.shift()?.run(),
        });
      }
    }
    return found;
  }

  get isWaitedFor(): boolean {
    for (const call of this.waiting) {
      if (!call.isOver) return true;
      this.waiting.delete(call);
    }
    return false;
  }

  #forgetEmpty(): void {
    if (this.connections.some(isOver)) this.connections = this.connections.filter((each) => !isOver(each));
  }
}

function isOver({ isBroken, isDetour, requests, replies }: Connection): boolean {
  return requests.length === 0 && (isBroken || (isDetour && replies.length === 0));
}

export function unavailable({ name }: Node): CountersignError {
  return new CountersignError('LEDGER_UNAVAILABLE', `${name} did not answer`);
}
