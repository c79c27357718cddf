/** Reads a configuration document; relative file names in it are relative to the document's own folder. */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { type Problem, readDocument } from '../core/document.js';
import { CountersignError } from '../core/errors.js';
import { type KeyWindow, undecidable } from '../core/key-window.js';
import { type Config, type CosignerConfig, configSchema, type FireblocksConfig } from './schema.js';
import { webhookContradictions } from './webhook-schema.js';

/** Throws CONFIG_INVALID that lists every problem with its line and path, FILE_UNREADABLE when there is no document. */
export function loadConfig(file: string): Config {
  const schema = configSchema(dirname(resolve(file)));
  const { value, document } = readDocument(readText(file), schema, { source: file, code: 'CONFIG_INVALID' });
  document.report(contradictionsOf(value));
  return value;
}

/** The text of a file an operator named. */
export function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (cause) {
    throw new CountersignError(
      'FILE_UNREADABLE',
      `cannot read ${file}: ${(cause as NodeJS.ErrnoException).code}`,
      { cause },
    );
  }
}

/** What an operator may want, and should know the price of. */
export function configWarnings(config: Pick<Config, 'ledger' | 'workspaces'>): readonly string[] {
  return [...ledgerWarnings(config), ...unauthenticatedWarnings(config)];
}

/** Co-signers whose messages prove nothing about who asks. */
export function unauthenticatedWarnings({ workspaces }: Pick<Config, 'workspaces'>): readonly string[] {
  return workspaces.flatMap(({ name, cosigners }) =>
    cosigners.flatMap((cosigner) => {
      if (cosigner.protocol !== 'fireblocks' || cosigner.mode !== 'json') return [];
      const { networks, clientCertificates } = cosigner;
      const callers = [
        ...(networks === undefined ? [] : [`calls from ${networks.join(', ')}`]),
        ...(clientCertificates === undefined ? [] : ['shows a listed certificate']),
      ].join(' and ');
      return [
        `CALLERS ARE NOT AUTHENTICATED: co-signer ${cosigner.name} of workspace ${name} speaks plain JSON (mode: json), so whoever ${callers} is answered as if they were it, under whatever signer they name, and can fill limits.`,
      ];
    }),
  );
}

function ledgerWarnings({ ledger }: Pick<Config, 'ledger'>): readonly string[] {
  if (ledger.kind !== 'redis' || ledger.redis.url !== undefined || ledger.durability.mode !== 'fence')
    return [];
  const topology = ledger.redis.sentinel === undefined ? 'a Cluster' : 'Sentinel';
  return [
    `ledger.durability.mode is fence with ${topology}: after every fail-over nothing is decided until an operator activates the ledger. With mode: witness replicas recover by themselves.`,
  ];
}

/** What a schema cannot say: names that must differ, keys that need one another. */
export function contradictionsOf(config: Config): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  const users = new Map<string, CosignerConfig>();
  const mustDiffer = (kind: string, name: string, path: readonly PropertyKey[]): void => {
    const id = `${kind} ${name}`;
    if (seen.has(id))
      problems.push({ path, message: `the ${kind} ${JSON.stringify(name)} is already defined` });
    seen.add(id);
  };
  config.operators.forEach((operator, index) => {
    mustDiffer('operator', operator.name, ['operators', index, 'name']);
  });
  config.workspaces.forEach((workspace, index) => {
    mustDiffer('workspace', workspace.name, ['workspaces', index, 'name']);
    workspace.cosigners.forEach((cosigner, position) => {
      const at = ['workspaces', index, 'cosigners', position];
      mustDiffer('co-signer', cosigner.name, [...at, 'name']);
      const found = [
        ...(cosigner.protocol === 'fireblocks' ? ambiguities(cosigner) : []),
        ...gaps(cosigner, config),
      ];
      problems.push(...found.map(({ path, message }) => ({ path: [...at, ...path], message })));
      const path = [...at, 'path'];
      const user = users.get(cosigner.path);
      if (user !== undefined && !(isToldByKey(user) && isToldByKey(cosigner)))
        problems.push({
          path,
          message: 'another co-signer has this path, and nothing would tell them apart',
        });
      users.set(cosigner.path, cosigner);
    });
  });
  const { tls } = config.http;
  if (tls?.clientCertificates !== undefined && tls.clientCaFile === undefined)
    problems.push({
      path: ['http', 'tls', 'clientCertificates'],
      message: 'needs http.tls.clientCaFile: no certificate is asked for otherwise',
    });
  if (config.http.port !== 0 && config.http.port === config.ops.port) {
    problems.push({ path: ['ops', 'port'], message: 'must differ from http.port' });
  }
  problems.push(...webhookContradictions(config));
  return problems;
}

/** Only what signs its messages may share a path. */
function isToldByKey(cosigner: CosignerConfig): boolean {
  return cosigner.protocol === 'fireblocks' && cosigner.mode === 'jwt';
}

function ambiguities({ signers, retries, retrySupported, ...cosigner }: FireblocksConfig): Problem[] {
  const problems: Problem[] = [];
  if (retries !== undefined && !retrySupported)
    problems.push({
      path: ['retries'],
      message: 'says how it asks again, and retrySupported: false that it does not',
    });
  const listed = signers?.map((signer) => signer.id);
  if (new Set(listed).size !== (listed?.length ?? 0))
    problems.push({ path: ['signers'], message: 'lists a signer twice' });
  if (cosigner.mode === 'json') return problems;
  const { publicKeys, answerKeys } = cosigner;
  const who = undecidable(answerKeys);
  if (who !== undefined)
    problems.push({
      path: ['answerKeys'],
      message: `gives ${who} two answer keys that begin at the same instant`,
    });
  return [
    ...problems,
    ...closedWindows('publicKeys', publicKeys),
    ...closedWindows('answerKeys', answerKeys),
  ];
}

function closedWindows(field: string, keys: readonly KeyWindow[]): Problem[] {
  return keys.flatMap(
    ({ notBefore = Number.NEGATIVE_INFINITY, notAfter = Number.POSITIVE_INFINITY }, index) =>
      notBefore < notAfter
        ? []
        : [
            {
              path: [field, index, 'notAfter'],
              message: 'must be later than notBefore: the key is never valid',
            },
          ],
  );
}

function gaps({ clientCertificates }: CosignerConfig, { http }: Config): Problem[] {
  if (clientCertificates === undefined || http.tls?.clientCaFile !== undefined) return [];
  return [
    {
      path: ['clientCertificates'],
      message: 'needs http.tls.clientCaFile: nobody shows a certificate otherwise',
    },
  ];
}
