/**
 * Whether a rule holds. A rule that approves needs every condition true, for every destination and every leaf of a
 * contract call. Any other rule holds when for one of them none of its conditions is false: a missing fact never
 * approves, and one clean destination never hides a forbidden one.
 */
import type { ChangeAddress, DeviceFacts } from './change-facts.js';
import type { Condition, Conditions, Occasion } from './conditions.js';
import type { Facts } from './facts.js';
import { allOf, anyOf, type Truth } from './truth.js';

/** The first condition that kept a rule from holding, and what it saw. */
export interface Failure {
  readonly condition: string;
  readonly wanted: string;
  readonly seen: string;
  readonly truth: Truth;
}

/** Undefined when the rule holds. */
export type Holding = Failure | undefined;

export function approvalHolds(conditions: Conditions, occasion: Occasion): Holding {
  const { facts } = occasion;
  for (const condition of conditions.request) {
    const truth = condition.test(occasion, facts);
    if (truth !== 'true') return failure(condition, occasion, occasion, truth);
  }
  return (
    allTrue(conditions.destination, facts.transaction?.destinations ?? null, occasion) ??
    allTrue(conditions.call, facts.transaction?.calls ?? null, occasion) ??
    allTrue(conditions.device, devicesOf(facts), occasion) ??
    allTrue(conditions.added, addedBy(facts), occasion)
  );
}

export function otherHolds(conditions: Conditions, occasion: Occasion): Holding {
  const { facts } = occasion;
  for (const condition of conditions.request) {
    const truth = condition.test(occasion, facts);
    if (truth === 'false') return failure(condition, occasion, occasion, truth);
  }
  const destinations = facts.transaction?.destinations ?? null;
  return (
    oneNotFalse(conditions.destination, destinations, occasion) ??
    // Bytes that call nothing are known to call none of the contracts.
    oneNotFalse(conditions.call, facts.transaction?.calls ?? null, occasion) ??
    oneNotFalse(conditions.device, devicesOf(facts), occasion) ??
    oneNotFalse(conditions.added, addedBy(facts), occasion)
  );
}

/** What is for no vault is known to be for no device. */
function devicesOf({ vault }: Facts): readonly DeviceFacts[] | null {
  return vault === null ? [] : vault.devices;
}

/** What is no change is known to add no address. */
function addedBy({ change }: Facts): readonly ChangeAddress[] | null {
  return change === null ? [] : change.addresses;
}

/**
 * A freeze covers a request unless one of its conditions is false, for all destinations or all leaves. Unknown: it
 * covers it, and only because of facts that are not carried, or are spread over several destinations.
 */
export function freezeCovers(conditions: Conditions, occasion: Occasion): Truth {
  const { facts } = occasion;
  return allOf([
    ...conditions.request.map((condition) => condition.test(occasion, facts)),
    coversOne(conditions.destination, facts.transaction?.destinations ?? null, facts),
    coversOne(conditions.call, facts.transaction?.calls ?? null, facts),
    coversOne(conditions.device, devicesOf(facts), facts),
    coversOne(conditions.added, addedBy(facts), facts),
  ]);
}

function coversOne<Subject>(
  conditions: readonly Condition<Subject>[],
  subjects: readonly Subject[] | null,
  facts: Facts,
): Truth {
  if (conditions.length === 0) return 'true';
  if (subjects === null) return 'unknown';
  const each = conditions.map((condition) => anyOf(subjects.map((one) => condition.test(one, facts))));
  if (each.includes('false')) return 'false';
  const together = subjects.map((one) => allOf(conditions.map((condition) => condition.test(one, facts))));
  return together.includes('true') ? 'true' : 'unknown';
}

function allTrue<Subject>(
  conditions: readonly Condition<Subject>[],
  subjects: readonly Subject[] | null,
  occasion: Occasion,
): Holding {
  const first = conditions[0];
  if (first === undefined) return undefined;
  // Of nothing everything is true, but nothing is no reason to approve.
  if (subjects === null || subjects.length === 0) return absent(first, subjects);
  for (const subject of subjects)
    for (const condition of conditions) {
      const truth = condition.test(subject, occasion.facts);
      if (truth !== 'true') return failure(condition, subject, occasion, truth);
    }
  return undefined;
}

function oneNotFalse<Subject>(
  conditions: readonly Condition<Subject>[],
  subjects: readonly Subject[] | null,
  occasion: Occasion,
): Holding {
  const first = conditions[0];
  if (first === undefined || subjects === null) return undefined;
  let failed: Holding = subjects.length === 0 ? absent(first, subjects) : undefined;
  for (const subject of subjects) {
    const failing = conditions.find((condition) => condition.test(subject, occasion.facts) === 'false');
    if (failing === undefined) return undefined;
    failed ??= failure(failing, subject, occasion, 'false');
  }
  return failed;
}

function absent<Subject>(condition: Condition<Subject>, subjects: readonly Subject[] | null): Failure {
  return {
    condition: condition.path,
    wanted: condition.wanted,
    seen: subjects === null ? 'unknown' : 'none',
    truth: subjects === null ? 'unknown' : 'false',
  };
}

/** Descriptions are made when they are read: most are not. */
function failure<Subject>(
  condition: Condition<Subject>,
  subject: Subject,
  occasion: Occasion,
  truth: Truth,
): Failure {
  return {
    condition: condition.path,
    wanted: condition.wanted,
    get seen() {
      return condition.seen(subject, occasion.facts);
    },
    truth,
  };
}
