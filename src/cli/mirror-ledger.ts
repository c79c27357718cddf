/** The ledger of a mirror: a file of its own, which no replica ever decided on, under the word of a key of its own. */
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Config, WorkspaceConfig } from '../config/schema.js';
import type { DecisionPorts } from '../core/decide.js';
import { CountersignError } from '../core/errors.js';
import { Rulebook } from '../core/policy/rulebook.js';
import type { Ledger } from '../core/ports.js';
import { generateKeyFiles } from '../keys/generate.js';
import { authenticateActivation, loadOperators, type Operator, verifyStatement } from '../keys/statements.js';
import { openLedger } from '../ledger/index.js';
import { acceptPolicy, chainsOf } from '../replica/replica.js';
import { activatePolicyFile } from './activate.js';

const OPERATOR = 'mirror';
const PAGE = 1_000;

export interface MirrorFolder {
  readonly ledgerFile: string;
  /** Signs which policy the mirror goes by; no replica knows it, so none would serve this ledger. */
  readonly privateKeyFile: string;
  readonly operators: Config['operators'];
}

export interface MirrorWorkspace {
  readonly name: string;
  readonly ledger: Ledger;
  readonly ports: DecisionPorts;
  readonly policyVersion: string;
  /** Another policy than the last time: what was decided before keeps its decision. */
  readonly isPolicyNew: boolean;
}

/** Throws USAGE for a folder that is somebody else's. */
export function mirrorFolder(dir: string, { ledger }: Pick<Config, 'ledger'>): MirrorFolder {
  const folder = resolve(dir);
  const ledgerFile = join(folder, 'mirror.db');
  if (existsSync(join(folder, 'ledger.kind')))
    throw new CountersignError('USAGE', `${dir} is the folder of a \`countersign up\`: choose another --dir`);
  if (ledger.kind === 'embedded' && resolve(ledger.embedded.file) === ledgerFile)
    throw new CountersignError(
      'USAGE',
      `${ledgerFile} is the ledger of the configuration: a mirror decides on a ledger of its own`,
    );
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const privateKeyFile = join(folder, 'mirror.pem');
  if (!existsSync(privateKeyFile)) generateKeyFiles('ed25519', privateKeyFile);
  return {
    ledgerFile,
    privateKeyFile,
    operators: [{ name: OPERATOR, publicKeyFile: join(folder, 'mirror.pub.pem') }],
  };
}

/** Throws USAGE when the ledger holds what a replica decided. */
export async function openMirrorWorkspace(
  workspace: WorkspaceConfig,
  config: Config,
  { folder, faulted }: { readonly folder: MirrorFolder; readonly faulted: (problem: string) => void },
): Promise<MirrorWorkspace> {
  const { name } = workspace;
  const ledger = openLedger(name, { kind: 'embedded', file: folder.ledgerFile });
  try {
    const operators = loadOperators(folder.operators);
    const isNew = await initUnlessThere(ledger);
    if (!isNew) await refuseForeign(ledger, operators, folder.ledgerFile);
    const { version, changed } = await activatePolicyFile({
      config: { ...config, operators: folder.operators },
      workspace,
      ledger,
      privateKeyFile: folder.privateKeyFile,
      startEmpty: [],
    });
    return {
      name,
      ledger,
      policyVersion: version,
      isPolicyNew: changed && !isNew,
      ports: portsOf(workspace, config, { ledger, operators, faulted }),
    };
  } catch (error) {
    await ledger.close();
    throw error;
  }
}

function portsOf(
  workspace: WorkspaceConfig,
  config: Config,
  {
    ledger,
    operators,
    faulted,
  }: {
    readonly ledger: Ledger;
    readonly operators: readonly Operator[];
    readonly faulted: (problem: string) => void;
  },
): DecisionPorts {
  const chains = chainsOf(workspace);
  return {
    chains,
    ledger,
    rulebook: new Rulebook(ledger, chains, {
      authenticate: authenticateActivation(operators, workspace.name),
      accept: (rules) => acceptPolicy(rules.policy, config),
      adopted: () => undefined,
    }),
    clock: { now: Date.now },
    observer: {
      limitsCharged: () => undefined,
      during: (_, work) => work(),
      faulted: (reason, cause) => faulted(`${reason}: ${cause instanceof Error ? cause.message : 'unknown'}`),
    },
  };
}

async function initUnlessThere(ledger: Ledger): Promise<boolean> {
  try {
    await ledger.init();
    return true;
  } catch (error) {
    if (error instanceof CountersignError && error.code === 'LEDGER_EXISTS') return false;
    throw error;
  }
}

/** Nothing is decided without an active policy: where each one was activated by a mirror, so was each decision made. */
async function refuseForeign(ledger: Ledger, operators: readonly Operator[], file: string): Promise<void> {
  let after = 0;
  let isOwn = false;
  for (;;) {
    const events = await ledger.events(after, PAGE);
    for (const { type, body, sequence } of events) {
      after = sequence;
      if (type === 'ledger') continue;
      if (type === 'policy') isOwn = await isSignedBy(operators, body.statement);
      if (!isOwn)
        throw new CountersignError(
          'USAGE',
          `${file} holds what no mirror with this folder’s key decided (event ${sequence}, ${type}): a mirror needs a ledger that no replica ever used. Choose another --dir`,
        );
    }
    if (events.length < PAGE) return;
  }
}

function isSignedBy(operators: readonly Operator[], statement: unknown): Promise<boolean> {
  if (typeof statement !== 'string') return Promise.resolve(false);
  return verifyStatement(operators, statement).then(
    () => true,
    () => false,
  );
}
