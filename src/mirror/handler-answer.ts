/**
 * What the existing handler answered, as a co-signer would read it. Source: Fireblocks, "Response object", callback
 * reference. A co-signer takes anything else than what is read here for a failure, and the transaction fails.
 */
import { compactVerify, errors } from 'jose';
import { isObject, type JsonObject, parseJson } from '../core/json.js';
import type { Stage } from '../core/request.js';
import { type KeyFile, readPublicKeyFile } from '../keys/key-file.js';
import type { HandlerAnswer } from './copy.js';

export const ACTIONS = ['APPROVE', 'REJECT', 'RETRY', 'IGNORE'] as const;
export type Action = (typeof ACTIONS)[number];

export type ReadAnswer =
  | {
      readonly ok: true;
      readonly action: Action;
      readonly requestId: string;
      readonly rejectionReason?: string;
    }
  | { readonly ok: false; readonly problem: string };

export interface ExpectedAnswer {
  /** False: answers are bare JSON, and nothing proves whose. */
  readonly isSigned: boolean;
  readonly requestId: string;
  readonly stage: Stage;
}

/** Four claims and a signature are below 2 KiB. */
export const MAX_ANSWER = 16 * 1024;

export class HandlerKeys {
  readonly #keys: readonly KeyFile[];

  /** Public halves only. Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
  constructor(files: readonly string[]) {
    this.#keys = files.map((file) => readPublicKeyFile(file, ['RS256', 'ES256']));
  }

  /** The request id that an answer names, if it is one of this handler; for finding the request that it belongs to. */
  async requestIdOf(answer: HandlerAnswer): Promise<string | undefined> {
    const claims = (await this.#claimsOf(answer.body)) ?? objectIn(answer.body.trim());
    return typeof claims?.requestId === 'string' ? claims.requestId : undefined;
  }

  async read(answer: HandlerAnswer, { isSigned, requestId, stage }: ExpectedAnswer): Promise<ReadAnswer> {
    const { body, status = 200 } = answer;
    if (status !== 200) return nonsense(`it answered HTTP ${status}, and a co-signer wants 200`);
    if (body.length > MAX_ANSWER) return nonsense('its answer is longer than any answer');
    const bare = objectIn(body.trim());
    if (isSigned && bare !== undefined)
      return nonsense('its answer is plain JSON, and this co-signer wants a JWT');
    const claims = isSigned ? await this.#claimsOf(body) : bare;
    if (claims === undefined)
      return nonsense(
        isSigned ? 'no --answer-key verifies its answer as a JWT' : 'its answer is no JSON object',
      );
    if (claims.requestId !== requestId) return nonsense('its answer names another requestId');
    const action = ACTIONS.find((known) => known === claims.action);
    if (action === undefined)
      return nonsense('its action is none of APPROVE, REJECT, RETRY and IGNORE in capitals');
    if (action === 'IGNORE' && stage === 'signing')
      return nonsense('it answered IGNORE where a signature is asked for, which is never valid');
    const { rejectionReason } = claims;
    return {
      ok: true,
      action,
      requestId,
      ...(typeof rejectionReason === 'string' && rejectionReason !== '' ? { rejectionReason } : {}),
    };
  }

  /** The algorithm is what the key is for, never what the message says. */
  async #claimsOf(body: string): Promise<JsonObject | undefined> {
    const jws = body.trim();
    for (const { key, algorithm } of this.#keys) {
      try {
        const { payload } = await compactVerify(jws, key, { algorithms: [algorithm] });
        return objectIn(Buffer.from(payload).toString('utf8'));
      } catch (error) {
        if (!(error instanceof errors.JOSEError || error instanceof TypeError)) throw error;
      }
    }
    return undefined;
  }
}

function objectIn(text: string): JsonObject | undefined {
  const parsed = parseJson(text, MAX_ANSWER);
  return parsed.ok && isObject(parsed.value) ? parsed.value : undefined;
}

function nonsense(problem: string): ReadAnswer {
  return { ok: false, problem };
}
