/** The public keys that checkpoints are verified with. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { keyId } from '../audit/line.js';
import type { CheckpointKeys } from '../audit/walk.js';
import { CountersignError } from '../core/errors.js';
import { readPublicKeyFile } from '../keys/key-file.js';

export interface GivenKeys {
  readonly keys: CheckpointKeys;
  /** What the signatures prove, in a sentence. */
  readonly trust: string;
}

/** Those that were given, otherwise those that lie beside the files. Throws KEY_INVALID, FILE_UNREADABLE or USAGE. */
export function checkpointKeys(given: readonly string[], files: readonly string[]): GivenKeys {
  const found =
    given.length > 0 ? given : [...new Set(files.map((file) => dirname(file)))].flatMap(keysBeside);
  if (found.length === 0)
    throw new CountersignError(
      'USAGE',
      'there is no public key beside the files: name it with --public-key FILE',
    );
  const keys = new Map(
    found.map((file) => {
      const { key } = readPublicKeyFile(file, ['EdDSA']);
      return [keyId(key), key] as const;
    }),
  );
  return {
    keys,
    trust:
      given.length > 0
        ? `by the key of ${given.join(', ')}`
        : 'by the key that lies beside the files: that shows damage, not forgery; give the key you know with --public-key FILE',
  };
}

function keysBeside(folder: string): readonly string[] {
  return readdirSync(folder)
    .filter((name) => /^checkpoint-[0-9a-f]{12}\.pub\.pem$/.test(name))
    .map((name) => join(folder, name))
    .filter((file) => statSync(file).isFile());
}
