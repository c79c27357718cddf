import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, jest, test } from '@jest/globals';
import { builtinAssets, createRegistry, loadAssets } from '../../../src/chains/assets.js';
import { createChains } from '../../../src/chains/index.js';
import { readListings } from '../../../src/chains/vendor-listings.js';
import { assetsCommand } from '../../../src/cli/assets.js';

const folder = mkdtempSync(join(tmpdir(), 'countersign-assets-'));
afterAll(() => rmSync(folder, { recursive: true }));

describe('the built-in table', () => {
  const registry = createRegistry();

  test.each([
    ['ETH', 'eip155:1', 60],
    ['ETC', 'eip155:61', 61],
    ['ETH_TEST5', 'eip155:11155111', 1],
    ['USDC_POLYGON', 'eip155:137', 60],
    ['BTC', 'bip122:000000000019d6689c085ae165831e93', 0],
    ['BTC_TEST', 'bip122:000000000933ea01ad0ee984209779ba', 1],
  ])('%s is on %s with coin %i', (id, chain, coinType) => {
    expect(registry.asset(id)).toMatchObject({ chain, coinType });
  });

  test('knows decimals that people get wrong', () => {
    expect(['USDT_ERC20', 'USDT_BSC', 'GUSD'].map((id) => registry.asset(id)?.decimals)).toEqual([6, 18, 2]);
  });

  test('has no asset twice, and none named like a member of every object', () => {
    const ids = builtinAssets().map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
    expect(['__proto__', 'constructor', 'toString'].map((id) => registry.asset(id))).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
  });

  test('counts ids of one contract as one, unless they disagree about decimals', () => {
    const usdc = registry.asset('USDC');
    if (usdc === undefined) throw new Error('USDC is a built-in asset');
    const contract = usdc.contract?.toUpperCase().replace('0X', '0x') ?? '';
    const imported = createRegistry([
      { ...usdc, id: 'USDC_ETH_ALIAS', contract },
      { ...usdc, id: 'USDC_ETH_WRONG', contract, decimals: 18 },
    ]);
    expect(imported.asset('USDC_ETH_ALIAS')?.countedAs).toBe('USDC');
    expect(imported.asset('USDC_ETH_WRONG')?.countedAs).toBeUndefined();
    expect(imported.asset('USDC')?.countedAs).toBeUndefined();
  });

  test('finds a token by its contract, on its own chain only', () => {
    const usdc = registry.asset('USDC')?.contract ?? '';
    expect(registry.token('eip155:1', usdc)?.id).toBe('USDC');
    expect(registry.token('eip155:137', usdc)).toBeUndefined();
  });
});

describe('an imported file', () => {
  const asset = {
    id: 'NEW',
    family: 'evm',
    chain: 'eip155:7',
    decimals: 3,
    native: { asset: 'ETH', decimals: 18 },
    contract: '0x00000000000000000000000000000000000000aa',
    coinType: 60,
  };
  const write = (name: string, value: unknown) => {
    const file = join(folder, name);
    writeFileSync(file, typeof value === 'string' ? value : JSON.stringify(value));
    return file;
  };
  const content = {
    version: 1,
    source: { blockchains: '', assets: '' },
    assets: [asset, { ...asset, id: 'ETH', decimals: 17 }],
  };

  test('extends the table, and replaces entries of the same name', () => {
    const chains = createChains({ assets: loadAssets(write('good.json', content)) });
    expect(chains.asset('NEW')).toEqual(asset);
    expect(chains.asset('ETH')?.decimals).toBe(17);
    expect(chains.asset('BTC')).toBeDefined();
  });

  test('must have the hash that is pinned', () => {
    const file = write('pinned.json', content);
    const sha256 = createHash('sha256').update(readFileSync(file)).digest('hex');
    expect(loadAssets(file, sha256.toUpperCase())).toHaveLength(2);
    expect(() => loadAssets(file, '00'.repeat(32))).toThrow(/pinned/);
  });

  test.each([
    ['no JSON', '{'],
    ['another version', { ...content, version: 2 }],
    ['a misspelled member', { ...content, assets: [{ ...asset, decimal: 3 }] }],
    ['a token without contract', { ...content, assets: [{ ...asset, contract: undefined }] }],
    ['an asset twice', { ...content, assets: [asset, asset] }],
  ])('is refused when it holds %s', (name, value) => {
    expect(() => loadAssets(write(`${name}.json`, value))).toThrow(
      expect.objectContaining({ code: 'CONFIG_INVALID' }),
    );
  });

  test('that is missing is named', () => {
    expect(() => loadAssets(join(folder, 'nowhere.json'))).toThrow(/nowhere\.json/);
  });
});

