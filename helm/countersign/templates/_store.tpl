{{/* Service, disruption budget, network policy and StatefulSet of one kind of store for evaluation. */}}
{{- define "countersign.store" }}
{{- $root := .root }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "countersign.labels" $root | nindent 4 }}
spec:
  clusterIP: None
  # They must find one another before they are ready.
  publishNotReadyAddresses: true
  selector: {{- include "countersign.storeSelector" . | nindent 4 }}
  ports:
    - { name: redis, port: 6379 }
    {{- if .sentinel }}
    - { name: sentinel, port: 26379 }
    {{- end }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "countersign.labels" $root | nindent 4 }}
spec:
  # Two of three are a majority.
  maxUnavailable: 1
  selector:
    matchLabels: {{- include "countersign.storeSelector" . | nindent 6 }}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels: {{- include "countersign.labels" $root | nindent 4 }}
spec:
  podSelector:
    matchLabels: {{- include "countersign.storeSelector" . | nindent 6 }}
  policyTypes: [Ingress, Egress]
  ingress:
    - from:
        - podSelector:
            matchLabels: {{- include "countersign.selector" $root | nindent 14 }}
  egress:
    - to: {{- toYaml $root.Values.networkPolicy.dns | nindent 8 }}
      ports:
        - { port: 53, protocol: UDP }
        - { port: 53, protocol: TCP }
    {{- if .sentinel }}
    - to:
        - podSelector:
            matchLabels: {{- include "countersign.storeSelector" . | nindent 14 }}
    {{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "countersign.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .component }}
spec:
  replicas: 3
  serviceName: {{ .name }}
  podManagementPolicy: Parallel
  selector:
    matchLabels: {{- include "countersign.storeSelector" . | nindent 6 }}
  # Its data is the ledger: it stays when the release goes.
  persistentVolumeClaimRetentionPolicy: { whenDeleted: Retain, whenScaled: Retain }
  template:
    metadata:
      labels: {{- include "countersign.storeSelector" . | nindent 8 }}
      annotations:
        checksum/config: {{ $root.Values.evaluation | toJson | sha256sum }}
    spec:
      automountServiceAccountToken: false
      enableServiceLinks: false
      # Redis and Sentinel look names up in their only thread, and stand still as long as nobody answers.
      dnsConfig: { options: [{ name: timeout, value: "1" }, { name: attempts, value: "1" }] }
      securityContext:
        runAsNonRoot: true
        runAsUser: 999
        runAsGroup: 999
        fsGroup: 999
        seccompProfile: { type: RuntimeDefault }
      # Two in one zone would go together, two on one node more often; a cluster of one node still runs them.
      topologySpreadConstraints:
        {{- range $key, $what := dict "topology.kubernetes.io/zone" "ScheduleAnyway" "kubernetes.io/hostname" "DoNotSchedule" }}
        - topologyKey: {{ $key }}
          maxSkew: 1
          whenUnsatisfiable: {{ $what }}
          labelSelector:
            matchLabels: {{- include "countersign.storeSelector" $ | nindent 14 }}
        {{- end }}
      containers:
        {{- include "countersign.storeContainer" (dict "root" $root "kind" "redis" "port" 6379 "memory" "512Mi") | nindent 8 }}
        {{- if .sentinel }}
        {{- include "countersign.storeContainer" (dict "root" $root "kind" "sentinel" "port" 26379 "memory" "64Mi") | nindent 8 }}
        {{- end }}
      volumes:
        - { name: config, configMap: { name: {{ .configMap }} } }
        - name: password
          secret:
            secretName: {{ $root.Values.evaluation.passwordSecret.name }}
            defaultMode: 288 # 0440: the group of the pod reads
            items: [{ key: {{ $root.Values.evaluation.passwordSecret.key | quote }}, path: password }]
  volumeClaimTemplates:
    - metadata: { name: data }
      spec:
        accessModes: [ReadWriteOnce]
        {{- with $root.Values.evaluation.storageClassName }}
        storageClassName: {{ . }}
        {{- end }}
        resources: { requests: { storage: {{ $root.Values.evaluation.size }} } }
{{- end }}

{{- define "countersign.storeSelector" -}}
{{ include "countersign.selector" .root }}
app.kubernetes.io/component: {{ .component }}
{{- end -}}

{{- define "countersign.storeContainer" -}}
- name: {{ .kind }}
  image: {{ .root.Values.evaluation.image }}
  command: [sh, /etc/redis/start.sh, {{ .kind }}]
  ports:
    - { name: {{ .kind }}, containerPort: {{ .port }} }
  readinessProbe:
    tcpSocket: { port: {{ .kind }} }
    periodSeconds: 5
  securityContext: {{- include "countersign.containerSecurity" .root | nindent 4 }}
  resources:
    requests: { cpu: 50m, memory: {{ .memory }} }
    limits: { memory: {{ .memory }} }
  volumeMounts:
    - { name: data, mountPath: /data }
    - { name: config, mountPath: /etc/redis, readOnly: true }
    - { name: password, mountPath: /run/secrets/redis, readOnly: true }
{{- end -}}
