/** What the balancer of deploy/ keeps of a request: its path, but no secret in it. */
import { expect, test } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { startHaProxy } from '../support/haproxy.js';

const SECRET = '3f8a6c21d94b7e05a1c8f2647b9d0e35';
/** Nobody listens there. */
const NOBODY = { http: 1, ops: 1 };

test('the secret path of a Virtual Signer is in no line of its log', async () => {
  const balancer = await startHaProxy([NOBODY, NOBODY, NOBODY]);
  try {
    const paths = ['/transaction', '/reshare', '/rpc', ''].map((route) => `/iofinnet/${SECRET}${route}`);
    for (const path of [...paths, '/fireblocks/v2/config_change_sign_request'])
      expect((await fetch(`${balancer.url}${path}`, { method: 'POST', body: '{}' })).status).toBe(503);
    await eventually(async () => {
      const log = balancer.logged();
      for (const route of ['/transaction', '/reshare', '/rpc', ''])
        expect(log).toContain(`"POST /iofinnet/_${route} HTTP/1.1"`);
      expect(log).toContain('"POST /fireblocks/v2/config_change_sign_request HTTP/1.1"');
      expect(log).not.toContain(SECRET);
    });
  } finally {
    await balancer.stop();
  }
});
