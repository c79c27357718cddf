/** EVM transactions and messages: the order of the checks. */
import { id as keccakOfText } from 'ethers';
import { messageOf } from '../../core/errors.js';
import { objectIn } from '../../core/json.js';
import type { AssetSettings } from '../../core/policy/verification.js';
import type { Asset, Decoded, Decoder, Judged } from '../../core/ports.js';
import type { TransactionRequest } from '../../core/request.js';
import type { AssetRegistry } from '../assets.js';
import { checkPath, type DerivationPath, hexDigits, readBytes, readEntry } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { readAddress } from './address.js';
import { type Claim, checkFee, readClaim } from './claim.js';
import { contractCall } from './contract-call.js';
import { describeTransaction } from './description.js';
import { readMessages } from './messages.js';
import { type Envelope, readTransaction } from './transaction.js';
import { type Meaning, nativeTransfer, tokenApproval, tokenTransfer } from './transfer.js';

/**
 * Which nonces may come next: usually one, and also the one of a pending transaction, because a replacement
 * reuses it. Undefined: no opinion about this account. A rejection makes the request undecided.
 */
export type NonceSource = (
  account: { readonly chain: string; readonly path: DerivationPath },
  signal: AbortSignal,
) => Promise<readonly number[] | undefined>;

const CAIP2 = /^eip155:([1-9]\d{0,30})$/;

/** What is known about the request before its bytes are read. */
export interface EvmContext {
  readonly request: TransactionRequest;
  readonly asset: Asset;
  readonly chainId: bigint;
  readonly settings: AssetSettings;
  readonly registry: AssetRegistry;
}

export function evmDecoder(registry: AssetRegistry, nonces?: NonceSource): Decoder {
  return {
    family: 'evm',
    canonicalAddress(asset, address) {
      const canonical = readAddress(asset, address, 'the address');
      return isRefusal(canonical) ? undefined : canonical;
    },
    selectorOf,
    describe: describeTransaction,
    shownCall(request, asset, settings) {
      const context = contextOf({ request, asset, settings, registry });
      return isRefusal(context) ? context : shownCall(context);
    },
    async decode(request, asset, settings, signal) {
      const context = contextOf({ request, asset, settings, registry });
      if (isRefusal(context)) return context;
      if (request.intent.operation === 'TYPED_MESSAGE') return readMessages(context);
      const read = readRequest(context);
      if (isRefusal(read)) return read;
      const { envelope, claim, path } = read;
      if (nonces !== undefined && path !== undefined) {
        const checked = await checkNonce(envelope, () => nonces({ chain: asset.chain ?? '', path }, signal));
        if (checked !== undefined) return checked;
      }
      const meaning = meaningOf(context, envelope, claim);
      if (isRefusal(meaning)) return meaning;
      return effectsOf(context, envelope, meaning);
    },
  };
}

function contextOf(parts: Omit<EvmContext, 'chainId'>): EvmContext | Refusal {
  const { id, chain } = parts.asset;
  const chainId = CAIP2.exec(chain ?? '')?.[1];
  if (chain === undefined || chainId === undefined)
    return refuse('ASSET_UNKNOWN', `the chain id of ${id} is not known, so nothing of it can be verified`);
  return { ...parts, chainId: BigInt(chainId) };
}

/** The call that the request shows, as if its bytes were nothing but that call. */
function shownCall(context: EvmContext): Judged | undefined {
  const { request, asset, settings, chainId } = context;
  const shown = objectIn(request.intent.extraParameters)?.contractCallData;
  if (typeof shown !== 'string') return undefined;
  const data = hexDigits(shown);
  if (data === undefined) return refuse('CALLDATA_MISMATCH', 'the call data shown is not hex');
  const claim = readClaim(request.intent, asset, settings);
  if (isRefusal(claim)) return claim;
  const meaning = contractCall(context, { to: claim.to, value: claim.amount, data: `0x${data}` }, claim);
  if (isRefusal(meaning)) return meaning;
  const summary = {
    chain: `eip155:${chainId}`,
    asset: asset.id,
    to: claim.to,
    dataBytes: String(data.length / 2),
  };
  return {
    kind: 'effects',
    effects: { ...meaning, chain: `eip155:${chainId}`, maxFee: undefined, summary, facts: [] },
  };
}

