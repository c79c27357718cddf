import { readFileSync } from 'node:fs';
import { describe, expect, test } from '@jest/globals';
import { parseJson } from '../../src/chains/json.js';
import { judgeCases } from '../../src/cli/verification-cases.js';

const folder = process.env.COUNTERSIGN_VECTORS;
const suite = folder === undefined ? describe.skip : describe;

suite('cases', () => {
  test.each(['evm-cases.json', 'btc-cases.json'])('%s', async (name) => {
    const file = parseJson(readFileSync(`${folder}/rawtx/${name}`, 'utf8'), 10_000_000);
    const judged = await judgeCases(file ?? null);
    const wrong = judged.filter(
      ({ expected, got }) => expected.action !== got.action || !expected.codes.includes(got.code),
    );
    expect(wrong).toEqual([]);
    expect(judged.length).toBeGreaterThan(40);
  });
});
