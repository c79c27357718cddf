/** `countersign policy activate`: an operator's word makes a document the active one. */
import { Command } from 'commander';

interface ActivateOptions {
  readonly config: string;
  readonly workspace?: string;
  readonly key: string;
  readonly startEmpty: readonly string[];
  readonly json?: boolean;
}

export function activateCommand(): Command {
  return new Command('activate')
    .description('switch all replicas to a policy document, at one point of the log')
    .argument('[file]', 'the document; otherwise policyFile of the configuration')
    .requiredOption('--config <file>', 'configuration document')
    .requiredOption(
      '--key <file>',
      "an operator's private key; its public half stands under operators: of the configuration",
    )
    .option('--workspace <name>', 'when the configuration has several')
    .option(
      '--start-empty <limit>',
      'accept that this new limit starts from zero, when the journal is too short to fill it (repeatable)',
      (limit: string, limits: readonly string[]) => [...limits, limit],
      [],
    )
    .option('--json', 'print one JSON object')
    .action(activate);
}

async function activate(file: string | undefined, options: ActivateOptions): Promise<void> {
  // Its sister commands read documents, and need no ledger.
  const [{ activatePolicyFile }, { withLedger }] = await Promise.all([
    import('./activate.js'),
    import('./ledger.js'),
  ]);
  await withLedger(options, async (ledger, workspace, config) => {
    const result = await activatePolicyFile({
      config,
      workspace: file === undefined ? workspace : { ...workspace, policyFile: file },
      ledger,
      privateKeyFile: options.key,
      startEmpty: options.startEmpty,
    });
    if (options.json === true) {
      process.stdout.write(`${JSON.stringify({ workspace: workspace.name, ...result })}\n`);
      return;
    }
    const filled = Object.entries(result.filled).map(
      ([limit, entries]) => `  ${limit}: filled with ${entries} entries of the journal`,
    );
    const what = result.changed ? `active since event ${result.sequence}` : 'was active already';
    const warnings = result.warnings.map((warning) => `! ${warning}`);
    process.stdout.write(`${[`Policy ${result.version} ${what}.`, ...filled, ...warnings].join('\n')}\n`);
  });
}
