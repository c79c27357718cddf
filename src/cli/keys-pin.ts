/** `countersign keys pin`: what a co-signer pins of a certificate, and whether the next one will be accepted. */
import { Command } from 'commander';
import { loadConfig } from '../config/load.js';
import { CountersignError } from '../core/errors.js';
import { kindOf } from '../keys/key-file.js';
import { type Pinned, pinOf, readPinned } from '../keys/pins.js';
import { spkiSha256 } from '../keys/published-keys.js';

interface PinOptions {
  readonly config?: string;
  readonly json?: true;
}

interface Pin {
  readonly file: string;
  readonly holds: string;
  /** As curl’s `--pinnedpubkey` takes it. */
  readonly pin: string;
  readonly spkiSha256: string;
  readonly subject?: string;
  /** RFC 3339. */
  readonly begins?: string;
  readonly ends?: string;
}

const MS_PER_DAY = 86_400_000;

export function pinCommand(): Command {
  return new Command('pin')
    .description(
      'the hash of the public key that co-signers pin, of certificates or keys; exit code 1 when they have different ones, because a co-signer that pins the first refuses the others',
    )
    .argument('[files...]', 'certificates or keys in PEM form, the present one first')
    .option('--config <file>', 'begin with the certificate that this configuration names (http.tls)')
    .option('--json', 'print one JSON object')
    .action(pin);
}

function pin(files: readonly string[], { config, json }: PinOptions): void {
  const named = config === undefined ? files : [certificateIn(config), ...files];
  if (named.length === 0) throw new CountersignError('USAGE', 'name a certificate, a key, or --config');
  const pins = named.map((file) => described(readPinned(file)));
  const [first] = pins;
  const others = pins.filter((one) => one.pin !== first?.pin);
  process.stdout.write(
    json ? `${JSON.stringify({ pins, same: others.length === 0 })}\n` : `${pins.map(text).join('\n\n')}\n`,
  );
  if (others.length > 0)
    throw new CountersignError(
      'CHECK_FAILED',
      `${others.map(({ file }) => file).join(', ')}: not the key of ${first?.file}; co-signers that pin it refuse every connection with the other, and their transactions fail`,
    );
}

function certificateIn(config: string): string {
  const { tls } = loadConfig(config).http;
  if (tls !== undefined) return tls.certificateFile;
  throw new CountersignError(
    'CONFIG_INVALID',
    `${config}: http.tls is not there, so a proxy ends TLS; name its certificate file`,
  );
}

function described({ file, key, certificate }: Pinned): Pin {
  return {
    file,
    holds: `${certificate === undefined ? `${key.type} key` : 'certificate'}, ${kindOf(key)}`,
    pin: pinOf(key),
    spkiSha256: spkiSha256(key),
    ...(certificate !== undefined && {
      subject: certificate.subject.replaceAll('\n', ', '),
      begins: certificate.validFromDate.toISOString(),
      ends: certificate.validToDate.toISOString(),
    }),
  };
}

function text({ file, holds, pin, spkiSha256, subject, ends }: Pin): string {
  return [
    `${file}: ${holds}${subject === undefined ? '' : ` of ${subject}`}`,
    `pin          ${pin}`,
    `SPKI SHA-256 ${spkiSha256}`,
    ...(ends === undefined ? [] : [`ends         ${ends} (${timeLeft(ends)})`]),
  ].join('\n');
}

function timeLeft(ends: string): string {
  const days = Math.floor((Date.parse(ends) - Date.now()) / MS_PER_DAY);
  return days < 0 ? 'IT HAS ENDED' : `in ${days} days`;
}
