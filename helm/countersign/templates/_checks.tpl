{{/*
What must not be: each with a sentence that says what to change. What is only unwise is said in NOTES.txt.
The shape of the values is values.schema.json's business; here is what a schema cannot say.
*/}}
{{- define "countersign.checks" -}}
{{- include "countersign.checks.ports" . -}}
{{- include "countersign.checks.files" . -}}
{{- include "countersign.checks.ledger" . -}}
{{- include "countersign.checks.rollout" . -}}
{{- include "countersign.checks.network" . -}}
{{- include "countersign.checks.evaluation" . -}}
{{- end -}}

{{- define "countersign.checks.ports" -}}
{{- if not .Values.image.repository -}}
{{- fail "image.repository: is missing; deploy/Dockerfile builds the image" -}}
{{- end -}}
{{- $sections := pick .Values.config "http" "ops" "webhooks" -}}
{{- range $name, $section := $sections -}}
{{- $port := int $section.port -}}
{{- if lt $port 1024 -}}
{{- fail (printf "config.%s.port: %d needs a capability that the pods do not have, and 0 takes any port: choose one from 1024 on" $name $port) -}}
{{- end -}}
{{- if has $section.host (list "127.0.0.1" "localhost" "::1") -}}
{{- fail (printf "config.%s.host: nothing outside the pod reaches %s: leave it away" $name $section.host) -}}
{{- end -}}
{{- end -}}
{{- if eq (int .Values.config.http.port) (int .Values.config.ops.port) -}}
{{- fail "config.ops.port: must differ from config.http.port" -}}
{{- end -}}
{{- with .Values.config.webhooks -}}
{{- if has (int .port) (list (int $.Values.config.http.port) (int $.Values.config.ops.port)) -}}
{{- fail "config.webhooks.port: must differ from config.http.port and config.ops.port" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.webhooks.service.enabled (not .Values.config.webhooks) -}}
{{- fail "webhooks.service: there is no port for it: the document has no section webhooks" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.checks.files" -}}
{{- $mounts := list -}}
{{- if .Values.storage.enabled -}}
{{- $mounts = append $mounts .Values.storage.mountPath -}}
{{- end -}}
{{- range .Values.extraVolumeMounts -}}
{{- $mounts = append $mounts .mountPath -}}
{{- end -}}
{{- range $name, $text := .Values.files -}}
{{- if contains "PRIVATE KEY-----" $text -}}
{{- fail (printf "files.%s: holds a private key, and a ConfigMap is no place for one: put it into a Secret NAME under KEY, and write secrets/NAME/KEY in the document" $name) -}}
{{- end -}}
{{- if eq $name "config.yaml" -}}
{{- fail "files.config.yaml: is the name of the document itself" -}}
{{- end -}}
{{- end -}}
{{- range (include "countersign.filesNamed" . | fromJson).found -}}
{{- $writes := or (hasSuffix ".directory" .path) (eq .path "config.ledger.embedded.file") -}}
{{- if hasPrefix "/" .text -}}
{{- $text := .text -}}
{{- $covered := false -}}
{{- range $mounts -}}
{{- if or (eq . $text) (hasPrefix (printf "%s/" (trimSuffix "/" .)) $text) -}}
{{- $covered = true -}}
{{- end -}}
{{- end -}}
{{- if not $covered -}}
{{- fail (printf "%s: nothing is mounted at %s: it must lie in storage.mountPath (with storage.enabled) or in one of extraVolumeMounts" .path .text) -}}
{{- end -}}
{{- else if $writes -}}
{{- fail (printf "%s: %s would be lost with the pod: name a folder of storage.mountPath (with storage.enabled) or of one of extraVolumeMounts" .path .text) -}}
{{- else if and (not (regexMatch `^secrets/[^/]+/[^/]+$` .text)) (not (hasKey $.Values.files .text)) -}}
{{- fail (printf "%s: there is no %s: give it in files, or write secrets/NAME/KEY for the key KEY of the Secret NAME" .path .text) -}}
{{- end -}}
{{- end -}}
{{- range .Values.config.workspaces -}}
{{- with get $.Values.files .policyFile -}}
{{- $problem := (fromYaml .).Error -}}
{{- if $problem -}}
{{- fail (printf "files: a policy is not YAML: %s" $problem) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if gt (len (include "countersign.documents" .)) 1000000 -}}
{{- fail "files: together with the document more than a ConfigMap holds (1 MB): mount asset listings by extraVolumes" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.checks.ledger" -}}
{{- $ledger := .Values.config.ledger -}}
{{- $mode := include "countersign.durability" . -}}
{{- if eq $mode "embedded" -}}
{{- if or .Values.autoscaling.enabled (gt (int .Values.replicas) 1) -}}
{{- fail "config.ledger.kind: embedded is for one replica: replicas of several nodes cannot share its file; set replicas to 1 and autoscaling off, or use Redis" -}}
{{- end -}}
{{- else -}}
{{- if ne 1 (len (pick $ledger.redis "url" "sentinel" "cluster")) -}}
{{- fail "config.ledger.redis: must have exactly one of url, sentinel and cluster" -}}
{{- end -}}
{{- if and (eq $mode "fence") (or (hasKey $ledger.redis "sentinel") (hasKey $ledger.redis "cluster")) (not .Values.acknowledge.operatorAfterFailover) -}}
{{- fail "config.ledger.durability.mode: with Sentinel or Cluster in fence mode nothing is decided after a fail-over until an operator has activated the ledger: use mode witness, or set acknowledge.operatorAfterFailover" -}}
{{- end -}}
{{- if eq $mode "witness" -}}
{{- $witnesses := len (default list ($ledger.durability).witnesses) -}}
{{- if or (lt $witnesses 3) (eq (mod $witnesses 2) 0) -}}
{{- fail (printf "config.ledger.durability.witnesses: %d of them: mode witness needs an odd number of at least three, each on a disk of its own" $witnesses) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and .Values.storage.enabled (not .Values.storage.existingClaim) (not (has "ReadWriteMany" .Values.storage.accessModes)) (gt (include "countersign.fewestReplicas" . | int) 1) -}}
{{- fail "storage.accessModes: several replicas share the volume: it must be ReadWriteMany" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.checks.rollout" -}}
{{- $several := gt (include "countersign.fewestReplicas" . | int) 1 -}}
{{- if and .Values.autoscaling.enabled (not $several) -}}
{{- fail "autoscaling.minReplicas: must be 2 or more: one replica cannot be replaced without loss" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (lt (int .Values.autoscaling.maxReplicas) (int .Values.autoscaling.minReplicas)) -}}
{{- fail "autoscaling.maxReplicas: must not be below autoscaling.minReplicas" -}}
{{- end -}}
{{- if and $several (eq (include "countersign.drain" . | int) 0) -}}
{{- fail "config.drain: 0s loses requests in every rollout: make it longer than the balancer takes to notice, 5s or more" -}}
{{- end -}}
{{- $needed := include "countersign.graceNeeded" . | int -}}
{{- with .Values.terminationGracePeriodSeconds -}}
{{- if lt (int .) $needed -}}
{{- fail (printf "terminationGracePeriodSeconds: %d is too short: preStopSeconds, drain and the last answers take %d; leave it away" (int .) $needed) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled -}}
{{- fail "metrics: serviceMonitor and podMonitor would scrape everything twice: enable one" -}}
{{- end -}}
{{- end -}}

{{- define "countersign.checks.network" -}}
{{- with .Values.networkPolicy -}}
{{- if and .enabled (not .balancers) -}}
{{- fail "networkPolicy.balancers: is empty, so nobody could call: name the balancer's pods or addresses" -}}
{{- end -}}
{{- if and .enabled (not .prometheus) (or $.Values.metrics.serviceMonitor.enabled $.Values.metrics.podMonitor.enabled) -}}
{{- fail "networkPolicy.prometheus: is empty, so Prometheus could not scrape: name its pods" -}}
{{- end -}}
{{- end -}}
{{- with .Values.ingress -}}
{{- if and .enabled (not (and .host .tlsSecretName)) -}}
{{- fail "ingress: host and tlsSecretName are needed: co-signers call https:// only" -}}
{{- end -}}
{{- end -}}
{{- with .Values.httpRoute -}}
{{- if and .enabled (not .parentRefs) -}}
{{- fail "httpRoute.parentRefs: names no Gateway" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The stores for evaluation are of use only when the document names them. */}}
{{- define "countersign.checks.evaluation" -}}
{{- $name := include "countersign.fullname" . -}}
{{- with .Values.evaluation -}}
{{- if or .redis .witnesses -}}
{{- if not .passwordSecret.name -}}
{{- fail "evaluation.passwordSecret.name: is missing: make a Secret that holds a password" -}}
{{- end -}}
{{- end -}}
{{- $hosts := list -}}
{{- range (include "countersign.addresses" $ | fromJson).found -}}
{{- $hosts = append $hosts (first (splitList "." .host)) -}}
{{- end -}}
{{- range $kind := list "redis" "witness" -}}
{{- if get $.Values.evaluation (ternary "redis" "witnesses" (eq $kind "redis")) -}}
{{- range $index := until 3 -}}
{{- $pod := printf "%s-%s-%d" $name $kind $index -}}
{{- if not (has $pod $hosts) -}}
{{- fail (printf "evaluation: the document must name %s.%s-%s, or replicas would not use it" $pod $name $kind) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
