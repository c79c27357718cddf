/** The generated parts of docs/: what the schema, the metrics and the reason codes say of themselves. */
import { z } from 'zod';
import { configSchema } from '../../src/config/schema.js';
import {
  REASONS,
  type ReasonCode,
  UNDECIDED,
  type UndecidedReason,
  type VerificationReason,
} from '../../src/core/decision.js';
import { CHANGE_TYPES, type ChangeType, changeFieldsOf } from '../../src/core/policy/change-types.js';
import { Metrics } from '../../src/telemetry/metrics.js';
import { alerts, runbooks } from './alerts.js';

/** The part of JSON Schema that the configuration schema comes to. */
interface Schema {
  readonly type?: string;
  readonly title?: string;
  readonly description?: string;
  readonly default?: unknown;
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly oneOf?: readonly Schema[];
  readonly anyOf?: readonly Schema[];
  readonly minItems?: number;
  readonly maxItems?: number;
}

interface Field {
  readonly path: string;
  readonly schema: Schema;
  /** `either`: this field or one of its siblings. */
  readonly required: boolean | 'either';
}

function schemaOfConfig(): Schema {
  return z.toJSONSchema(configSchema('/'), { io: 'input' }) as Schema;
}

/** Every field of the configuration document, a parent before its members. */
export function configFields(): readonly Field[] {
  return membersOf(schemaOfConfig(), '');
}

function membersOf({ properties = {}, required = [] }: Schema, prefix: string): Field[] {
  return Object.entries(properties).flatMap(([key, schema]) => {
    const path = `${prefix}${key}`;
    return [{ path, schema, required: required.includes(key) }, ...insideOf(schema, path)];
  });
}

function insideOf({ items, oneOf = [], anyOf = [], ...schema }: Schema, path: string): Field[] {
  if (items !== undefined) return insideOf(items, `${path}[]`);
  const either = anyOf.flatMap((branch) => membersOf(branch, `${path}.`));
  const alternatives = new Set(
    anyOf.flatMap(({ properties = {} }) => Object.keys(properties)).map((key) => `${path}.${key}`),
  );
  return [
    ...membersOf(schema, `${path}.`),
    ...merged(oneOf.map((branch) => ({ branch: branchName(branch), fields: membersOf(branch, `${path}.`) }))),
    ...either.map((field) =>
      alternatives.has(field.path) ? { ...field, required: 'either' as const } : field,
    ),
  ];
}

interface Branch {
  readonly branch: string;
  readonly fields: readonly Field[];
}

/** What one alternative has and others do not, or mean otherwise, says of which alternative it speaks. */
function merged(branches: readonly Branch[]): Field[] {
  const alone = branches.length === 1 || branches.every(({ branch }) => branch === '');
  return branches.flatMap(({ branch, fields }) =>
    fields.flatMap((field): Field[] => {
      const alike = branches.filter(({ fields: others }) =>
        others.some(
          ({ path, schema }) => path === field.path && schema.description === field.schema.description,
        ),
      );
      if (alone) return [field];
      if (alike.length === branches.length) return alike[0]?.branch === branch ? [field] : [];
      const schema = { ...field.schema, description: `\`${branch}\`: ${field.schema.description ?? ''}` };
      return [{ ...field, schema: field.schema.description === undefined ? field.schema : schema }];
    }),
  );
}

function branchName({ properties = {} }: Schema): string {
  return String(properties.protocol?.const ?? '');
}

/** Fields that co-signers of this protocol have and the others do not. */
export function fieldsOfOneProtocol(protocol: string): readonly string[] {
  const union = schemaOfConfig().properties?.workspaces?.items?.properties?.cosigners?.items?.oneOf ?? [];
  const of = (branch: Schema) => membersOf(branch, 'workspaces[].cosigners[].').map(({ path }) => path);
  const others = new Set(union.filter((branch) => branchName(branch) !== protocol).flatMap(of));
  return union
    .filter((branch) => branchName(branch) === protocol)
    .flatMap(of)
    .filter((path) => !others.has(path));
}

