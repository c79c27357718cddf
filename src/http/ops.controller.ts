import { Controller, Get, Header, Inject } from '@nestjs/common';
import {
  HealthCheck,
  type HealthCheckResult,
  HealthCheckService,
  HealthIndicatorService,
} from '@nestjs/terminus';
import { Metrics } from '../telemetry/metrics.js';
import { Readiness } from './readiness.js';

/** For the platform, on a port of its own: liveness, readiness, metrics. */
@Controller()
export class OpsController {
  constructor(
    @Inject(HealthCheckService) private readonly health: HealthCheckService,
    @Inject(HealthIndicatorService) private readonly indicators: HealthIndicatorService,
    @Inject(Readiness) private readonly readiness: Readiness,
    @Inject(Metrics) private readonly metrics: Metrics,
  ) {}

  /** Never depends on the ledger: restarting this process would not bring Redis back. */
  @Get('livez')
  @HealthCheck()
  livez(): Promise<HealthCheckResult> {
    return this.health.check([]);
  }

  @Get('readyz')
  @HealthCheck()
  readyz(): Promise<HealthCheckResult> {
    return this.health.check(
      this.readiness.names.map((name) => async () => {
        const problem = await this.readiness.problemOf(name);
        const indicator = this.indicators.check(name);
        return problem === undefined ? indicator.up() : indicator.down({ problem });
      }),
    );
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metricsText(): Promise<string> {
    return this.metrics.registry.metrics();
  }
}
