/** What Prometheus sees of files that grow old: when certificates end, and since when keys have not been replaced. */
import { X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { Gauge, type Registry } from 'prom-client';

export interface CertificateFile {
  /** The field of the configuration that names it, e.g. `http.tls.certificateFile`. */
  readonly field: string;
  readonly file: string;
}

export interface KeyFile {
  readonly workspace: string;
  readonly cosigner: string;
  readonly use: 'answer' | 'cosigner';
  readonly file: string;
}

/** Each certificate of a PEM file. */
export const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const CERTIFICATE_FIELD = /^(certificateFile|caFile|clientCaFile)$/;

export class FileMetrics {
  #certificates: readonly CertificateFile[] = [];
  #keys: readonly KeyFile[] = [];
  readonly #served = new Map<string, () => X509Certificate>();

  constructor(registry: Registry) {
    const registers = [registry];
    const expiry = new Gauge({
      name: 'countersign_certificate_expiry_timestamp_seconds',
      help: 'When the certificates of a file end, read anew for each scrape; 0: it cannot be read. Of a chain the first to end counts, of several authorities the last. With (served): of the one that is shown, which may not be the one in the file.',
      labelNames: ['certificate'],
      registers,
      collect: async () => {
        for (const { field, file } of this.#certificates)
          expiry.set(
            { certificate: field },
            (await endOf(file, /caFile$/i.test(field)).catch(() => 0)) / 1_000,
          );
        for (const [name, certificate] of this.#served)
          expiry.set({ certificate: `${name} (served)` }, certificate().validToDate.getTime() / 1_000);
      },
    });
    const begin = new Gauge({
      name: 'countersign_certificate_not_before_timestamp_seconds',
      help: 'Since when the certificate that is served is valid: its age.',
      labelNames: ['certificate'],
      registers,
      collect: () => {
        for (const [name, certificate] of this.#served)
          begin.set({ certificate: `${name} (served)` }, certificate().validFromDate.getTime() / 1_000);
      },
    });
    const modified = new Gauge({
      name: 'countersign_key_file_modified_timestamp_seconds',
      help: 'When the oldest key file of this use was last written.',
      labelNames: ['workspace', 'cosigner', 'use'],
      registers,
      collect: async () => {
        modified.reset();
        for (const [labels, writtenMs] of await oldestOf(this.#keys)) modified.set(labels, writtenMs / 1_000);
      },
    });
  }

  /** @param certificate what is shown now */
  serves(name: string, certificate: () => X509Certificate): void {
    this.#served.set(name, certificate);
  }

  expect(certificates: readonly CertificateFile[], keys: readonly KeyFile[]): void {
    this.#certificates = certificates;
    this.#keys = keys;
  }
}

/** The certificate files that a configuration names, wherever they stand in it. */
export function certificateFiles(section: unknown, path = ''): readonly CertificateFile[] {
  if (typeof section !== 'object' || section === null) return [];
  return Object.entries(section).flatMap(([key, value]) => {
    const field = path === '' ? key : `${path}.${key}`;
    return CERTIFICATE_FIELD.test(key) && typeof value === 'string'
      ? [{ field, file: value }]
      : certificateFiles(value, field);
  });
}

/** Unix milliseconds. Rejects when there is no certificate in the file. */
async function endOf(file: string, areAuthorities: boolean): Promise<number> {
  const text = await readFile(file, 'utf8');
  const ends = (text.match(CERTIFICATE) ?? []).map((pem) => new X509Certificate(pem).validToDate.getTime());
  if (ends.length === 0) throw new Error(`no certificate in ${file}`);
  return areAuthorities ? Math.max(...ends) : Math.min(...ends);
}

type KeyLabels = Pick<KeyFile, 'workspace' | 'cosigner' | 'use'>;

async function oldestOf(keys: readonly KeyFile[]): Promise<Map<KeyLabels, number>> {
  const written = await Promise.all(
    keys.map(async ({ file, ...labels }) => {
      const status = await stat(file).catch(() => undefined);
      return status === undefined ? [] : [{ labels, writtenMs: status.mtimeMs }];
    }),
  );
  const groups = Map.groupBy(written.flat(), ({ labels }) => JSON.stringify(labels));
  return new Map(
    [...groups.values()].flatMap((group) => {
      const [first] = group;
      const oldestMs = Math.min(...group.map(({ writtenMs }) => writtenMs));
      return first === undefined ? [] : [[first.labels, oldestMs] as const];
    }),
  );
}
