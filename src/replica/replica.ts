/** The parts of one replica, built from its configuration. Nest carries them (app.module.ts); it does not make them. */
import { readFile } from 'node:fs/promises';
import type { Logger } from 'pino';
import { createChains, filePrevouts, loadAssets, type PrevoutSource, rpcPrevouts } from '../chains/index.js';
import { configWarnings } from '../config/load.js';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import type { DecisionPorts } from '../core/decide.js';
import { assert, CountersignError, errorCodeOf } from '../core/errors.js';
import type { CompiledPolicy } from '../core/policy/compile.js';
import { Rulebook } from '../core/policy/rulebook.js';
import { longestWindowMs } from '../core/policy/windows.js';
import type { Chains, Ledger } from '../core/ports.js';
import type { SingleFlight } from '../core/single-flight.js';
import { Answering, type Outlets, observerOf } from '../http/answering.js';
import { Readiness, type ReadinessCheck } from '../http/readiness.js';
import { authenticateActivation, loadOperators, type Operator } from '../keys/statements.js';
import { openLedger } from '../ledger/index.js';
import { observed } from '../ledger/observed.js';
import { createLocks, singleFlight } from '../locks/locks.js';
import { Metrics } from '../telemetry/metrics.js';
import { endpointsOf, knownKeys, loadPathKeys, type PathKeys, timingOf } from './endpoints.js';
import { startExporting, startKeeping } from './exporting.js';
import { Janitor, type JanitorSettings, upkeepObserver } from './janitor.js';
import { Rekeying } from './rekeying.js';
import { type Settler, settlerOf } from './settling.js';
import { ledgerSettings, lockNodes } from './stores.js';
import { openVendor } from './vendor/vendor.js';
import { shareWaiting } from './waiting.js';
import { recoveryObserver, watch } from './watching.js';
import { openWebhooks, type Webhooks } from './webhooks.js';

export interface Replica {
  readonly config: Config;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly answering: Answering;
  readonly readiness: Readiness;
  /** Takes keys that change while it runs. */
  readonly rekeying: Rekeying;
  /** Absent: none are received. */
  readonly webhooks?: Webhooks;
  close(): Promise<void>;
}

interface Workspace {
  readonly name: string;
  readonly ledger: Ledger;
  readonly ports: DecisionPorts;
  /** For what vendors say became of its transactions. */
  readonly settle: Settler;
}

/** Every key of a replica, checked. */
export interface ReplicaKeys {
  readonly operators: readonly Operator[];
  /** By the path that co-signers share. */
  readonly paths: ReadonlyMap<string, PathKeys>;
  /** Sentences for the operator. */
  readonly warnings: readonly string[];
}

/** Throws for what an operator must mend first (keys, asset files); an absent ledger only makes it not ready. */
export function openReplica(config: Config, outlets: Outlets): Replica {
  const { logger } = outlets;
  const keys = loadKeys(config);
  for (const warning of [...configWarnings(config), ...keys.warnings]) logger.warn(warning);
  return composeReplica(config, keys, outlets);
}

/** A replica with keys that the caller vouches for. */
export function composeReplica(
  config: Config,
  { operators, paths, warnings = [] }: Pick<ReplicaKeys, 'operators' | 'paths'> & Partial<ReplicaKeys>,
  { logger, tracer }: Outlets,
): Replica {
  const metrics = new Metrics();
  const locks = createLocks({ nodes: lockNodes(config) });
  const alone = singleFlight(locks, ({ code, message }) => logger.warn({ code }, message));
  const workspaces = config.workspaces.map((workspace) =>
    openWorkspace(workspace, config, { operators, metrics, logger, alone }),
  );
  const webhooks = openWebhooks(config, {
    metrics,
    logger,
    settlerOf: (name) => workspaceIn(workspaces, name).settle,
  });
  const readiness = new Readiness([
    ...workspaces.flatMap((workspace) => readinessOf(workspace, metrics)),
    ...(webhooks?.checks ?? []),
  ]);
  watch(metrics, { config, keys: knownKeys(paths), workspaces, readiness });
  const vendor = openVendor(config, workspaces, { metrics, logger, alone, inForce: () => rekeying.inForce });
  const exporting = startExporting(config.audit, workspaces, { metrics, logger, alone });
  const keeping = startKeeping(config.audit, { metrics, logger });
  const janitors = workspaces.map(({ name, ledger, ports: { clock } }) =>
    janitorOf(
      { workspace: name, ledger, alone, clock, observer: upkeepObserver(name, metrics, logger) },
      config,
    ),
  );
  for (const janitor of janitors) janitor.start();
  const chainsByName = (name: string): Chains => workspaceIn(workspaces, name).ports.chains;
  const answering = new Answering({
    endpoints: endpointsOf(config, paths, chainsByName),
    workspaces: new Map(workspaces.map(({ name, ports }) => [name, ports])),
    timing: timingOf(config),
    metrics,
    logger,
    tracer,
    ...(keeping.keep && { keep: keeping.keep }),
    noted: vendor.noted,
  });
  const rekeying = new Rekeying(config, { answering, metrics, logger, chainsOf: chainsByName, warnings });
  vendor.start();
  const sharing = workspaces.map(({ name: workspace, ledger }) =>
    shareWaiting({ workspace, ledger, retries: metrics.retries }),
  );
  return {
    config,
    logger,
    metrics,
    answering,
    rekeying,
    readiness,
    ...(webhooks && { webhooks }),
    async close() {
      webhooks?.stop();
      await vendor.stop();
      await Promise.all([
        ...[exporting.stop(), keeping.stop(), ...janitors.map((janitor) => janitor.stop())],
        ...sharing.map((each) => each?.stop()),
      ]);
      await Promise.all(workspaces.map(({ ledger }) => ledger.close()));
      locks.close();
    },
  };
}

