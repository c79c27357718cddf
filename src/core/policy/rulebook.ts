/** The active policy and freezes, as one replica knows them, until the ledger says that they are stale. */
import { CountersignError } from '../errors.js';
import type { ActivePolicy, Chains, Ledger, LedgerState, Versions } from '../ports.js';
import { type CompiledFreeze, type CompiledPolicy, compileFreeze, compilePolicy } from './compile.js';

export interface Rules {
  readonly policy: CompiledPolicy;
  /** Limit name → instance whose counters it charges. */
  readonly instances: ActivePolicy['instances'];
  readonly freezes: readonly CompiledFreeze[];
  readonly versions: Versions;
}

/** Rejects with POLICY_UNTRUSTED unless an operator signed the activation of this very document. */
export type Authenticate = (policy: ActivePolicy, ledgerIdentity: string) => Promise<void>;

export interface RulebookHooks {
  readonly authenticate: Authenticate;
  /** Throws when the document cannot be served under this replica's configuration. */
  accept(rules: Rules): void;
  /** Told each time rules were read from the ledger. */
  adopted(rules: Rules): void;
}

export class Rulebook {
  /** The newest read, finished or not. */
  #reading: Promise<Rules> | undefined;
  /** What it came to. */
  #known: Rules | undefined;

  constructor(
    private readonly ledger: Pick<Ledger, 'state'>,
    private readonly chains: Chains,
    private readonly hooks: RulebookHooks,
  ) {}

  /** One read of the ledger serves all requests that wait for it; a failed one serves nobody. */
  current(): Promise<Rules> {
    if (this.#reading === undefined) {
      const reading = this.ledger.state().then((state) => this.#read(state));
      this.#reading = reading;
      reading.then(
        (rules) => {
          this.#known = rules;
        },
        () => {
          this.#reading = undefined;
        },
      );
    }
    return this.#reading;
  }

  /**
   * These rules were found to be stale: the next request reads the ledger again. Rules that are known, or being read,
   * since others found the same stay: many requests are under way when a policy changes, and one read serves them all.
   */
  forget(stale: Rules): void {
    if (this.#known !== stale) return;
    this.#known = undefined;
    this.#reading = undefined;
  }

  async #read(state: LedgerState): Promise<Rules> {
    const active = state.policy;
    if (active === undefined)
      throw new CountersignError('POLICY_MISSING', 'no policy is active in this ledger');
    await this.hooks.authenticate(active, state.identity);
    const rules: Rules = {
      policy: compilePolicy(active.document, 'the active policy', this.chains),
      instances: active.instances,
      freezes: state.freezes.map((freeze) => compileFreeze(freeze, this.chains)),
      versions: state.versions,
    };
    this.hooks.accept(rules);
    this.hooks.adopted(rules);
    return rules;
  }
}
