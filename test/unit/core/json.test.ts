import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { isObject, parseJson } from '../../../src/core/json.js';
import { canonicalJson, type Json, JsonNumber } from '../../../src/core/request.js';

function parsed(text: string | Uint8Array): Json {
  const result = parseJson(text);
  if (!result.ok) throw new Error(result.problem);
  return result.value;
}

function problemOf(text: string | Uint8Array): string {
  const result = parseJson(text);
  if (result.ok) throw new Error('it was read');
  return result.problem;
}

describe('what is read', () => {
  test.each<readonly [string, Json]>([
    ['null', null],
    [' \t\r\n true \n', true],
    ['false', false],
    ['""', ''],
    ['"a\\u0041\\n\\/\\"\\\\\\b\\f\\r\\t"', 'aA\n/"\\\b\f\r\t'],
    ['"\\ud83d\\ude00"', '😀'],
    ['"\\ud83d"', '\ud83d'],
    ['[]', []],
    ['[ 1 , [ ] ]', [new JsonNumber('1'), []]],
    ['0.01000000', new JsonNumber('0.01000000')],
    ['-0', new JsonNumber('-0')],
    ['1E+400', new JsonNumber('1E+400')],
    ['123456789012345678901234567890', new JsonNumber('123456789012345678901234567890')],
  ])('%s', (text, value) => {
    expect(parsed(text)).toEqual(value);
  });

  test('a member named __proto__ or constructor is a member and nothing else', () => {
    const value = parsed('{"__proto__":{"admin":true},"constructor":"c","toString":"t"}');
    if (!isObject(value)) throw new Error('not an object');
    expect(Object.getPrototypeOf(value)).toBeNull();
    expect(Object.keys(value)).toEqual(['__proto__', 'constructor', 'toString']);
    expect(value.admin).toBeUndefined();
    expect(({} as { admin?: unknown }).admin).toBeUndefined();
  });

  test('whatever JSON.stringify writes', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const text = JSON.stringify(value);
        expect(JSON.parse(canonicalJson(parsed(text)))).toEqual(JSON.parse(text));
      }),
      { numRuns: 300 },
    );
  });
});

describe('what is refused, and where', () => {
  test.each([
    ['', 'expected a value at character 0'],
    ['{', 'expected a member name at character 1'],
    ['{"a":1', 'expected "," or "}" at character 6'],
    ['{"a":1,}', 'expected a member name at character 7'],
    ['{"a" 1}', 'expected ":" at character 5'],
    ["{'a':1}", 'expected a member name at character 1'],
    ['[1,]', 'expected a value at character 3'],
    ['[1 2]', 'expected "," or "]" at character 3'],
    ['{} {}', 'expected the end at character 3'],
    ['nullx', 'expected the end at character 4'],
    ['nul', 'expected a value at character 0'],
    ['NaN', 'expected a value at character 0'],
    ['Infinity', 'expected a value at character 0'],
    ['+1', 'expected a value at character 0'],
    ['01', 'expected the end at character 1'],
    ['1.', 'expected the end at character 1'],
    ['.5', 'expected a value at character 0'],
    ['0x10', 'expected the end at character 1'],
    ['-', 'expected a value at character 0'],
    ['"abc', 'expected the end of a text at character 4'],
    ['"a\nb"', 'expected the end of a text at character 2'],
    ['"\\x41"', 'expected an escape at character 1'],
    ['"\\u12g4"', 'expected four hex digits at character 1'],
    ['// comment\n1', 'expected a value at character 0'],
    ['\ufeff{}', 'expected a value at character 0'],
    ['\u00a01', 'expected a value at character 0'],
    ['{"a":1,"a":2}', 'a member name is repeated at character 7'],
    ['{"a":{"b":1,"\\u0062":1}}', 'a member name is repeated at character 12'],
    ['{"__proto__":1,"__proto__":2}', 'a member name is repeated at character 15'],
    ['9'.repeat(257), 'a number is too long at character 0'],
    ['['.repeat(33), 'nested deeper than 32 at character 32'],
    ['{"a":'.repeat(33), 'nested deeper than 32 at character 160'],
    ['['.repeat(1_000_000), 'nested deeper than 32 at character 32'],
    [`[${'0,'.repeat(100_000)}0]`, 'more than 100000 values'],
  ])('%.40s', (text, problem) => {
    expect(problemOf(text)).toBe(problem);
  });

  test('depth 32 is not too deep', () => {
    expect(parseJson('['.repeat(32) + ']'.repeat(32)).ok).toBe(true);
  });

  test.each([
    ['an overlong encoding', [0x22, 0xc0, 0xaf, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['a sequence cut short', [0x22, 0xe2, 0x82]],
  ])('bytes that are not UTF-8: %s', (_, bytes) => {
    expect(problemOf(Uint8Array.from(bytes))).toBe('not UTF-8');
  });

  test('a byte order mark', () => {
    expect(problemOf(Uint8Array.from([0xef, 0xbb, 0xbf, 0x7b, 0x7d]))).toBe(
      'expected a value at character 0',
    );
  });

  test('more than the caller allows', () => {
    expect(parseJson('"1234"', 5)).toEqual({ ok: false, problem: 'longer than 5' });
  });

  test('no problem repeats the content', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 1, maxLength: 20 }), (text) => {
        const parsed = parseJson(`{"${'secret'}":${text}`);
        if (!parsed.ok) expect(parsed.problem).not.toContain('secret');
      }),
    );
  });
});
