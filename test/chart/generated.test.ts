/** The generated files of the chart are up to date. `npm run docs` runs this with COUNTERSIGN_DOCS=write and writes them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { expect, test } from '@jest/globals';
import { parse } from 'yaml';
import { CHART, GENERATED_FOLDERS, generatedFiles } from './generated.js';

const files = generatedFiles();
if (process.env.COUNTERSIGN_DOCS === 'write') {
  for (const [file, text] of files) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}

test.each([...files])('%s is what its sources say (npm run docs)', (file, text) => {
  expect(readFileSync(file, 'utf8')).toBe(text);
});

test('nothing stands in the folders of copies that is no copy', () => {
  const found = GENERATED_FOLDERS.filter(existsSync).flatMap((folder) =>
    readdirSync(folder).map((name) => join(folder, name)),
  );
  expect(found.filter((file) => !files.has(file))).toEqual([]);
});

test('every value of the schema stands in values.yaml, with a default', () => {
  const schema = JSON.parse(readFileSync(`${CHART}/values.schema.json`, 'utf8'));
  const values = parse(readFileSync(`${CHART}/values.yaml`, 'utf8'));
  expect(missing(schema, values, '')).toEqual(['global']);
});

/** Paths that the schema knows and the values have not; inside `config` everything is the operator's. */
function missing(schema: { properties?: object }, values: unknown, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, member]) => {
    if (typeof values !== 'object' || values === null || !(key in values)) return [`${prefix}${key}`];
    const path = `${prefix}${key}`;
    return path === 'config' ? [] : missing(member, values[key as keyof typeof values], `${path}.`);
  });
}
