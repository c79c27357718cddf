import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from '@jest/globals';
import { KeySetFile, notificationKeys } from '../../../../src/keys/webhook-keys.js';
import { notificationReader } from '../../../../src/protocols/fireblocks/notification.js';
import { forgeries } from '../../../support/webhook-forgeries.js';
import {
  detached,
  keySet,
  legacySignatureOf,
  notification,
  outgoing,
  signatureOf,
  vendorKey,
  WORKSPACE_ID,
} from '../../../support/webhook-vendor.js';

const dir = mkdtempSync(join(tmpdir(), 'countersign-notification-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));
const vendor = vendorKey('vendor-1');
const stranger = vendorKey('stranger');
const former = vendorKey('former');
const jwks = join(dir, 'jwks.json');
writeFileSync(jwks, keySet(vendor));
writeFileSync(join(dir, 'legacy.pem'), former.publicKey.export({ type: 'spki', format: 'pem' }));

const settings = { workspaceIds: [WORKSPACE_ID] };
const reader = notificationReader({ keys: notificationKeys(new KeySetFile(jwks)), ...settings });
const withLegacy = notificationReader({
  keys: notificationKeys(new KeySetFile(jwks), join(dir, 'legacy.pem')),
  ...settings,
});

const signed = (body: string) => ({
  body: Buffer.from(body),
  headers: { 'fireblocks-webhook-signature': signatureOf(body, vendor) },
});
const read = (body: string) => reader(signed(body));

test('a signed notification says what became of a transaction', async () => {
  const body = notification(outgoing('t-1', 'COMPLETED', { txHash: '0xabc' }), { id: 'n-1' });
  expect(await read(body)).toMatchObject({
    kind: 'notification',
    id: 'n-1',
    eventType: 'transaction.status.updated',
    said: {
      kind: 'report',
      report: { txId: 't-1', fate: 'completed', source: 'webhook', notification: 'n-1' },
    },
  });
});

test('what it is about may be nothing that matters here', async () => {
  const ignored = [
    [outgoing('t-1', 'COMPLETED', { source: { type: 'UNKNOWN', id: '' } }), {}, { kind: 'ignored' }],
    [{ alerts: [] }, { eventType: 'transaction.alert.stuck_confirming' }, undefined],
    [{ id: 'v' }, { eventType: 'vault_account.created' }, undefined],
  ] as const;
  for (const [data, envelope, said] of ignored)
    expect(await read(notification(data, envelope))).toMatchObject({ kind: 'notification', said });
  expect(await read(notification({}, { eventType: 'x.y' }))).toMatchObject({ eventType: 'other' });
});

describe('a forged signature is refused', () => {
  const body = notification(outgoing('t-1', 'CANCELLED'));
  test.each(forgeries(body, vendor, stranger).map((forgery) => [forgery.name, forgery] as const))(
    '%s',
    async (_name, { headers, reason }) => {
      expect(await reader({ body: Buffer.from(body), headers })).toMatchObject({
        kind: 'refused',
        status: 401,
        reason,
      });
    },
  );

  test('one byte of a body that is signed', async () => {
    const message = signed(body);
    message.body[20] = (message.body[20] ?? 0) ^ 1;
    expect(await reader(message)).toMatchObject({ kind: 'refused', status: 401, reason: 'SIGNATURE' });
  });
});

test('other members of a header are the vendor’s affair', async () => {
  const body = notification(outgoing('t-1', 'COMPLETED'));
  const header = { kid: 'vendor-1', typ: 'anything', alg: 'RS512', iat: 1 };
  const headers = { 'fireblocks-webhook-signature': detached(body, vendor.privateKey, header) };
  expect(await reader({ body: Buffer.from(body), headers })).toMatchObject({ kind: 'notification' });
});

test('what the vendor signs for another customer is not ours', async () => {
  const body = notification(outgoing('t-1', 'CANCELLED'), { workspaceId: 'somebody-else' });
  expect(await read(body)).toEqual({
    kind: 'refused',
    status: 401,
    reason: 'WORKSPACE',
    problem: 'it is for the workspace somebody-else, which is not configured here',
  });
});

describe('what is authentic and not understood is refused for good, with the reason', () => {
  const whole = outgoing('t-1', 'COMPLETED');
  test.each([
    ['not JSON', 'the payload is not JSON: expected a value at character 0'],
    ['[]', 'the payload is not a JSON object'],
    ['{"id":"1","id":"2"}', 'the payload is not JSON: a member name is repeated at character 10'],
    [notification(whole, { workspaceId: undefined }), 'workspaceId: expected text of 1 to 256 characters'],
    [notification(whole, { id: undefined }), 'id: expected text of 1 to 256 characters'],
    [notification(whole, { eventType: undefined }), 'eventType: expected a word'],
    [notification(whole, { eventType: 7 }), 'eventType: expected text'],
    [notification(whole, { data: undefined }), 'data: expected an object'],
    [notification(whole, { data: ['COMPLETED'] }), 'data: expected an object'],
    [notification({ ...whole, status: undefined }), 'data.status: expected a word'],
    [notification({ ...whole, source: undefined }), 'data.source: expected an object'],
  ])('%.40s', async (body, problem) => {
    expect(await read(body)).toEqual({ kind: 'refused', status: 400, reason: 'MALFORMED', problem });
  });
});

describe('the former kind of signature, where its key is configured', () => {
  const body = notification(outgoing('t-1', 'COMPLETED'));
  const good = legacySignatureOf(body, former.privateKey);
  const of = (headers: Record<string, string>) => withLegacy({ body: Buffer.from(body), headers });

  test('is accepted alone, and beside a good new one', async () => {
    expect(await of({ 'fireblocks-signature': good })).toMatchObject({ kind: 'notification' });
    const both = { 'fireblocks-signature': good, 'fireblocks-webhook-signature': signatureOf(body, vendor) };
    expect(await of(both)).toMatchObject({ kind: 'notification' });
  });

  test.each([
    ['another key', legacySignatureOf(body, stranger.privateKey), 'SIGNATURE'],
    ['a key of the new kind', legacySignatureOf(body, vendor.privateKey), 'SIGNATURE'],
    ['another body', legacySignatureOf(`${body} `, former.privateKey), 'SIGNATURE'],
    ['no base64', 'trust me', 'SIGNATURE_FORM'],
    ['base64url', Buffer.from(good, 'base64').toString('base64url'), 'SIGNATURE_FORM'],
    ['nothing', '', 'SIGNATURE_FORM'],
  ])('of %s is refused', async (_what, signature, reason) => {
    expect(await of({ 'fireblocks-signature': signature })).toMatchObject({ status: 401, reason });
  });

  test('beside a bad new one it counts for nothing', async () => {
    const bad = signatureOf(body, { ...stranger, kid: 'vendor-1' });
    expect(await of({ 'fireblocks-signature': good, 'fireblocks-webhook-signature': bad })).toMatchObject({
      reason: 'SIGNATURE',
    });
    expect(await of({ 'fireblocks-signature': good, 'fireblocks-webhook-signature': '' })).toMatchObject({
      reason: 'SIGNATURE_FORM',
    });
  });
});

test('when the keys cannot be had, the vendor is asked to deliver again', async () => {
  const away = notificationReader({
    keys: { verify: async () => 'unavailable' },
    ...settings,
  });
  expect(await away(signed(notification(outgoing('t-1', 'COMPLETED'))))).toMatchObject({
    status: 503,
    reason: 'KEYS_UNAVAILABLE',
  });
});
