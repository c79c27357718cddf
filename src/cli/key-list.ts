/** Every key that a configuration names: what it is, when its time is, and which one is used. */
import { loadConfig } from '../config/load.js';
import type { Config } from '../config/schema.js';
import { messageOf } from '../core/errors.js';
import { type ForSigners, inOrderFor, type KeyState, type KeyWindow, stateAt } from '../core/key-window.js';
import { inspectKeyFile, kindOf } from '../keys/key-file.js';
import { spkiSha256 } from '../keys/published-keys.js';
import { hasKeys, type KeyedCosigner, type KeySet, keySetOf } from '../replica/key-life.js';
import { loadKeys } from '../replica/replica.js';

export interface ListedKey {
  /** `requests`: a co-signer signs with it. The others are ours, or an operator's. */
  readonly use: 'requests' | 'answers' | 'operator' | 'checkpoint' | 'originals';
  readonly workspace?: string;
  /** The co-signer, or the operator. */
  readonly owner?: string;
  readonly file: string;
  readonly type?: string;
  readonly spkiSha256?: string;
  /** Why the file cannot be used. */
  readonly problem?: string;
  /** RFC 3339. */
  readonly notBefore?: string;
  readonly notAfter?: string;
  readonly state: KeyState;
  /** Of answer keys: for whom it signs at that instant; `*`: for signers that are not listed. Empty: for nobody. */
  readonly signsFor?: readonly string[];
}

/** For signers that no key lists, and requests that name none. */
const OTHERS = '*';

/** Throws what a replica would refuse to start with, after `print` had the keys. */
export function listKeys(file: string, nowMs: number, print: (keys: readonly ListedKey[]) => void): void {
  const config = loadConfig(file);
  print([...cosignerKeys(config, nowMs), ...otherKeys(config)]);
  loadKeys(config);
}

function cosignerKeys({ workspaces }: Config, nowMs: number): readonly ListedKey[] {
  return workspaces.flatMap(({ name, cosigners }) =>
    cosigners.filter(hasKeys).flatMap((cosigner) => {
      const set = keySetOf(name, cosigner);
      const of = { workspace: name, owner: cosigner.name };
      const asking = set.asking.map((key) => ({ use: 'requests' as const, ...of, ...described(key, nowMs) }));
      return [...asking, ...answerKeysOf(set, signersOf(cosigner), nowMs).map((key) => ({ ...of, ...key }))];
    }),
  );
}

function answerKeysOf(
  { answering, otherwise }: KeySet,
  signers: readonly string[],
  nowMs: number,
): readonly ListedKey[] {
  const chosenFor = (signer: string | undefined) =>
    inOrderFor(answering, signer).find((key) => stateAt(key, nowMs) === 'valid') ?? otherwise;
  const users = Map.groupBy([...signers, undefined], chosenFor);
  const keys: readonly (ForSigners & { readonly file: string })[] = [otherwise, ...answering];
  return keys.map((key) => ({
    use: 'answers',
    ...described(key, nowMs),
    signsFor: (users.get(key) ?? []).map((signer = OTHERS) => signer),
  }));
}

function signersOf(cosigner: KeyedCosigner): readonly string[] {
  if (cosigner.protocol === 'iofinnet') return [];
  const listed = (cosigner.signers ?? []).map(({ id }) => id);
  return [...new Set([...listed, ...cosigner.answerKeys.flatMap(({ signers = [] }) => signers)])];
}

function otherKeys({ operators, audit }: Config): readonly ListedKey[] {
  const plain = (use: ListedKey['use'], file: string, owner?: string): ListedKey => ({
    use,
    ...(owner === undefined ? {} : { owner }),
    ...described({ file }, 0),
  });
  const { checkpointKey, originals } = audit ?? {};
  return [
    ...operators.map(({ name, publicKeyFile }) => plain('operator', publicKeyFile, name)),
    ...(checkpointKey === undefined ? [] : [plain('checkpoint', checkpointKey.file)]),
    ...(originals === undefined ? [] : [plain('originals', originals.recipientKeyFile)]),
  ];
}

function described(key: KeyWindow & { readonly file: string }, nowMs: number): Omit<ListedKey, 'use'> {
  const { file, notBefore, notAfter } = key;
  return {
    file,
    ...contentOf(file),
    ...(notBefore === undefined ? {} : { notBefore: new Date(notBefore).toISOString() }),
    ...(notAfter === undefined ? {} : { notAfter: new Date(notAfter).toISOString() }),
    state: stateAt(key, nowMs),
  };
}

function contentOf(file: string): Pick<ListedKey, 'type' | 'spkiSha256' | 'problem'> {
  try {
    const { key, published } = inspectKeyFile(file);
    const problem =
      published === undefined ? {} : { problem: `its private half is published in ${published}` };
    return { type: kindOf(key), spkiSha256: spkiSha256(key), ...problem };
  } catch (error) {
    return { problem: messageOf(error) };
  }
}

/** One block of lines for each co-signer, and one for the rest. */
export function keyListText(keys: readonly ListedKey[]): string {
  const blocks = Map.groupBy(keys, ({ workspace, owner }) =>
    workspace === undefined ? 'Other keys' : `Workspace ${workspace}, co-signer ${owner}`,
  );
  return [...blocks]
    .map(([title, members]) => [title, ...members.flatMap((key) => linesOf(key))].join('\n'))
    .join('\n\n');
}

function linesOf(key: ListedKey): readonly string[] {
  const { use, workspace, owner, file, type, spkiSha256: digest, problem } = key;
  const whose = workspace === undefined && owner !== undefined ? ` ${owner}` : '';
  return [
    `  ${use}${whose}: ${useText(key)}`,
    `    ${[file, type].filter((part) => part !== undefined).join(', ')}`,
    ...(digest === undefined ? [] : [`    SPKI SHA-256 ${digest}`]),
    ...(problem === undefined ? [] : [`    PROBLEM ${problem}`]),
  ];
}

const STATES: Readonly<Record<KeyState, string>> = {
  valid: 'valid',
  expired: 'OVER',
  'not-yet': 'not yet',
};

const MOST_NAMED = 3;

function useText({ state, notBefore, notAfter, signsFor }: ListedKey): string {
  const from = notBefore === undefined ? [] : [`from ${notBefore}`];
  const until = notAfter === undefined ? [] : [`until ${notAfter}`];
  const signs = signsFor === undefined ? [] : [signersText(signsFor)];
  return [STATES[state], ...from, ...until, ...signs].join(', ');
}

function signersText(signsFor: readonly string[]): string {
  if (signsFor.length === 0) return 'signs for nobody';
  const names = signsFor.map((signer) => (signer === OTHERS ? 'all others' : signer));
  const more = names.length > MOST_NAMED ? [`${names.length - MOST_NAMED} more`] : [];
  return `SIGNS for ${[...names.slice(0, MOST_NAMED), ...more].join(' and ')}`;
}
