/** The plots of a run are drawn as SVG, and Chromium makes a picture of them. */
import { isInstalled, requireProgram } from './install.js';

requireProgram({
  what: 'Chromium',
  found: () => isInstalled('chromium'),
  packages: { 'apt-get': 'chromium', apk: 'chromium', brew: 'chromium' },
  sentence: 'The plots need chromium on the PATH: install it, e.g. with `sudo apt-get install chromium`.',
});
