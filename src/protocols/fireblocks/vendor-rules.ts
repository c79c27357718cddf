/**
 * Under which rules of the workspace's own policy a transaction came. Undocumented fields, seen in published examples:
 * they may be missing, change, or be of any shape, so nothing rests on them and nothing is refused for them.
 */
import { createHash } from 'node:crypto';
import { objectIn } from '../../core/json.js';
import { canonicalJson, type Json, JsonNumber, type VendorRules } from '../../core/request.js';
import type { Claims } from './claims.js';

/** What may stand in a journal, a log line and a comparison. */
const WORD = /^[\w.:-]{1,64}$/;
const MAX_RULE_LENGTH = 65_536;
const DIGEST_LENGTH = 16;

/** Of the first destination that shows any. */
export function readVendorRules(destinations: readonly Claims[]): VendorRules | undefined {
  for (const destination of destinations) {
    const info = objectIn(destination.json('actionInfo'));
    const snapshot = wordOf(info?.rulesSnapshotId);
    const rule = wordOf(info?.capturedRuleNum);
    const ruleSha256 = digestOf(info?.capturedRule);
    if (snapshot === undefined && ruleSha256 === undefined) continue;
    return {
      ...(snapshot === undefined ? {} : { snapshot }),
      ...(rule === undefined ? {} : { rule }),
      ...(ruleSha256 === undefined ? {} : { ruleSha256 }),
    };
  }
  return undefined;
}

function wordOf(value: Json | undefined): string | undefined {
  const text = value instanceof JsonNumber ? value.text : value;
  return typeof text === 'string' && WORD.test(text) ? text : undefined;
}

function digestOf(rule: Json | undefined): string | undefined {
  if (rule === undefined || rule === null || rule === '') return undefined;
  const text = typeof rule === 'string' ? rule : canonicalJson(rule);
  if (text.length > MAX_RULE_LENGTH) return undefined;
  return createHash('sha256').update(text).digest('hex').slice(0, DIGEST_LENGTH);
}
