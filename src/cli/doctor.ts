/** `countersign doctor`: is everything as it must be, here and at the vendor's? Above all: is this handler still asked? */
import { X509Certificate } from 'node:crypto';
import { Command } from 'commander';
import { loadConfig, readText } from '../config/load.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import { CountersignError, messageOf } from '../core/errors.js';
import { ApiError } from '../protocols/fireblocks/api.js';
import type { HandlerFinding } from '../protocols/fireblocks/handlers.js';
import { loadKeys } from '../replica/replica.js';
import { type Credentials, doctorCredentials, openVendorApi } from '../replica/vendor/api.js';
import { expectedHandlers, findHandlers, GRAVE } from '../replica/vendor/handler-checking.js';
import { CERTIFICATE, certificateFiles } from '../telemetry/file-metrics.js';
import { type Check, doctorText, verdictOf } from './doctor-text.js';
import { statusOf } from './status.js';

interface DoctorOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly apiKeyFile?: string;
  readonly privateKeyFile?: string;
  /** `--no-api` makes it false. */
  readonly api: boolean;
  /** `--no-local` makes it false. */
  readonly local: boolean;
  readonly json?: true;
}

const EXITS = `
Exit code: 0 all is well (warnings included), 1 something is wrong, 2 the command line or the configuration is,
4 nothing is wrong as far as could be checked, but something could not be.

Co-signers are shown by the vendor to administrators only: give an API user with the role Non-Signing Admin, whose key is
kept where no replica is, with --api-key-file and --private-key-file. Nothing is ever written at the vendor's.`;

const DAY_MS = 86_400_000;
/** As long before its end as the alert rings. */
const SOON_MS = 21 * DAY_MS;
const PATIENCE_MS = 120_000;

export function doctorCommand(): Command {
  return new Command('doctor')
    .description(
      'check keys, certificates, ledger and policy, and by the vendor’s REST API that every API user still asks this handler',
    )
    .requiredOption('--config <file>', 'configuration document')
    .option('--workspace <name>', 'this one alone; otherwise all')
    .option(
      '--api-key-file <file>',
      'the id of the API user that asks, instead of the one in the configuration',
    )
    .option('--private-key-file <file>', 'its private key, PEM')
    .option('--no-api', 'do not ask the vendor')
    .option('--no-local', 'ask the vendor alone: of answer keys their public halves (.pub.pem) will do then')
    .option('--json', 'print one JSON object')
    .addHelpText('after', EXITS)
    .action(doctor);
}

async function doctor(options: DoctorOptions): Promise<void> {
  const config = loadConfig(options.config);
  const credentials = credentialsIn(options);
  const chosen = config.workspaces.filter(({ name }) => [undefined, name].includes(options.workspace));
  if (chosen.length === 0)
    throw new CountersignError('USAGE', `there is no workspace ${JSON.stringify(options.workspace)}`);
  const checks = options.local ? [...keyChecks(config), ...certificateChecks(config)] : [];
  for (const workspace of chosen) {
    if (options.local) checks.push(...(await ledgerChecks(options.config, workspace.name)));
    if (options.api) checks.push(...(await vendorChecks(workspace, config, credentials)));
  }
  const { exitCode, ...verdict } = verdictOf(checks);
  process.stdout.write(
    options.json === true ? `${JSON.stringify({ ...verdict, checks })}\n` : `${doctorText(checks)}\n`,
  );
  process.exitCode = exitCode;
}

function credentialsIn({ apiKeyFile, privateKeyFile }: DoctorOptions): Credentials | undefined {
  if (apiKeyFile === undefined && privateKeyFile === undefined) return undefined;
  if (apiKeyFile === undefined || privateKeyFile === undefined)
    throw new CountersignError('USAGE', '--api-key-file and --private-key-file go together');
  return { apiKeyFile, privateKeyFile };
}

