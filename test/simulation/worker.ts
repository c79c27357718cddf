/** One thread of the simulation: does a job, tells what it found, and waits for the next. */
import { parentPort } from 'node:worker_threads';
import { hunt, type Job } from './hunt.js';

// Errors are replies here, by the million; where they were made tells nothing.
Error.stackTraceLimit = 0;

parentPort?.on('message', (job: Job) => {
  hunt(job).then(
    (findings) => parentPort?.postMessage({ findings }),
    (error: unknown) => parentPort?.postMessage({ problem: String(error) }),
  );
});
