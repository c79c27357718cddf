{{/* What the chart reads in the configuration document. */}}

{{/* Every text of the document with its path: one JSON list [path, text] a line. */}}
{{- define "countersign.texts" -}}
{{- $path := .path -}}
{{- if kindIs "map" .value -}}
{{- range $key, $value := .value -}}
{{- include "countersign.texts" (dict "path" (printf "%s.%s" $path $key) "value" $value) -}}
{{- end -}}
{{- else if kindIs "slice" .value -}}
{{- range $index, $value := .value -}}
{{- include "countersign.texts" (dict "path" (printf "%s[%d]" $path $index) "value" $value) -}}
{{- end -}}
{{- else if kindIs "string" .value -}}
{{ list $path .value | toJson }}
{{ end -}}
{{- end -}}

{{/* The texts whose path ends as the pattern says: `{ "found": [{ path, text }] }`. */}}
{{- define "countersign.textsAt" -}}
{{- $found := list -}}
{{- range $line := include "countersign.texts" (dict "path" "config" "value" .root.Values.config) | splitList "\n" -}}
{{- if $line -}}
{{- $pair := fromJsonArray $line -}}
{{- if regexMatch $.pattern (first $pair) -}}
{{- $found = append $found (dict "path" (first $pair) "text" (last $pair)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ dict "found" $found | toJson }}
{{- end -}}

{{/* Files and folders that the document names. */}}
{{- define "countersign.filesNamed" -}}
{{- include "countersign.textsAt" (dict "root" . "pattern" `\.(file|[a-zA-Z]+File|directory)$`) -}}
{{- end -}}

{{/* Hosts and ports that replicas connect to: `{ "found": [{ path, host, port }] }`. */}}
{{- define "countersign.addresses" -}}
{{- $found := list -}}
{{- $known := dict "redis" "6379" "rediss" "6379" "http" "80" "https" "443" "" "6379" -}}
{{- range (include "countersign.textsAt" (dict "root" . "pattern" `\.(url|endpoint|nodes\[\d+\])$`) | fromJson).found -}}
{{- $scheme := regexFind `^[a-z]+://` .text | trimSuffix "://" -}}
{{- $authority := regexReplaceAll `^([a-z]+://)?([^/]*@)?([^/]*).*$` .text "${3}" -}}
{{- $port := default (index $known $scheme) (regexFind `:[0-9]+$` $authority | trimPrefix ":") -}}
{{- $found = append $found (dict "path" .path "host" (regexReplaceAll `:[0-9]+$` $authority "") "port" $port) -}}
{{- end -}}
{{- if ((.Values.config.ledger).redis).sentinel -}}
{{- $found = append $found (dict "path" "config.ledger.redis.sentinel" "host" "whatever Sentinel names" "port" "6379") -}}
{{- end -}}
{{ dict "found" $found | toJson }}
{{- end -}}

{{/* Secrets that the document names, with their keys: `{ name: [key] }`. */}}
{{- define "countersign.secrets" -}}
{{- $secrets := dict -}}
{{- range (include "countersign.filesNamed" . | fromJson).found -}}
{{- if regexMatch `^secrets/[^/]+/[^/]+$` .text -}}
{{- $parts := splitList "/" .text -}}
{{- $name := index $parts 1 -}}
{{- $_ := set $secrets $name (append (default list (get $secrets $name)) (index $parts 2) | uniq) -}}
{{- end -}}
{{- end -}}
{{ $secrets | toJson }}
{{- end -}}

{{/* `500ms`, `8s`, `5m` in whole seconds, rounded up. */}}
{{- define "countersign.seconds" -}}
{{- $count := regexFind "^[0-9]+" . | int64 -}}
{{- $unit := regexFind "[a-z]+$" . -}}
{{- if eq $unit "ms" -}}
{{- div (add $count 999) 1000 -}}
{{- else -}}
{{- mul $count (get (dict "s" 1 "m" 60 "h" 3600 "d" 86400) $unit) -}}
{{- end -}}
{{- end -}}

{{- define "countersign.drain" -}}
{{- include "countersign.seconds" (default "0s" .Values.config.drain) -}}
{{- end -}}

{{/* No answer is given later than 30 s after its request came; 5 s are for closing. */}}
{{- define "countersign.graceNeeded" -}}
{{- add (int .Values.preStopSeconds) (include "countersign.drain" . | int) 35 -}}
{{- end -}}

{{- define "countersign.fewestReplicas" -}}
{{- ternary .Values.autoscaling.minReplicas .Values.replicas .Values.autoscaling.enabled -}}
{{- end -}}

{{/* The mode in which the ledger is durable: the document's, or what Countersign takes without one. */}}
{{- define "countersign.durability" -}}
{{- with .Values.config.ledger -}}
{{- if eq .kind "embedded" -}}
embedded
{{- else -}}
{{- default (ternary "witness" "fence" (or (hasKey .redis "sentinel") (hasKey .redis "cluster"))) (.durability).mode -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* A policy is read from the ledger, so replicas need not restart for another one. */}}
{{- define "countersign.checksum" -}}
{{- $files := deepCopy .Values.files -}}
{{- range .Values.config.workspaces -}}
{{- $files = omit $files .policyFile -}}
{{- end -}}
{{ dict "config" .Values.config "files" $files | toJson | sha256sum }}
{{- end -}}

{{/* The document and the files beside it, as a ConfigMap has them. */}}
{{- define "countersign.documents" -}}
config.yaml: |
  {{- toYaml .Values.config | nindent 2 }}
{{- range $name, $text := .Values.files }}
{{ $name | quote }}: {{ $text | toJson }}
{{- end }}
{{- end -}}

{{/*
What is routed to the replicas, and nothing else is: a JSON list. The last segment of a Virtual Signer's path is a secret,
which no route tells.
*/}}
{{- define "countersign.paths" -}}
{{- $paths := list -}}
{{- range .Values.config.workspaces -}}
{{- range .cosigners -}}
{{- $paths = append $paths (ternary (dir .path) .path (eq .protocol "iofinnet")) -}}
{{- end -}}
{{- end -}}
{{ $paths | uniq | toJson }}
{{- end -}}

{{/* The paths of one protocol, whole. Takes root and protocol. */}}
{{- define "countersign.pathsOf" -}}
{{- $protocol := .protocol -}}
{{- $paths := list -}}
{{- range .root.Values.config.workspaces -}}
{{- range .cosigners -}}
{{- if eq .protocol $protocol -}}
{{- $paths = append $paths .path -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ $paths | uniq | toJson }}
{{- end -}}

{{/* What co-signers append to the path that they are configured with, by how they speak. */}}
{{- define "countersign.transactionRoute" -}}
{{ ternary "/tx_sign_request" "/v2/tx_sign_request" (eq (default "jwt" .mode) "json") }}
{{- end -}}

{{/* Where Fireblocks co-signers ask about transactions, each with what a stranger may be told: a JSON list. */}}
{{- define "countersign.transactionPaths" -}}
{{- $paths := list -}}
{{- range .Values.config.workspaces -}}
{{- range .cosigners -}}
{{- if eq .protocol "fireblocks" -}}
{{- $statuses := ternary (list 400 401) (list 401) (eq (default "jwt" .mode) "json") -}}
{{- $paths = append $paths (dict "path" (printf "%s%s" .path (include "countersign.transactionRoute" .)) "statuses" $statuses) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{ $paths | uniq | toJson }}
{{- end -}}

{{/* Ports that replicas connect to outside the release, with their IPv4 addresses, or "any" where one has a name. */}}
{{- define "countersign.egress" -}}
{{- $own := printf "^%s-(redis|witness)-[0-9]+\\." (include "countersign.fullname" .) -}}
{{- $vendors := include "countersign.vendorPaths" . -}}
{{- $ports := dict -}}
{{- range (include "countersign.addresses" . | fromJson).found -}}
{{- $inside := or (regexMatch $own .host) (and $.Values.evaluation.redis (eq .path "config.ledger.redis.sentinel")) -}}
{{- if not (or $inside (regexMatch $vendors .path)) -}}
{{- $host := ternary .host "any" (regexMatch `^\d+\.\d+\.\d+\.\d+$` .host) -}}
{{- $_ := set $ports .port (append (default list (get $ports .port)) $host | uniq) -}}
{{- end -}}
{{- end -}}
{{ $ports | toJson }}
{{- end -}}

{{/* Addresses of the document that are a vendor's and no store of ours. */}}
{{- define "countersign.vendorPaths" -}}
\.(jwks|api)\.url$
{{- end -}}

{{/* The ports of those: a JSON list. */}}
{{- define "countersign.vendorPorts" -}}
{{- $vendors := include "countersign.vendorPaths" . -}}
{{- $ports := list -}}
{{- range (include "countersign.addresses" . | fromJson).found -}}
{{- if regexMatch $vendors .path -}}
{{- $ports = append $ports .port -}}
{{- end -}}
{{- end -}}
{{ $ports | uniq | toJson }}
{{- end -}}

{{/* To names, and to the stores and other addresses of the document: rules of a NetworkPolicy. */}}
{{- define "countersign.egressRules" -}}
- to: {{- toYaml .Values.networkPolicy.dns | nindent 4 }}
  ports:
    - { port: 53, protocol: UDP }
    - { port: 53, protocol: TCP }
{{- if or .Values.evaluation.redis .Values.evaluation.witnesses }}
- to:
    - podSelector:
        matchLabels: {{- include "countersign.selector" . | nindent 10 }}
        matchExpressions:
          - { key: app.kubernetes.io/component, operator: In, values: [redis, witness] }
  ports:
    - { port: 6379, protocol: TCP }
    - { port: 26379, protocol: TCP }
{{- end }}
{{- range $port, $hosts := include "countersign.egress" . | fromJson }}
- ports:
    - { port: {{ $port }}, protocol: TCP }
  {{- if $.Values.networkPolicy.stores }}
  to: {{- toYaml $.Values.networkPolicy.stores | nindent 4 }}
  {{- else if not (has "any" $hosts) }}
  to:
    {{- range $hosts }}
    - ipBlock: { cidr: {{ . }}/32 }
    {{- end }}
  {{- end }}
{{- end }}
{{- with .Values.networkPolicy.extraEgress }}
{{ toYaml . }}
{{- end }}
{{- end -}}