/** Four bytes of a signature such as `transfer(address,uint256)`; undefined when the text is none. */
function selectorOf(signature: string): string | undefined {
  if (signature.length > 1_000 || !/^[A-Za-z_$][\w$]*\([\w[\],()]*\)$/.test(signature)) return undefined;
  return keccakOfText(signature).slice(0, 10);
}

interface Read {
  readonly envelope: Envelope;
  readonly claim: Claim;
  /** Undefined: the wire does not say which key signs. */
  readonly path: DerivationPath | undefined;
}

function readRequest({ request, asset, chainId, settings }: EvmContext): Read | Refusal {
  const [raw] = request.rawTransactions;
  if (raw === undefined || request.rawTransactions.length !== 1)
    return refuse(
      'RAWTX_COUNT',
      `an EVM request has one raw transaction, here are ${request.rawTransactions.length}`,
    );
  const entry = raw.bytesOnly === true ? readBytes(raw) : readEntry(raw);
  if (isRefusal(entry)) return entry;
  const path =
    raw.bytesOnly === true ? undefined : checkPath(raw.keyDerivationPath, asset, request.intent.source);
  if (isRefusal(path)) return path;
  const envelope = readTransaction(entry, chainId, settings);
  if (isRefusal(envelope)) return envelope;
  const claim = readClaim(request.intent, asset, settings);
  if (isRefusal(claim)) return claim;
  return checkFee(envelope, claim, settings) ?? { envelope, claim, path };
}

async function checkNonce(
  { nonce }: Envelope,
  expected: () => ReturnType<NonceSource>,
): Promise<Decoded | undefined> {
  try {
    const permitted = await expected();
    if (permitted === undefined || permitted.includes(nonce)) return undefined;
    return refuse('NONCE_MISMATCH', `nonce ${nonce} is not the expected ${permitted.join(' or ')}`);
  } catch (error) {
    return { kind: 'unavailable', detail: `the nonce source did not answer: ${messageOf(error)}` };
  }
}

function meaningOf(context: EvmContext, envelope: Envelope, claim: Claim): Meaning | Refusal {
  const { request, asset } = context;
  const { operation } = request.intent;
  switch (operation) {
    case 'TRANSFER':
      return asset.contract === undefined
        ? nativeTransfer(envelope, claim, asset)
        : tokenTransfer(envelope, claim, asset);
    case 'APPROVE':
      if (asset.contract === undefined)
        return refuse('OPERATION_REFUSED', `${asset.id} is no token, so there is no allowance to give`);
      return tokenApproval(envelope, claim, context);
    case 'CONTRACT_CALL':
      return contractCall(context, envelope, claim);
    default:
      return refuse('OPERATION_REFUSED', `operation ${JSON.stringify(operation)} cannot be verified`);
  }
}

function effectsOf({ asset, chainId }: EvmContext, envelope: Envelope, meaning: Meaning): Decoded {
  const chain = `eip155:${chainId}`;
  return {
    kind: 'effects',
    effects: {
      chain,
      movements: meaning.movements,
      calls: meaning.calls,
      maxFee: envelope.maxFee,
      summary: {
        chain,
        asset: asset.id,
        type: String(envelope.type),
        to: envelope.to ?? 'contract creation',
        value: envelope.value.toString(),
        dataBytes: String(envelope.data.length / 2 - 1),
        nonce: String(envelope.nonce),
        gasLimit: envelope.gasLimit.toString(),
        maxFee: envelope.maxFee.toString(),
      },
      facts: [],
    },
  };
}
