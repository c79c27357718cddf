{{/* What is allowed and unwise in these values, one sentence each: a JSON list, printed by NOTES.txt. */}}
{{- define "countersign.warnings" -}}
{{- $say := list -}}
{{- $mode := include "countersign.durability" . -}}
{{- if not .Values.image.digest -}}
{{- $say = append $say "image.digest is empty: whoever can move the tag decides what approves your transactions." -}}
{{- end -}}
{{- if or .Values.evaluation.redis .Values.evaluation.witnesses -}}
{{- $say = append $say "evaluation: Redis, Sentinels or witnesses of this release have no TLS, one password and no care: for evaluation, not for money." -}}
{{- end -}}
{{- if eq $mode "embedded" -}}
{{- $say = append $say "The embedded ledger has one replica: every rollout and every dead node is an outage." -}}
{{- else if eq $mode "fence" -}}
{{- $say = append $say "Fence mode: after a promotion of Redis, or a restart that may have lost something, nothing is decided until an operator runs countersign ledger activate." -}}
{{- end -}}
{{- if and (ne $mode "embedded") (lt (include "countersign.fewestReplicas" . | int) 3) -}}
{{- $say = append $say "Fewer than 3 replicas: while one is replaced, the death of a node leaves none." -}}
{{- end -}}
{{- range (include "countersign.textsAt" (dict "root" . "pattern" `\.url$`) | fromJson).found -}}
{{- if hasPrefix "redis://" .text -}}
{{- $say = append $say (printf "%s: the connection is not encrypted, and who can write to it can change counters: use rediss://." .path) -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.config.ledger.kind "redis") (not .Values.config.ledger.redis.passwordFile) -}}
{{- $say = append $say "config.ledger.redis has no passwordFile: whoever reaches Redis can change counters." -}}
{{- end -}}
{{- with .Values.activation.operatorKey.secretName -}}
{{- $say = append $say (printf "An operator's private key is in the Secret %s: whoever can read it, or start pods here, can change what is approved." .) -}}
{{- end -}}
{{- $unseen := "" -}}
{{- if not .Values.config.http.trustedProxies -}}
{{- if or .Values.ingress.enabled .Values.httpRoute.enabled -}}
{{- $unseen = "requests come from the Ingress or Gateway controller: name it in config.http.trustedProxies" -}}
{{- else if and (ne .Values.service.type "ClusterIP") (ne .Values.service.externalTrafficPolicy "Local") -}}
{{- $unseen = "nodes put their own address in place of the caller's: set service.externalTrafficPolicy: Local, or name a balancer that reports it in config.http.trustedProxies" -}}
{{- end -}}
{{- end -}}
{{- range .Values.config.workspaces -}}
{{- range .cosigners -}}
{{- if and (eq .protocol "fireblocks") (eq (default "jwt" .mode) "json") -}}
{{- $say = append $say (printf "CALLERS ARE NOT AUTHENTICATED: co-signer %s speaks plain JSON (mode: json), so whoever calls from its networks, or shows a listed certificate, is answered as if they were it." .name) -}}
{{- end -}}
{{- if and .networks $unseen -}}
{{- $say = append $say (printf "Co-signer %s has networks, and %s." .name $unseen) -}}
{{- end -}}
{{- if and .clientCertificates (or $.Values.ingress.enabled $.Values.httpRoute.enabled) -}}
{{- $say = append $say (printf "Co-signer %s lists client certificates, and replicas see those of the Ingress or Gateway controller, if any: with a controller that ends TLS it is refused." .name) -}}
{{- end -}}
{{- if and (eq .protocol "fireblocks") (not .signers) -}}
{{- $say = append $say (printf "Co-signer %s lists no signers: any of its API users may ask for signatures." .name) -}}
{{- end -}}
{{- if eq .protocol "iofinnet" -}}
{{- $say = append $say (printf "Virtual Signer %s: its path is a secret, and it stands in the ConfigMap: whoever reads ConfigMaps here knows it. Its networks are what keeps strangers out." .name) -}}
{{- end -}}
{{- if and (hasKey . "retrySupported") (not .retrySupported) -}}
{{- $say = append $say (printf "Co-signer %s does not know RETRY: what cannot be decided within 25 s fails for good." .name) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.ingress.enabled .Values.httpRoute.enabled) -}}
{{- $say = append $say "No Ingress and no HTTPRoute: with a balancer that only passes connections through, the death of a replica loses what is in flight. Put one in front that ends TLS and repeats (docs/kubernetes.md)." -}}
{{- else if hasKey .Values.config.http "tls" -}}
{{- $say = append $say "config.http.tls with an Ingress or HTTPRoute: if the controller passes TLS through, the death of a replica loses what is in flight; let it end TLS and speak TLS to the pods." -}}
{{- end -}}
{{- if .Values.httpRoute.enabled -}}
{{- $say = append $say "An HTTPRoute says nothing of repeating: give the Gateway a policy of its own kind that sends a request to another pod when a connection fails or closes without an answer, or the death of a replica loses what is in flight." -}}
{{- end -}}
{{- if and (ne .Values.service.type "ClusterIP") (not (hasKey .Values.config.http "tls")) -}}
{{- $say = append $say (printf "service.type %s without config.http.tls: requests travel in the clear." .Values.service.type) -}}
{{- end -}}
{{- if not .Values.networkPolicy.enabled -}}
{{- $say = append $say "networkPolicy.enabled is false: every pod of the cluster reaches the replicas' metrics and readiness." -}}
{{- else if not .Values.networkPolicy.stores -}}
{{- range $port, $hosts := include "countersign.egress" . | fromJson -}}
{{- if has "any" $hosts -}}
{{- $say = append $say (printf "networkPolicy.stores is empty and the document has names: pods may connect to port %s of any address." $port) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if not (or .Values.metrics.serviceMonitor.enabled .Values.metrics.podMonitor.enabled) -}}
{{- $say = append $say "No ServiceMonitor and no PodMonitor: see that something else scrapes the ops port." -}}
{{- end -}}
{{- if not .Values.metrics.prometheusRule.enabled -}}
{{- $say = append $say "No PrometheusRule: nobody is woken when co-signers are told to ask again for minutes." -}}
{{- end -}}
{{- if not .Values.config.audit -}}
{{- $say = append $say "The document has no audit section: the journal is kept in the ledger only." -}}
{{- end -}}
{{- if has ((.Values.config.logging).level) (list "warn" "error") -}}
{{- $say = append $say "config.logging.level is above info: decisions are not logged." -}}
{{- end -}}
{{- if not .Values.ledger.check -}}
{{- $say = append $say "ledger.check is false: an upgrade with a wrong password or address rolls out, and every replica then answers RETRY." -}}
{{- end -}}
{{ $say | toJson }}
{{- end -}}
