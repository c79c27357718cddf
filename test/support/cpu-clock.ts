/** Milliseconds of this thread's own CPU since the call: what a piece of code costs, however busy the machine is. */
export function cpuClock(): () => number {
  const since = process.threadCpuUsage();
  return () => {
    const { user, system } = process.threadCpuUsage(since);
    return (user + system) / 1_000;
  };
}
