/** `countersign audit export`: a part of an audit trail as evidence, which verifies by itself. */
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { copyStretch, findStretch, type PolicyInForce } from '../audit/evidence.js';
import { auditFilesIn } from '../audit/file.js';
import { verifiedChain } from '../audit/read.js';
import { CountersignError } from '../core/errors.js';
import { checkpointKeys } from './audit-keys.js';
import { instantIn } from './audit-show.js';
import { MANIFEST } from './evidence-policies.js';
import { repeatable } from './options.js';

interface EvidenceOptions {
  readonly from: number;
  readonly to: number;
  readonly out: string;
  readonly publicKey: readonly string[];
  readonly collected?: true;
  readonly json?: true;
}

/** Whether a folder holds evidence: a part of a chain, and meant to be one. */
export function isEvidence(folder: string): boolean {
  return existsSync(join(folder, MANIFEST));
}

export function auditEvidenceCommand(): Command {
  return new Command('export')
    .description(
      'cut out a stretch of time as evidence: the lines as they were exported, the policies in force with the operators’ statements, and how to verify it all',
    )
    .argument('<path...>', 'folders with audit files, or files')
    .requiredOption(
      '--from <time>',
      'from this instant on: 2026-03-01 (UTC), or 2026-03-01T08:00:00Z',
      instantIn,
    )
    .requiredOption('--to <time>', 'before this instant', instantIn)
    .requiredOption('--out <folder>', 'a folder that does not exist yet')
    .option(
      '--public-key <file>',
      'whose checkpoints are believed (repeatable); otherwise the key beside the files',
      repeatable,
      [],
    )
    .option('--collected', 'the files were collected from the standard output of countersign audit follow')
    .option('--json', 'print one JSON object')
    .action(exportEvidence);
}

async function exportEvidence(paths: readonly string[], options: EvidenceOptions): Promise<void> {
  const { from, to, out } = options;
  if (from >= to) throw new CountersignError('USAGE', '--to must be after --from');
  const files = auditFilesIn(paths);
  const { keys } = checkpointKeys(options.publicKey, files);
  const collected = options.collected === true;
  const stretch = await findStretch(files, keys, { fromMs: from, toMs: to, collected });
  makeFolder(out);
  const names = await copyStretch({ files, keys }, stretch, out);
  // Files of several machines overlap, and not every overlap can be cut where both have a checkpoint.
  const cut = await verifiedChain(
    names.map((name) => join(out, name)),
    keys,
    { collected },
  );
  mkdirSync(join(out, 'policies'));
  const policies = stretch.policies.map((policy) => ({ ...policy, file: writePolicy(out, policy) }));
  for (const id of cut.keys) {
    const pem = keys.get(id)?.export({ type: 'spki', format: 'pem' });
    if (pem !== undefined) writeFileSync(join(out, `checkpoint-${id.slice(0, 12)}.pub.pem`), pem);
  }
  const { chain, first, last, events } = stretch;
  const manifest = {
    ledger: chain.ledger,
    workspace: chain.workspace,
    from: new Date(from).toISOString(),
    to: new Date(to).toISOString(),
    events: { first, last, count: events },
    files: names,
    policies: policies.map(({ sequence, at, version, statement, file }) => ({
      sequence,
      at,
      version,
      file,
      statement,
    })),
    checkpointKeys: cut.keys,
  };
  writeFileSync(join(out, MANIFEST), `${JSON.stringify(manifest, undefined, 2)}\n`);
  writeFileSync(join(out, 'HOW-TO-VERIFY.txt'), HOW_TO_VERIFY);
  process.stdout.write(
    options.json === true
      ? `${JSON.stringify({ out, ...manifest })}\n`
      : `${events} events (${first} to ${last}) and ${policies.length} policies, in ${out}. To verify: countersign audit verify ${out} --public-key FILE\n`,
  );
}

function makeFolder(out: string): void {
  try {
    mkdirSync(out, { mode: 0o700 });
  } catch (cause) {
    throw new CountersignError(
      'USAGE',
      `--out ${out}: the folder cannot be made (${(cause as NodeJS.ErrnoException).code})`,
      { cause },
    );
  }
}

/** The document, whose SHA-256 is the version; returns its name. */
function writePolicy(out: string, { version, document, sequence }: PolicyInForce): string {
  const name = `policies/${sequence}-${version.slice(0, 12)}.yaml`;
  writeFileSync(join(out, name), document);
  return name;
}

const HOW_TO_VERIFY = `What this folder holds, and how to verify it

journal-*.jsonl    lines of the audit trail as they were written when it happened, from one signed checkpoint to another.
                   A few events before and after the time that was asked for belong to the same stretch.
policies/          the policy documents in force. Each decision names the SHA-256 of its policy (policyVersion).
evidence.json      which events, which files, which policies, and the operators' signed statements (compact JWS) that
                   made the policies active.
checkpoint-*.pem   the public keys of the checkpoints. Ask the operator of Countersign for the same key by another way, and
                   compare: a key that comes with the evidence proves nothing about who wrote it.

With Countersign, which looks at lines, policies and, with the operators' public keys, at their statements:

  countersign audit verify THIS-FOLDER --public-key checkpoint.pub.pem --operator alice=alice.pub.pem

By hand, with sha256sum and OpenSSL 3:

  # An event names the SHA-256 of the event line before it (line 3 here, if line 2 is an event as well):
  sed -n 2p journal-….jsonl | tr -d '\\n' | sha256sum
  sed -n 3p journal-….jsonl | grep -o '"previous":"[0-9a-f]*"'

  # A checkpoint's signature is Ed25519 over the bytes of its line before ,"signature": (line 1 here):
  sed -n 1p journal-….jsonl | tr -d '\\n' | sed 's/,"signature":.*//' > signed
  sed -n 1p journal-….jsonl | sed 's/.*"signature":"//; s/".*//' | xxd -r -p > signature
  openssl pkeyutl -verify -pubin -inkey checkpoint.pub.pem -rawin -in signed -sigfile signature

  # A policy's version is the SHA-256 of its document:
  sha256sum policies/*
`;
