/** What the simulated workspace moves: assets, vaults, destinations and amounts, drawn from a seeded stream. */
import { getAddress } from 'ethers';
import { Random } from './random.js';
import type { EtherTransfer, Place, SimulatedAsset, Transfer } from './transaction.js';

export const ETH: SimulatedAsset = { id: 'ETH', decimals: 18, price: 187_429_293_700n };
const BTC: SimulatedAsset = { id: 'BTC', decimals: 8, price: 2_927_250_000_000n };
const USDC: SimulatedAsset = { id: 'USDC', decimals: 6, price: 100_000_000n };

/** The account of the vendor's documentation example. */
export const DOCUMENTED_PLACE: Place = {
  type: 'VAULT',
  subType: '',
  id: '1',
  name: 'Network Deposits',
  address: '0x5dC69B1Fbb13Bafd09af88a782F0F285772Ad5f8',
};

/** From BIP-173's examples: valid, and nobody's wallet here. */
const BITCOIN_ADDRESSES = [
  'bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4',
  'bc1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3qccfmv3',
] as const;

/** How many whitelisted destinations there are. */
const DESTINATIONS = 40;

/** A native transfer of small but awkward worth: every decimal of the amount is used. */
export function etherTransfer(random: Random): EtherTransfer {
  return {
    ...identity(random),
    asset: ETH,
    // 0.0002 to 0.05 ETH
    amount: 200_000_000_000_000n + random.bigBelow(49_800_000_000_000_000n),
    source: sourceVault(random),
    destination: destination(random),
    gas: {
      nonce: random.below(100_000),
      limit: 21_000n,
      // 5 to 35 gwei
      maxFeePerGas: 5_000_000_000n + random.bigBelow(30_000_000_000n),
      maxPriorityFeePerGas: random.chance(75) ? 1_000_000_000n : undefined,
    },
  };
}

/** A transfer of any asset, before anything is serialised. */
export function anyTransfer(random: Random): Transfer {
  const kind = random.below(3);
  if (kind === 0) return etherTransfer(random);
  const common = { ...identity(random), source: sourceVault(random) };
  const place = destination(random);
  if (kind === 1) {
    const address = random.pick(BITCOIN_ADDRESSES);
    return {
      ...common,
      asset: BTC,
      amount: 10_000n + random.bigBelow(500_000n),
      destination: { ...place, address },
    };
  }
  // Some are beyond what a cautious policy lets a machine approve, but not so many that they fill every limit.
  const dollars = random.chance(80) ? random.between(1, 400) : random.between(5_000, 20_000);
  return {
    ...common,
    asset: USDC,
    amount: BigInt(dollars) * 1_000_000n + random.bigBelow(1_000_000n),
    destination: place,
  };
}

/** A transfer that many others resemble: same vault, same destination, same amount. */
export function burstTransfer(random: Random, amount: bigint): EtherTransfer {
  return { ...etherTransfer(random), amount, source: '0', destination: DOCUMENTED_PLACE };
}

/** The same transfer, delivered by another co-signer: what may differ between deliveries differs. */
export function retold<T extends Transfer>(transfer: T, random: Random): T {
  return { ...transfer, players: random.shuffled(transfer.players) };
}

export function otherDestination(random: Random, than: Place): Place {
  const other = whitelisted(random.below(DESTINATIONS - 1) + 1);
  return other.address === than.address ? whitelisted(0) : other;
}

function identity(random: Random) {
  const txId = random.uuid();
  return {
    txId,
    requestId: txId,
    externalTxId: `wd-${random.below(1_000_000_000)}`,
    players: [random.uuid(), random.uuid(), random.uuid()],
  };
}

/** Mostly the vaults of the example policy; sometimes one that no rule names. */
function sourceVault(random: Random): string {
  return random.chance(92) ? random.pick(['0', '1', '25']) : String(random.between(30, 60));
}

function destination(random: Random): Place {
  const kind = random.below(100);
  if (kind < 15) return DOCUMENTED_PLACE;
  if (kind < 88) return whitelisted(random.below(DESTINATIONS));
  return { type: 'ONE_TIME_ADDRESS', subType: '', id: '', address: address(random) };
}

/**
 * Destination number `index` of the address book. It does not depend on the seed: a limit on how many new destinations
 * there may be is not to be filled by starting the simulator again.
 */
function whitelisted(index: number): Place {
  const name = `destination ${index}`;
  const book = new Random('address book', name);
  return index % 3 === 0
    ? { type: 'UNMANAGED', subType: 'EXTERNAL', id: book.uuid(), name, address: address(book) }
    : { type: 'VAULT', subType: '', id: String(100 + index), name, address: address(book) };
}

export function address(random: Random): string {
  return getAddress(`0x${random.bytes(20).toString('hex')}`);
}
