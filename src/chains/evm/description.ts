/** What the bytes show, judged by nobody: for a person who looks at a refused request. */
import { Transaction } from 'ethers';
import type { RawTransaction } from '../../core/request.js';
import { hexDigits, MAX_RAW_BYTES } from '../raw-entry.js';
import { isRefusal } from '../refusal.js';
import { argumentText } from './abi.js';
import { decodeCall } from './known-functions.js';

export function describeTransaction({ bytes }: RawTransaction): Readonly<Record<string, string>> {
  if (typeof bytes !== 'string' || bytes.length > 2 * MAX_RAW_BYTES) return {};
  const hex = hexDigits(bytes);
  if (hex === undefined) return {};
  try {
    const { type, chainId, to, value, nonce, gasLimit, maxFeePerGas, gasPrice, data } = Transaction.from(
      `0x${hex}`,
    );
    const call = data === '0x' ? undefined : decodeCall({ to: to ?? '', value, data: data.toLowerCase() });
    return {
      type: String(type),
      chain: `eip155:${chainId}`,
      to: to?.toLowerCase() ?? 'contract creation',
      value: value.toString(),
      nonce: String(nonce),
      gasLimit: gasLimit.toString(),
      gasPrice: (maxFeePerGas ?? gasPrice ?? 0n).toString(),
      ...(call === undefined ? {} : { call: callText(call, data) }),
    };
  } catch {
    return {};
  }
}

function callText(call: ReturnType<typeof decodeCall>, data: string): string {
  if (isRefusal(call) || call.known === undefined)
    return `${data.slice(0, 10)} (${data.length / 2 - 1} bytes)`;
  const name = call.known.signature.slice(0, call.known.signature.indexOf('('));
  return `${name}(${call.args.map(argumentText).join(', ')})`;
}
