/**
 * What the co-signer appends to the URL it is configured with. Which of the two ways it speaks follows from what it was given
 * beside the URL, a key or a certificate alone, and not from its version. Source: Fireblocks, "Secure communication and
 * authentication", callback handler reference.
 */
import type { Received } from '../../core/ports.js';

export type Mode = 'jwt' | 'json';
export type Question = 'transaction' | 'config-change';

const QUESTIONS: Readonly<Record<Mode, ReadonlyMap<string, Question>>> = {
  jwt: new Map([
    ['/v2/tx_sign_request', 'transaction'],
    ['/v2/config_change_sign_request', 'config-change'],
  ]),
  json: new Map([
    ['/tx_sign_request', 'transaction'],
    ['/config_change_sign_request', 'config-change'],
  ]),
};

const OTHER: Readonly<Record<Mode, { readonly mode: Mode; readonly problem: string }>> = {
  jwt: {
    mode: 'json',
    problem:
      'a path of plain JSON, where mode: jwt is configured: the API user was given a certificate and no key at the vendor; give it the public half of its answer key too, or configure mode: json',
  },
  json: {
    mode: 'jwt',
    problem:
      'a path of signed messages, where mode: json is configured: the API user was given a key at the vendor; configure mode: jwt, in which callers are authenticated',
  },
};

/** What is asked at this route, or why nothing is. */
export function readRoute(route: string, mode: Mode): Question | (Received & { readonly kind: 'refused' }) {
  const question = QUESTIONS[mode].get(route);
  if (question !== undefined) return question;
  const other = OTHER[mode];
  const problem = QUESTIONS[other.mode].has(route) ? other.problem : 'no message arrives at this path';
  return { kind: 'refused', status: 404, code: 'PATH_UNKNOWN', problem };
}
