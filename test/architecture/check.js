/**
 * Enforces who may import whom (ARCHITECTURE.md), and the size limits of files. Fails when it saw no files, because a
 * checker that looks in the wrong place is green for ever.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const SOURCE = fileURLToPath(new URL('../../src', import.meta.url));
const FEWEST_FILES = 30;
const MAX_LINES = 340;

const SIDES = ['protocols', 'chains', 'ledger', 'locks', 'keys', 'audit', 'telemetry', 'config'];

/** Folder of src/ → folders it may import from, besides itself; '' are the files of src/ itself. */
const ALLOWED = {
  core: [],
  ...Object.fromEntries(SIDES.map((side) => [side, ['core']])),
  http: ['core', ...SIDES],
  mirror: ['core', 'http', ...SIDES],
  replica: ['core', 'http', ...SIDES, ''],
  cli: ['core', 'http', 'replica', 'simulator', 'mirror', ...SIDES, ''],
  simulator: ['core'],
  '': ['core', 'http', 'replica', 'cli', 'telemetry'],
};

/** Only these may know the package. */
const OWNERS = [
  {
    package: /^(@nestjs\/|fastify$|rxjs|reflect-metadata)/,
    owners: /^(http\/|app\.module\.ts$|cli\/serve\.ts$)/,
  },
  { package: /^ioredis$/, owners: /^(ledger\/(redis|witness)\/|locks\/)/ },
  { package: /^redlock$/, owners: /^locks\// },
  { package: /^(ethers|bitcoinjs-lib|@bitcoinerlab\/secp256k1)$/, owners: /^(chains\/|simulator\/)/ },
  { package: /^commander$/, owners: /^cli\// },
  { package: /^prom-client$/, owners: /^telemetry\// },
  { package: /^@opentelemetry\//, owners: /^telemetry\/tracing\.ts$/ },
];

/**
 * Words of the source that only these files may hold. Only one file orders the steps of a decision; and no variable of
 * the environment changes what is decided, so that nothing can be turned off from outside the signed documents.
 */
const PLACES = [
  { word: /\b[Ll]edger\.commit\(/, owners: /^(core\/decide\.ts$|ledger\/)/ },
  { word: /\bidentify\(/, owners: /^core\/(decide|fingerprint)\.ts$/ },
  // A mirror cannot answer: it has no way to a private key, and asks no protocol to sign.
  { word: /answer-keys|vote-keys|readPrivateKey|generate\.js|\.answer\(/, owners: /^(?!mirror\/)/ },
  { word: /\bprocess\.env\b/, owners: /^cli\/(serve|private-redis)\.ts$/ },
  // Of members that are spread from a literal the compiler does not ask whether the type knows them.
  { word: /\.\.\.\{/, owners: /^$/ },
];

/** What the pure core may import from outside. */
const CORE_PACKAGES = /^(zod|yaml|@marcbachmann\/cel-js|node:(buffer|crypto))$/;

/** The simulator shares no runtime code with the server's idea of the protocol; of the core it may know the errors. */
const SIMULATOR_MAY_IMPORT = /^core\/errors\.ts$/;

const problems = [];
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .map((name) => name.replaceAll('\\', '/'))
  .filter((name) => name.endsWith('.ts'));

for (const file of files) checkFile(file);
if (files.length < FEWEST_FILES) problems.push(`saw only ${files.length} files in ${SOURCE}`);
for (const problem of problems) process.stdout.write(`${problem}\n`);
process.stdout.write(`architecture: ${files.length} files, ${problems.length} problems\n`);
process.exitCode = problems.length === 0 ? 0 : 1;

function checkFile(file) {
  const text = readFileSync(join(SOURCE, file), 'utf8');
  const lines = text.split('\n').length - 1;
  if (lines > MAX_LINES) problems.push(`${file}: ${lines} lines; split it (at most ${MAX_LINES})`);
  if (file.split('/').length > 3) problems.push(`${file}: deeper than src/<folder>/<part>/<file>`);
  if (/(^|\/)(utils?|helpers?|common|types)\.ts$/.test(file))
    problems.push(`${file}: is named for no thing it holds`);
  for (const { word, owners } of PLACES)
    if (word.test(text) && !owners.test(file)) problems.push(`${file}: must not hold ${word}`);
  for (const { specifier, typeOnly } of importsOf(file, text)) {
    if (specifier.startsWith('.'))
      checkOwn(file, normalize(join(dirname(file), specifier)).replace(/\.js$/, '.ts'), typeOnly);
    else checkPackage(file, specifier, typeOnly);
  }
}

function checkOwn(file, target, typeOnly) {
  const from = folderOf(file);
  const to = folderOf(target);
  if (target.startsWith('..')) problems.push(`${file}: imports ${target} from outside src`);
  else if (from !== to && !(ALLOWED[from] ?? []).includes(to)) {
    problems.push(`${file}: ${from || 'src'} must not import ${to || 'src'} (${target})`);
  }
  if (from === 'simulator' && to === 'core' && !typeOnly && !SIMULATOR_MAY_IMPORT.test(target)) {
    problems.push(`${file}: the simulator must not share ${target} with the server`);
  }
  const [, fromPart] = file.split('/');
  const [, toPart, deeper] = target.split('/');
  if (
    from === 'protocols' &&
    to === 'protocols' &&
    deeper !== undefined &&
    file.split('/').length === 3 &&
    fromPart !== toPart
  ) {
    problems.push(`${file}: one protocol must not import another (${target})`);
  }
}

function checkPackage(file, specifier, typeOnly) {
  if (folderOf(file) === 'core' && !CORE_PACKAGES.test(specifier))
    problems.push(`${file}: core must not import ${specifier}`);
  for (const { package: name, owners } of OWNERS) {
    if (name.test(specifier) && !typeOnly && !owners.test(file))
      problems.push(`${file}: must not know ${specifier}`);
  }
}

/** @returns {{ specifier: string, typeOnly: boolean }[]} */
function importsOf(file, text) {
  const found = [];
  const visit = (node) => {
    if (
      (ts.isImportDeclaration(node) || ts.isExportDeclaration(node)) &&
      node.moduleSpecifier !== undefined
    ) {
      const typeOnly = ts.isImportDeclaration(node)
        ? node.importClause?.isTypeOnly === true
        : node.isTypeOnly;
      found.push({ specifier: node.moduleSpecifier.text, typeOnly });
    } else if (
      ts.isCallExpression(node) &&
      node.expression.kind === ts.SyntaxKind.ImportKeyword &&
      ts.isStringLiteral(node.arguments[0])
    ) {
      found.push({ specifier: node.arguments[0].text, typeOnly: false });
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(relative(SOURCE, file), text, ts.ScriptTarget.Latest));
  return found;
}

function folderOf(file) {
  return file.includes('/') ? file.slice(0, file.indexOf('/')) : '';
}
