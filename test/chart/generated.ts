/** The generated files of the chart: what stands in values.yaml and in the schema of the configuration, said again. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isMap, isScalar, type Pair, parse, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { valuesSchema } from './values-schema.js';

export const CHART = 'helm/countersign';

interface Schema {
  description?: string;
  required?: string[];
  properties?: Record<string, Schema>;
  readonly [key: string]: unknown;
}

/** Helm can read files of the chart only, so the rules and dashboards are copied into it. */
const COPIED = [
  { from: 'deploy/prometheus', to: `${CHART}/files/prometheus`, ending: '.rules.yaml' },
  { from: 'deploy/grafana', to: `${CHART}/files/grafana`, ending: '.json' },
];

/** Path, from the root of the project, to text. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const files = new Map([
    [`${CHART}/values.schema.json`, valuesSchemaText()],
    [`${CHART}/README.md`, readme()],
  ]);
  for (const { from, to, ending } of COPIED) {
    for (const name of readdirSync(from).filter((file) => file.endsWith(ending))) {
      files.set(`${to}/${name}`, readFileSync(join(from, name), 'utf8'));
    }
  }
  return files;
}

/** Folders in which nothing may stand that is not generated. */
export const GENERATED_FOLDERS = COPIED.map(({ to }) => to);

function values() {
  const document = parseDocument(readFileSync(`${CHART}/values.yaml`, 'utf8'));
  if (!isMap(document.contents)) throw new Error('values.yaml is no map');
  return document.contents;
}

/** Helm checks the values with their defaults merged in: every key but those of the document is there. */
function valuesSchemaText(): string {
  const schema = z.toJSONSchema(valuesSchema(), { io: 'input', target: 'draft-7' }) as Schema;
  describe(schema, values());
  return `${JSON.stringify(schema, null, 2)}\n`;
}

function describe(schema: Schema, map: YAMLMap): void {
  for (const { key, value, comment } of entriesOf(map)) {
    const member = schema.properties?.[key];
    if (member === undefined) throw new Error(`values.yaml: ${key} is not in the schema`);
    if (comment !== '') member.description = comment;
    // A part of a Kubernetes object has a default and no shape of ours.
    if (isMap(value) && Object.keys(member.properties ?? {}).length > 0) describe(member, value);
  }
}

function entriesOf(map: YAMLMap): { key: string; value: unknown; comment: string }[] {
  return map.items.map((pair: Pair, index) => {
    if (!isScalar(pair.key)) throw new Error('values.yaml: a key is no text');
    // A comment above the first key of a map belongs to the map.
    const above = index === 0 ? (map.commentBefore ?? pair.key.commentBefore) : pair.key.commentBefore;
    const comment = (above ?? '').split(/\n\n/).at(-1) ?? '';
    return {
      key: String(pair.key.value),
      value: pair.value,
      comment: comment
        .split('\n')
        .map((line) => line.trim())
        .join(' '),
    };
  });
}

interface Row {
  readonly path: string;
  readonly fallback: string;
  readonly comment: string;
}

function rowsOf(map: YAMLMap, prefix: string, inherited = ''): Row[] {
  return entriesOf(map).flatMap(({ key, value, comment }) => {
    const path = `${prefix}${key}`;
    if (isMap(value) && value.items.length > 0 && value.flow !== true) {
      const head = comment === '' ? [] : [{ path, fallback: '', comment }];
      return [...head, ...rowsOf(value, `${path}.`)];
    }
    const fallback = JSON.stringify(isScalar(value) ? value.value : (value as YAMLMap).toJSON());
    return [{ path, fallback, comment: comment === '' ? inherited : comment }];
  });
}

function readme(): string {
  const { version, description } = parse(readFileSync(`${CHART}/Chart.yaml`, 'utf8'));
  const rows = rowsOf(values(), '').map(({ path, fallback, comment }) => {
    const shown = fallback.length > 60 ? 'see values.yaml' : fallback === '' ? '' : `\`${fallback}\``;
    return `| \`${path}\` | ${shown} | ${comment.replaceAll('|', '\\|')} |`;
  });
  const examples = readdirSync(`${CHART}/examples`).map((name) => {
    const [first = ''] = readFileSync(`${CHART}/examples/${name}`, 'utf8').split('\n');
    return `| [${name}](examples/${name}) | ${first.replace(/^# /, '')} |`;
  });
  return `# Countersign on Kubernetes

${description} Chart ${version}, for Kubernetes 1.30 or newer.

\`\`\`sh
helm install countersign helm/countersign --values my-values.yaml --set-file 'files.policy\\.yaml=policy.yaml'
\`\`\`

What it makes, which Redis and which disks it wants, and what happens when a zone goes: [docs/kubernetes.md](../../docs/kubernetes.md).
The document under \`config\`: [docs/configuration.md](../../docs/configuration.md). Unknown keys are refused everywhere.

## Values to start from

| file | is |
|---|---|
${examples.join('\n')}

## Values

Generated from values.yaml (\`npm run docs\`).

| value | default | meaning |
|---|---|---|
${rows.join('\n')}
`;
}