/** One table per top-level field; the two kinds of a ledger get one each. */
export function configTables(): string {
  const { properties = {}, required = [] } = schemaOfConfig();
  return Object.entries(properties)
    .map(([key, schema]) => {
      const inside = insideOf(schema, key);
      if (schema.properties === undefined && schema.oneOf === undefined)
        return `## ${key}\n\n${fieldTable([{ path: key, schema, required: required.includes(key) }, ...inside])}`;
      const head = `## ${key}\n\n${schema.description ?? ''}`;
      if (schema.oneOf === undefined) return `${head}\n\n${fieldTable(inside)}`;
      const branches = schema.oneOf.map((branch) => {
        const kind = String(branch.properties?.kind?.const);
        return `### ${key}, kind: ${kind}\n\n${fieldTable(membersOf(branch, `${key}.`))}`;
      });
      return [head, ...branches].join('\n\n');
    })
    .join('\n\n');
}

function fieldTable(fields: readonly Field[]): string {
  return table(
    ['field', 'type', 'default', 'meaning'],
    fields.map(({ path, schema, required }) => [
      `\`${path}\``,
      typeOf(schema),
      defaultOf(schema, required),
      schema.description ?? '',
    ]),
  );
}

function typeOf(schema: Schema): string {
  if (schema.const !== undefined) return `\`${String(schema.const)}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${String(value)}\``).join(', ');
  if (schema.items !== undefined) {
    const { minItems = 0, maxItems } = schema;
    const count = maxItems === undefined ? `${minItems} or more` : `${minItems} to ${maxItems}`;
    return `list, ${count}: ${typeOf(schema.items)}`;
  }
  return schema.title ?? (schema.properties === undefined ? (schema.type ?? 'section') : 'section');
}

function defaultOf(schema: Schema, required: Field['required']): string {
  if (schema.default !== undefined && schema.properties === undefined) {
    return `\`${typeof schema.default === 'string' ? schema.default : JSON.stringify(schema.default)}\``;
  }
  if (required === 'either') return 'one of these';
  return required ? 'required' : '';
}

