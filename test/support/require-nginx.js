/** Lines for nginx that the documentation shows are given to nginx. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'nginx',
  found: () => isInstalled('nginx'),
  packages: { 'apt-get': 'nginx-light', dnf: 'nginx', apk: 'nginx', brew: 'nginx' },
  sentence:
    'The tests of the cluster need nginx on the PATH: install it, e.g. with `sudo apt-get install nginx-light` or `brew install nginx`.',
});
