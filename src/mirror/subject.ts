/** What a report says of a request: small, and safe to show. */
import type { Destination, Request } from '../core/request.js';

export interface Subject {
  readonly workspace: string;
  readonly cosigner: string;
  readonly signer: string | undefined;
  readonly requestId: string;
  readonly stage: Request['stage'];
  /** `TRANSFER ETH to ONE_TIME 0x…`, `config-change UNMANAGED_WALLET`: differences are counted by it. */
  readonly what: string;
}

const MAX_PART = 80;

export function subjectOf(request: Request): Subject {
  const { workspace, cosigner, signer, requestId, stage } = request;
  return {
    workspace,
    cosigner,
    stage,
    requestId: shown(requestId, 256),
    signer: signer === undefined ? undefined : shown(signer),
    what: whatOf(request),
  };
}

function whatOf(request: Request): string {
  switch (request.kind) {
    case 'transaction': {
      const { operation, asset, destinations } = request.intent;
      const [first] = destinations;
      const where = destinations.length > 1 ? `${destinations.length} destinations` : placeOf(first);
      return `${shown(operation)} ${shown(asset)} to ${where}`;
    }
    case 'config-change':
      return `config-change ${shown(request.type)}`;
    case 'keygen':
    case 'reshare':
    case 'sign':
      return request.kind;
  }
}

function placeOf(destination: Destination | undefined): string {
  if (destination === undefined) return 'nowhere';
  const { type, id, address } = destination;
  return [type, id === '' ? address : id]
    .map((part) => shown(part ?? ''))
    .join(' ')
    .trim();
}

/** From outside: nothing of it may move the cursor, or fill the page. */
export function shown(text: string, most = MAX_PART): string {
  return [...text.toWellFormed().replace(/\p{C}+/gu, ' ')].slice(0, most).join('');
}
