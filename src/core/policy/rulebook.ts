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
export type Authenticate = (policy: ActivePolicy, ledgerIdentity: string) => Promise<unknown>;

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
  /** The rules compiled last, and the state they were compiled from: the same state gives the same rules. */
  #compiled: { readonly from: string; readonly rules: Rules } | undefined;

  constructor(
    private readonly ledger: Pick<Ledger, 'state'>,
    private readonly chains: Chains,
    private readonly hooks: RulebookHooks,
  ) {}

  /** One read of the ledger serves all requests that wait for it; a failed one serves nobody. */
  current(): Promise<Rules> {
    return this.#reading ?? this.confirm();
  }

  /**
   * Reads the ledger although nothing said that the rules are stale: a store that was emptied or tampered with does
   * not say so by itself. Rules that no longer hold are dropped.
   */
  confirm(): Promise<Rules> {
    const reading = this.ledger.state().then((state) => this.#read(state));
    this.#reading = reading;
    this.#known = undefined;
    reading.then(
      (rules) => {
        if (this.#reading === reading) this.#known = rules;
      },
      () => {
        if (this.#reading === reading) this.#reading = undefined;
      },
    );
    return reading;
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

  async #read({ identity, policy, freezes, versions }: LedgerState): Promise<Rules> {
    const from = JSON.stringify({ identity, policy, freezes, versions });
    if (this.#compiled?.from === from) return this.#compiled.rules;
    const rules = await this.#compile({ identity, policy, freezes, versions });
    this.hooks.adopted(rules);
    this.#compiled = { from, rules };
    return rules;
  }

  async #compile(state: Omit<LedgerState, 'sequence' | 'durable' | 'nowMs'>): Promise<Rules> {
    const active = state.policy;
    if (active === undefined)
      throw new CountersignError(
        'POLICY_MISSING',
        'no policy is active in this ledger; `countersign policy activate` makes one so',
      );
    await this.hooks.authenticate(active, state.identity);
    const rules: Rules = {
      policy: compilePolicy(active.document, 'the active policy', this.chains),
      instances: active.instances,
      freezes: state.freezes.map((freeze) => compileFreeze(freeze, this.chains)),
      versions: state.versions,
    };
    this.hooks.accept(rules);
    return rules;
  }
}
