/** What a mirror hears with: the co-signers' paths, their public keys, and no way to answer. */
import { CountersignError } from '../core/errors.js';
import { loadCosignerKeys } from '../keys/cosigner-keys.js';
import { type FireblocksCosigner, fireblocksProtocol } from '../protocols/fireblocks/fireblocks.js';
import type { Ear } from './examiner.js';

export interface Heard extends FireblocksCosigner {
  readonly path: string;
  readonly publicKeyFiles: readonly string[];
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. The longest path comes first. */
export function earsOf(cosigners: readonly Heard[]): readonly Ear[] {
  const paths = Map.groupBy(cosigners, ({ path }) => path);
  return [...paths]
    .map(([path, sharing]) => ({
      path,
      protocol: fireblocksProtocol({
        cosigners: sharing.map(({ name, workspace, signers }) => ({
          ...{ name, workspace },
          ...(signers === undefined ? {} : { signers }),
        })),
        cosignerKeys: loadCosignerKeys(
          sharing.map(({ name, workspace, signers, publicKeyFiles }) => ({
            ...{ name, workspace, publicKeyFiles },
            ...(signers === undefined ? {} : { signers: signers.map(({ id }) => id) }),
          })),
        ),
        answerKeys: MUTE,
      }),
    }))
    .sort((one, other) => other.path.length - one.path.length);
}

const MUTE = {
  sign(): Promise<string> {
    return Promise.reject(new CountersignError('INTERNAL', 'a mirror answers nobody'));
  },
};
