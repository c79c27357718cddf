/**
 * `node test/bench/verification.js`, after a build: the median time of verifying the bytes of one request, by kind, on one
 * core. Options: --rounds N (of each kind, default 3000), --json FILE.
 */
import { createHash } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Interface, keccak256, Transaction } from 'ethers';
import { createChains } from '../../dist/chains/index.js';
import { verificationSchema } from '../../dist/core/policy/verification.js';
import { examine } from '../../dist/core/verify.js';

const { values: options } = parseArgs({
  options: { rounds: { type: 'string', default: '3000' }, json: { type: 'string' } },
});
const rounds = Number(options.rounds);

const FRIEND = '0x5dc69b1fbb13bafd09af88a782f0f285772ad5f8';
const USDC = '0xa0b86991c6218b36c1d19d4a2e9eb0ce3606eb48';
const WETH = '0xc02aaa39b223fe8d0a0e5c4f27ead9083c756cc2';
const OWN_KEY = '01b81c4fe5f2db8411f1873b804d8e20dccd8b04';
const FRIEND_SCRIPT = '0014751e76e8199196d454941c45d1b3a323f1433bd6';
const FRIEND_ADDRESS = 'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4';

const settings = verificationSchema.parse({
  defaults: {
    contracts: [{ chainId: 1, to: WETH, selectors: ['deposit()'], maxValueWei: '1000000000000000000' }],
  },
});

function request(intent, rawTransactions) {
  const address = intent.destinationAddress;
  return {
    kind: 'transaction',
    stage: 'signing',
    protocol: 'fireblocks',
    workspace: 'bench',
    cosigner: 'bench',
    signer: undefined,
    requestId: 'bench',
    txId: 'bench',
    intent: {
      operation: 'TRANSFER',
      source: { type: 'VAULT', id: '0' },
      destinations: [{ type: 'VAULT', id: '1', address, otherAddresses: [], amount: intent.amount }],
      requestedAmount: intent.amount,
      ...intent,
    },
    rawTransactions,
  };
}

function ethereum(fields, intent) {
  const bytes = Transaction.from({
    type: 2,
    chainId: 1n,
    nonce: 7,
    gasLimit: 100_000n,
    maxFeePerGas: 20_000_000_000n,
    maxPriorityFeePerGas: 1_000_000_000n,
    ...fields,
  }).unsignedSerialized;
  const raw = {
    keyDerivationPath: '[ 44, 60, 0, 0, 0 ]',
    bytes: bytes.slice(2),
    digest: keccak256(bytes).slice(2),
  };
  return request({ asset: 'ETH', fee: '0.002', ...intent }, [raw]);
}

const twice = (hex) => {
  const once = createHash('sha256').update(Buffer.from(hex, 'hex')).digest();
  return createHash('sha256').update(once).digest('hex');
};

/** Two inputs of 60,000 and 50,000 satoshi; 70,000 to a friend, 38,000 back (BIP-143). */
function bitcoin() {
  const uint64 = (value) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(value);
    return bytes.toString('hex');
  };
  const output = (value, script) => `${uint64(value)}16${script}`;
  const inputs = [
    { outpoint: `${'11'.repeat(32)}00000000`, value: 60_000n },
    { outpoint: `${'22'.repeat(32)}00000000`, value: 50_000n },
  ];
  const prevouts = twice(inputs.map(({ outpoint }) => outpoint).join(''));
  const sequences = twice('ffffffff'.repeat(2));
  const outputs = twice(output(70_000n, FRIEND_SCRIPT) + output(38_000n, `0014${OWN_KEY}`));
  const raws = inputs.map(({ outpoint, value }) => {
    const script = `1976a914${OWN_KEY}88ac`;
    const bytes = `02000000${prevouts}${sequences}${outpoint}${script}${uint64(value)}ffffffff${outputs}0000000001000000`;
    return { keyDerivationPath: '[ 44, 0, 0, 0, 0 ]', bytes, digest: twice(bytes) };
  });
  return request(
    { asset: 'BTC', amount: '0.0007', fee: '0.00002', destinationAddress: FRIEND_ADDRESS },
    raws,
  );
}

const abi = new Interface(['function transfer(address,uint256)', 'function deposit()']);
const kinds = {
  'ether transfer': ethereum(
    { to: FRIEND, value: 10n ** 16n },
    { amount: '0.01', destinationAddress: FRIEND },
  ),
  'ERC-20 transfer': ethereum(
    { to: USDC, data: abi.encodeFunctionData('transfer', [FRIEND, 1_000_000n]) },
    { asset: 'USDC', amount: '1', destinationAddress: FRIEND },
  ),
  'contract call': ethereum(
    { to: WETH, value: 10n ** 16n, data: abi.encodeFunctionData('deposit') },
    { operation: 'CONTRACT_CALL', amount: '0.01', destinationAddress: WETH },
  ),
  'Bitcoin SegWit, 2 in, 2 out': bitcoin(),
};

const chains = createChains();
const { signal } = new AbortController();
const medians = {};
for (const [kind, asked] of Object.entries(kinds)) {
  const times = [];
  for (let round = 0; round < rounds; round += 1) {
    const started = process.hrtime.bigint();
    const examination = await examine(asked, chains, settings, signal);
    times.push(Number(process.hrtime.bigint() - started) / 1_000);
    if (examination.kind !== 'agrees') throw new Error(`${kind}: ${JSON.stringify(examination)}`);
  }
  times.sort((a, b) => a - b);
  medians[kind] = Math.round(times[Math.floor(rounds / 2)] ?? 0);
  process.stdout.write(`${kind.padEnd(32)}${medians[kind]} µs\n`);
}
if (options.json !== undefined)
  writeFileSync(options.json, `${JSON.stringify({ unit: 'µs', medians }, null, 2)}\n`);