/** What to do about each metric; the rest is its own help text. */
const METRIC_ADVICE: Readonly<Record<string, string>> = {
  countersign_cosigner_unauthenticated:
    '`CountersignCallersUnauthenticated`. Whoever calls from its networks is answered: prefer the options in which messages are signed.',
  countersign_certificate_not_before_timestamp_seconds:
    '`CountersignCertificateOld`: a certificate, and with `keepKey` its key, that nobody has renewed for two years.',
  countersign_requests_total:
    'Traffic by answer. A co-signer that falls silent has lost its handler or its network: `CountersignCosignerSilent`.',
  countersign_decisions_total:
    '`CountersignNothingApproved`. Watch the share of `reject` and new values of `reason`: see the reason codes in operations.md.',
  countersign_repeated_answers_total:
    'Normal after retries and fail-over of co-signers. A steady rise means that answers arrive late.',
  countersign_config_changes_total:
    '`CountersignControlChange` at the first one of policy, users, quorum, devices, one-time addresses or of an unknown type.',
  countersign_conflicts_total: '`CountersignConflict` at the first one: the same id came with other content.',
  countersign_undecided_total:
    '`CountersignNotDeciding`, `CountersignUndecided`: the vendor’s retries run out (Fireblocks: 20 times, 3 minutes apart).',
  countersign_unsigned_votes_total:
    '**Alert on any where the contract mode is not meant**: it is weaker than signed votes (docs/protocols/iofinnet.md).',
  countersign_refused_messages_total:
    'After set-up it stands still. `SIGNATURE`: a key is not the configured one; `KEY_EXPIRED`, `KEY_NOT_YET`: it is, but not now; `CountersignSignatureFailures` at a burst.',
  countersign_unknown_paths_total:
    'After set-up it stands still. A wrong callback URL, or a proxy that strips the path.',
  countersign_tls_handshakes_failed_total:
    'After set-up it stands still but for `CLOSED`; `CountersignHandshakesFail` at a burst. A co-signer that finds another key than it pinned is not in it: it only goes, and `CountersignCosignerSilent` rings.',
  countersign_request_duration_seconds:
    '`CountersignAnswersSlow` by the share above 5 s: co-signers give up at 30 s.',
  countersign_step_duration_seconds:
    'Where the time goes: `commit` is the ledger, `answer` the signature, `examine` a node behind `prevouts`.',
  countersign_unexpected_faults_total: '`CountersignDefect`. The log line `unexpected fault` has the stack.',
  countersign_faults_total:
    '`CountersignDefect` for `INTERNAL`; on the others when they repeat. The log line `fault while deciding` has the cause.',
  countersign_limit_used_ratio:
    'For dashboards, as `max` over replicas. The ledger is asked anew for each scrape, so it falls when a window passes.',
  countersign_limit_near_total: '`CountersignLimitNear`: tell those who own the limit before it is full.',
  countersign_limit_refusals_total: '`CountersignLimitExceeded`: rejections are permanent.',
  countersign_shadow_limit_exceeded_total:
    'Before a shadow rule is enforced: how often its limits would have refused.',
  countersign_retries_outstanding:
    'What waits for the vendor’s next ask, by `max` over replicas: each knows what all posted. `countersign status` lists them.',
  countersign_retry_oldest_seconds: 'For dashboards, by `max` over replicas.',
  countersign_retry_budget_ratio:
    '`CountersignRetriesRunningOut` and `CountersignPolicyRetriesWaiting` below one half, by `min` over replicas. The schedule is `retries` of the co-signer.',
  countersign_retry_budget_seconds: 'How soon somebody must have mended it, by `min` over replicas.',
  countersign_retries_given_up_total:
    '`CountersignRetriesGivenUp`: those transactions have failed. `sum` over replicas counts each once.',
  countersign_retries_forgotten_total: 'Above 0 the figures of retries are too low.',
  countersign_retry_board_failures_total:
    'Rises while the ledger is away or fenced: `countersign status` then lacks the newest, and each replica’s figures are of its own asks.',
  countersign_ledger_duration_seconds:
    '`CountersignLedgerSlow` by the 99th percentile of `commit`: the disk of Redis.',
  countersign_ledger_errors_total: 'By `code`: `LEDGER_UNAVAILABLE` is network, password or TLS.',
  countersign_ledger_problem:
    '`CountersignLedgerFenced` for `FENCED`: an operator is needed. `CountersignClockSkew` for `CLOCK`. Most others are settings of Redis; `countersign ledger status` says what to change.',
  countersign_recovering: '`CountersignRecoverySlow` after two minutes: nothing is decided meanwhile.',
  countersign_recoveries_total: '`CountersignRecoveryFailed`. Each one was a restart or fail-over of Redis.',
  countersign_recovery_seconds: 'How long nothing is decided after a fail-over: more with every record.',
  countersign_recovery_records: 'What the next recovery will have to read, about.',
  countersign_witness_up: '`CountersignWitnessDown`, and `CountersignWitnessesLost` without a majority.',
  countersign_witness_blank: '`CountersignWitnessBlank`: it has lost its data.',
  countersign_witness_append_seconds: 'The slower of the fastest majority: its disk, or the way to it.',
  countersign_ledger_oldest_event_timestamp_seconds:
    '`CountersignNothingForgotten` when it stays behind the retention: the log says what is in the way.',
  countersign_ledger_retention_seconds: 'What the age of the oldest event is compared with.',
  countersign_ledger_forgotten_events_total:
    'Rises by about as many as are decided, once the ledger is as old as its retention.',
  countersign_requests_in_flight:
    'A replica that is told to stop ends when this is 0. A plateau means that the ledger is slow.',
  countersign_ready: '`CountersignReplicaNotReady`; `CountersignLedgerDown` when it is all replicas.',
  countersign_policy_info:
    '`CountersignPolicyChanged`, `CountersignPoliciesDiffer`. A replica that cannot read the ledger keeps the version it last knew.',
  countersign_policy_problem:
    '`CountersignPolicyUntrusted`, `CountersignPolicyUnusable`: nothing is decided.',
  countersign_policy_unverified_rules:
    '`CountersignUnverifiedRules`: those rules trust the co-signer’s word.',
  countersign_freezes:
    '`CountersignFrozen`: `countersign status` says whose it is and why. `reject` refuses for good.',
  countersign_build_info: 'During an upgrade two versions; afterwards one.',
  countersign_certificate_expiry_timestamp_seconds:
    '`CountersignCertificateExpiring`. A renewed certificate of `http.tls` is taken within seconds, others when a replica starts.',
  countersign_key_file_modified_timestamp_seconds:
    '`CountersignKeyOld`. A copied file looks younger than its key.',
  countersign_reloads_total:
    'After a rotation every replica has counted one more `ok`. The log line `reloaded` names the files.',
  countersign_key_valid_until_timestamp_seconds:
    '`CountersignKeyEnding`, then `CountersignKeyEndsNow`. `countersign keys show --config FILE` lists them all.',
  countersign_cosigner_key_used_total:
    'A key of a co-signer may go when `sum by (key) (increase(…[1d]))` has been 0 for as long as its co-signer is used. `countersign keys show --config FILE` shows whose digits they are.',
  countersign_config_info:
    '`CountersignConfigurationsDiffer` after an hour. `sha256sum` of the document begins with it.',
  countersign_restart_needed:
    '`CountersignRestartNeeded`. The log line `needs a restart` names the fields; during an upgrade it is 1 for a moment.',
  countersign_reload_failed:
    '`CountersignReloadFailed`. The log line `not reloaded` says why; the replica would not start anew.',
  countersign_open_transactions:
    'Only the replica that follows has it: `max` over replicas. Without webhooks or `api.sweep` nobody has.',
  countersign_open_transaction_oldest_seconds:
    'For dashboards. A stuck webhook or a stuck chain shows here first.',
  countersign_unfinished_transactions:
    '`CountersignTransactionsUnfinished`: `countersign status` lists the oldest.',
  countersign_open_transactions_forgotten: 'Above 0 the figures of open transactions are too low.',
  countersign_api_calls_total:
    '`CountersignApiFailing` when no call of a purpose ends well. `key`, `permission`: see the API user.',
  countersign_sweep_answers_total:
    '`foreign` and `unreadable` never move charges; many of them are a fault of whatever answers.',
  countersign_handler_check:
    '`CountersignHandlerMissing` for `missing`, `other-url`, `other-key`; `CountersignHandlerUnknown` for the two others. `countersign doctor` names them.',
  countersign_handler_check_timestamp_seconds:
    'By the newest over all replicas; a failing check does not move it.',
  countersign_workspace_policy_changed_total:
    '`CountersignVendorPolicyChanged`. The log line `the workspace’s own policy changed under us` has the version.',
  countersign_workspace_policy_changed_timestamp_seconds:
    'For dashboards: since when requests come under other rules.',
  countersign_reports_total:
    'What became of transactions. `never-signed` gives charges back; a share that rises means that much is approved for nothing.',
  countersign_released_transactions_total:
    'Each is a `release` event of the journal. Of other transactions than these nothing is given back by itself.',
  countersign_signed_without_approval_total:
    '`CountersignSignedWithoutApproval` at the first one. The log line `signed without approval` names it.',
  countersign_signed_by_others_total:
    'As many as people sign by hand. More: somebody signs where Countersign should be asked.',
  countersign_report_unknown_statuses_total:
    '`CountersignWebhooksRefused`: the vendor has new words; see whether a newer version knows them.',
  countersign_webhook_notifications_total:
    '`CountersignWebhooksSilent` when none come, `CountersignWebhooksFailing` for `failed`. The log lines `report` and `notification not settled` have more.',
  countersign_webhook_refused_total:
    '`CountersignWebhooksRefused`, `CountersignWebhooksFailing`. `UNSIGNED` is what scanners send. The log line `notification refused` says why.',
  countersign_webhook_unknown_paths_total:
    'After set-up it stands still but for scanners. A wrong URL at the vendor, or a proxy that strips the path.',
  countersign_webhook_keys_loaded_timestamp_seconds:
    '0 for longer than a start takes: the log line `webhook keys are not loaded` says why.',
  countersign_webhook_key_failures_total:
    '`CountersignWebhooksFailing`: known keys go on being used, until the vendor rotates them.',
  countersign_audit_lines_total: 'Sum over the replicas; events that two of them exported count twice.',
  countersign_audit_behind_events:
    '`CountersignAuditLagging`: what is not exported is not trimmed either, and the ledger grows.',
  countersign_audit_last_success_timestamp_seconds:
    '`CountersignAuditLagging` by the newest over all replicas. The log line `audit export failed` says why.',
  countersign_audit_errors_total:
    'A full disk, a folder that cannot be written to, a damaged file: see the log line `audit export failed`.',
  countersign_originals_written_total:
    'Where originals are kept it rises as `countersign_requests_total` does, but for answers of "none".',
  countersign_originals_dropped_total:
    '`CountersignOriginalsNotKept`: these messages are lost as evidence; the journal still has the decisions.',
  countersign_originals_errors_total:
    '`CountersignOriginalsNotKept`. The log line `originals are not kept` says why; it goes on by itself when the disk is mended.',
};

