/** The policies in a folder of evidence: that each decision's is there, unaltered, and made active by an operator. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { eventOf } from '../audit/line.js';
import type { EventWatcher } from '../audit/verify.js';
import { CountersignError, messageOf } from '../core/errors.js';
import { authenticateActivation, loadOperators } from '../keys/statements.js';
import { operatorIn } from './audit-statements.js';

export const MANIFEST = 'evidence.json';

const manifestSchema = z.object({
  ledger: z.string(),
  workspace: z.string(),
  /** Of the time that was asked for. */
  events: z.object({ last: z.int() }),
  policies: z.array(
    z.object({
      sequence: z.int(),
      version: z.string().regex(/^[0-9a-f]{64}$/),
      // Beside the manifest, and nowhere else.
      file: z.string().regex(/^policies\/[\w-]+\.yaml$/),
      statement: z.string(),
    }),
  ),
});

export interface CheckedPolicy {
  readonly version: string;
  readonly sequence: number;
  /** Absent: nobody's key was given to check it with. */
  readonly operator?: string;
}

const decided = z.object({ decision: z.object({ policyVersion: z.string() }) });

export class EvidencePolicies {
  /** Version → the first event that was decided under it. */
  readonly #named = new Map<string, number>();
  readonly #manifest: z.infer<typeof manifestSchema>;

  /** Throws CHECK_FAILED when the manifest is not what an export writes. */
  constructor(private readonly folder: string) {
    try {
      this.#manifest = manifestSchema.parse(JSON.parse(readFileSync(join(folder, MANIFEST), 'utf8')));
    } catch (cause) {
      throw failed(`${join(folder, MANIFEST)} is not as it was written`, cause);
    }
  }

  readonly watch: EventWatcher = ({ event: { sequence, type }, bytes }) => {
    if (type !== 'decision' && type !== 'conflict') return undefined;
    const body = decided.safeParse(JSON.parse(eventOf(bytes)?.bodyText ?? 'null'));
    const version = body.data?.decision.policyVersion;
    if (version !== undefined && !this.#named.has(version)) this.#named.set(version, sequence);
    return undefined;
  };

  /** The chain must reach this event. */
  get last(): number {
    return this.#manifest.events.last;
  }

  /** The policy in force when the stretch begins. Throws CHECK_FAILED. */
  get first(): string | undefined {
    const [policy] = this.#manifest.policies;
    return policy && this.#documentOf(policy);
  }

  /** After the chain was verified. Throws CHECK_FAILED that names the policy. */
  async check(given: readonly string[]): Promise<readonly CheckedPolicy[]> {
    const { ledger, workspace, policies } = this.#manifest;
    const operators = loadOperators(given.map(operatorIn));
    const checked: CheckedPolicy[] = [];
    for (const policy of policies) {
      const { version, sequence, statement } = policy;
      const document = this.#documentOf(policy);
      if (given.length === 0) {
        checked.push({ version, sequence });
        continue;
      }
      const activation = { version, document, statement };
      const operator = await authenticateActivation(operators, workspace)(activation, ledger).catch(
        (cause: unknown) => {
          throw failed(`policy ${version.slice(0, 12)} of event ${sequence}: ${messageOf(cause)}`, cause);
        },
      );
      checked.push({ version, sequence, operator });
    }
    for (const [version, sequence] of this.#named)
      if (!policies.some((policy) => policy.version === version))
        throw failed(
          `event ${sequence} was decided under policy ${version}, whose document is not among policies/`,
        );
    return checked;
  }

  #documentOf({ file, version }: { readonly file: string; readonly version: string }): string {
    const path = join(this.folder, file);
    let document: Buffer;
    try {
      document = readFileSync(path);
    } catch (cause) {
      throw failed(`${path} is missing: it holds policy ${version.slice(0, 12)}`, cause);
    }
    const digest = createHash('sha256').update(document).digest('hex');
    if (digest === version) return document.toString('utf8');
    throw failed(`${path} is not policy ${version.slice(0, 12)} as it was active: its SHA-256 is ${digest}`);
  }
}

function failed(message: string, cause?: unknown): CountersignError {
  return new CountersignError('CHECK_FAILED', message, { cause });
}
