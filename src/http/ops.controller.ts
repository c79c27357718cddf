import { Controller, Get, Header, Inject, NotFoundException, Param } from '@nestjs/common';
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

  /** Everything that keeps this replica from deciding. */
  @Get('readyz')
  @HealthCheck()
  readyz(): Promise<HealthCheckResult> {
    return this.#check(this.readiness.names);
  }

  /**
   * One check by name. Balancers watch `draining` alone: when the ledger is down, a replica that still answers "ask
   * again" is worth more than none, because no answer at all fails the transaction.
   */
  @Get('readyz/:name')
  @HealthCheck()
  readyzOne(@Param('name') name: string): Promise<HealthCheckResult> {
    if (!this.readiness.names.includes(name)) {
      throw new NotFoundException(
        `there is no check ${name.slice(0, 100)}; there are ${this.readiness.names.join(', ')}`,
      );
    }
    return this.#check([name]);
  }

  #check(names: readonly string[]): Promise<HealthCheckResult> {
    return this.health.check(
      names.map((name) => async () => {
        const problem = await this.readiness.problemOf(name);
        const indicator = this.indicators.check(name);
        if (problem !== undefined) return indicator.down({ problem });
        const warning = this.readiness.warningOf(name);
        return warning === undefined ? indicator.up() : indicator.up({ warning });
      }),
    );
  }

  @Get('metrics')
  @Header('content-type', 'text/plain; version=0.0.4; charset=utf-8')
  metricsText(): Promise<string> {
    return this.metrics.text();
  }
}
