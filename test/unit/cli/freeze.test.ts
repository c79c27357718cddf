import { expect, test } from '@jest/globals';
import { CommanderError } from 'commander';
import { freezeCommand } from '../../../src/cli/freeze.js';
import { spanText } from '../../../src/cli/freeze-text.js';

async function complaintOf(args: readonly string[]): Promise<string> {
  const command = freezeCommand()
    .exitOverride()
    .configureOutput({ writeErr: () => undefined });
  try {
    await command.parseAsync(['--config', '/nowhere', '--reason', 'r', '--author', 'a', ...args], {
      from: 'user',
    });
  } catch (error) {
    if (error instanceof CommanderError) return error.message;
    throw error;
  }
  return '';
}

test.each<readonly [string, readonly string[], string]>([
  ['no duration', ['--all', '--for', '4 hours'], 'expected a duration such as 90s, 30m, 4h or 2d.'],
  ['no time at all', ['--all', '--for', '0s'], 'expected a duration such as 90s, 30m, 4h or 2d.'],
  ['a time without a zone', ['--all', '--until', '2030-01-01T00:00:00'], 'expected an instant with its zone'],
  ['no time', ['--all', '--until', 'tomorrowZ'], 'expected an instant with its zone'],
  ['two ends', ['--all', '--for', '4h', '--until', '2030-01-01T00:00:00Z'], 'cannot be used with'],
  ['two scopes', ['--scope', '{}', '--asset', 'ETH'], 'cannot be used with'],
  ['two lines in an id', ['--all', '--id', 'a\nb'], 'expected 1 to 64 letters'],
  ['an empty reason', ['--all', '--reason', ' '], 'expected a reason of one line'],
  ['a reason with control characters', ['--all', '--reason', 'a\u001b[2J'], 'expected a reason of one line'],
  ['another answer', ['--all', '--answers', 'approve'], 'Allowed choices are retry, reject'],
])('%s is refused', async (_, args, message) => {
  expect(await complaintOf(args)).toContain(message);
});

test.each([
  [1, '1s'],
  [59_001, '1m'],
  [61_000, '1m 1s'],
  [4 * 3_600_000, '4h'],
  [90_061_000, '1d 1h'],
  [0, '0s'],
])('%s ms are %s', (ms, text) => {
  expect(spanText(ms)).toBe(text);
});
