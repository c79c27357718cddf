/** `countersign keys`: make key pairs, and see what a key file holds. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Command, Option } from 'commander';
import { instant } from '../config/values.js';
import { CountersignError } from '../core/errors.js';
import { generateKeyFiles, KEY_TYPES, type KeyType } from '../keys/generate.js';
import { inspectKeyFile, kindOf } from '../keys/key-file.js';
import { spkiSha256 } from '../keys/published-keys.js';
import { pinCommand } from './keys-pin.js';

export function keysCommand(): Command {
  const command = new Command('keys').description('make key pairs, and see what a key file holds');
  command
    .command('generate')
    .description('write a new key pair: PATH (PKCS#8, mode 0600) and its public half beside it (.pub.pem)')
    .addOption(
      new Option('--type <type>', 'rsa (2048 bit), p256 or ed25519').choices(KEY_TYPES).makeOptionMandatory(),
    )
    .requiredOption('--out <path>', 'where to write the private key; never overwritten')
    .option('--json', 'print one JSON object')
    .action(generate);
  command
    .command('show')
    .description(
      'what a key file holds: half, type, size, SHA-256 of its public half, and of Ed25519 what io.finnet wants to be told; or every key of a configuration, with its times, and which one is used',
    )
    .argument('[file]', 'a public or private key in PEM form')
    .option('--config <file>', 'a configuration document instead: all keys that it names')
    .option(
      '--at <instant>',
      'which are used then, as 2027-03-01T09:00:00Z; without it: now, by the clock of this machine',
    )
    .option('--json', 'print one JSON object')
    .action(show);
  command.addCommand(pinCommand());
  return command;
}

function generate({
  type,
  out,
  json,
}: {
  readonly type: KeyType;
  readonly out: string;
  readonly json?: true;
}): void {
  const generated = generateKeyFiles(type, out);
  print(
    json,
    { ...generated },
    `private key  ${generated.privateKeyFile} (keep it secret)
public key   ${generated.publicKeyFile}
SPKI SHA-256 ${generated.spkiSha256}`,
  );
}

interface ShowOptions {
  readonly config?: string;
  readonly at?: string;
  readonly json?: true;
}

async function show(file: string | undefined, { config, at, json }: ShowOptions): Promise<void> {
  if (file !== undefined && config === undefined && at === undefined) showFile(file, json);
  else if (file === undefined && config !== undefined) await showAll(config, at, json);
  else throw new CountersignError('USAGE', 'keys show: name a key file, or a configuration with --config');
}

async function showAll(config: string, at: string | undefined, json: true | undefined): Promise<void> {
  const parsed = instant.optional().safeParse(at);
  if (!parsed.success)
    throw new CountersignError('USAGE', `keys show: --at ${parsed.error.issues[0]?.message}`);
  const nowMs = parsed.data ?? Date.now();
  // What reads a whole configuration takes longer to load than a key file does.
  const { keyListText, listKeys } = await import('./key-list.js');
  listKeys(config, nowMs, (keys) =>
    process.stdout.write(
      `${json ? JSON.stringify({ at: new Date(nowMs).toISOString(), keys }) : keyListText(keys)}\n`,
    ),
  );
}

function showFile(file: string, json: true | undefined): void {
  const { key, published } = inspectKeyFile(file);
  const digest = spkiSha256(key);
  const warning =
    published === undefined ? '' : `\nPUBLISHED    its private half is in ${published}: never use this key`;
  print(
    json,
    {
      file,
      half: key.type,
      type: kindOf(key),
      spkiSha256: digest,
      ...(published ? { published } : {}),
      ...virtualSignerSetting(key),
    },
    `${file}: ${kindOf(key)}, ${key.type} key\nSPKI SHA-256 ${digest}${warning}${virtualSignerLine(key)}`,
  );
}

/** What an io.finnet Virtual Signer is told to trust: hex of the public key's PEM text, without its last newline. */
function virtualSignerSetting(key: KeyObject): { readonly ApprovalHTTPPublicKeyHex?: string } {
  if (key.asymmetricKeyType !== 'ed25519') return {};
  const half = key.type === 'private' ? createPublicKey(key) : key;
  const pem = half.export({ type: 'spki', format: 'pem' }).toString().trimEnd();
  return { ApprovalHTTPPublicKeyHex: Buffer.from(pem).toString('hex') };
}

function virtualSignerLine(key: KeyObject): string {
  const { ApprovalHTTPPublicKeyHex: setting } = virtualSignerSetting(key);
  return setting === undefined ? '' : `\nApprovalHTTPPublicKeyHex (io.finnet) ${setting}`;
}

function print(json: true | undefined, data: Readonly<Record<string, string>>, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(data) : text}\n`);
}
