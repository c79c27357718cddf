/** `countersign keys`: make key pairs, and see what a key file holds. */
import { createPublicKey, type KeyObject } from 'node:crypto';
import { Command, Option } from 'commander';
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
      'what a key file holds: half, type, size, SHA-256 of its public half, and of Ed25519 what io.finnet wants to be told',
    )
    .argument('<file>', 'a public or private key in PEM form')
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

function show(file: string, { json }: { readonly json?: true }): void {
  const { key, published } = inspectKeyFile(file);
  const digest = spkiSha256(key);
  const warning =
    published === undefined ? '' : `\nPUBLISHED    its private half is in ${published}: never use this key`;
  print(
    json,
    {
      ...{ file, half: key.type, type: kindOf(key), spkiSha256: digest },
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