export async function metricsTable(): Promise<string> {
  const { registry } = new Metrics();
  const own = (await registry.getMetricsAsJSON()).filter(({ name }) => name.startsWith('countersign_'));
  const rows = own.map(({ name, type, help }) => {
    const metric = registry.getSingleMetric(name) as { readonly labelNames?: readonly string[] } | undefined;
    const advice = METRIC_ADVICE[name];
    if (advice === undefined) throw new Error(`docs: nothing says what to do about the metric ${name}`);
    const labels = (metric?.labelNames ?? []).map((label) => `\`${label}\``).join(' ');
    return [`\`${name}\``, String(type), labels, help, advice];
  });
  const unknown = Object.keys(METRIC_ADVICE).filter((name) => !own.some((metric) => metric.name === name));
  if (unknown.length > 0) throw new Error(`docs: there is no metric ${unknown.join(', ')}`);
  return table(['metric', 'type', 'labels', 'meaning', 'what to do'], rows);
}

export function alertsTable(): string {
  const texts = runbooks();
  const rows = alerts().map(({ alert, labels, for: waits }) => {
    const [, meaning = ''] = /^# .*\n\n([^\n]*?) Severity:/.exec(texts.get(alert) ?? '') ?? [];
    return [`[\`${alert}\`](runbooks/${alert}.md)`, labels.severity ?? '', waits ?? 'at once', meaning];
  });
  return table(['alert', 'severity', 'after', 'meaning'], rows);
}

