/** The tests of the migration guide run its Python lines as they stand, and nothing of Python's own signs. */
import { isInstalled, requireProgram } from './install.js';

for (const [name, what] of [
  ['python3', 'Python 3'],
  ['openssl', 'OpenSSL'],
]) {
  requireProgram({
    what: what ?? '',
    found: () => isInstalled(name ?? ''),
    packages: { 'apt-get': name ?? '', dnf: name ?? '', apk: name ?? '', brew: name ?? '' },
    sentence: `The tests of the migration guide need ${name} on the PATH: install it, e.g. with \`sudo apt-get install ${name}\`.`,
  });
}
