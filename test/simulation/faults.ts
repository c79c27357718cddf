/** What goes wrong in a schedule. Every fault that lasts ends by itself; how often each happens is the profile's choice. */
import { majorityOf } from '../../src/ledger/witness/quorum.js';
import type { Chance } from './chance.js';
import type { Node, Route } from './network.js';
import type { Replica } from './replica.js';
import type { Servers } from './servers.js';
import type { WitnessModel } from './witness-model.js';

/** What faults may touch. */
export interface Breakable {
  readonly chance: Chance;
  readonly servers: Servers;
  readonly witnesses: readonly WitnessModel[];
  readonly replicas: Replica[];
  /** A new process in the place of one that died. */
  replace(replica: Replica): void;
  /** Does something in so many steps. */
  later(steps: number, undo: () => void): void;
}

type Fault = (world: Breakable) => void;

const EFFECTS = {
  'a caller gives up': giveUp,
  'a connection breaks': (world) => pickRoute(world)?.break(world.chance.happens(0.5)),
  'a request arrives twice': (world) => pickRoute(world)?.repeat(),
  'a connection is slow': (world) => {
    const route = pickRoute(world);
    if (route !== undefined) during(world, (isSlow) => Object.assign(route, { isSlow }));
  },
  'a connection is cut': (world) => {
    const route = pickRoute(world);
    if (route === undefined) return;
    route.break(world.chance.happens(0.5));
    during(world, (isCut) => Object.assign(route, { isCut }));
  },
  'a replica stands still': (world) => {
    const replica = world.chance.pick(world.replicas);
    if (replica !== undefined) during(world, (isStalled) => Object.assign(replica, { isStalled }));
  },
  'a recovery stands still': (world) => standStill(world),
  'a replica dies': (world) => die(world),
  'a replica looks for the primary': (world) => world.chance.pick(world.replicas)?.renew(),
  'a witness stands still': (world) => {
    const witness = world.chance.pick(world.witnesses);
    if (witness !== undefined) during(world, (isStalled) => Object.assign(witness, { isStalled }));
  },
  'a witness restarts': (world) => {
    const witness = world.chance.pick(world.witnesses);
    if (witness !== undefined) disconnect(world, witness);
  },
  'a witness loses its disk': (world) => {
    loseDisk(world, world.chance.pick(world.witnesses));
  },
  'most disks are lost': (world) => loseMost(world),
  'operators act at once': ({ witnesses, replicas }) => {
    if (!areMostBlank(witnesses)) return;
    for (const replica of replicas) void replica.does(() => replica.salvage(false).then(() => undefined));
  },
  'a witness is cut off': (world) => cutOff(world, world.chance.pick(world.witnesses)),
  'a machine is lost': (world) => {
    die(world);
    restart(world, world.chance.pick([0, 1, Number.POSITIVE_INFINITY]) ?? 0);
    if (world.chance.happens(0.7)) cutOff(world, world.chance.pick(world.witnesses));
  },
  'the primary stands still': ({ servers: { elected }, ...world }) =>
    during(world, (isStalled) => Object.assign(elected, { isStalled })),
  'the primary restarts': (world) => restart(world, 0),
  'the primary forgets': (world) => restart(world, world.chance.between(1, 12)),
  'the primary comes back empty': (world) => restart(world, Number.POSITIVE_INFINITY),
  'everything is flushed': ({ servers }) => {
    if (!servers.elected.isDown) servers.flush();
  },
  'a fail-over': (world) => failOver(world, true),
  'a fail-over that the old primary misses': (world) => failOver(world, false),
  'the old primary learns of it': ({ servers }) => servers.rejoin(),
  'a clock is wrong': (world) => {
    const { chance, servers, replicas } = world;
    const isServer = chance.happens(0.7);
    const wrong = isServer ? servers.elected : chance.pick(replicas);
    // Two that are wrong are not wrong by the same. A server's never steps back behind its newest decision, as if it stood
    // still: what is recorded meanwhile would seem older than it is by a part of the retention here, and of a day there.
    const clockError = isServer ? 150 : chance.pick([-300, 300]);
    if (wrong !== undefined) during(world, (is) => Object.assign(wrong, { clockError: is ? clockError : 0 }));
  },
  'everybody recovers at once': (world) => {
    restart(world, world.chance.between(0, 6));
    for (const replica of world.replicas) recoverNow(replica);
  },
} satisfies Readonly<Record<string, Fault>>;

export type FaultName = keyof typeof EFFECTS;

/** Outside of what is recovered from without an operator. */
const BEYOND: readonly string[] = ['most disks are lost', 'operators act at once'];

export const FAULTS = (Object.keys(EFFECTS) as readonly FaultName[]).filter((name) => !BEYOND.includes(name));

/** How often each of these happens in one schedule; many not at all, so that the others show what they can do. */
export function weigh(chance: Chance, names: readonly FaultName[]): readonly FaultName[] {
  const weighted = names.flatMap((name) =>
    chance.happens(0.5) ? [] : Array.from({ length: chance.between(1, 6) }, () => name),
  );
  return ['a caller gives up', ...weighted];
}

export function happen(name: FaultName, world: Breakable): void {
  EFFECTS[name](world);
}

/** Which calls, for how many steps, and how often whoever sent one gives up at once. */
interface Holding {
  readonly heldUp: ReadonlySet<string>;
  readonly holdSteps: readonly number[];
  readonly giveUpRate: number;
}