/** What an operator does when a co-signer is told to ask again. */
const UNDECIDED_ADVICE: Readonly<Record<UndecidedReason, string>> = {
  STAGE_UNCLEAR:
    'List the API user under `signers` with the stages it serves; use different API users for approving and signing.',
  SIGNER_NOT_LISTED:
    'List the API user under `signers`, with the stage it asked for; if you do not know it, find out who paired it.',
  NOT_VOTING: 'Nothing: the vendor asked about an operation whose voting is over.',
  EXPIRED:
    'Nothing, if people were slow. Otherwise compare the clocks of the replicas; an expired operation must be made anew.',
  DEADLINE:
    'The ledger is slow: look at Redis (`INFO commandstats`, disk latency, `appendfsync always` on a slow disk).',
  LEDGER_UNAVAILABLE: 'Start Redis, mend the network, the password or TLS. Replicas recover by themselves.',
  LEDGER_MISSING:
    'New installation: `countersign ledger init`. Otherwise the data is gone: **do not** run it; stop, restore the append-only file, and read “Backups”.',
  LEDGER_FENCED:
    '`/readyz` and `countersign ledger status` say why. When the old primary is certain to be stopped: `countersign ledger activate`; see “Redis for a ledger”.',
  LEDGER_RECOVERING:
    'Nothing, if it ends by itself: a recovery takes about a second for 10,000 events. If it lasts: `/readyz` and `countersign ledger status` say what it waits for, mostly for a majority of witnesses.',
  LEDGER_CORRUPT:
    'Another version or program wrote to the store. Stop, keep a copy of the data, and compare versions.',
  POLICY_MISSING: '`countersign policy activate`.',
  POLICY_UNTRUSTED:
    'The operator whose key signed the activation is not under `operators` of this replica; or somebody wrote to the ledger. Find out which before you activate anew.',
  POLICY_INVALID:
    'The log line `fault while deciding` says why: mostly a window longer than `ledger.retention`, or a freeze whose scope is no `match` block.',
  CLOCK_SKEW: 'Mend time synchronisation (NTP) of the replica or the Redis host.',
  RULE_RETRIES: 'Nothing: the policy says so. Mind how long the vendor goes on asking.',
  LIMIT_FULL_RETRY: 'Nothing, or raise the limit: room comes back as the window passes.',
  FREEZE_RETRIES: '`countersign status` shows which, whose and why; `countersign unfreeze` lifts it.',
  COOLING_OFF_RETRIES:
    'Nothing, or ask anew later: `coolingOff` of the policy says for how long a destination waits after its whitelisting was approved here.',
  EVIDENCE_UNAVAILABLE: 'Bring the source named in the log back.',
  OVERLOADED: 'Add replicas.',
  INTERNAL:
    'Read the `cause` in the log line `fault while deciding`: the active policy cannot be served under this configuration, or it is a defect of ours; then report it with its stack.',
};

