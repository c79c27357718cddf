/** The real helm on the chart: what it renders, says and refuses. */
import { execFile } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { promisify } from 'node:util';
import { parse, parseAllDocuments } from 'yaml';
import { CHART } from './generated.js';
import { toolPath } from './require-helm.js';

const run = promisify(execFile);

/** The oldest that the chart allows, and the newest whose schemas the validator carries. */
const KUBERNETES = '1.30';
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

/** A rendered object, as far as a test looks. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    /** These two are a control plane's; the second when it was told to delete the object. */
    readonly uid?: string;
    readonly deletionTimestamp?: string;
    readonly annotations?: Readonly<Record<string, string>>;
    readonly labels?: Readonly<Record<string, string>>;
  };
  // biome-ignore lint/suspicious/noExplicitAny: a test reads deep into objects whose shapes the validator has checked
  readonly [key: string]: any;
}

type Tree = { readonly [key: string]: unknown };

export interface Release {
  /** One of the chart's examples, by its name. */
  readonly example?: string;
  /** Over the example; null takes a key of it away, or a default of the chart. */
  readonly values?: Tree;
  /** What `helm upgrade` renders. */
  readonly upgrade?: boolean;
  /** For values that the schema of this version does not know yet. */
  readonly ignoreSchema?: boolean;
  /** The name of the release. */
  readonly called?: string;
  /** Instead of the chart itself. */
  readonly chart?: string;
}

export interface Rendered {
  readonly text: string;
  readonly objects: readonly KubernetesObject[];
  /** Throws when there is not exactly one. */
  readonly one: (kind: string, name?: string) => KubernetesObject;
  readonly all: (kind: string) => readonly KubernetesObject[];
}

export async function render(release: Release): Promise<Rendered> {
  const text = await helm('template', release, release.upgrade === true ? ['--is-upgrade'] : []);
  const objects = parseAllDocuments(text)
    .map((document) => {
      if (document.errors.length > 0) throw document.errors[0];
      return document.toJSON() as KubernetesObject | null;
    })
    .filter((object) => object !== null);
  const all = (kind: string) => objects.filter((object) => object.kind === kind);
  return {
    text,
    objects,
    all,
    one(kind, name = 'cs-countersign') {
      const [found, ...others] = all(kind).filter(({ metadata }) => metadata.name === name);
      if (found === undefined || others.length > 0) {
        throw new Error(`not one ${kind} ${name}, but ${all(kind).map(({ metadata }) => metadata.name)}`);
      }
      return found;
    },
  };
}

/** What NOTES.txt tells the person who installs. Without a cluster helm shows it to nobody, so a copy renders it as an object. */
export async function notes(release: Release): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-chart-'));
  try {
    const chart = join(dir, 'countersign');
    cpSync(CHART, chart, { recursive: true });
    renameSync(join(chart, 'templates/NOTES.txt'), join(chart, 'notes.txt'));
    writeFileSync(
      join(chart, 'templates/notes.yaml'),
      'notes: {{ tpl (.Files.Get "notes.txt") . | toJson }}',
    );
    const text = await helm('template', { ...release, chart }, ['--show-only', 'templates/notes.yaml']);
    return parse(text).notes;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

export async function lint(release: Release): Promise<string> {
  return helm('lint', release, ['--strict']);
}

/** The sentence with which helm refuses. Throws when it does not. */
export async function refusal(release: Release): Promise<string> {
  try {
    await helm('template', release, []);
  } catch (error) {
    const { stderr } = error as { readonly stderr: string };
    const [, sentence] = /execution error at \([^)]*\): (.*)/.exec(stderr) ?? [];
    return sentence ?? stderr.slice(stderr.indexOf('countersign:\n') + 'countersign:\n'.length).trim();
  }
  throw new Error('helm rendered these values');
}

async function helm(command: string, release: Release, flags: readonly string[]): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-chart-'));
  try {
    const file = join(dir, 'values.json');
    writeFileSync(file, JSON.stringify(valuesOf(release)));
    const { stdout } = await run(
      toolPath('helm'),
      [
        command,
        ...(command === 'lint' ? [] : [release.called ?? 'cs']),
        release.chart ?? CHART,
        ...['--kube-version', `${KUBERNETES}.0`],
        ...['--values', file],
        ...(release.ignoreSchema === true ? ['--skip-schema-validation'] : []),
        ...flags,
      ],
      { maxBuffer: MAX_OUTPUT_BYTES, env: { ...process.env, KUBECONFIG: join(dir, 'none') } },
    );
    return stdout;
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Helm keeps a null that one file of values writes over another. */
export function valuesOf({ example, values = {} }: Release): Tree {
  const base = example === undefined ? {} : parse(readFileSync(`${CHART}/examples/${example}.yaml`, 'utf8'));
  return merged(base, values);
}

function merged(base: unknown, over: unknown): Tree {
  const result: Record<string, unknown> = isTree(base) ? { ...base } : {};
  for (const [key, value] of Object.entries(isTree(over) ? over : {})) {
    if (value === null && key in result) delete result[key];
    else result[key] = isTree(value) ? merged(result[key], value) : value;
  }
  return result;
}

function isTree(value: unknown): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** What is wrong with rendered objects, by the schemas of Kubernetes and of test/chart/crds. */
export async function schemaProblems(text: string): Promise<{ checked: number; problems: string[] }> {
  const dir = mkdtempSync(join(tmpdir(), 'countersign-chart-'));
  try {
    const documents = text.split(/^---$/m).filter((document) => /^kind:/m.test(document));
    const files = documents.map((document, index) => {
      const file = join(dir, `${index}-${/^kind: (\w+)/m.exec(document)?.[1]}.yaml`);
      writeFileSync(file, document);
      return file;
    });
    const args = ['--version', KUBERNETES, '--local-crds', 'test/chart/crds', '--output', 'json', ...files];
    const output = await run(toolPath('kubectl-validate'), args, { maxBuffer: MAX_OUTPUT_BYTES }).then(
      ({ stdout }) => stdout,
      ({ stdout }: { readonly stdout: string }) => stdout,
    );
    const results: Record<string, { message?: string; status: string }[]> = JSON.parse(output);
    const problems = Object.entries(results).flatMap(([file, found]) =>
      found
        .filter(({ status }) => status !== 'Success')
        .map(({ message }) => `${basename(file)}: ${message ?? 'no message'}`),
    );
    return { checked: Object.keys(results).length, problems };
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}
