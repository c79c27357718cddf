{{/* What all pods of our own image have in common. */}}

{{- define "countersign.podSecurity" -}}
runAsNonRoot: true
{{- with .Values.user }}
runAsUser: {{ . }}
runAsGroup: {{ . }}
fsGroup: {{ . }}
fsGroupChangePolicy: OnRootMismatch
{{- end }}
seccompProfile: { type: RuntimeDefault }
{{- end -}}

{{- define "countersign.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: { drop: [ALL] }
{{- end -}}

{{- define "countersign.podBasics" -}}
serviceAccountName: {{ include "countersign.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
securityContext: {{- include "countersign.podSecurity" . | nindent 2 }}
{{- with .Values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- end -}}

{{/*
The document, the files beside it and the keys of Secrets that it names, as one folder: of a Secret only what is named.
Takes root, the name of the ConfigMap, and storage: whether the pod needs the volume.
*/}}
{{- define "countersign.volumes" -}}
{{- $root := .root -}}
- name: documents
  projected:
    defaultMode: 288 # 0440: the group of the pod reads
    sources:
      - configMap: { name: {{ .configMap }} }
      {{- range $name, $keys := include "countersign.secrets" $root | fromJson }}
      - secret:
          name: {{ $name }}
          items:
            {{- range $keys }}
            - { key: {{ . | quote }}, path: {{ printf "secrets/%s/%s" $name . | quote }} }
            {{- end }}
      {{- end }}
{{- if .storage }}
- name: storage
  persistentVolumeClaim:
    claimName: {{ default (include "countersign.fullname" $root) $root.Values.storage.existingClaim }}
{{- end }}
{{- with $root.Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/* Takes root and storage. */}}
{{- define "countersign.volumeMounts" -}}
- { name: documents, mountPath: /etc/countersign, readOnly: true }
{{- if .storage }}
- { name: storage, mountPath: {{ .root.Values.storage.mountPath }} }
{{- end }}
{{- with .root.Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{/*
A hook that runs one command for each workspace, one container each: the image needs no shell. Takes root, name, hook,
weight, command (a list; WORKSPACE is replaced), and optionally configMap, volumes and mounts.
*/}}
{{- define "countersign.hook" -}}
{{- $root := .root -}}
{{- $fullname := include "countersign.fullname" $root -}}
{{- $embedded := eq (include "countersign.durability" $root) "embedded" -}}
{{- /* Only the embedded ledger lies there; and before an upgrade that asks for a first volume there is none. */ -}}
{{- $storage := and $root.Values.storage.enabled $embedded -}}
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $fullname }}-{{ .name }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "countersign.labels" $root | nindent 4 }}
    app.kubernetes.io/component: {{ .name }}
  annotations:
    helm.sh/hook: {{ .hook }}
    helm.sh/hook-weight: {{ .weight | quote }}
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
spec:
  # The store may still be starting: about six minutes of attempts.
  backoffLimit: {{ default 8 .attempts }}
  activeDeadlineSeconds: 600
  template:
    metadata:
      labels:
        {{- include "countersign.selector" $root | nindent 8 }}
        app.kubernetes.io/component: {{ .name }}
    spec:
      restartPolicy: Never
      {{- include "countersign.podBasics" $root | nindent 6 }}
      {{- if $embedded }}
      # The disk with the ledger is attached to the node of the replica.
      affinity:
        podAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels: {{- include "countersign.replicas" $root | nindent 18 }}
      {{- end }}
      containers:
        {{- $hook := . }}
        {{- range $index, $workspace := $root.Values.config.workspaces }}
        - name: {{ $hook.name }}-{{ $index }}
          image: {{ include "countersign.image" $root }}
          imagePullPolicy: {{ $root.Values.image.pullPolicy }}
          args:
            {{- range $hook.command }}
            - {{ . | replace "WORKSPACE" $workspace.name | quote }}
            {{- end }}
          securityContext: {{- include "countersign.containerSecurity" $root | nindent 12 }}
          resources:
            requests: { cpu: 50m, memory: 128Mi }
            limits: { memory: 256Mi }
          volumeMounts:
            {{- include "countersign.volumeMounts" (dict "root" $root "storage" $storage) | nindent 12 }}
            {{- with $hook.mounts }}
            {{- . | nindent 12 }}
            {{- end }}
        {{- end }}
      volumes:
        {{- include "countersign.volumes" (dict "root" $root "configMap" (default $fullname .configMap) "storage" $storage) | nindent 8 }}
        {{- with .volumes }}
        {{- . | nindent 8 }}
        {{- end }}
{{- end -}}
