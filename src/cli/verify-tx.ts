/** `countersign verify-tx`: what the bytes of a signing request do, and whether that is what it says. */
import { Command } from 'commander';
import { createChains, filePrevouts, loadAssets } from '../chains/index.js';
import { isRefusal } from '../chains/refusal.js';
import { readText } from '../config/load.js';
import { CountersignError } from '../core/errors.js';
import { parseJson } from '../core/json.js';
import { compilePolicy } from '../core/policy/compile.js';
import { type VerificationSettings, verificationSchema } from '../core/policy/verification.js';
import type { Chains } from '../core/ports.js';
import type { Json } from '../core/request.js';
import { examine } from '../core/verify.js';
import { readSigningPayload } from './signing-payload.js';
import { judgeCases } from './verification-cases.js';
import { casesReport, type Report, reportOf, textOf } from './verification-report.js';

const MAX_FILE_CHARACTERS = 64 * 1024 * 1024;
const COMPACT_JWS = /^[\w-]+\.([\w-]+)\.[\w-]*$/;

interface Options {
  readonly cases?: string;
  readonly explain?: boolean;
  readonly json?: boolean;
  readonly policy?: string;
  readonly assets?: string;
  readonly prevouts?: string;
}

export function verifyTxCommand(): Command {
  return new Command('verify-tx')
    .description('what the bytes of a signing request do, and each check against what it says')
    .argument('[file]', 'a decoded tx_sign_request (JSON), or the token that carried it')
    .option('--explain', 'say what each check refuses')
    .option('--json', 'print JSON')
    .option('--policy <file>', 'policy document whose verification section holds')
    .option('--assets <file>', 'imported assets (see: countersign assets import)')
    .option(
      '--prevouts <file>',
      'trusted previous outputs: {"txid:vout": {"value": "<satoshi>", "script": "<hex>"}}',
    )
    .option('--cases <file>', 'judge a file of cases instead')
    .action(async (file: string | undefined, options: Options) => {
      if (options.cases !== undefined) return runCases(options.cases, options);
      if (file === undefined)
        throw new CountersignError(
          'USAGE',
          'name a file with a signing request, or --cases with a file of cases',
        );
      return runFile(file, options);
    });
}

async function runFile(file: string, options: Options): Promise<void> {
  const chains = createChains({
    ...(options.assets === undefined ? {} : { assets: loadAssets(options.assets) }),
    ...(options.prevouts === undefined ? {} : { prevouts: filePrevouts(options.prevouts) }),
  });
  const report = await examineFile(file, chains, readSettings(options.policy, chains));
  process.stdout.write(
    options.json === true ? `${JSON.stringify(report, null, 2)}\n` : textOf(report, options.explain === true),
  );
  if (report.verdict !== 'agrees' && report.verdict !== 'skipped') process.exitCode = 1;
}

async function examineFile(file: string, chains: Chains, settings: VerificationSettings): Promise<Report> {
  const request = readSigningPayload(readPayload(file));
  if (isRefusal(request)) return reportOf({ chains, refusal: request });
  const examination = await examine(request, chains, settings, new AbortController().signal);
  return reportOf({ chains, request, examination });
}

async function runCases(file: string, options: Options): Promise<void> {
  const judged = await judgeCases(readCases(file));
  const report = casesReport(judged);
  process.stdout.write(options.json === true ? `${JSON.stringify(report, null, 2)}\n` : report.text);
  if (report.mismatches.length > 0) process.exitCode = 1;
}

function readSettings(file: string | undefined, chains: Chains): VerificationSettings {
  if (file === undefined) return verificationSchema.parse(undefined);
  return compilePolicy(readText(file), file, chains).verification;
}

/** A payload file may hold the JSON or the compact token; nobody checks the token's signature here. */
function readPayload(file: string): Uint8Array {
  const text = readText(file).trim();
  const body = COMPACT_JWS.exec(text)?.[1];
  return body === undefined ? Buffer.from(text) : Buffer.from(body, 'base64url');
}

function readCases(file: string): Json {
  const read = parseJson(readText(file), MAX_FILE_CHARACTERS);
  if (!read.ok) throw new CountersignError('FILE_UNREADABLE', `${file} is not JSON: ${read.problem}`);
  return read.value;
}
