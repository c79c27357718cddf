/** One replica inside the test's own process: both servers, with keys the test vouches for and an embedded ledger. */
import { pino } from 'pino';
import { AppModule, OpsModule } from '../../src/app.module.js';
import { activatePolicyFile } from '../../src/cli/activate.js';
import { withLedger } from '../../src/cli/ledger.js';
import { loadConfig } from '../../src/config/load.js';
import { startAskServer, startOpsServer } from '../../src/http/servers.js';
import { composeReplica, loadKeys, type ReplicaKeys } from '../../src/replica/replica.js';
import type { Deployment } from './deployment.js';

export interface RunningReplica {
  /** Origin of the co-signers' port. */
  readonly http: string;
  readonly ops: string;
  /** The number of events in its ledger. */
  readonly sequence: () => Promise<number>;
  /** A figure of its metrics: the sum over all its series, 0 when there are none. */
  readonly metric: (name: string) => Promise<number>;
  readonly close: () => Promise<void>;
}

/** Makes the ledger and activates the policy first. `paths`: the keys, instead of those the configuration names. */
export async function startReplica(
  { configFile, operatorKeyFile }: Pick<Deployment, 'configFile' | 'operatorKeyFile'>,
  paths?: ReplicaKeys['paths'],
): Promise<RunningReplica> {
  const config = loadConfig(configFile);
  await withLedger({ config: configFile }, async (ledger, workspace) => {
    await ledger.init();
    await activatePolicyFile({ config, workspace, ledger, privateKeyFile: operatorKeyFile, startEmpty: [] });
  });
  const keys = loadKeys(config);
  const replica = composeReplica(
    config,
    { ...keys, ...(paths && { paths }) },
    {
      logger: pino({ level: 'silent' }),
    },
  );
  const ops = await startOpsServer(OpsModule.of(replica), { host: '127.0.0.1', port: 0 });
  const ask = await startAskServer(AppModule.of(replica), {
    host: '127.0.0.1',
    port: 0,
    bodyLimitBytes: config.http.bodyLimit,
    trustedProxies: config.http.trustedProxies,
  });
  return {
    http: `http://127.0.0.1:${ask.port}`,
    ops: `http://127.0.0.1:${ops.port}`,
    sequence: () => withLedger({ config: configFile }, async (ledger) => (await ledger.state()).sequence),
    metric: async (name) => {
      const values = await replica.metrics.registry.getSingleMetric(name)?.get();
      return (values?.values ?? []).reduce((sum, { value }) => sum + value, 0);
    },
    async close() {
      await ask.app.close();
      await ops.app.close();
      await replica.close();
    },
  };
}
