/**
 * How a replica speaks with its ledger: in which epoch it believes the ledger to be, what it has been shown of it, and
 * what is done when a script refuses.
 */
import { CountersignError } from '../../core/errors.js';
import type { Operands } from './commit.js';
import type { Connection } from './connection.js';
import { type Keys, keysOf } from './keys.js';
import { EpochMoved, type Reply, type ReplyCode, run, type Script } from './scripts.js';

/** Why a script did not run: see enter in fence.lua. */
export type Refusal =
  | { readonly kind: 'fenced'; readonly fields: readonly string[] }
  | { readonly kind: 'missing'; readonly error: CountersignError }
  /** The server is in an earlier epoch than one we have served: a recovery has left it behind. */
  | { readonly kind: 'left-behind'; readonly epoch: number };

/** Resolves when it is worth trying again, and rejects with what the caller is told otherwise. */
export type Mend = (refusal: Refusal, attempt: number) => Promise<void>;

/** What a script answered, and in which epoch: while we waited the ledger may have moved to another one. */
export type Answer<Code extends ReplyCode> = Reply<Code> & { readonly epoch: number };

export interface SessionSettings {
  readonly workspace: string;
  readonly connection: Connection;
  /** Events are taken to witnesses before they are relied upon. */
  readonly witnessed: boolean;
  readonly mend: Mend;
}

export class Session {
  readonly #settings: SessionSettings;
  #keys: Keys;
  #epoch = 0;
  /** The newest event of the ledger that we have been shown: we must never be shown less of it. */
  #known = { identity: '', sequence: 0 };

  constructor(settings: SessionSettings) {
    this.#settings = settings;
    this.#keys = keysOf(settings.workspace, 0);
  }

  get epoch(): number {
    return this.#epoch;
  }

  get identity(): string {
    return this.#known.identity;
  }

  /** Nothing has been shown to us yet, so nothing can have been forgotten. */
  get isNew(): boolean {
    return this.#known.sequence === 0;
  }

  /** The keys of the present epoch. */
  get keys(): Keys {
    return this.#keys;
  }

  /** The epoch of a ledger that is about to be made. */
  begin(epoch: number): void {
    this.#epoch = epoch;
    this.#keys = keysOf(this.#settings.workspace, epoch);
  }

  /** What the fence is told; see barrier in fence.lua. */
  shown(): readonly string[] {
    return [this.#known.identity, String(this.#known.sequence)];
  }

  /** @param shown nothing of an epoch that is over: its numbers may have been given anew */
  saw(shown: { readonly identity?: string; readonly epoch: number; readonly sequence: number }): void {
    const { identity, epoch, sequence } = shown;
    if (epoch !== this.#epoch) return;
    const isOther = identity !== undefined && identity !== this.#known.identity;
    this.#known = isOther
      ? { identity, sequence }
      : { ...this.#known, sequence: Math.max(sequence, this.#known.sequence) };
  }

  /** A script that only reads. */
  read<Code extends ReplyCode>(
    script: Script<Code>,
    operands: (keys: Keys) => Operands,
  ): Promise<Answer<Code>> {
    return this.#run(script, operands);
  }

  /** A script that writes; it may refuse for what the fence is about. */
  async write<Code extends Exclude<ReplyCode, 'FENCED'>>(
    script: Script<Code | 'FENCED'>,
    operands: (keys: Keys) => Operands,
  ): Promise<Answer<Code>> {
    for (let attempt = 1; ; attempt += 1) {
      const { code, fields, epoch } = await this.#run(script, (named) => {
        const { keys, args } = operands(named);
        return { keys, args: [...this.shown(), ...args] };
      });
      if (code !== 'FENCED') return { code, fields, epoch };
      await this.#settings.mend({ kind: 'fenced', fields }, attempt);
    }
  }

  async #run<Code extends ReplyCode>(
    script: Script<Code>,
    operands: (keys: Keys) => Operands,
  ): Promise<Answer<Code>> {
    for (let attempt = 1; ; attempt += 1) {
      const { keys, args } = operands(this.#keys);
      const epoch = this.#epoch;
      const caller = [String(epoch), this.#settings.witnessed ? '1' : '0'];
      try {
        const reply = await run(this.#settings.connection, script, { keys, args: [...caller, ...args] });
        return { ...reply, epoch };
      } catch (error) {
        if (error instanceof EpochMoved) await this.#follow(error.epoch, attempt);
        else if (error instanceof CountersignError && error.code === 'LEDGER_MISSING') {
          await this.#settings.mend({ kind: 'missing', error }, attempt);
        } else throw error;
      }
    }
  }

  /** Numbers mean nothing in the next epoch, unless it was rebuilt from the journal: then they go on. */
  async #follow(epoch: number, attempt: number): Promise<void> {
    if (epoch < this.#epoch && this.#settings.witnessed) {
      await this.#settings.mend({ kind: 'left-behind', epoch }, attempt);
      return;
    }
    this.begin(epoch);
    if (this.#settings.witnessed) this.#known = { ...this.#known, sequence: 0 };
  }
}
