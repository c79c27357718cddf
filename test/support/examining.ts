/** Examination of requests in tests. */
import { type ChainOptions, createChains } from '../../src/chains/index.js';
import { verificationSchema } from '../../src/core/policy/verification.js';
import type { TransactionRequest } from '../../src/core/request.js';
import { type Examination, examine } from '../../src/core/verify.js';

type Defaults = NonNullable<Parameters<typeof verificationSchema.parse>[0]>;

/** A verifier with these settings for all assets. */
export function verifier(defaults: Defaults = {}, options: ChainOptions = {}) {
  const chains = createChains(options);
  const settings = verificationSchema.parse({ defaults });
  return (request: TransactionRequest): Promise<Examination> =>
    examine(request, chains, settings, new AbortController().signal);
}

/** The reason code of a refusal, else the kind. */
export function reasonOf(examination: Examination): string {
  return examination.kind === 'refused' ? examination.reason : examination.kind;
}
