/** Certificates of authorities that tests make for themselves. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** PEM files. */
export interface Certified {
  readonly certificate: string;
  readonly key: string;
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];

function openssl(...args: readonly string[]): void {
  execFileSync('openssl', args, { stdio: 'ignore' });
}

export function authority(made: string, name: string): Certified {
  const [certificate, key] = [join(made, `${name}.pem`), join(made, `${name}.key`)];
  openssl(
    'req',
    '-x509',
    ...NEW_KEY,
    '-keyout',
    key,
    '-out',
    certificate,
    '-days',
    '2',
    '-subj',
    `/CN=${name}`,
  );
  return { certificate, key };
}

export function certificate(made: string, by: Certified, names: string, days = 2): Certified {
  const name = names.replace(/\W/g, '-');
  const [request, key, extensions, signed] = ['csr', 'key', 'ext', 'crt'].map((end) =>
    join(made, `${name}.${end}`),
  ) as [string, string, string, string];
  openssl('req', ...NEW_KEY, '-keyout', key, '-out', request, '-subj', '/CN=redis');
  writeFileSync(extensions, `subjectAltName=${names}\n`);
  const by509 = ['-CA', by.certificate, '-CAkey', by.key, '-CAcreateserial', '-days', `${days}`];
  openssl('x509', '-req', '-in', request, ...by509, '-extfile', extensions, '-out', signed);
  return { certificate: signed, key };
}
