/** Whether every API user of a workspace still asks this handler: once for the command, again and again for replicas. */
import { existsSync } from 'node:fs';
import type { Logger } from 'pino';
import type { Config, FireblocksConfig } from '../../config/schema.js';
import { errorCodeOf, messageOf } from '../../core/errors.js';
import { inOrderFor, stateAt } from '../../core/key-window.js';
import { publicFileOf } from '../../keys/generate.js';
import { readPrivateKeyFile, readPublicKeyFile } from '../../keys/key-file.js';
import { readPinned } from '../../keys/pins.js';
import { spkiSha256 } from '../../keys/published-keys.js';
import { ApiError, type FireblocksApi } from '../../protocols/fireblocks/api.js';
import {
  checkHandlers,
  type ExpectedCosigner,
  HANDLER_RESULTS,
  type HandlerCheck,
  type HandlerFinding,
  type HandlerResult,
  type Paired,
} from '../../protocols/fireblocks/handlers.js';
import type { VendorMetrics } from '../../telemetry/vendor-metrics.js';
import { rest } from '../elected.js';

/** Rejects with an ApiError when anything could not be asked for: half a check is none. */
export async function findHandlers(
  api: Pick<FireblocksApi, 'cosigners' | 'users'>,
  check: HandlerCheck,
  signal: AbortSignal,
): Promise<readonly HandlerFinding[]> {
  const paired: Paired[] = [];
  for (const cosigner of await api.cosigners(signal))
    paired.push({ cosigner, users: cosigner.archived ? [] : await api.users(cosigner.id, signal) });
  return checkHandlers(paired, check);
}

/** What the vendor should have. Throws FILE_UNREADABLE or KEY_INVALID. */
export function expectedHandlers(
  workspace: string,
  { workspaces, http }: Pick<Config, 'workspaces' | 'http'>,
): HandlerCheck {
  const { cosigners = [] } = workspaces.find(({ name }) => name === workspace) ?? {};
  const own = cosigners.flatMap((cosigner) => (cosigner.protocol === 'fireblocks' ? [cosigner] : []));
  return {
    expected: own.map(expectedOf),
    pin: http.tls === undefined ? undefined : spkiSha256(readPinned(http.tls.certificateFile).key),
  };
}

function expectedOf(cosigner: FireblocksConfig): ExpectedCosigner {
  const { name, signers, path, callbackUrl } = cosigner;
  return {
    name,
    path,
    callbackUrl,
    signers: signers?.map(({ id }) => id),
    // In plain JSON nothing is signed: the vendor should have a certificate of ours, and no key.
    answerKeys: cosigner.mode === 'json' ? () => [] : answerKeysOf(cosigner),
  };
}

type SigningConfig = Extract<FireblocksConfig, { mode: 'jwt' }>;

/** The key that signs now: at the vendor's an API user has one key and no overlap. */
function answerKeysOf({ answerKey, answerKeys }: SigningConfig): ExpectedCosigner['answerKeys'] {
  const otherwise = publicHalfOf(answerKey);
  const others = answerKeys.map((key) => ({ ...key, spkiSha256: publicHalfOf(key) }));
  return (signer) => {
    const nowMs = Date.now();
    const own = inOrderFor(others, signer).find((key) => stateAt(key, nowMs) === 'valid');
    return [own?.spkiSha256 ?? otherwise];
  };
}

/** Of the private key, or, where only its public half lies beside it (as `keys generate` puts it), of that. */
function publicHalfOf({ file, algorithm }: SigningConfig['answerKey']): string {
  try {
    return readPrivateKeyFile(file, [algorithm]).spkiSha256;
  } catch (error) {
    const beside = publicFileOf(file);
    if (errorCodeOf(error) !== 'FILE_UNREADABLE' || !existsSync(beside)) throw error;
    return readPublicKeyFile(beside, [algorithm]).spkiSha256;
  }
}

/** By these somebody else is asked, or nobody. */
export const GRAVE: ReadonlySet<HandlerResult> = new Set(['missing', 'other-url', 'other-key']);

export interface HandlerWatchSettings {
  readonly workspace: string;
  readonly api: Pick<FireblocksApi, 'cosigners' | 'users'>;
  /** Anew for each check: keys may have been replaced. */
  readonly expected: () => HandlerCheck;
  readonly everyMs: number;
  readonly metrics: Pick<VendorMetrics, 'handlersChecked'>;
  readonly logger: Pick<Logger, 'info' | 'warn' | 'error'>;
}

export class HandlerWatch {
  #told: ReadonlySet<string> = new Set();
  #isFailing = false;
  /** On the clock of `performance.now()`. */
  #nextAt = 0;

  constructor(private readonly settings: HandlerWatchSettings) {}

  /** Until the signal aborts. A check that fails leaves the figures as they were, and is made again. */
  async watch(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await rest(Math.max(0, this.#nextAt - performance.now()), signal);
      if (!signal.aborted) await this.#check(signal);
    }
  }

  /** Another replica has checked meanwhile, or nobody: the next check is at once. */
  left(): void {
    this.#nextAt = 0;
  }

  async #check(signal: AbortSignal): Promise<void> {
    const { workspace, api, expected, everyMs, metrics, logger } = this.settings;
    let restMs = everyMs;
    try {
      const findings = await findHandlers(api, expected(), signal);
      metrics.handlersChecked(workspace, countsOf(findings));
      this.#told = tell(findings, this.#told, { workspace, logger });
      this.#isFailing = false;
    } catch (error) {
      if (signal.aborted) return;
      if (!this.#isFailing)
        logger.warn({ workspace, problem: messageOf(error) }, 'callback handlers could not be checked');
      this.#isFailing = true;
      if (error instanceof ApiError) restMs = Math.max(restMs, error.retryAfterMs ?? 0);
    }
    this.#nextAt = performance.now() + restMs;
  }
}

function countsOf(findings: readonly HandlerFinding[]): Readonly<Record<string, number>> {
  return Object.fromEntries(
    HANDLER_RESULTS.map((result) => [result, findings.filter((each) => each.result === result).length]),
  );
}

/** A line for what was not so at the last check. */
function tell(
  findings: readonly HandlerFinding[],
  told: ReadonlySet<string>,
  { workspace, logger }: Pick<HandlerWatchSettings, 'workspace' | 'logger'>,
): ReadonlySet<string> {
  const wrong = findings.filter(({ result }) => result !== 'ok' && result !== 'unchecked');
  const nameOf = ({ result, cosigner, user }: HandlerFinding) => `${result} ${cosigner} ${user}`;
  for (const finding of wrong) {
    if (told.has(nameOf(finding))) continue;
    const { result, cosigner, user, sentence } = finding;
    const level = GRAVE.has(result) ? 'error' : 'warn';
    logger[level]({ workspace, vendorCosigner: cosigner, user, result, sentence }, 'callback handler');
  }
  if (wrong.length === 0 && told.size > 0)
    logger.info({ workspace }, 'every API user asks this handler again');
  return new Set(wrong.map(nameOf));
}