type OwnReason = Exclude<ReasonCode, VerificationReason>;

/** What an operator does when something was decided. */
const DECIDED_ADVICE: Readonly<Record<OwnReason, string>> = {
  APPROVED: '',
  NO_RULE_MATCHED: '`countersign policy explain` shows which condition of each rule did not hold.',
  RULE_REJECTS: 'Intended by the policy.',
  RULE_IGNORES: 'Intended by the policy: other approvers decide.',
  LIMIT_EXCEEDED: 'The sentence names the limit. A refused transaction stays refused: it must be made anew.',
  AMOUNT_UNKNOWN:
    'A limit counts something that the request does not show, often `usd` of an asset without a price. Limit it in its own units.',
  CHARGES_TOO_MANY:
    'More destinations than the limits of the rule can count one by one. Use fewer `per: destination` limits.',
  DESTINATIONS_TOO_MANY:
    'More than 256 destinations are unknown to every rule, limit and cooling-off. Pay them in several transactions.',
  FROZEN: 'A freeze that rejects is in force: `countersign status`.',
  CONFLICT_CONTENT: '**Investigate**: one id, two contents. What was decided first stands.',
  CONFLICT_TRANSACTION:
    '**Investigate**: one transaction, two contents, at different stages or from different co-signers.',
  CONFLICT_BINDING: '**Investigate**: one request id names two transactions.',
  CONFLICT_AMOUNT: '**Investigate**: more is to be signed than was approved.',
  EXPIRY_UNKNOWN:
    'The message names no end, or one that cannot be read. io.finnet: see “Transfers of the current generation” in its page.',
  VAULT_UNKNOWN:
    'The message does not show the whole new vault. Let people vote on it, or compare a captured message with the page of the protocol.',
  DEVICE_SUFFICES: 'Raise the threshold, or give no device that much weight.',
  THRESHOLD_UNREACHABLE: 'Lower the threshold, or add devices: nobody could sign with such a vault any more.',
  COOLING_OFF:
    'Intended by `coolingOff` of the policy: the destination was whitelisted here a short while ago. Once its time has passed the transaction can be made anew.',
  REJECTED_BEFORE: 'What was rejected once is not approved at another stage. It must be made anew.',
  RELEASED_BEFORE:
    '**Investigate**: somebody asks for a signature of a transaction that was said to be over. What it had charged was given back.',
};

/** The configuration changes that the vendor documents. */
export function changesTable(): string {
  const types: readonly (readonly [string, ChangeType])[] = Object.entries(CHANGE_TYPES);
  const rows = types.map(([type, { meaning, risk }]) => {
    const fields = Object.entries(changeFieldsOf(type) ?? {}).map(([name, kind]) => {
      if (kind === 'secret') return `(\`${name}\`)`;
      return kind === 'json' ? `\`${name}.…\`` : `\`${name}\``;
    });
    return [`\`${type}\``, meaning, risk, fields.length === 0 ? 'not documented' : fields.join(' ')];
  });
  return table(['`type`', 'what changes', 'risk', '`extraInfo` that rules see'], rows);
}

export function undecidedTable(): string {
  return table(
    ['reason', 'meaning', 'what to do'],
    Object.entries(UNDECIDED).map(([code, meaning]) => [
      `\`${code}\``,
      meaning,
      UNDECIDED_ADVICE[code as UndecidedReason],
    ]),
  );
}

export function decidedTable(): string {
  return table(
    ['reason', 'meaning', 'what to do'],
    Object.entries(DECIDED_ADVICE).map(([code, advice]) => [
      `\`${code}\``,
      REASONS[code as OwnReason],
      advice,
    ]),
  );
}

export function verificationTable(): string {
  return table(
    ['reason', 'meaning'],
    Object.entries(REASONS)
      .filter(([code]) => !Object.hasOwn(DECIDED_ADVICE, code))
      .map(([code, meaning]) => [`\`${code}\``, meaning]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
  return [line(head), `|${'---|'.repeat(head.length)}`, ...rows.map(line)].join('\n');
}
