/** Merges the Prometheus text of several replicas into one, telling them apart by a label. */

/**
 * Each sample gets the label `replica`; HELP and TYPE are kept once per metric, and the samples of one metric stand
 * together, as the exposition format demands (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */
export function mergeMetrics(texts: ReadonlyMap<string, string>): string {
  const families = new Map<string, { readonly header: string[]; readonly samples: string[] }>();
  for (const [replica, text] of texts) {
    let family: { readonly header: string[]; readonly samples: string[] } | undefined;
    for (const line of text.split('\n')) {
      const header = /^# (?:HELP|TYPE) (\S+)/.exec(line);
      if (header !== null) {
        const name = header[1] ?? '';
        family = families.get(name) ?? { header: [], samples: [] };
        families.set(name, family);
        if (!family.header.includes(line)) family.header.push(line);
      } else if (line !== '' && !line.startsWith('#')) {
        family?.samples.push(labelled(line, replica));
      }
    }
  }
  return [...families.values()]
    .flatMap(({ header, samples }) => [...header, ...samples])
    .concat('')
    .join('\n');
}

function labelled(sample: string, replica: string): string {
  const label = `replica="${replica}"`;
  const brace = sample.indexOf('{');
  if (brace >= 0)
    return `${sample.slice(0, brace + 1)}${label}${sample[brace + 1] === '}' ? '' : ','}${sample.slice(brace + 1)}`;
  const blank = sample.indexOf(' ');
  return `${sample.slice(0, blank)}{${label}}${sample.slice(blank)}`;
}