/** The request that was just sent is held up; whoever sent it gives it up or waits. */
export function detour(world: Breakable, route: Route, { heldUp, holdSteps, giveUpRate }: Holding): void {
  const { chance, witnesses } = world;
  const blank = witnesses.find(({ isBlank }) => isBlank);
  const held = route.detour();
  const isGivenUp = chance.happens(giveUpRate);
  if (isGivenUp) held?.giveUp();
  const letGo = () => held?.letGo();
  if (isGivenUp || blank === undefined) world.later(chance.pick(holdSteps) ?? 20, letGo);
  else {
    const surveyed = heldUp.has('survey') ? witnesses.find((witness) => witness === route.node) : undefined;
    failAgain(world, { witness: blank, failing: surveyed ?? blank, tries: 20, letGo });
  }
}

interface Held {
  /** Blank now. */
  readonly witness: WitnessModel;
  /** Loses its disk later. */
  readonly failing: WitnessModel;
  readonly tries: number;
  readonly letGo: () => void;
}

/**
 * Once another recovery has given the witness its vote back, another one cannot be reached and a disk fails again; then what
 * was held up goes on.
 */
function failAgain(world: Breakable, held: Held): void {
  const { chance, witnesses } = world;
  const { witness, failing, tries, letGo } = held;
  if (tries === 0) letGo();
  else if (witness.isBlank) world.later(20, () => failAgain(world, { ...held, tries: tries - 1 }));
  else {
    if (chance.happens(0.7)) cutOff(world, chance.pick(witnesses.filter((each) => each !== failing)));
    world.later(chance.between(20, 80), () => {
      // Without a broken connection, on which what was held up would be lost too.
      if (witnesses.every(({ isBlank }) => !isBlank)) failing.loseDisk();
      letGo();
    });
  }
}

function recoverNow(replica: Replica): void {
  void replica.does(async () => {
    await replica.recover();
  });
}

function giveUp({ chance, replicas }: Breakable): void {
  const waiting = replicas.filter(({ isStalled }) => !isStalled);
  const routes = waiting.flatMap((replica) => replica.routes.filter(({ isWaitedFor }) => isWaitedFor));
  chance.pick(routes)?.giveUp();
}

/** Rather of a replica that is recovering, if there is one. */
function pickRoute({ chance, replicas }: Breakable): Route | undefined {
  const recovering = chance.happens(0.5) ? replicas.filter(({ isRecovering }) => isRecovering) : [];
  return chance.pick(chance.pick(recovering.length > 0 ? recovering : replicas)?.routes ?? []);
}

function die({ chance, replicas, replace }: Breakable): void {
  const replica = chance.pick(replicas);
  if (replica === undefined) return;
  replica.die(chance.happens(0.5));
  replace(replica);
}

function cutOff(world: Breakable, witness: WitnessModel | undefined): void {
  const { chance, replicas } = world;
  const isLosingRequests = chance.happens(0.5);
  for (const route of replicas.flatMap(({ routes }) => routes)) {
    if (route.node !== witness || chance.happens(0.2)) continue;
    route.break(isLosingRequests);
    during(world, (isCut) => Object.assign(route, { isCut }));
  }
}

/** For so long that others recover meanwhile. */
function standStill({ chance, replicas, later }: Breakable): void {
  const replica = chance.pick(replicas.filter(({ isRecovering, isStalled }) => isRecovering && !isStalled));
  if (replica === undefined) return;
  replica.isStalled = true;
  later(chance.between(20, 320), () => {
    replica.isStalled = false;
  });
}

/** The fault model has one blank witness at a time. */
function loseDisk(world: Breakable, witness: WitnessModel | undefined): void {
  if (witness === undefined || world.witnesses.some(({ isBlank }) => isBlank)) return;
  witness.loseDisk();
  if (world.chance.happens(0.7)) disconnect(world, witness);
}

export function areMostBlank(witnesses: readonly WitnessModel[]): boolean {
  return witnesses.filter(({ isBlank }) => isBlank).length >= majorityOf(witnesses.length);
}

/** And something of the server, now and then. */
function loseMost(world: Breakable): void {
  const { chance, witnesses } = world;
  const kept = chance.below(witnesses.length - majorityOf(witnesses.length) + 1);
  const spared = new Set<WitnessModel | undefined>();
  while (spared.size < kept) spared.add(chance.pick(witnesses));
  for (const witness of witnesses) {
    if (spared.has(witness)) continue;
    witness.loseDisk();
    if (chance.happens(0.7)) disconnect(world, witness);
  }
  const roll = chance.next();
  if (roll < 0.2) restart(world, chance.between(1, 6));
  else if (roll < 0.35) failOver(world, true);
  else if (roll < 0.5) restart(world, Number.POSITIVE_INFINITY);
  else if (roll < 0.6) restart(world, 0);
}

/** For a short while or for a long one. */
function during({ chance, later }: Pick<Breakable, 'chance' | 'later'>, set: (is: boolean) => void): void {
  set(true);
  later(chance.pick([5, 20, 80, 320]) ?? 5, () => set(false));
}

/** The process at the other end is gone, and what was sent to it with it. */
function disconnect({ replicas }: Pick<Breakable, 'replicas'>, node: Node): void {
  for (const replica of replicas) {
    for (const route of replica.routes) if (route.node === node) route.break(true);
  }
}

function restart(world: Breakable, lost: number): void {
  const { servers } = world;
  disconnect(world, servers.elected);
  servers.restart(servers.elected, lost);
}

function failOver(world: Breakable, isOldStopped: boolean): void {
  const { chance, servers, replicas } = world;
  const to = chance.pick(servers.replicas);
  if (to === undefined) return;
  const old = servers.elected;
  servers.failOver(to, isOldStopped);
  disconnect(world, to);
  if (isOldStopped) {
    disconnect(world, old);
    world.later(chance.between(10, 200), () => {
      old.isDown = false;
    });
  } else for (const replica of replicas) replica.isLeftBehind = chance.happens(0.5);
  for (const replica of replicas) if (chance.happens(0.5)) replica.renew();
}
