import { expect, test } from '@jest/globals';
import { CHANGE_TYPES, changeFieldsOf } from '../../../src/core/policy/change-types.js';
import { configChange } from '../../../src/simulator/change-invention.js';
import { Random } from '../../../src/simulator/random.js';

test('changes of every documented type are invented, in their shape, and of one that is not', () => {
  const random = new Random('changes', 'test');
  const invented = new Map(
    Array.from({ length: 2_000 }, () => configChange(random)).map((each) => [each.type, each]),
  );
  const types = [...invented.keys()];
  expect(Object.keys(CHANGE_TYPES).filter((type) => !types.includes(type))).toEqual([]);
  expect(types.filter((type) => !Object.hasOwn(CHANGE_TYPES, type))).toEqual(['PROTECTED_TAG']);
  for (const { type, extraInfo } of invented.values()) {
    const fields = changeFieldsOf(type);
    if (fields !== undefined) expect(Object.keys(fields).sort()).toEqual(Object.keys(extraInfo).sort());
  }
});
