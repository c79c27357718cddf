/**
 * The vendor's notifications of what became of a transaction (webhooks v2): each is signed, sent once or twice, in any
 * order, and again until it is acknowledged. The vendor's pauses of minutes are a second here.
 */
import { createPrivateKey } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { setTimeout as pause } from 'node:timers/promises';
import { Random } from '../../../src/simulator/random.js';
import { notification, outgoing, signatureOf } from '../../support/webhook-vendor.js';
import type { Ending, Said } from '../workload/endings.js';
import { CALL_TIMEOUT_MS, type ChannelSettings } from './channel.js';
import type { AcknowledgedLine, ToldLine } from './record.js';

export interface VendorSettings {
  readonly url: string;
  readonly kid: string;
  readonly keyFile: string;
}

export interface VendorPorts extends Pick<ChannelSettings, 'seed' | 'courier'> {
  /** Of the machine that it hears of transactions from. */
  readonly name: string;
  readonly nowMs: () => number;
  readonly write: (line: ToldLine | AcknowledgedLine) => void;
}

const SPREAD_MS = 1_500;
const AFTER_FAILURE_MS = 1_000;

/** Resolves when all of the ending is acknowledged. */
export type Vendor = (txId: string, ending: Ending) => Promise<void>;

export function vendorOf({ url, kid, keyFile }: VendorSettings, ports: VendorPorts): Vendor {
  const { name, seed, courier, nowMs, write } = ports;
  const key = { kid, privateKey: createPrivateKey(readFileSync(keyFile)) };
  const random = new Random(seed, `notifications of ${name}`);
  let sent = 0;

  async function send(txId: string, said: Said, message: Message): Promise<number> {
    sent += 1;
    const call = `${name}/told-${sent}`;
    write({ event: 'told', call, atMs: nowMs(), txId, said });
    const reply = await courier.post({ url, timeoutMs: CALL_TIMEOUT_MS, ...message });
    const status = reply.kind === 'reply' ? reply.status : 0;
    write({ event: 'acknowledged', call, atMs: nowMs(), status });
    return status;
  }

  async function deliver(txId: string, said: Said, message: Message): Promise<void> {
    await pause(random.below(SPREAD_MS));
    // What is refused for good is not sent again, and is the checker's to complain about.
    for (let status = 0; status === 0 || status >= 500; ) {
      status = await send(txId, said, message);
      if (status !== 200) await pause(AFTER_FAILURE_MS);
    }
  }

  return async (txId, ending) => {
    const createdAt = Date.now();
    for (const group of ending) {
      const copies = group.flatMap((said) => {
        const about = { createdAt, lastUpdated: createdAt + said.number, txHash: said.txHash ?? '' };
        const body = notification(outgoing(txId, said.status, about));
        const headers = {
          'content-type': 'application/json',
          'fireblocks-webhook-signature': signatureOf(body, key),
        };
        return Array.from({ length: random.between(1, 2) }, () => deliver(txId, said, { body, headers }));
      });
      await Promise.all(copies);
    }
  };
}

interface Message {
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
}
