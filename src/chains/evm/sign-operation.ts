/**
 * Data to be signed that is no transaction: typed data (EIP-712), text and raw bytes. The signer hashes it by itself, so
 * what is shown is what is signed, as far as it can be understood; bytes that cannot be are refused.
 */
import { Transaction } from 'ethers';
import type { AssetSettings } from '../../core/policy/verification.js';
import type { Judged } from '../../core/ports.js';
import type { SignRequest } from '../../core/request.js';
import { hexDigits, MAX_RAW_BYTES } from '../raw-entry.js';
import { isRefusal, type Refusal, refuse } from '../refusal.js';
import { type MessageContext, meaningOfTyped } from './signed-calls.js';
import { readTypedData } from './typed-data.js';

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
/** Of any hash function in use: whoever signs it signs what it is the hash of. */
const DIGEST_BYTES = [20, 28, 32, 48, 64];

/** ECDSA over keccak-256, which is what contracts verify; source: the vendor's REST reference, `coseAlgorithm`. */
const ETHEREUM_ALGORITHM = 'ESKEC256';

export function readSignOperation(
  { contentType, algorithm, data }: SignRequest,
  context: MessageContext,
): Judged {
  if (data === undefined || data === '')
    return refuse('TYPED_MESSAGE_MISSING', 'the request shows no data, so nothing tells what is signed');
  if (data.length > 2 * MAX_RAW_BYTES + 2)
    return refuse('RAWTX_TOO_LARGE', `the data is longer than ${MAX_RAW_BYTES} bytes`);
  switch (contentType) {
    case 'application/x-eip712+json':
      return readTyped(data, algorithm, context);
    case 'text/plain':
      return readText(data, context.settings);
    case 'application/octet-stream+hex': {
      const hex = hexDigits(data);
      return hex === undefined ? refuse('TYPED_MALFORMED', 'the data is not hex') : refuseBytes(hex);
    }
    case 'application/octet-stream+base64':
      return BASE64.test(data)
        ? refuseBytes(Buffer.from(data, 'base64').toString('hex'))
        : refuse('TYPED_MALFORMED', 'the data is not base64');
    default:
      return refuse('TYPED_TYPE_REFUSED', 'the content type is none of those that can be decoded');
  }
}

function readTyped(data: string, algorithm: string, context: MessageContext): Judged {
  const typed = readTypedData(data);
  if (isRefusal(typed)) return typed;
  if (algorithm !== '' && algorithm !== ETHEREUM_ALGORITHM)
    return refuse('TYPED_TYPE_REFUSED', 'typed data is signed for Ethereum, and the algorithm is another');
  const meaning = meaningOfTyped(typed, context);
  if (isRefusal(meaning)) return meaning;
  const summary = { message: `${typed.primaryType} for ${typed.verifyingContract}`, digest: typed.digest };
  return {
    kind: 'effects',
    effects: { ...meaning, chain: `eip155:${typed.chainId}`, maxFee: 0n, summary, facts: [] },
  };
}

/**
 * Whether the signer puts the EIP-191 prefix before a text is not documented: a text that would be something else
 * without it is refused.
 */
function readText(text: string, { allowPersonalSign }: AssetSettings): Judged {
  if (!allowPersonalSign) return refuse('PERSONAL_SIGN_REFUSED', 'texts are not allowed');
  if (!text.isWellFormed()) return refuse('TYPED_MALFORMED', 'the text is not well formed');
  const bytes = Buffer.from(text, 'utf8');
  const disguised =
    hexDigits(text.trim()) ?? (BASE64.test(text) ? Buffer.from(text, 'base64').toString('hex') : '');
  for (const hex of [bytes.toString('hex'), disguised])
    if (isTransaction(hex)) return refuse('RAW_REFUSED', 'the text is a transaction');
  // A text of 32 characters is as long as a digest, and may be one; one that spells a digest may be read as bytes.
  if (DIGEST_BYTES.includes(bytes.length) || DIGEST_BYTES.includes(disguised.length / 2))
    return refuse('RAW_REFUSED', 'the text is as long as a digest');
  return {
    kind: 'effects',
    effects: {
      chain: '',
      movements: [],
      calls: [],
      maxFee: 0n,
      facts: [],
      summary: { message: `text of ${bytes.length} bytes` },
    },
  };
}

/** Bytes may be a transaction of any chain, or the digest of one. */
function refuseBytes(hex: string): Refusal {
  if (isTransaction(hex))
    return refuse('RAW_REFUSED', 'the data is a transaction; it has to be asked for as a transfer');
  if (DIGEST_BYTES.includes(hex.length / 2))
    return refuse('RAW_REFUSED', 'the data is as long as a digest: nothing tells what it is the digest of');
  return refuse('RAW_REFUSED', 'nothing tells what the bytes mean');
}

function isTransaction(hex: string): boolean {
  try {
    Transaction.from(`0x${hex}`);
    return true;
  } catch {
    return false;
  }
}
