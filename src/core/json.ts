/**
 * A strict reader of JSON (RFC 8259). JSON.parse will not do at this edge: it turns numbers into doubles and lets the
 * last of two members with one name win, so that two readers of one signed message can see two transactions.
 */
import { isUtf8 } from 'node:buffer';
import { type Json, JsonNumber } from './request.js';

export type JsonObject = { readonly [key: string]: Json };

/** A problem names what was expected and where, never what was found: the content may be a secret. */
export type ParsedJson =
  | { readonly ok: true; readonly value: Json }
  | { readonly ok: false; readonly problem: string };

const MAX_DEPTH = 32;
/** Values of one text, of every kind and at every depth. */
const MAX_VALUES = 100_000;
const MAX_NUMBER_LENGTH = 256;
/** The default for callers without a narrower limit; bytes of a message, characters of a text inside one. */
const MAX_LENGTH = 8 * 1024 * 1024;

/**
 * One JSON value and nothing after it. Objects have no prototype, so that `__proto__` is a name like any other;
 * numbers keep their text. Escaped lone surrogates are accepted in text: whoever uses one as an id must refuse it.
 */
export function parseJson(input: Uint8Array | string, maxLength = MAX_LENGTH): ParsedJson {
  if (input.length > maxLength) return { ok: false, problem: `longer than ${maxLength}` };
  if (typeof input !== 'string' && !isUtf8(input)) return { ok: false, problem: 'not UTF-8' };
  // A byte order mark stays a character here, and no JSON text begins with that character.
  const text = typeof input === 'string' ? input : Buffer.from(input).toString('utf8');
  try {
    return { ok: true, value: new Reader(text).document() };
  } catch (error) {
    if (error instanceof Unreadable) return { ok: false, problem: error.message };
    throw error;
  }
}

export function isObject(value: Json | undefined): value is JsonObject {
  return (
    typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof JsonNumber)
  );
}

export function isList(value: Json | undefined): value is readonly Json[] {
  return Array.isArray(value);
}

/** An object, or the object that a text holds: vendors send either where they embed one. Undefined: neither. */
export function objectIn(value: Json | undefined): JsonObject | undefined {
  if (typeof value !== 'string') return isObject(value) ? value : undefined;
  const parsed = parseJson(value);
  return parsed.ok && isObject(parsed.value) ? parsed.value : undefined;
}

class Unreadable extends Error {}

const BLANKS = /[ \t\n\r]*/y;
const NUMBER = /-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?/y;
/** Control characters must be escaped (RFC 8259 section 7). */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are exactly what is excluded
const PLAIN_TEXT = /[^"\\\u0000-\u001f]*/y;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  '\\': '\\',
  '/': '/',
  b: '\b',
  f: '\f',
  n: '\n',
  r: '\r',
  t: '\t',
};

class Reader {
  #at = 0;
  #values = 0;

  constructor(private readonly text: string) {}

  document(): Json {
    this.#skipBlanks();
    const value = this.#value(0);
    this.#skipBlanks();
    if (this.#at < this.text.length) throw this.#unreadable('the end');
    return value;
  }

  #value(depth: number): Json {
    this.#values += 1;
    if (this.#values > MAX_VALUES) throw new Unreadable(`more than ${MAX_VALUES} values`);
    switch (this.text[this.#at]) {
      case '{':
        return this.#object(depth + 1);
      case '[':
        return this.#list(depth + 1);
      case '"':
        return this.#string();
      case 't':
        return this.#literal('true', true);
      case 'f':
        return this.#literal('false', false);
      case 'n':
        return this.#literal('null', null);
      default:
        return this.#number();
    }
  }

  #object(depth: number): JsonObject {
    const members: Record<string, Json> = Object.create(null);
    this.#enter(depth);
    if (this.#take('}')) return members;
    do {
      this.#skipBlanks();
      const start = this.#at;
      if (this.text[start] !== '"') throw this.#unreadable('a member name');
      const name = this.#string();
      if (Object.hasOwn(members, name))
        throw new Unreadable(`a member name is repeated at character ${start}`);
      this.#skipBlanks();
      if (!this.#take(':')) throw this.#unreadable('":"');
      this.#skipBlanks();
      members[name] = this.#value(depth);
      this.#skipBlanks();
    } while (this.#take(','));
    if (!this.#take('}')) throw this.#unreadable('"," or "}"');
    return members;
  }

  #list(depth: number): readonly Json[] {
    const items: Json[] = [];
    this.#enter(depth);
    if (this.#take(']')) return items;
    do {
      this.#skipBlanks();
      items.push(this.#value(depth));
      this.#skipBlanks();
    } while (this.#take(','));
    if (!this.#take(']')) throw this.#unreadable('"," or "]"');
    return items;
  }

  #enter(depth: number): void {
    if (depth > MAX_DEPTH) throw new Unreadable(`nested deeper than ${MAX_DEPTH} at character ${this.#at}`);
    this.#at += 1;
    this.#skipBlanks();
  }

  #string(): string {
    this.#at += 1;
    let result = this.#match(PLAIN_TEXT);
    while (this.text[this.#at] === '\\') {
      result += this.#escape();
      result += this.#match(PLAIN_TEXT);
    }
    if (!this.#take('"')) throw this.#unreadable('the end of a text');
    return result;
  }

  #escape(): string {
    const letter = this.text[this.#at + 1] ?? '';
    if (letter === 'u') {
      const digits = this.text.slice(this.#at + 2, this.#at + 6);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.#unreadable('four hex digits');
      this.#at += 6;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    const character = Object.hasOwn(ESCAPES, letter) ? ESCAPES[letter] : undefined;
    if (character === undefined) throw this.#unreadable('an escape');
    this.#at += 2;
    return character;
  }

  #number(): JsonNumber {
    const start = this.#at;
    const text = this.#match(NUMBER);
    if (text === '') throw this.#unreadable('a value');
    if (text.length > MAX_NUMBER_LENGTH) throw new Unreadable(`a number is too long at character ${start}`);
    return new JsonNumber(text);
  }

  #literal<T extends boolean | null>(word: string, value: T): T {
    if (!this.text.startsWith(word, this.#at)) throw this.#unreadable('a value');
    this.#at += word.length;
    return value;
  }

  #skipBlanks(): void {
    this.#match(BLANKS);
  }

  #take(character: string): boolean {
    if (this.text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  /** What the sticky pattern matches here, possibly nothing. */
  #match(pattern: RegExp): string {
    pattern.lastIndex = this.#at;
    const found = pattern.exec(this.text)?.[0] ?? '';
    this.#at += found.length;
    return found;
  }

  #unreadable(expected: string): Unreadable {
    return new Unreadable(`expected ${expected} at character ${this.#at}`);
  }
}
