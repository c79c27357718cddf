/** The tests behind the balancer of deploy/ need HAProxy. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'HAProxy',
  found: () => isInstalled('haproxy'),
  packages: { 'apt-get': 'haproxy', dnf: 'haproxy', apk: 'haproxy', brew: 'haproxy' },
  sentence:
    'The tests of the cluster need haproxy 2.6 or newer on the PATH: install it, e.g. with `sudo apt-get install haproxy` or `brew install haproxy`.',
});
