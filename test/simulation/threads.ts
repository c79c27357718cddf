/** Jobs on as many threads as the machine runs at once. What they find does not depend on how many those are. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import type { Findings, Job } from './hunt.js';

type Reply = { readonly findings: Findings } | { readonly problem: string };

interface Watching {
  /** Called with what each job found, in whatever order they end. */
  readonly found: (job: Job, findings: Findings) => void;
  /** No more of them when this is aborted. */
  readonly signal: AbortSignal;
}

export async function onThreads(jobs: readonly Job[], { found, signal }: Watching): Promise<void> {
  const waiting = [...jobs];
  const interrupted = new Promise<undefined>((resolve) => {
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
  const threads = Array.from({ length: Math.min(availableParallelism(), jobs.length) }, async () => {
    const worker = new Worker(new URL('./worker.ts', import.meta.url));
    try {
      for (let job = waiting.shift(); job !== undefined; job = waiting.shift()) {
        const findings = await Promise.race([findingsOf(worker, job), interrupted]);
        if (findings === undefined) return;
        found(job, findings);
      }
    } finally {
      await worker.terminate();
    }
  });
  await Promise.all(threads);
}

function findingsOf(worker: Worker, job: Job): Promise<Findings> {
  return new Promise((resolve, reject) => {
    const settle = (reply: Reply) => {
      worker.off('error', reject);
      if ('findings' in reply) resolve(reply.findings);
      else reject(new Error(reply.problem));
    };
    worker.once('error', reject);
    worker.once('message', settle);
    worker.postMessage(job);
  });
}
