/** Keys are replaced under load on several replicas, and no request fails of it. `npm run bench:rotation` prints figures. */
import { expect, test } from '@jest/globals';
import { rotateUnderLoad } from '../support/rotation.js';

const REPLICAS = 3;
const PART_MS = 1_500;

test('a co-signer’s key and an answer key are replaced under load: every answer verifies with the key of its instant', async () => {
  const rotation = await rotateUnderLoad({ replicas: REPLICAS, inFlight: 6, partMs: PART_MS });
  expect(rotation.failures).toEqual([]);
  expect(rotation.tooEarly).toEqual(Array(REPLICAS).fill('401 KEY_NOT_YET'));
  expect(rotation.tooLate).toEqual(Array(REPLICAS).fill('401 KEY_EXPIRED'));
  // Both keys were really used, at each end, or nothing was shown.
  const { asked, answered, overlapping, reloads } = rotation;
  for (const count of [asked.old, asked.next, answered.old, answered.next, overlapping])
    expect(count).toBeGreaterThan(2 * REPLICAS);
  for (const count of reloads) expect(count).toBeGreaterThan(2);
});
