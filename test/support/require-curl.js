/** The tests of the channels ask as co-signers do that pin a certificate: with a curl, which is not ours. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'curl',
  found: () => isInstalled('curl'),
  packages: { 'apt-get': 'curl', dnf: 'curl', apk: 'curl', brew: 'curl' },
  sentence:
    'The tests need curl on the PATH: install it, e.g. with `sudo apt-get install curl` or `brew install curl`.',
});