function keyChecks(config: Config): readonly Check[] {
  try {
    const { warnings } = loadKeys(config);
    const read: Check = { area: 'keys', state: 'ok', sentence: 'Every key that is configured can be used.' };
    return [read, ...warnings.map((sentence): Check => ({ area: 'keys', state: 'warning', sentence }))];
  } catch (error) {
    return [{ area: 'keys', state: 'wrong', sentence: sentenceOf(error) }];
  }
}

function certificateChecks({ http, ledger, webhooks }: Config): readonly Check[] {
  return certificateFiles({ http, ledger, webhooks }).map(({ field, file }): Check => {
    const subject = field;
    try {
      const ends = (readText(file).match(CERTIFICATE) ?? []).map((pem) =>
        new X509Certificate(pem).validToDate.getTime(),
      );
      if (ends.length === 0) throw new CountersignError('KEY_INVALID', `there is no certificate in ${file}`);
      const endMs = /caFile$/i.test(field) ? Math.max(...ends) : Math.min(...ends);
      const leftMs = endMs - Date.now();
      const sentence = `It ${leftMs < 0 ? 'ended' : 'ends'} on ${new Date(endMs).toISOString().slice(0, 10)}.`;
      const state = leftMs < 0 ? 'wrong' : leftMs < SOON_MS ? 'warning' : 'ok';
      return { area: 'certificate', subject, state, sentence };
    } catch (error) {
      return { area: 'certificate', subject, state: 'wrong', sentence: sentenceOf(error) };
    }
  });
}

async function ledgerChecks(config: string, workspace: string): Promise<readonly Check[]> {
  const { policy, blocked, warnings, ledger } = await statusOf(config, workspace);
  const version = policy?.version.slice(0, 12);
  const made: Check = {
    area: 'ledger',
    workspace,
    state: 'ok',
    sentence: `Decisions are made, under policy ${version}.`,
  };
  const wrong = blocked.map((sentence): Check => {
    // A store that this machine cannot reach may be well where replicas are.
    return { area: 'ledger', workspace, state: ledger === undefined ? 'unknown' : 'wrong', sentence };
  });
  return [
    ...(blocked.length === 0 ? [made] : wrong),
    ...warnings.map((sentence): Check => ({ area: 'ledger', workspace, state: 'warning', sentence })),
  ];
}

async function vendorChecks(
  workspace: WorkspaceConfig,
  config: Config,
  given: Credentials | undefined,
): Promise<readonly Check[]> {
  const { name, api } = workspace;
  if (!workspace.cosigners.some(({ protocol }) => protocol === 'fireblocks')) return [];
  const at = { area: 'handler', workspace: name } as const;
  if (api === undefined)
    return [
      {
        ...at,
        state: 'warning',
        sentence: 'The vendor is not asked: there is no `api` in the configuration.',
      },
    ];
  try {
    const expected = expectedHandlers(name, config);
    const { api: client, warnings } = openVendorApi(api, given ?? doctorCredentials(api));
    const findings = await findHandlers(client, expected, AbortSignal.timeout(PATIENCE_MS));
    return [
      ...warnings.map((sentence): Check => ({ area: 'keys', workspace: name, state: 'warning', sentence })),
      ...(findings.length === 0
        ? [{ ...at, state: 'warning' as const, sentence: 'The vendor shows no API user of any co-signer.' }]
        : findings.map((finding): Check => ({ ...at, ...checkOf(finding) }))),
    ];
  } catch (error) {
    const isTold = error instanceof ApiError && ['key', 'permission'].includes(error.problem);
    const passes = error instanceof ApiError || !(error instanceof CountersignError);
    return [{ ...at, state: isTold || !passes ? 'wrong' : 'unknown', sentence: sentenceOf(error) }];
  }
}

function checkOf({ result, cosigner, user, sentence }: HandlerFinding): Omit<Check, 'area'> {
  const subject = `API user ${user} at co-signer ${cosigner}`;
  const isWrong = GRAVE.has(result) || result === 'unknown-signer' || result === 'unknown-user';
  return { subject, result, state: isWrong ? 'wrong' : result === 'ok' ? 'ok' : 'warning', sentence };
}

function sentenceOf(error: unknown): string {
  const text = messageOf(error);
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}
