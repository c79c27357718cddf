/**
 * Lets Node run the TypeScript of test/ as it stands: types are stripped by Node itself, and this finds the files.
 * A module of ours is imported as './name.js', as everywhere in the project; under test/ that is the file name.ts, and what
 * is imported from src/ is the built program in dist/, so that the bed tests what would be shipped.
 *
 *   node --import ./test/chaos/typescript.js test/chaos/run.ts
 */
import { existsSync } from 'node:fs';
import { registerHooks } from 'node:module';

const ROOT = new URL('../../', import.meta.url).href;

registerHooks({
  resolve(specifier, context, next) {
    const isOurs = /^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.startsWith(`${ROOT}test/`);
    if (!isOurs) return next(specifier, context);
    const { href } = new URL(specifier, context.parentURL);
    if (href.startsWith(`${ROOT}src/`)) return next(href.replace(`${ROOT}src/`, `${ROOT}dist/`), context);
    const source = href.replace(/\.js$/, '.ts');
    return next(existsSync(new URL(source)) ? source : href, context);
  },
});
