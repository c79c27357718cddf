/** How limits tell the places apart that value comes from and goes to. */
import { createHash } from 'node:crypto';

/** Type and id as one word; they cannot run into one another, because `/` is escaped inside them. */
export function partyKey({ type, id }: { readonly type: string; readonly id: string }): string {
  return `${escapePart(type)}/${escapePart(id)}`;
}

export function addressKey(address: string | null): string | null {
  return address === null || address === '' ? null : `@/${escapePart(address)}`;
}

function escapePart(text: string): string {
  return text.replace(/[~/@]/g, (character) => `~${'~/@'.indexOf(character)}`);
}

/**
 * Values that cannot run into one another or into the separators, and are bounded. Two texts share one form only
 * if SHA-256 collides.
 */
export function safe(text: string): string {
  if (/^[\w.:@/-]{1,128}$/.test(text)) return text;
  return `~${createHash('sha256').update(JSON.stringify(text)).digest('hex')}`;
}
