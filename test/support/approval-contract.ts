/** The approval contract as a Virtual Signer calls it, encoded by another library than the server decodes with. */
import { AbiCoder, Interface } from 'ethers';

export const APPROVAL = new Interface([
  'function approvedKeygenReshare(bytes) pure returns (uint8)',
  'function approvedTx(bytes) pure returns (uint8)',
  'function approvedSignOp(bytes) pure returns (uint8)',
]);

const SIGNER = 'tuple(uint256 Weight, string Uiid, string Id)';
const KEYGEN = `tuple(string Typename, string Id, string ExpiresAt, string OrganisationId, string ReshareRequestStatus, string VaultId, string VaultName, uint256 ReshareNonce, uint256 NewThreshold, ${SIGNER}[] OriginalSigners, ${SIGNER}[] NewSigners)`;
const metadata = (sourceUrl: string) =>
  `tuple(string MaxFees, uint256 MaxFeePerGas, uint256 MaxPriorityFeePerGas, string Source, ${sourceUrl}string ContractData) Metadata`;
const transaction = (sourceUrl: string) =>
  `tuple(string Typename, string Id, string CreatedAt, string UpdatedAt, string ExpiresAt, string CreatedByUserId, string AmountOriginal, string AmountUsd, string ReceivingAddress, string SendingAddressId, string VaultId, string VaultName, string AssetId, string OrganisationId, string RawTransaction, string Status, string AssetExecutionType, ${metadata(sourceUrl)}, string NetworkId)`;
const SIGN =
  'tuple(string Typename, string Id, string OrganisationId, string OperationSignStatus, string VaultId, string VaultName, string Data, string ContentType, uint256 ChainId)';

const encode = (type: string, value: object): string => AbiCoder.defaultAbiCoder().encode([type], [value]);

export const later = (): string => new Date(Date.now() + 3_600_000).toISOString();

export function keygenArgument(change: object = {}): string {
  const signers = [0, 1, 2].map((index) => ({ Weight: 1, Uiid: `uuid-${index}`, Id: `signer-${index}` }));
  return encode(KEYGEN, {
    Typename: 'OperationCreateVault_v3',
    Id: 'keygen1',
    ExpiresAt: later(),
    OrganisationId: '',
    ReshareRequestStatus: 'VOTING',
    VaultId: 'vault1',
    VaultName: 'Treasury',
    ReshareNonce: 0,
    NewThreshold: 2,
    OriginalSigners: [],
    NewSigners: signers,
    ...change,
  });
}

export function transactionArgument(
  revision: 'R1' | 'R2',
  change: object = {},
  metadataChange: object = {},
): string {
  return encode(transaction(revision === 'R2' ? 'string SourceUrl, ' : ''), {
    Typename: 'OperationTransferOut_v3',
    Id: 'tx1',
    CreatedAt: '',
    UpdatedAt: '',
    ExpiresAt: later(),
    CreatedByUserId: '',
    AmountOriginal: '500000000000000000',
    AmountUsd: '1000.00',
    ReceivingAddress: `0x${'1'.repeat(40)}`,
    SendingAddressId: '',
    VaultId: 'vault1',
    VaultName: '',
    AssetId: 'assetaaa0000000000000001',
    OrganisationId: '',
    RawTransaction: '',
    Status: 'VOTING',
    AssetExecutionType: 'NATIVE',
    NetworkId: '',
    Metadata: {
      MaxFees: '',
      MaxFeePerGas: 0,
      MaxPriorityFeePerGas: 0,
      Source: '',
      SourceUrl: '',
      ContractData: '',
      ...metadataChange,
    },
    ...change,
  });
}

export function signArgument(change: object = {}): string {
  return encode(SIGN, {
    Typename: 'OperationSign',
    Id: 'sign1',
    OrganisationId: '',
    OperationSignStatus: 'VOTING',
    VaultId: 'vault1',
    VaultName: '',
    Data: 'hello',
    ContentType: 'text/plain',
    ChainId: 1,
    ...change,
  });
}
