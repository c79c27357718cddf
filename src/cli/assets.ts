/** `countersign assets`: the asset registry, imported from the vendor's own listings. */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { Command } from 'commander';
import type { z } from 'zod';
import type { assetFileSchema } from '../chains/assets.js';
import { readListings } from '../chains/vendor-listings.js';
import { readText } from '../config/load.js';
import { CountersignError, messageOf } from '../core/errors.js';

interface ImportOptions {
  readonly blockchains: string;
  readonly assets: string;
  readonly out: string;
}

export function assetsCommand(): Command {
  const command = new Command('assets').description(
    'the asset registry, imported from the vendor’s own listings',
  );
  command
    .command('import')
    .description("turn the vendor's listings into an asset file; nothing is fetched: save the listings first")
    .requiredOption(
      '--blockchains <file>',
      'what GET /v1/blockchains answered: one page, or a list of all pages',
    )
    .requiredOption('--assets <file>', 'what GET /v1/assets answered: one page, or a list of all pages')
    .requiredOption('--out <file>', 'where the asset file goes')
    .action(importAssets);
  return command;
}

function importAssets(options: ImportOptions): void {
  const blockchains = readListing(options.blockchains);
  const assets = readListing(options.assets);
  const listings = readListings(blockchains.value, assets.value);
  const file: z.input<typeof assetFileSchema> = {
    version: 1,
    source: { blockchains: blockchains.sha256, assets: assets.sha256 },
    assets: listings.assets.map((asset) => ({ ...asset, native: { ...asset.native } })),
  };
  const text = `${JSON.stringify(file, null, 1)}\n`;
  writeOut(options.out, text);
  const lines = [
    ...listings.leftOut.map(({ id, why }) => `left out  ${id}: ${why}`),
    ...listings.changed.map((change) => `changed   ${change}`),
    `${listings.assets.length} assets in ${options.out}; left out: ${listings.leftOut.length}; changes to the built-in table: ${listings.changed.length}`,
    `SHA-256 ${sha256Of(text)}`,
    '',
  ];
  process.stdout.write(lines.join('\n').replace(/[^\P{C}\n]/gu, '�'));
}

function readListing(file: string): { readonly value: unknown; readonly sha256: string } {
  const text = readText(file);
  try {
    return { value: JSON.parse(text), sha256: sha256Of(text) };
  } catch (cause) {
    throw new CountersignError('FILE_UNREADABLE', `${file} is not JSON: ${messageOf(cause)}`, {
      cause,
    });
  }
}

function writeOut(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o644 });
  } catch (cause) {
    throw new CountersignError('FILE_UNREADABLE', `cannot write ${file}: ${messageOf(cause)}`, { cause });
  }
}

function sha256Of(text: string): string {
  return createHash('sha256').update(text).digest('hex');
}
