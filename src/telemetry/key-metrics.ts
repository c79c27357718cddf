/** What Prometheus sees of keys: the time that they have, and which of a co-signer's are in use. */
import { Counter, Gauge, type Registry } from 'prom-client';
import type { KnownKey } from '../core/keys.js';

export interface KeyLife {
  readonly workspace: string;
  readonly cosigner: string;
  readonly use: 'answer' | 'cosigner';
  /** Unix milliseconds. */
  readonly validUntil: (nowMs: number) => number;
}

/** So much of a digest tells keys apart, and is found in what `countersign keys show` prints. */
const DIGITS = 12;

export class KeyMetrics {
  #lives: readonly KeyLife[] = [];
  readonly #used: Counter<keyof KnownKey>;
  #known: ReadonlyMap<string, KnownKey> = new Map();

  constructor(registry: Registry, now: () => number = Date.now) {
    const gauge = new Gauge({
      name: 'countersign_key_valid_until_timestamp_seconds',
      help: 'Until when, from now on without a gap, a key of this use is valid by its notBefore and notAfter; +Inf: one has no end; in the past: none is valid now. Of answer keys the first to end counts, after which answerKey signs.',
      labelNames: ['workspace', 'cosigner', 'use'],
      registers: [registry],
      collect: () => {
        gauge.reset();
        for (const { workspace, cosigner, use, validUntil } of this.#lives)
          gauge.set({ workspace, cosigner, use }, validUntil(now()) / 1_000);
      },
    });
    this.#used = new Counter({
      name: 'countersign_cosigner_key_used_total',
      help: 'Requests by the public key of the co-signer that their signature verified with: the first 12 digits of its SHA-256 (SPKI). 0: this replica has had none under this key.',
      labelNames: ['workspace', 'cosigner', 'key'],
      registers: [registry],
    });
  }

  /** What there is from now on; figures of keys that are not listed any more end. */
  expect(lives: readonly KeyLife[], keys: readonly KnownKey[]): void {
    this.#lives = lives;
    const known = new Map(keys.map((key) => [nameOf(key), { ...key, key: key.key.slice(0, DIGITS) }]));
    for (const [name, labels] of this.#known) if (!known.has(name)) this.#used.remove({ ...labels });
    for (const labels of known.values()) this.#used.inc({ ...labels }, 0);
    this.#known = known;
  }

  verified({ workspace, cosigner }: Pick<KnownKey, 'workspace' | 'cosigner'>, key: string): void {
    const labels = this.#known.get(nameOf({ workspace, cosigner, key }));
    // What was on its way when its key was removed is not counted.
    if (labels !== undefined) this.#used.inc({ ...labels });
  }
}

function nameOf({ workspace, cosigner, key }: KnownKey): string {
  return `${workspace} ${cosigner} ${key}`;
}
