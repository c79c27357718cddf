/** What passes between a replica and the thread of its embedded ledger. */
import type { ErrorCode } from '../../core/errors.js';
import type { ExportMark } from '../../core/export.js';
import type { Activation, Counter, Freeze, Proposal } from '../../core/ports.js';
import type { Release } from '../../core/release.js';
import type { SettlingReport } from '../../core/report.js';
import type { TrimOrder } from '../../core/upkeep.js';
import type { Sighting } from '../../core/waiting.js';
import type { FillStep } from '../proposal.js';

export type Request =
  | { readonly method: 'init' | 'state' | 'check' | 'exportState' | 'kept' | 'listWaiting' }
  | { readonly method: 'commit'; readonly proposal: Proposal }
  | { readonly method: 'fill'; readonly step: FillStep }
  | { readonly method: 'activate'; readonly activation: Activation }
  | { readonly method: 'freeze'; readonly freeze: Omit<Freeze, 'sequence'> }
  | { readonly method: 'unfreeze'; readonly id: string; readonly statements: readonly string[] }
  | { readonly method: 'events'; readonly after: number; readonly limit: number }
  | { readonly method: 'exported'; readonly identity: string; readonly mark: ExportMark }
  | { readonly method: 'usage'; readonly counters: readonly Counter[] }
  | { readonly method: 'release'; readonly request: Release }
  | { readonly method: 'report'; readonly report: SettlingReport }
  | { readonly method: 'fateOf'; readonly moneyKey: string }
  | { readonly method: 'trim'; readonly order: TrimOrder }
  | { readonly method: 'transaction'; readonly moneyKey: string }
  | { readonly method: 'postWaiting'; readonly replica: string; readonly sightings: readonly Sighting[] }
  | { readonly method: 'removeWaiting'; readonly askKeys: readonly string[] }
  | { readonly method: 'lookup'; readonly askKey: string }
  | { readonly method: 'remembered'; readonly fact: string };

export interface Call {
  readonly id: number;
  readonly request: Request;
}

export interface Reply {
  readonly id: number;
  readonly value?: unknown;
  readonly failure?: { readonly code: ErrorCode; readonly message: string };
}
