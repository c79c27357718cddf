/**
 * Which stage a request belongs to. The wire has no field that says so; it has fields that only the signing stage
 * carries, and operations whose signing stage may lack them all. What an API user is there for is configured, and
 * the two together either settle the stage or leave a doubt, which is answered with "ask again":
 * an approval given for a signature in disguise would be one without bytes, and a rejection would be permanent.
 *
 * Source: Fireblocks, "Approve transactions", callback handler reference (the fields marked as signing only).
 */
import type { Doubt, Stage } from '../../core/request.js';
import type { Claims } from './claims.js';

export interface FireblocksSigner {
  /** The API user's id, as `signerId` names it. */
  readonly id: string;
  readonly stages: readonly Stage[];
}

export interface StageReading {
  /** Where there is a doubt: `signing`, the stage at which less is allowed. */
  readonly stage: Stage;
  readonly doubt?: Doubt;
}

/** `signing`: certain. `unmarked`: approval, for all that the wire shows. `uncertain`: it may be either. */
export type StageEvidence = 'signing' | 'unmarked' | 'uncertain';

/** Their content is in extraParameters, and their signing stage may carry none of the marks. */
const UNMARKED_OPERATIONS: ReadonlySet<string> = new Set(['RAW', 'TYPED_MESSAGE']);

export function stageEvidence(
  claims: Claims,
  destinations: readonly Claims[],
  { operation, rawCount }: { readonly operation: string; readonly rawCount: number },
): StageEvidence {
  const marks = [
    markOf(claims, 'fee'),
    ...destinations.map((destination) => markOf(destination, 'displayDstAddress')),
  ];
  if (rawCount > 0 || marks.includes('full')) return 'signing';
  return marks.includes('empty') || UNMARKED_OPERATIONS.has(operation) ? 'uncertain' : 'unmarked';
}

/** A mark without content proves neither stage. */
function markOf(claims: Claims, name: string): 'full' | 'empty' | 'none' {
  if (!claims.has(name)) return 'none';
  return claims.json(name) === undefined || claims.json(name) === '' ? 'empty' : 'full';
}

/**
 * Whether this signer may ask for this stage. Without a list of signers anybody may ask for signatures and nobody for
 * approvals; a request that names no signer may ask for what some listed signer may.
 */
export function mayAsk(
  signers: readonly FireblocksSigner[] | undefined,
  signer: string | undefined,
  stage: Stage,
): boolean {
  if (signers === undefined) return stage === 'signing';
  return signers.some(({ id, stages }) => (signer === undefined || id === signer) && stages.includes(stage));
}

export function readStage(
  evidence: StageEvidence,
  signers: readonly FireblocksSigner[] | undefined,
  signer: string | undefined,
): StageReading {
  const signs = mayAsk(signers, signer, 'signing');
  const approves = mayAsk(signers, signer, 'approval');
  if (!signs && !approves) return { stage: 'signing', doubt: 'SIGNER_NOT_LISTED' };
  if (evidence === 'signing')
    return signs ? { stage: 'signing' } : { stage: 'signing', doubt: 'SIGNER_NOT_LISTED' };
  // From here on only what the signer is there for can settle it.
  if (signer === undefined) return { stage: 'signing', doubt: 'STAGE_UNCLEAR' };
  if (evidence === 'uncertain' && signs !== approves) return { stage: approves ? 'approval' : 'signing' };
  if (evidence === 'unmarked' && approves) return { stage: 'approval' };
  return { stage: 'signing', doubt: 'STAGE_UNCLEAR' };
}
