/** The vendor's REST API of one workspace, opened from its configuration. */
import { readText } from '../../config/load.js';
import type { ApiConfig } from '../../config/schema.js';
import { CountersignError } from '../../core/errors.js';
import { readPrivateKeyFile } from '../../keys/key-file.js';
import {
  type FireblocksApi,
  type FireblocksApiSettings,
  fireblocksApi,
} from '../../protocols/fireblocks/api.js';

/** Who asks. */
export interface Credentials {
  readonly apiKeyFile: string;
  readonly privateKeyFile: string;
}

/** An id as it stands in a header: one line of visible characters. */
const API_KEY = /^[\x21-\x7e]{1,256}$/;

/** Throws FILE_UNREADABLE or KEY_INVALID. */
export function openVendorApi(
  { url, timeout, requestsPerMinute, caFile }: ApiConfig,
  { apiKeyFile, privateKeyFile }: Credentials,
  called?: FireblocksApiSettings['called'],
): { readonly api: FireblocksApi; readonly warnings: readonly string[] } {
  const apiKey = readText(apiKeyFile).trim();
  if (!API_KEY.test(apiKey))
    throw new CountersignError(
      'KEY_INVALID',
      `${apiKeyFile} does not hold the id of an API user and nothing else`,
    );
  const { key, warnings } = readPrivateKeyFile(privateKeyFile, ['RS256']);
  const api = fireblocksApi({
    origin: url,
    apiKey,
    privateKey: key,
    timeoutMs: timeout,
    requestsPerMinute,
    ...(caFile === undefined ? {} : { ca: readText(caFile) }),
    ...(called && { called }),
  });
  return { api, warnings };
}

/** Who asks for co-signers: an API user of its own, or the one that asks for transactions. */
export function doctorCredentials({ doctor, apiKeyFile, privateKeyFile }: ApiConfig): Credentials {
  return {
    apiKeyFile: doctor?.apiKeyFile ?? apiKeyFile,
    privateKeyFile: doctor?.privateKeyFile ?? privateKeyFile,
  };
}
