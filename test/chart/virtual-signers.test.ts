/** A Virtual Signer's path is a secret: it stands in the document and nowhere else. */
import { expect, test } from '@jest/globals';
import { notes, type Release, render } from './helm.js';

const SECRET = '3f8a6c21d94b7e05a1c8f2647b9d0e35';

const RELEASE: Release = {
  example: 'standalone',
  values: {
    config: {
      workspaces: [
        {
          name: 'main',
          policyFile: 'policy.yaml',
          cosigners: [
            {
              name: 'virtual-signer-1',
              protocol: 'iofinnet',
              path: `/iofinnet/${SECRET}`,
              organisation: 'orgaaaaa0000000000000001',
              answerKey: { file: 'secrets/countersign-keys/virtual-signer.pem', algorithm: 'Ed25519' },
              networks: ['10.1.0.0/16'],
            },
          ],
        },
      ],
    },
  },
};

test('no object but the ConfigMaps tells it, and requests are routed all the same', async () => {
  const { objects, one } = await render(RELEASE);
  const telling = objects.filter((object) => JSON.stringify(object).includes(SECRET));
  expect(telling.length).toBeGreaterThan(0);
  expect(telling.filter(({ kind }) => kind !== 'ConfigMap')).toEqual([]);
  expect(one('Ingress').spec.rules[0].http.paths).toMatchObject([{ path: '/iofinnet', pathType: 'Prefix' }]);
});

test('what is printed after the installation names it without telling it', async () => {
  const text = await notes(RELEASE);
  expect(text).not.toContain(SECRET);
  expect(text).toContain(
    'https://callback.example/iofinnet/…   (virtual-signer-1, whose path is a secret; with /transaction and /reshare)',
  );
  expect(text).toContain(
    '! Virtual Signer virtual-signer-1: its path is a secret, and it stands in the ConfigMap',
  );
  expect(text).not.toContain('tx_sign_request');
  expect(text).not.toContain('lists no signers');
});
