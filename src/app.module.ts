/** Composition: which modules make a replica. */
import { type DynamicModule, Module } from '@nestjs/common';
import { TerminusModule } from '@nestjs/terminus';
import { Answering } from './http/answering.js';
import { AskController } from './http/ask.controller.js';
import { DRAIN_MS, Drain } from './http/drain.js';
import { FailureFilter, LOGGER } from './http/failure.filter.js';
import { OpsController } from './http/ops.controller.js';
import { Readiness } from './http/readiness.js';
import { Receiving } from './http/receiving.js';
import { WebhookController, WebhookDrain, WebhookFailureFilter } from './http/webhook.controller.js';
import type { Replica } from './replica/replica.js';
import { Metrics } from './telemetry/metrics.js';

/** The port that co-signers talk to. */
@Module({})
export class AppModule {
  static of(replica: Replica): DynamicModule {
    return {
      module: AppModule,
      controllers: [AskController],
      providers: [
        { provide: Answering, useValue: replica.answering },
        { provide: Readiness, useValue: replica.readiness },
        { provide: LOGGER, useValue: replica.logger },
        { provide: DRAIN_MS, useValue: replica.config.drain },
        FailureFilter,
        Drain,
      ],
    };
  }
}

/** The port that vendors send notifications to. */
@Module({})
export class WebhookModule {
  static of(
    { readiness, logger }: Pick<Replica, 'readiness' | 'logger'>,
    receiving: Receiving,
  ): DynamicModule {
    return {
      module: WebhookModule,
      controllers: [WebhookController],
      providers: [
        { provide: Receiving, useValue: receiving },
        { provide: Readiness, useValue: readiness },
        { provide: LOGGER, useValue: logger },
        WebhookFailureFilter,
        WebhookDrain,
      ],
    };
  }
}

/** The port that the platform talks to; it outlives the other one, so that draining can be seen. */
@Module({})
export class OpsModule {
  static of(replica: Replica): DynamicModule {
    return {
      module: OpsModule,
      imports: [TerminusModule.forRoot({ logger: false, errorLogStyle: 'json' })],
      controllers: [OpsController],
      providers: [
        { provide: Readiness, useValue: replica.readiness },
        { provide: Metrics, useValue: replica.metrics },
      ],
    };
  }
}
