/**
 * A strict reader of the Prometheus text format
 * (https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format): what it accepts, any scraper does.
 */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: readonly Sample[];
}

const HELP = /^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/;
const TYPE = /^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge|histogram|summary|untyped)$/;
const SAMPLE =
  /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (NaN|Nan|[+-]?Inf|[+-]?\d+(?:\.\d+)?(?:e[+-]?\d+)?)$/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** Throws at the first line that is not as it should be. */
export function metricFamilies(text: string): ReadonlyMap<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line does not end');
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const series = new Set<string>();
  let current = '';
  for (const line of text.split('\n').filter((each) => each !== '')) {
    const [, helped, help = ''] = HELP.exec(line) ?? [];
    const [, typed, type = ''] = TYPE.exec(line) ?? [];
    if (helped !== undefined) {
      if (families.has(helped)) throw new Error(`${helped} stands in two places`);
      families.set(helped, { type: '', help, samples: [] });
      current = helped;
    } else if (typed !== undefined) {
      const family = families.get(typed);
      if (family === undefined || typed !== current || family.type !== '' || family.samples.length > 0)
        throw new Error(`unexpected: ${line}`);
      family.type = type;
    } else {
      const sample = sampleOf(line);
      const family = families.get(current);
      const suffixes = SUFFIXES[family?.type ?? ''] ?? [''];
      if (family === undefined || !suffixes.some((suffix) => sample.name === current + suffix))
        throw new Error(`${sample.name} stands below ${current}`);
      const id = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      if (series.has(id)) throw new Error(`twice: ${line}`);
      series.add(id);
      family.samples.push(sample);
    }
  }
  return families;
}

function sampleOf(line: string): Sample {
  const [, name, labels = '', value = ''] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`no sample: ${line}`);
  return { name, labels: labelsOf(labels, line), value: Number(value.replace('Inf', 'Infinity')) };
}

function labelsOf(text: string, line: string): Sample['labels'] {
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  while (LABEL.lastIndex < text.length) {
    const [, name, value] = LABEL.exec(text) ?? [];
    if (name === undefined || value === undefined || name in labels) throw new Error(`labels: ${line}`);
    labels[name] = value;
  }
  return labels;
}