function janitorOf(
  settings: Omit<JanitorSettings, 'retentionMs' | 'demandsExport'>,
  { ledger, audit }: Pick<Config, 'ledger' | 'audit'>,
): Janitor {
  return new Janitor({ ...settings, retentionMs: ledger.retention, demandsExport: audit !== undefined });
}

function workspaceIn(workspaces: readonly Workspace[], name: string): Workspace {
  const workspace = workspaces.find((each) => each.name === name);
  assert(workspace !== undefined, 'something of an unknown workspace');
  return workspace;
}

function openWorkspace(
  workspace: WorkspaceConfig,
  config: Config,
  {
    operators,
    metrics,
    logger,
    alone,
  }: {
    readonly operators: readonly Operator[];
    readonly metrics: Metrics;
    readonly logger: Logger;
    readonly alone: SingleFlight;
  },
): Workspace {
  const { name } = workspace;
  const chains = chainsOf(workspace);
  const recoveries = { observer: recoveryObserver(name, metrics, logger), alone };
  const ledger = observed(openLedger(name, ledgerSettings(config), recoveries), (...call) =>
    metrics.ledger.called(name, ...call),
  );
  const rulebook = new Rulebook(ledger, chains, {
    authenticate: authenticateActivation(operators, name),
    accept: (rules) => acceptPolicy(rules.policy, config),
    adopted: ({ policy, freezes }) => {
      const { version, document } = policy;
      const limits = Object.keys(document.limits);
      metrics.policyActive(name, version, { unverifiedRules: unverifiedRules(policy), limits });
      metrics.freezesKnown(
        name,
        freezes.map(({ freeze }) => freeze),
      );
    },
  });
  const clock = { now: Date.now };
  const { otherSigners } = workspace;
  const retentionMs = config.ledger.retention;
  return {
    name,
    ledger,
    settle: settlerOf({ workspace: name, ledger, retentionMs, otherSigners, clock, metrics, logger }),
    ports: {
      chains,
      ledger,
      rulebook,
      clock,
      observer: observerOf(name, metrics, logger),
    },
  };
}

/** The chains of a workspace: the built-in assets, those its asset file adds, and who vouches for Bitcoin inputs. */
export function chainsOf({ assetsFile, assetsSha256, prevouts }: WorkspaceConfig): Chains {
  return createChains({
    ...(assetsFile === undefined ? {} : { assets: loadAssets(assetsFile, assetsSha256) }),
    ...(prevouts === undefined ? {} : { prevouts: prevoutSource(prevouts) }),
  });
}

function prevoutSource(settings: NonNullable<WorkspaceConfig['prevouts']>): PrevoutSource {
  if ('file' in settings) return filePrevouts(settings.file);
  const { url, chain, timeout, credentialsFile } = settings.bitcoinCore;
  return rpcPrevouts({
    url,
    chain,
    timeoutMs: timeout,
    ...(credentialsFile === undefined ? {} : { credentials: () => readFile(credentialsFile, 'utf8') }),
  });
}

/** What only the policy and the configuration together can get wrong. Throws POLICY_INVALID. */
export function acceptPolicy(policy: CompiledPolicy, { ledger }: Pick<Config, 'ledger'>): void {
  if (longestWindowMs(policy.document) > ledger.retention) {
    throw new CountersignError(
      'POLICY_INVALID',
      'the longest window of the policy (of a limit, coolingOff or newDestinations) is longer than ledger.retention',
    );
  }
}

/** Rules that approve without verifying raw bytes. */
function unverifiedRules({ document }: CompiledPolicy): number {
  return document.rules.filter(
    (rule) => rule.effect === 'approve' && rule.mode === 'enforce' && rule.verify === 'off',
  ).length;
}

/** Throws FILE_UNREADABLE or KEY_INVALID; published keys are refused. */
export function loadKeys(config: Pick<Config, 'workspaces' | 'operators'>): ReplicaKeys {
  return { operators: loadOperators(config.operators), ...loadPathKeys(config) };
}

function readinessOf({ name, ledger, ports }: Workspace, metrics: Metrics): ReadinessCheck[] {
  return [
    {
      name: `ledger:${name}`,
      async problem() {
        const problems = await ledger.check();
        metrics.ledger.checked(name, problems);
        return problems.find(({ blocks }) => blocks)?.text;
      },
    },
    {
      name: `policy:${name}`,
      async problem() {
        await ports.rulebook.confirm().then(
          () => metrics.policyChecked(name, undefined),
          (error: unknown) => {
            metrics.policyChecked(name, errorCodeOf(error));
            throw error;
          },
        );
        return undefined;
      },
    },
  ];
}
