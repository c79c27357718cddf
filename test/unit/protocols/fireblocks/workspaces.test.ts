import { describe, expect, test } from '@jest/globals';
import { answerKeyRing } from '../../../../src/keys/answer-keys.js';
import { cosignerKeyRing } from '../../../../src/keys/cosigner-keys.js';
import {
  type FireblocksCosigner,
  fireblocksProtocol,
} from '../../../../src/protocols/fireblocks/fireblocks.js';
import { type KeyPair, token } from '../../../support/cosigner.js';
import { CONFIG_CHANGE, rsaPair, signingClaims, TRANSACTION } from '../../../support/fireblocks-handler.js';
import { inbound, requestIn } from '../../../support/inbound.js';

const shared = rsaPair();
const own = rsaPair();

const COSIGNERS: readonly (FireblocksCosigner & { readonly pair: KeyPair })[] = [
  { name: 'a-main', workspace: 'main', signers: [{ id: 'm', stages: ['signing'] }], pair: shared },
  {
    name: 'a-test',
    workspace: 'test',
    signers: [{ id: 't', stages: ['signing', 'approval'] }],
    pair: shared,
  },
  { name: 'b', workspace: 'main', pair: own },
];

function protocolOf(cosigners: typeof COSIGNERS) {
  return fireblocksProtocol({
    cosigners,
    cosignerKeys: cosignerKeyRing(
      cosigners.map(({ name, workspace, signers, pair }) => ({
        name,
        workspace,
        ...(signers ? { signers: signers.map(({ id }) => id) } : {}),
        publicKeys: [{ key: pair.publicKey, file: `${name}.pem` }],
      })),
    ),
    answerKeys: answerKeyRing(
      cosigners.map(({ name, pair }) => ({ cosigner: name, answerKey: pair.privateKey })),
    ),
  });
}

const protocol = protocolOf(COSIGNERS);

async function asked(signerId: string | undefined, { privateKey }: KeyPair, route = TRANSACTION) {
  const claims = signingClaims({ signerId, type: 'ADD_USER' });
  const body = Buffer.from(token(claims, privateKey));
  const { workspace, cosigner, doubt } = requestIn(await protocol.receive(inbound({ route, body })));
  return { workspace, cosigner, doubt };
}

describe('one machine that serves two workspaces on one path', () => {
  test.each([
    ['m', { workspace: 'main', cosigner: 'a-main', doubt: undefined }],
    ['t', { workspace: 'test', cosigner: 'a-test', doubt: undefined }],
    ['x', { workspace: 'main', cosigner: 'a-main', doubt: 'SIGNER_NOT_LISTED' }],
    [undefined, { workspace: 'main', cosigner: 'a-main', doubt: 'SIGNER_NOT_LISTED' }],
  ])('the signer %p tells which', async (signerId, expected) => {
    expect(await asked(signerId, shared)).toEqual(expected);
  });

  test('and for configuration changes too', async () => {
    expect(await asked('t', shared, CONFIG_CHANGE)).toMatchObject({ workspace: 'test', doubt: undefined });
    expect(await asked(undefined, shared, CONFIG_CHANGE)).toMatchObject({ doubt: 'SIGNER_NOT_LISTED' });
  });
});

test('a key of its own tells the co-signer, whoever asks', async () => {
  expect(await asked('m', own)).toEqual({ workspace: 'main', cosigner: 'b', doubt: undefined });
  expect(await asked(undefined, own)).toEqual({ workspace: 'main', cosigner: 'b', doubt: undefined });
});

test('co-signers that cannot be told apart are an error of the configuration', () => {
  const [first] = COSIGNERS;
  if (first === undefined) throw new Error('no co-signer');
  expect(() => protocolOf([first, { ...first, workspace: 'test', pair: own }])).toThrow(
    'two co-signers of one path are named "a-main"',
  );
  const twice = [
    { id: 'm', stages: ['signing'] as const },
    { id: 'm', stages: ['approval'] as const },
  ];
  expect(() => protocolOf([{ ...first, signers: twice }])).toThrow(
    'co-signer "a-main" lists the signer "m" twice',
  );
});
