/** The tests need a Redis or Valkey server and nothing else. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'Redis',
  found: () => isInstalled('redis-server') || isInstalled('valkey-server'),
  packages: { 'apt-get': 'redis-server', dnf: 'valkey', apk: 'redis', brew: 'redis' },
  sentence:
    'The tests need redis-server or valkey-server on the PATH: install one, e.g. with `sudo apt-get install redis-server` or `brew install redis`.',
});
