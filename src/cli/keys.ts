/** `countersign keys`: make key pairs, and see what a key file holds. */
import { Command, Option } from 'commander';
import { generateKeyFiles, KEY_TYPES, type KeyType } from '../keys/generate.js';
import { inspectKeyFile, kindOf } from '../keys/key-file.js';
import { spkiSha256 } from '../keys/published-keys.js';

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
    .description('what a key file holds: half, type, size, SHA-256 of its public half')
    .argument('<file>', 'a public or private key in PEM form')
    .option('--json', 'print one JSON object')
    .action(show);
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
    { file, half: key.type, type: kindOf(key), spkiSha256: digest, ...(published ? { published } : {}) },
    `${file}: ${kindOf(key)}, ${key.type} key\nSPKI SHA-256 ${digest}${warning}`,
  );
}

function print(json: true | undefined, data: Readonly<Record<string, string>>, text: string): void {
  process.stdout.write(`${json ? JSON.stringify(data) : text}\n`);
}
