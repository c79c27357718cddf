/** What a mirror hears with: the co-signers' paths, their public keys, and no way to answer. */
import type { FireblocksConfig } from '../config/schema.js';
import { CountersignError } from '../core/errors.js';
import type { Protocol } from '../core/ports.js';
import { loadCosignerKeys } from '../keys/cosigner-keys.js';
import { fireblocksProtocol } from '../protocols/fireblocks/fireblocks.js';
import { fireblocksJsonProtocol } from '../protocols/fireblocks/json-mode.js';
import type { Ear } from './examiner.js';

export type Heard = FireblocksConfig & { readonly workspace: string };

/**
 * A copy comes from whoever made it, so networks and client certificates are not looked at: in mode `json` nothing proves
 * that a co-signer asked, here as there. Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. The longest path comes first.
 */
export function earsOf(cosigners: readonly Heard[]): readonly Ear[] {
  return [...Map.groupBy(cosigners, ({ path }) => path)]
    .map(([path, sharing]) => ({ path, protocol: protocolOf(sharing) }))
    .sort((one, other) => other.path.length - one.path.length);
}

function protocolOf(sharing: readonly Heard[]): Protocol {
  const [first] = sharing;
  // The only one of its path, as the configuration demands.
  if (first?.mode === 'json') return fireblocksJsonProtocol({ ...identityOf(first), connection: {} });
  const signed = sharing.filter((cosigner) => cosigner.mode === 'jwt');
  return fireblocksProtocol({
    cosigners: signed.map(identityOf),
    cosignerKeys: loadCosignerKeys(
      signed.map(({ name, workspace, signers, publicKeys }) => ({
        ...{ name, workspace, publicKeyFiles: publicKeys },
        ...(signers === undefined ? {} : { signers: signers.map(({ id }) => id) }),
      })),
    ),
    answerKeys: MUTE,
  });
}

function identityOf({ name, workspace, signers }: Heard) {
  return { name, workspace, ...(signers === undefined ? {} : { signers }) };
}

const MUTE = {
  sign(): Promise<string> {
    return Promise.reject(new CountersignError('INTERNAL', 'a mirror answers nobody'));
  },
};
