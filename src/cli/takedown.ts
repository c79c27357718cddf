/** The end of `countersign up`: whatever came up is taken down, the last thing first, so that nothing loses what it needs. */
export class Takedown {
  readonly #steps: (() => Promise<unknown>)[] = [];
  #signalled = false;

  /** Whether a signal asked for it. */
  get signalled(): boolean {
    return this.#signalled;
  }

  /** To be called as soon as there is something to take down, before it is waited for. */
  add(step: () => Promise<unknown>): void {
    this.#steps.push(step);
  }

  /** Steps that are added while others run are run as well. */
  async run(): Promise<void> {
    for (let step = this.#steps.pop(); step !== undefined; step = this.#steps.pop()) await step();
  }

  /** SIGINT and SIGTERM end the process with 0 when everything is down; further ones change nothing. */
  onSignal(announce: () => void): void {
    const stop = (): void => {
      if (this.#signalled) return;
      this.#signalled = true;
      announce();
      this.run().then(
        () => process.exit(0),
        (error: unknown) => {
          process.stderr.write(`countersign: ${String(error)}\n`);
          process.exit(1);
        },
      );
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  }
}
