/**
 * The load of the benchmark, in a process of its own: it signs all requests first, and only then sends them, so that
 * the cost of signing them disturbs nothing that is measured. Driven by messages of test/bench/bench.js.
 */
import { Agent, request } from 'node:http';
import { etherTransfer } from '../../dist/simulator/invention.js';
import { Random } from '../../dist/simulator/random.js';
import { targetOfDirectory } from '../../dist/simulator/target.js';
import { signToken } from '../../dist/simulator/token.js';
import { signingPayload } from '../../dist/simulator/transaction.js';

const agent = new Agent({ keepAlive: true });

/** Signed and not yet sent. @type {string[]} */
let tokens = [];
/** @type {URL | undefined} */
let url;

process.on('message', (/** @type {any} */ message) => {
  obey(message).then(
    (result) => process.send?.({ type: 'done', ...result }),
    (/** @type {Error} */ error) => process.send?.({ type: 'failed', problem: error.message }),
  );
});
process.on('disconnect', () => process.exit(0));

/** @param {any} message */
async function obey(message) {
  switch (message.type) {
    case 'prepare':
      return prepare(message.dir, message.requests, message.seed);
    case 'send':
      return send(message.requests, message.inFlight);
    default:
      throw new Error(`no such task: ${message.type}`);
  }
}

/**
 * Different transfers, signed by the first co-signer.
 * @param {string} dir @param {number} requests @param {string} seed
 */
async function prepare(dir, requests, seed) {
  const target = targetOfDirectory(dir);
  const [cosigner] = target.cosigners;
  // Past the load balancer: one replica is what is measured.
  url = new URL(`${new URL(cosigner.url).pathname}/v2/tx_sign_request`, target.replicaOrigins[0]);
  const random = new Random(seed, 'bench');
  tokens = [];
  for (let index = 0; index < requests; index += 1) {
    tokens.push(
      await signToken(signingPayload(etherTransfer(random), cosigner.signers.signing[0]), cosigner.key),
    );
    if (index % 2_000 === 1_999) process.send?.({ type: 'progress', done: index + 1 });
  }
  return {};
}

/**
 * Sends so many of them, so many at a time. Latencies are in milliseconds.
 * @param {number} requests @param {number} inFlight
 */
async function send(requests, inFlight) {
  const batch = tokens.splice(0, requests);
  if (batch.length < requests) throw new Error(`only ${batch.length} of ${requests} requests were prepared`);
  /** @type {number[]} */
  const latenciesMs = [];
  /** And when it was sent: one at the beginning met a replica that had not had so many at once before. */
  let slowest = { ms: 0, afterMs: 0 };
  /** @type {Record<string, number>} */
  const actions = {};
  let next = 0;
  const started = performance.now();
  const worker = async () => {
    for (let token = batch[next++]; token !== undefined; token = batch[next++]) {
      const at = performance.now();
      const answer = await post(token);
      const ms = performance.now() - at;
      latenciesMs.push(ms);
      if (ms > slowest.ms) slowest = { ms, afterMs: at - started };
      const { action } = JSON.parse(Buffer.from(answer.split('.')[1] ?? '', 'base64url').toString());
      actions[action] = (actions[action] ?? 0) + 1;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, worker));
  const elapsedMs = performance.now() - started;
  latenciesMs.sort((a, b) => a - b);
  const at = (/** @type {number} */ share) => latenciesMs[Math.ceil(latenciesMs.length * share) - 1];
  return { elapsedMs, actions, p50Ms: at(0.5), p99Ms: at(0.99), slowest };
}

/** @param {string} token @returns {Promise<string>} */
function post(token) {
  return new Promise((resolve, reject) => {
    const call = request(
      /** @type {URL} */ (url),
      {
        method: 'POST',
        agent,
        headers: { 'content-type': 'application/jwt', 'content-length': Buffer.byteLength(token) },
      },
      (response) => {
        /** @type {Buffer[]} */
        const chunks = [];
        response.on('data', (chunk) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const body = Buffer.concat(chunks).toString();
          if (response.statusCode === 200) resolve(body);
          else reject(new Error(`status ${response.statusCode}: ${body.slice(0, 200)}`));
        });
      },
    );
    call.on('error', reject);
    call.end(token);
  });
}
