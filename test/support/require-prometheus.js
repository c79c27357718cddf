/** The tests of the alerts need Prometheus and its promtool. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'Prometheus',
  found: () => isInstalled('prometheus') && isInstalled('promtool'),
  packages: { 'apt-get': 'prometheus', apk: 'prometheus', brew: 'prometheus' },
  sentence:
    'The tests of the alerts need prometheus and promtool on the PATH: install them, e.g. with `sudo apt-get install prometheus` or `brew install prometheus`.',
});
