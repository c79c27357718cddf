/** `countersign audit open`: original messages, unsealed for whoever holds the private key, and who signed them. */
import type { KeyObject } from 'node:crypto';
import { Command } from 'commander';
import { compactVerify, errors } from 'jose';
import { linesOf, originalsFilesIn } from '../audit/file.js';
import { type OpenedOriginal, readOriginal } from '../audit/original.js';
import { CountersignError } from '../core/errors.js';
import { type KeyFile, readPrivateKeyFile, readPublicKeyFile } from '../keys/key-file.js';
import { instantIn } from './audit-show.js';
import { printable } from './freeze-text.js';
import { repeatable } from './options.js';

interface OpenOptions {
  readonly key: string;
  readonly publicKey: readonly string[];
  readonly request?: string;
  readonly from?: number;
  readonly to?: number;
  readonly json?: true;
}

/** Of lines that cannot be opened so many are named; all are counted. */
const MAX_NAMED = 10;

export function auditOpenCommand(): Command {
  return new Command('open')
    .description(
      'original messages of co-signers and our answers, opened with the private key they are sealed for',
    )
    .argument('<path...>', 'folders with files of originals, or files')
    .requiredOption('--key <file>', 'the private key, PEM')
    .option(
      '--public-key <file>',
      'of a Fireblocks co-signer (repeatable): every message must be signed with one of them; ours: names who signed an answer',
      repeatable,
      [],
    )
    .option('--request <id>', 'of this request id')
    .option('--from <time>', 'answered from this instant on: 2026-03-01, or 2026-03-01T08:00:00Z', instantIn)
    .option('--to <time>', 'answered before this instant', instantIn)
    .option('--json', 'print one JSON object a line')
    .action(openOriginals);
}

async function openOriginals(paths: readonly string[], options: OpenOptions): Promise<void> {
  const { key } = readPrivateKeyFile(options.key, ['RS256']);
  const signers = options.publicKey.map((file) => readPublicKeyFile(file, ['RS256', 'ES256']));
  let opened = 0;
  const problems: string[] = [];
  for (const file of originalsFilesIn(paths))
    for await (const lines of linesOf(file))
      for (const { number, bytes, complete } of lines) {
        const found = complete
          ? await originalIn(bytes, { key, signers, options })
          : 'it is cut off: a replica was killed while it wrote, or the file was cut';
        if (typeof found === 'string') problems.push(`${file}:${number}: ${found}`);
        else if (found !== undefined) {
          opened += 1;
          const text =
            options.json === true ? JSON.stringify({ ...found, file, line: number }) : pageOf(found);
          process.stdout.write(`${text}\n`);
        }
      }
  for (const problem of problems.slice(0, MAX_NAMED)) process.stderr.write(`${problem}\n`);
  process.stderr.write(`${opened} originals opened; whether others are missing only the journal can tell\n`);
  if (problems.length > 0)
    throw new CountersignError('CHECK_FAILED', `${problems.length} lines are not as they should be`);
}

interface Signed {
  readonly original: OpenedOriginal;
  /** The files of the keys that verify them; undefined: none of those given does. */
  readonly requestSignedBy: string | undefined;
  readonly answerSignedBy: string | undefined;
}

interface Asked {
  readonly key: KeyObject;
  readonly signers: readonly KeyFile[];
  readonly options: Pick<OpenOptions, 'request' | 'from' | 'to'>;
}

/** Undefined: it was not asked for. Text: what is wrong with it. */
async function originalIn(
  bytes: Buffer,
  { key, signers, options }: Asked,
): Promise<Signed | string | undefined> {
  const shown = readOriginal(bytes);
  if (typeof shown === 'string') return shown;
  const { request, from = Number.NEGATIVE_INFINITY, to = Number.POSITIVE_INFINITY } = options;
  const atMs = Date.parse(shown.at);
  if ((request !== undefined && shown.requestId !== request) || atMs < from || atMs >= to) return undefined;
  const original = await shown.open(key);
  if (typeof original === 'string') return original;
  const requestSignedBy = await signerOf(original.request.body, signers);
  const isSigned = original.protocol === 'fireblocks' && !isPlain(original.request.route);
  if (isSigned && signers.length > 0 && requestSignedBy === undefined)
    return `none of the keys given has signed the message of request ${JSON.stringify(original.requestId)}`;
  return { original, requestSignedBy, answerSignedBy: await signerOf(original.answer.body, signers) };
}

/** A message of mode json: nothing in it says who asked, and nothing in the answer who answered. */
function isPlain(route: string): boolean {
  return !route.startsWith('/v2/');
}

/** Of a compact JWS; other messages carry no signature that this command knows. */
async function signerOf(body: string, signers: readonly KeyFile[]): Promise<string | undefined> {
  for (const { file, key, algorithm } of signers)
    try {
      await compactVerify(body.trim(), key, { algorithms: [algorithm] });
      return file;
    } catch (error) {
      if (!(error instanceof errors.JOSEError)) throw error;
    }
  return undefined;
}

/** For people: what tokens say instead of the tokens. */
function pageOf({ original, requestSignedBy, answerSignedBy }: Signed): string {
  const { at, workspace, cosigner, requestId, sequence, request, answer } = original;
  const event = sequence === undefined ? 'undecided' : `event ${sequence}`;
  const unsigned =
    original.protocol === 'fireblocks' && isPlain(request.route) ? ', in plain JSON, which nobody signs' : '';
  const by = (file: string | undefined) =>
    file === undefined ? unsigned : `, signed with the key of ${file}`;
  return [
    `${at}  ${workspace}  ${cosigner}  ${printable(requestId)}  ${event}`,
    `asked     ${printable(request.route)} from ${printable(request.address)}${by(requestSignedBy)}`,
    `          ${contentOf(request.body)}`,
    `answered  ${answer.status}${by(answerSignedBy)}`,
    `          ${contentOf(answer.body)}`,
  ].join('\n');
}

function contentOf(body: string): string {
  const [, payload] = /^\s*[\w-]+\.([\w-]+)\.[\w-]+\s*$/.exec(body) ?? [];
  const text = payload === undefined ? body : Buffer.from(payload, 'base64url').toString('utf8');
  return printable(text.replace(/\s+/g, ' ').trim());
}
