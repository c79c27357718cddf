/**
 * The rules of the protocol that live in Lua, or between the scripts and the recovery. The models keep all of them but
 * those that a mutant removes.
 */
export type Rule =
  /** A script that writes compares the history of the server with the fence. */
  | 'fence'
  /** A seal raises the promise, and the steps after it need that promise. */
  | 'seal'
  /** No epoch is promised, or claimed, twice. */
  | 'epochs-are-unique'
  /** A witness refuses events of epochs below its promise. */
  | 'promise'
  /** A witness without a ledger has no vote. */
  | 'blank-has-no-vote'
  /** A log is read only by the recovery that the witness has promised to. */
  | 'read-after-seal'
  /** A recovery writes to a server only while its claim stands. */
  | 'claim'
  /** What only the old keys hold is dropped. */
  | 'drop-local'
  /** A conflict is an event, which witnesses must have before it is answered. */
  | 'conflict-is-witnessed'
  /** Who was told of a conflict is told so again, even when what it contradicted is gone. */
  | 'conflict-stands'
  /** A decision that is repeated goes to the witnesses first, unless they are known to have it. */
  | 'repeat-is-witnessed'
  /** What is in force, a policy or a freeze, is on enough witnesses before anybody evaluates by it. */
  | 'state-is-witnessed'
  /** Once an epoch has begun at a witness, by an installation or an event, nothing is installed there in it. */
  | 'no-install-once-begun'
  /** A recovery installs on the witness that it surveyed, not on one that has lost its disk since. */
  | 'same-witness'
  /** A witness removes what a checkpoint covers only if it holds that checkpoint. */
  | 'trim-needs-checkpoint'
  /** The server forgets what a checkpoint covers only once enough witnesses have the checkpoint. */
  | 'forget-is-witnessed'
  /** Nothing is forgotten, or decided, unless the clocks of server and replica agree. */
  | 'two-clocks'
  /** A checkpoint says what forgotten transactions held, and takes over what the ones before it said of that. */
  | 'checkpoint-has-totals'
  | 'checkpoint-goes-on'
  /** A checkpoint names the different members that were counted. */
  | 'checkpoint-has-members'
  /** A checkpoint says what is known of transactions that later events are about too. */
  | 'checkpoint-carries'
  /** A checkpoint names the freezes that stand. */
  | 'checkpoint-has-freezes'
  /** What a condition of a verdict began is in the event. */
  | 'moments-are-written'
  /** Who was told that a report is recorded, or charges were released, is told so after enough witnesses have that. */
  | 'report-is-witnessed'
  | 'release-is-witnessed'
  /** Nothing is released of which a report said that a signature of it may exist. */
  | 'report-forbids'
  /** What was released is approved no more. */
  | 'release-is-final';

export type Removed = ReadonlySet<Rule>;

export const ALL_RULES: Removed = new Set();
