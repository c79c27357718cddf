#!/usr/bin/env node
/** The binary: `countersign <command>`. */

/** node:sqlite, JSON source text and module loading are relied on as they are since this release. */
const OLDEST_NODE = [24, 15] as const;

const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
if (major < OLDEST_NODE[0] || (major === OLDEST_NODE[0] && minor < OLDEST_NODE[1])) {
  process.stderr.write(
    `countersign needs Node ${OLDEST_NODE.join('.')} or newer and this is ${process.versions.node}: install it from your platform's packages or nodejs.org.\n`,
  );
  process.exitCode = 3;
} else {
  const { run } = await import('./cli/program.js');
  await run(process.argv);
}

export {};
