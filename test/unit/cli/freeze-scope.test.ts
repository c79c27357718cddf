import { expect, test } from '@jest/globals';
import { type ScopeOptions, scopeFrom } from '../../../src/cli/freeze-scope.js';
import type { WorkspaceConfig } from '../../../src/config/schema.js';
import { testChains } from '../../support/chains.js';
import { errorOf } from '../../support/errors.js';

const signers = [{ id: 'signer-1', stages: ['signing' as const] }];
const workspace = {
  cosigners: [
    { name: 'east', protocol: 'fireblocks', signers },
    { name: 'west', protocol: 'fireblocks', signers },
  ],
} as unknown as WorkspaceConfig;
const open = {
  cosigners: [
    { name: 'east', protocol: 'fireblocks', signers },
    { name: 'any', protocol: 'fireblocks' },
    { name: 'vs', protocol: 'iofinnet' },
  ],
} as unknown as WorkspaceConfig;

test.each<[string, ScopeOptions, object]>([
  ['everything', { all: true }, {}],
  ['assets', { asset: ['ETH', 'USDC*'] }, { asset: ['ETH', 'USDC*'] }],
  [
    'several flags at once',
    { vault: ['7'], signer: ['signer-1'], cosigner: ['west'] },
    { source: { id: ['7'] }, signer: ['signer-1'], cosigner: ['west'] },
  ],
  [
    'YAML',
    { scope: '{ kind: transaction, usd: { min: "100" } }' },
    { kind: 'transaction', usd: { min: '100' } },
  ],
  ['JSON', { scope: '{"destination":{"id":"9"}}' }, { destination: { id: '9' } }],
])('%s become a match block', (_, options, match) => {
  expect(JSON.parse(scopeFrom(options, workspace, testChains))).toEqual(match);
});

const NOTHING =
  'say what to freeze: --all, or --asset, --vault, --signer, --cosigner (all that are given must hold), or --scope';
test.each<[string, ScopeOptions, string]>([
  ['nothing', {}, NOTHING],
  [
    'everything and a part',
    { all: true, asset: ['ETH'] },
    NOTHING.replace('say what to freeze', '--all covers everything already'),
  ],
  ['an empty block', { scope: '{}' }, 'the scope is empty: to cover everything say --all'],
  ['a misspelled key', { scope: '{ aset: ETH }' }, 'scope:1: aset: unknown key; did you mean asset?'],
  [
    'a misspelled key inside',
    { scope: '{ source: { typ: VAULT } }' },
    'scope:1: source.typ: unknown key; did you mean type?',
  ],
  [
    'a number',
    { scope: '{ source: { id: 7 } }' },
    'scope:1: source.id: must be text, a list of texts, or { list: <name> } (write numbers in quotes)',
  ],
  ['no mapping', { scope: 'ETH' }, 'scope:1: must be a mapping of keys to values'],
  ['a named list', { scope: '{ asset: { list: coins } }' }, 'scope:1: asset: unknown list coins'],
  ['an impossible range', { scope: '{ usd: { min: "9", max: "1" } }' }, 'scope:1: usd: min 9 is above max 1'],
  [
    'an unknown co-signer',
    { cosigner: ['wst'] },
    'cosigner "wst" is not in the configuration; did you mean west?',
  ],
  [
    'an unknown API user',
    { signer: ['signer-2'] },
    'signer "signer-2" is listed for no co-signer of the configuration; did you mean signer-1?',
  ],
  [
    'an unknown asset',
    { scope: '{ asset: [ETH, ETHH] }' },
    'asset "ETHH" is not in the registry; if it is right all the same, write ETHH*',
  ],
  [
    'an address that nobody can have',
    { scope: "{ destination: { address: '5dc69b1fbb13bafd09af88a782f0f285772ad5f8' } }" },
    '5dc69b1fbb13bafd09af88a782f0f285772ad5f8 is no address as it is written, so no request is ever equal to it: look at its beginning, and at its case (EIP-55); all in lower case is right too',
  ],
  ['a policy', { scope: `{ asset: "${'x'.repeat(17_000)}" }` }, 'the scope is longer than 16384 characters'],
])('%s is refused by name', (_, options, message) => {
  expect(errorOf(() => scopeFrom(options, workspace, testChains)).message).toBe(message);
});

test('where one co-signer serves whoever is paired with it, any API user may be named', () => {
  expect(scopeFrom({ signer: ['anybody'] }, open, testChains)).toBe('{"signer":["anybody"]}');
});
