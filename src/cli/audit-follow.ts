/** `countersign audit follow`: the journal as audit lines on standard output, for a collector of logs. */
import { Command } from 'commander';
import { Exporter } from '../audit/exporter.js';
import { streamSink } from '../audit/sink.js';
import { CountersignError, messageOf } from '../core/errors.js';
import { Elected } from '../replica/elected.js';
import { checkpointKeyOf, TERM_MS } from '../replica/exporting.js';
import { withLedger } from './ledger.js';

interface FollowOptions {
  readonly config: string;
  readonly workspace?: string;
}

export function auditFollowCommand(): Command {
  return new Command('follow')
    .description(
      'export the journal of one workspace to standard output, in place of the replicas: from where the last run ended, until it is told to stop',
    )
    .requiredOption(
      '--config <file>',
      'configuration document with audit.checkpointKey and without audit.directory',
    )
    .option('--workspace <name>', 'when the configuration has several')
    .action(follow);
}

async function follow(options: FollowOptions): Promise<void> {
  await withLedger(options, async (ledger, { name: workspace }, { audit }) => {
    if (audit === undefined) throw new CountersignError('USAGE', 'the configuration has no audit: section');
    if (audit.directory !== undefined) {
      throw new CountersignError(
        'USAGE',
        'the replicas export to audit.directory already; a mark in the ledger says how far, and there is one mark only',
      );
    }
    const key = checkpointKeyOf(audit);
    const exporter = new Exporter({
      ledger,
      open: (identity) => streamSink({ ledger: identity, workspace }, key, writeOut),
      observer: { exported: () => undefined },
    });
    const following = new Elected({
      name: 'follow',
      termMs: TERM_MS,
      work: (signal) => exporter.export(signal),
      failed: (error) => process.stderr.write(`countersign: ${messageOf(error)}; trying again\n`),
    });
    following.start();
    await new Promise<void>((resolve, reject) => {
      process.once('SIGTERM', resolve);
      process.once('SIGINT', resolve);
      // Whoever read is gone: nobody would see what is written from here on.
      process.stdout.once('error', reject);
    });
    await following.stop();
  });
}

function writeOut(piece: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    process.stdout.write(piece, (error) => (error ? reject(error) : resolve()));
  });
}
