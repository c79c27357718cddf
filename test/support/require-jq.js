/** The tests type what the runbooks say, and some of it is piped into jq. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'jq',
  found: () => isInstalled('jq'),
  packages: { 'apt-get': 'jq', dnf: 'jq', apk: 'jq', brew: 'jq' },
  sentence:
    'The tests need jq on the PATH: install it, e.g. with `sudo apt-get install jq` or `brew install jq`.',
});
