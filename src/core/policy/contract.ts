/** Conditions on decoded call data, one leaf at a time. */
import type { Surroundings } from './conditions.js';
import type { CallFacts } from './facts.js';
import type { ArgumentMatch, ContractMatch } from './schema.js';
import { allOf, anyOf, type Truth, truthOf } from './truth.js';
import { addressTest, rangeTest, resolveValues } from './values.js';

type CallTest = (call: CallFacts, asset: string) => Truth;

/** A leaf fits when one of the entries fits it. */
export function contractTest(
  contracts: readonly ContractMatch[],
  surroundings: Surroundings,
): (call: CallFacts, asset: string) => Truth {
  const entries = contracts.map((contract) => entryTest(contract, surroundings));
  return (call, asset) => anyOf(entries.map((test) => test(call, asset)));
}

function entryTest(contract: ContractMatch, surroundings: Surroundings): CallTest {
  const { chains, lists } = surroundings;
  const tests: CallTest[] = [];
  if (contract.address !== undefined) {
    const test = addressTest(resolveValues(contract.address, lists), chains);
    tests.push((call, asset) => test(call.address, asset));
  }
  if (contract.selector !== undefined) {
    const selector = contract.selector.toLowerCase();
    tests.push((call) => truthOf(call.selector.toLowerCase() === selector));
  }
  if (contract.signature !== undefined) tests.push(signatureTest(contract.signature, surroundings));
  if (contract.args !== undefined) tests.push(argumentsTest(contract.args, surroundings));
  return (call, asset) => allOf(tests.map((test) => test(call, asset)));
}

/** By the selector the chain computes from the signature; where it computes none, by the decoder's own naming. */
function signatureTest(signature: string, { chains }: Surroundings): CallTest {
  const wanted = signature.replace(/\s/g, '');
  return (call, assetId) => {
    const family = chains.asset(assetId)?.family;
    const decoder = family === undefined ? undefined : chains.decoder(family);
    const selector = decoder?.selectorOf?.(wanted);
    if (selector !== undefined) return truthOf(call.selector.toLowerCase() === selector.toLowerCase());
    return call.signature === null ? 'unknown' : truthOf(call.signature === wanted);
  };
}

function argumentsTest(wanted: readonly ArgumentMatch[], surroundings: Surroundings): CallTest {
  const tests = wanted.map((argument) => argumentTest(argument, surroundings));
  return ({ args }) => {
    if (args === null) return 'unknown';
    if (args.length < tests.length) return 'false';
    return allOf(tests.map((test, index) => test(args[index] ?? '')));
  };
}

const HEX = /^0x[0-9a-f]*$/i;
const INTEGER = /^\d{1,78}$/;

function argumentTest(wanted: ArgumentMatch, { lists }: Surroundings): (argument: string) => Truth {
  if (wanted === null) return () => 'true';
  if (typeof wanted === 'object' && !Array.isArray(wanted) && !('list' in wanted)) {
    const test = rangeTest(wanted);
    return (argument) => test(INTEGER.test(argument) ? BigInt(argument).toString() : null, 0);
  }
  // Addresses and bytes are written with and without checksum case.
  const form = (text: string) => (HEX.test(text) ? text.toLowerCase() : text);
  const allowed = new Set(resolveValues(wanted, lists).map(form));
  return (argument) => truthOf(allowed.has(form(argument)));
}
