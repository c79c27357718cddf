/** What a mirror hears with: the co-signers' paths, their public keys, and no way to answer. */
import { CountersignError } from '../core/errors.js';
import type { Protocol } from '../core/ports.js';
import { type CosignerKeyFiles, loadCosignerKeys } from '../keys/cosigner-keys.js';
import { type FireblocksCosigner, fireblocksProtocol } from '../protocols/fireblocks/fireblocks.js';
import { fireblocksJsonProtocol } from '../protocols/fireblocks/json-mode.js';
import type { Ear } from './examiner.js';

export interface Heard extends FireblocksCosigner {
  readonly path: string;
  /** Absent: its messages are plain JSON. */
  readonly publicKeyFiles?: CosignerKeyFiles['publicKeyFiles'];
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. The longest path comes first. */
export function earsOf(cosigners: readonly Heard[]): readonly Ear[] {
  const paths = Map.groupBy(cosigners, ({ path }) => path);
  return [...paths]
    .map(([path, sharing]) => ({ path, protocol: protocolOf(sharing) }))
    .sort((one, other) => other.path.length - one.path.length);
}

/** Whence a copy comes says nothing of whence its request came, so networks and certificates are not looked at. */
function protocolOf(sharing: readonly Heard[]): Protocol {
  const keyed = sharing.map(({ publicKeyFiles, ...heard }) => ({ ...identityOf(heard), publicKeyFiles }));
  const [first] = keyed;
  if (first !== undefined && first.publicKeyFiles === undefined)
    return fireblocksJsonProtocol({ ...first, connection: {} });
  return fireblocksProtocol({
    cosigners: keyed,
    cosignerKeys: loadCosignerKeys(
      keyed.map(({ signers, publicKeyFiles = [], ...heard }) => ({
        ...heard,
        publicKeyFiles,
        ...(signers === undefined ? {} : { signers: signers.map(({ id }) => id) }),
      })),
    ),
    answerKeys: MUTE,
  });
}

function identityOf({ name, workspace, signers }: Heard): FireblocksCosigner {
  return { name, workspace, ...(signers === undefined ? {} : { signers }) };
}

const MUTE = {
  sign(): Promise<string> {
    return Promise.reject(new CountersignError('INTERNAL', 'a mirror answers nobody'));
  },
};