describe("the vendor's listings", () => {
  const chain = (id: string, native: string, onchain: object) => ({
    id: `chain-${id}`,
    legacyId: id,
    nativeAssetId: native,
    displayName: id,
    onchain: { protocol: 'EVM', test: false, signingAlgo: 'ECDSA_SECP256K1', ...onchain },
  });
  const coin = (id: string, chainName: string, more: object = {}) => ({
    id: `asset-${id}`,
    legacyId: id,
    blockchainId: `chain-${chainName}`,
    assetClass: 'NATIVE',
    onchain: { symbol: id, name: id, decimals: 18 },
    ...more,
  });
  const token = (id: string, chainName: string, address: string, decimals = 6) =>
    coin(id, chainName, { assetClass: 'FT', onchain: { symbol: id, name: id, address, decimals } });
  const contract = `0x${'Ab'.repeat(20)}`;
  const blockchains = [
    chain('ETH', 'asset-ETH', { chainId: '1' }),
    chain('NEWNET', 'asset-NEW', { chainId: '4242' }),
    chain('DARK', 'asset-DARK', {}),
    chain('MATIC_POLYGON', 'asset-MATIC_POLYGON', { chainId: '138' }),
    chain('BTC', 'asset-BTC', { protocol: 'UTXO' }),
  ];
  const assets = [
    coin('ETH', 'ETH'),
    coin('NEW', 'NEWNET'),
    coin('DARK', 'DARK'),
    coin('MATIC_POLYGON', 'MATIC_POLYGON'),
    coin('BTC', 'BTC', { onchain: { symbol: 'BTC', name: 'Bitcoin', decimals: 8 } }),
    token('USDX_NEW', 'NEWNET', contract),
    token('BROKEN', 'NEWNET', 'not an address'),
    coin('PUNK', 'ETH', { assetClass: 'NFT' }),
    coin('LOST', 'NOWHERE'),
  ];

  test('become registry entries; what is unusable is left out with the reason', () => {
    const listings = readListings({ data: blockchains }, { data: assets });
    expect(listings.assets.map(({ id, chain: on }) => [id, on])).toEqual([
      ['BTC', 'bip122:000000000019d6689c085ae165831e93'],
      ['ETH', 'eip155:1'],
      ['MATIC_POLYGON', 'eip155:138'],
      ['NEW', 'eip155:4242'],
      ['USDX_NEW', 'eip155:4242'],
    ]);
    expect(listings.assets.at(-1)).toMatchObject({
      contract: contract.toLowerCase(),
      decimals: 6,
      native: { asset: 'NEW', decimals: 18 },
    });
    expect(listings.leftOut.map(({ id }) => id)).toEqual(['DARK', 'BROKEN', 'PUNK', 'LOST']);
    expect(listings.changed).toEqual(['MATIC_POLYGON: chain eip155:137 is now eip155:138']);
  });

  test('may be a page, all pages, or the plain list; an unfinished listing is refused', () => {
    const whole = readListings(blockchains, assets);
    const pages = [
      { data: assets.slice(0, 4), next: 'cursor' },
      { data: assets.slice(4), next: null },
    ];
    expect(readListings([{ data: blockchains }], pages)).toEqual(whole);
    expect(() => readListings(blockchains, { data: assets, next: 'cursor' })).toThrow(/incomplete/);
    expect(() => readListings(blockchains, { assets })).toThrow(/another shape/);
  });

  test('are imported by the command into a file that a replica reads', async () => {
    const [from, of, out] = ['blockchains.json', 'assets.json', 'out.json'].map((name) => join(folder, name));
    if (from === undefined || of === undefined || out === undefined) throw new Error('three names');
    writeFileSync(from, JSON.stringify({ data: blockchains }));
    writeFileSync(of, JSON.stringify({ data: assets }));
    const printed = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    await assetsCommand().parseAsync(['import', '--blockchains', from, '--assets', of, '--out', out], {
      from: 'user',
    });
    const text = String(printed.mock.calls[0]?.[0]);
    printed.mockRestore();
    expect(text).toContain('left out  DARK: its chain id is not given');
    expect(createChains({ assets: loadAssets(out) }).asset('USDX_NEW')).toMatchObject({
      family: 'evm',
      decimals: 6,
    });
  });
});
