/**
 * Reading of claims: unknown ones are ignored, those that tell transactions apart must have their documented type and a
 * sane length, and what only informs is left out when it has not: an answer of 400 fails the transaction. A claim that is
 * null counts as absent: no field is formally marked nullable, and co-signers are seen to send null for what they omit.
 */

import { isList, isObject, type JsonObject, parseJson } from '../../core/json.js';
import { type Json, JsonNumber } from '../../core/request.js';

const MAX_ID_LENGTH = 256;
/** Room for amounts of 78 digits on both sides of the point. */
const MAX_AMOUNT_LENGTH = 160;

/** Thrown and caught inside this folder: the message names a field and what was expected, never a value. */
export class MalformedClaims extends Error {}

export class Claims {
  private constructor(
    private readonly members: JsonObject,
    /** Where in the message this object stands, for messages: `destinations[0].` */
    private readonly path: string,
  ) {}

  /** The claims of a verified payload. */
  static parse(payload: Uint8Array): Claims {
    const parsed = parseJson(payload);
    if (!parsed.ok) throw new MalformedClaims(`the payload is not JSON: ${parsed.problem}`);
    if (!isObject(parsed.value)) throw new MalformedClaims('the payload is not a JSON object');
    return new Claims(parsed.value, '');
  }

  /** The members of an object, which stands in the message at this path. */
  static of(members: JsonObject, path = ''): Claims {
    return new Claims(members, path);
  }

  /** The claim is there, whatever its value, null included. */
  has(name: string): boolean {
    return Object.hasOwn(this.members, name);
  }

  json(name: string): Json | undefined {
    return this.members[name] ?? undefined;
  }

  text(name: string, maxLength: number): string | undefined {
    const value = this.json(name);
    if (value === undefined) return undefined;
    if (typeof value !== 'string') throw this.#malformed(name, 'text');
    if (value.length > maxLength) throw this.#malformed(name, `at most ${maxLength} characters`);
    return value;
  }

  /** An identifier; undefined when absent or empty. */
  id(name: string): string | undefined {
    const value = this.text(name, MAX_ID_LENGTH);
    if (value === undefined || value === '') return undefined;
    // What is echoed, logged and hashed must have one spelling, on one line.
    if (!value.isWellFormed() || CONTROL.test(value)) throw this.#malformed(name, 'no control characters');
    return value;
  }

  requiredId(name: string): string {
    const value = this.id(name);
    if (value === undefined) throw this.#malformed(name, `text of 1 to ${MAX_ID_LENGTH} characters`);
    return value;
  }

  /** An address; undefined when absent or empty. */
  address(name: string): string | undefined {
    return this.text(name, 512) || undefined;
  }

  /** Decimal text, unchecked: what is wrong with an amount is for verification and policy to say. */
  amount(name: string): string | undefined {
    return this.text(name, MAX_AMOUNT_LENGTH);
  }

  /**
   * The text of a JSON number, as it stood. Anything else is unknown, which no limit and no approval accepts: to call
   * the whole message malformed would fail the transaction for a price that nothing may ask for.
   */
  number(name: string): string | undefined {
    const value = this.json(name);
    return value instanceof JsonNumber ? value.text : undefined;
  }

  /** Words for people, on which no decision rests: absent when they are no text, or endless. */
  remark(name: string, maxLength: number): string | undefined {
    const value = this.json(name);
    return typeof value === 'string' && value.length <= maxLength ? value : undefined;
  }

  /** A list of objects; empty when absent. */
  objects(name: string, maxCount: number): readonly Claims[] {
    const value = this.json(name);
    if (value === undefined) return [];
    if (!isList(value)) throw this.#malformed(name, 'a list');
    if (value.length > maxCount) throw this.#malformed(name, `at most ${maxCount} entries`);
    return value.map((entry, index) => {
      if (!isObject(entry)) throw this.#malformed(`${name}[${index}]`, 'an object');
      return new Claims(entry, `${this.path}${name}[${index}].`);
    });
  }

  /** An object, or text that holds one, as older co-signers send it; undefined when absent or empty text. */
  objectOrText(name: string): JsonObject | undefined {
    const value = this.json(name);
    if (value === undefined || value === '') return undefined;
    if (isObject(value)) return value;
    if (typeof value !== 'string') throw this.#malformed(name, 'an object, or text that holds one');
    const parsed = parseJson(value);
    if (!parsed.ok) throw this.#malformed(name, `an object, or text that holds one (${parsed.problem})`);
    if (!isObject(parsed.value)) throw this.#malformed(name, 'an object, or text that holds one');
    return parsed.value;
  }

  #malformed(name: string, expected: string): MalformedClaims {
    return new MalformedClaims(`${this.path}${name}: expected ${expected}`);
  }
}

const CONTROL = /\p{Cc}/u;
