/** Options that several commands share. */
import { InvalidArgumentError, Option } from 'commander';

/** Zero takes any free port, unless `min` says otherwise. */
export function portOption(flags: string, description: string, min = 0): Option {
  return new Option(flags, description).argParser((text) => wholeNumber(text, min, 65_535));
}

/** For commander: a whole number in a range, or a message that says so. */
export function wholeNumber(text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < min || value > max) {
    throw new InvalidArgumentError(`expected a whole number from ${min} to ${max}.`);
  }
  return value;
}

/** For commander: an option that may be given several times; its default is an empty list. */
export function repeatable(text: string, before: readonly string[]): readonly string[] {
  return [...before, text];
}
