/** The rules of deploy/prometheus and what they name, as the tests of alerts and of the documentation read them. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';
import { Metrics } from '../../src/telemetry/metrics.js';

const ROOT = join(import.meta.dirname, '../..');
export const PROMETHEUS = join(ROOT, 'deploy/prometheus');
export const RULE_FILES = ['recording.rules.yaml', 'alerts.rules.yaml'].map((name) => join(PROMETHEUS, name));
const DOCS = join(ROOT, 'docs');
const RUNBOOKS = join(DOCS, 'runbooks');
const PROTOCOLS = join(DOCS, 'protocols');
const DASHBOARD = join(ROOT, 'deploy/grafana/countersign.json');

export interface Rule {
  readonly alert?: string;
  readonly record?: string;
  readonly expr: string;
  readonly for?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export type Alert = Rule & {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
};

interface RuleFile {
  readonly groups: readonly { readonly name: string; readonly rules: readonly Rule[] }[];
}

export function rules(): readonly Rule[] {
  return RULE_FILES.flatMap((file) => (parse(readFileSync(file, 'utf8')) as RuleFile).groups).flatMap(
    (group) => group.rules,
  );
}

export function alerts(): readonly Alert[] {
  return rules().filter((rule): rule is Alert => rule.alert !== undefined);
}

/** By name, without the ending. */
export function runbooks(): ReadonlyMap<string, string> {
  return pagesIn(RUNBOOKS);
}

/** The pages of the documentation that are no runbooks. */
export function guides(): ReadonlyMap<string, string> {
  return new Map([...pagesIn(DOCS), ...pagesIn(PROTOCOLS)]);
}

/** The file of a page, by its name. */
export function pageOf(name: string): string {
  const folder = [RUNBOOKS, DOCS, PROTOCOLS].find((each) => existsSync(join(each, `${name}.md`)));
  return join(folder ?? DOCS, `${name}.md`);
}

function pagesIn(folder: string): ReadonlyMap<string, string> {
  return new Map(
    readdirSync(folder)
      .filter((name) => name.endsWith('.md'))
      .map((name) => [name.replace(/\.md$/, ''), readFileSync(join(folder, name), 'utf8')]),
  );
}

export interface Panel {
  readonly id: number;
  readonly gridPos: { readonly x: number; readonly y: number; readonly w: number; readonly h: number };
  readonly title: string;
  readonly type: string;
  readonly targets?: readonly { readonly expr: string }[];
}

export function panels(): readonly Panel[] {
  const { panels } = JSON.parse(readFileSync(DASHBOARD, 'utf8')) as { readonly panels: readonly Panel[] };
  return panels.filter(({ type }) => type !== 'row');
}

/** What a dashboard's expression is for everything there is. */
export function filledIn(expr: string): string {
  return expr.replace(/\$(workspace|cosigner)\b/g, '.*').replaceAll('$__rate_interval', '1m');
}

/** Every series that a replica can show, and those that the recording rules make of them. */
export async function knownSeries(): Promise<ReadonlySet<string>> {
  const { registry } = new Metrics();
  const own = (await registry.getMetricsAsJSON()).flatMap(({ name, type }) =>
    // In this version of the client the type is a word.
    String(type) === 'histogram' ? [`${name}_bucket`, `${name}_sum`, `${name}_count`] : [name],
  );
  // What Prometheus itself makes.
  return new Set([...own, ...rules().flatMap(({ record }) => record ?? []), 'up', 'ALERTS']);
}

/** The names of series in an expression: words that are no keyword, function, label or string. */
export function seriesIn(expr: string): readonly string[] {
  const bare = expr
    .replace(/"(?:[^"\\]|\\.)*"/g, '""')
    .replace(/\{[^}]*\}/g, '')
    .replace(/\[[^\]]*\]|offset \w+/g, '')
    .replace(/\b(by|on|without|ignoring)\s*\([^)]*\)/g, ' ')
    .replace(/\b(group_left|group_right)\b(\s*\([^)]*\))?/g, ' ');
  return [...bare.matchAll(/[a-zA-Z_:][\w:]*(?!\s*\(|[\w:])/g)]
    .map(([name]) => name)
    .filter((name) => !/^(and|or|unless|bool)$/.test(name) && !/^\d/.test(name));
}
