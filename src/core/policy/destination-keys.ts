/** How limits tell the places apart that value comes from and goes to. */

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
