/** The server that vendors' notifications come to, on a port of its own: strangers reach it, and never the one of co-signers. */
import type { DynamicModule } from '@nestjs/common';
import { type RawServerSettings, rawServer } from './raw-server.js';
import { listening, type RunningServer } from './servers.js';
import { WebhookFailureFilter } from './webhook.controller.js';

const RECEIVE_TIMEOUT_MS = 10_000;
const HEADERS_TIMEOUT_MS = 5_000;

export async function startWebhookServer(
  module: DynamicModule,
  settings: RawServerSettings,
): Promise<RunningServer> {
  const { app, adapter } = await rawServer(module, settings, {
    receiveTimeoutMs: RECEIVE_TIMEOUT_MS,
    headersTimeoutMs: HEADERS_TIMEOUT_MS,
    forceCloseConnections: true,
    return503OnClosing: true,
  });
  app.useGlobalFilters(app.get(WebhookFailureFilter));
  return listening(app, adapter, settings);
}
