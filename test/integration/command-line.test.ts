/** The commands as a list: there at once, and each as its own page says. */
import { accessSync, constants } from 'node:fs';
import { pathToFileURL } from 'node:url';
import { expect, test } from '@jest/globals';
import { outcomeOf } from '../support/command.js';

const LOADED = pathToFileURL('test/support/loaded-modules.js').href;

/** Names of the list, without `help`. */
function namesIn(list: string): readonly string[] {
  return [...list.slice(list.indexOf('Commands:')).matchAll(/^ {2}([a-z][a-z-]*) /gm)]
    .map(([, name = '']) => name)
    .filter((name) => name !== 'help');
}

test('the program can be run by its name after each build: npx makes it so for the first one only', () => {
  expect(() => accessSync('dist/main.js', constants.X_OK)).not.toThrow();
});

test('the list of commands loads none of them, and so is there at once', async () => {
  const env = { ...process.env, NODE_OPTIONS: `--import=${LOADED}?of=node_modules/(%3F!commander/)` };
  const list = await outcomeOf(['--help'], env);
  expect(list).toMatchObject({ code: 0, stderr: '' });
  expect(namesIn(list.stdout).length).toBeGreaterThan(10);
  // This bed would see it.
  expect((await outcomeOf(['up', '--help'], env)).stderr).toContain('/node_modules/ethers/');
});

test('each command of the list has a page of its own name, and help shows the same', async () => {
  const names = namesIn((await outcomeOf(['--help'])).stdout);
  for (const name of names) {
    const page = await outcomeOf([name, '--help']);
    expect(page).toMatchObject({ code: 0, stderr: '' });
    expect(page.stdout).toContain(`Usage: countersign ${name} `);
    expect(page.stdout.split('\n').length).toBeGreaterThan(5);
  }
  expect(await outcomeOf(['help', 'policy'])).toEqual(await outcomeOf(['policy', '--help']));
});

test('what is no command is an error that names the nearest one, also when a command follows', async () => {
  for (const words of [['polcy'], ['polcy', 'up']]) {
    const { code, stderr } = await outcomeOf(words);
    expect([code, stderr]).toEqual([
      2,
      expect.stringContaining("unknown command 'polcy'\n(Did you mean policy?)"),
    ]);
  }
});
