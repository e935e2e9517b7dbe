{{/* The pod of a workload. Takes root and w. */}}
{{- define "factro-bridge.pod" -}}
{{- $root := .root -}}
{{- $w := .w -}}
metadata:
  labels:
    {{- include "factro-bridge.podLabels" (dict "root" $root "component" $w.component) | nindent 4 }}
    {{- with $w.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # Configuration is read at the start, so a change of it starts new pods. Your Secrets are read again while it
    # runs.
    checksum/config: {{ include "factro-bridge.configFiles" . | sha256sum | quote }}
    {{- with include "factro-bridge.madeSecretData" $root }}
    checksum/values: {{ sha256sum . | quote }}
    {{- end }}
    {{- with merge (dict) $w.podAnnotations $root.Values.commonAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  {{- include "factro-bridge.podSettings" . | nindent 2 }}
  terminationGracePeriodSeconds: {{ include "factro-bridge.gracePeriod" . }}
  {{- with $w.initContainers }}
  initContainers:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  containers:
    - name: bridge
      {{- include "factro-bridge.container" . | nindent 6 }}
      args: [run, --config, /etc/factro-bridge/bridge.yaml]
      ports:
        {{- if has "ingress" $w.roles }}
        - {name: http, containerPort: 8080}
        {{- end }}
        - {name: admin, containerPort: 9090}
      {{- if gt (int $w.preStopSeconds) 0 }}
      lifecycle:
        preStop: {sleep: {seconds: {{ int $w.preStopSeconds }}}}
      {{- end }}
      startupProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml $w.startupProbe | nindent 8 }}
      livenessProbe:
        httpGet: {path: /livez, port: admin}
        {{- toYaml $w.livenessProbe | nindent 8 }}
      readinessProbe:
        httpGet: {path: /readyz, port: admin}
        {{- toYaml $w.readinessProbe | nindent 8 }}
      volumeMounts:
        {{- include "factro-bridge.mounts" . | nindent 8 }}
        {{- if has "reconcile" $w.roles }}
        - {name: tmp, mountPath: /tmp}
        {{- end }}
        {{- if $w.spools }}
        - {name: spool, mountPath: /var/lib/factro-bridge}
        {{- end }}
        {{- with $w.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
    {{- with $w.extraContainers }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  volumes:
    {{- include "factro-bridge.volumes" (dict "root" $root "roles" $w.roles "natsCredentials" $w.natsCredentials "config" $w.name) | nindent 4 }}
    {{- if has "reconcile" $w.roles }}
    # What reconciling compares, if it is more than fits into memory.
    - {name: tmp, emptyDir: {}}
    {{- end }}
    {{- if and $w.spools (eq $w.kind "Deployment") }}
    - name: spool
      emptyDir:
        {{- toYaml $root.Values.spool.emptyDir | nindent 8 }}
    {{- end }}
    {{- with $w.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
{{- end }}

{{/* What all pods of the bridge have in their spec, the canary too. Takes root and w. */}}
{{- define "factro-bridge.podSettings" -}}
serviceAccountName: {{ include "factro-bridge.serviceAccountName" .root | quote }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  {{- toYaml .w.podSecurityContext | nindent 2 }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- include "factro-bridge.placement" . }}
{{- end }}

{{/* Where a pod may run, for NATS too. Takes root, and w with the settings and component. */}}
{{- define "factro-bridge.placement" -}}
{{- with .w.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with .w.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .w.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .w.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .w.topologySpreadConstraints }}
topologySpreadConstraints:
  {{- $mine := dict "matchLabels" (include "factro-bridge.selector" (dict "root" $.root "component" $.w.component) | fromYaml) }}
  {{- range . }}
  - {{ merge (dict) . (dict "labelSelector" $mine) | toYaml | nindent 4 | trim }}
  {{- end }}
{{- end }}
{{- end }}

{{/* The container of the bridge without its command. Takes root and w. */}}
{{- define "factro-bridge.container" -}}
image: {{ include "factro-bridge.image" (dict "image" .root.Values.image "tag" .root.Chart.AppVersion) | quote }}
imagePullPolicy: {{ .root.Values.image.pullPolicy | quote }}
securityContext:
  {{- toYaml .w.securityContext | nindent 2 }}
resources:
  {{- toYaml .w.resources | nindent 2 }}
env:
  {{- include "factro-bridge.telemetry" .root | nindent 2 }}
  {{- with .w.extraEnv }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with .w.extraEnvFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A text in which all but letters, digits and -._~ is escaped, as in the lists of the OpenTelemetry variables. */}}
{{- define "factro-bridge.percentEncoded" -}}
{{- . | urlquery | replace "+" "%20" -}}
{{- end }}

{{/* The standard variables of OpenTelemetry. Without an endpoint the bridge sends nothing. */}}
{{- define "factro-bridge.telemetry" -}}
- name: POD_NAME
  valueFrom: {fieldRef: {fieldPath: metadata.name}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- $attributes := "k8s.namespace.name=$(POD_NAMESPACE),k8s.pod.name=$(POD_NAME),service.instance.id=$(POD_NAMESPACE).$(POD_NAME)" }}
{{- range $key, $value := .Values.telemetry.resourceAttributes }}
{{- $attributes = printf "%s,%s=%s" $attributes $key (include "factro-bridge.percentEncoded" $value) }}
{{- end }}
- name: OTEL_RESOURCE_ATTRIBUTES
  value: {{ $attributes | quote }}
{{- with .Values.telemetry }}
{{- if .otlp.endpoint }}
- {name: OTEL_EXPORTER_OTLP_ENDPOINT, value: {{ .otlp.endpoint | quote }}}
- {name: OTEL_EXPORTER_OTLP_PROTOCOL, value: {{ .otlp.protocol | quote }}}
- {name: OTEL_TRACES_SAMPLER, value: {{ .sampler | quote }}}
- {name: OTEL_TRACES_SAMPLER_ARG, value: {{ .samplerArg | quote }}}
{{- if not .metrics }}
- {name: OTEL_METRICS_EXPORTER, value: "none"}
{{- end }}
{{- with .otlp.headers.existingSecret }}
{{- if .name }}
- name: OTEL_EXPORTER_OTLP_HEADERS
  valueFrom: {secretKeyRef: {name: {{ .name | quote }}, key: {{ .key | quote }}}}
{{- end }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* Whole directories and no subPath: only so a mounted file follows a Secret that changes. Takes nothing. */}}
{{- define "factro-bridge.mounts" -}}
- {name: config, mountPath: /etc/factro-bridge, readOnly: true}
- {name: secrets, mountPath: /run/secrets/factro-bridge, readOnly: true}
{{- end }}

{{/* The volumes behind them. Takes root, roles, natsCredentials and config, the name of the ConfigMap. */}}
{{- define "factro-bridge.volumes" -}}
- name: config
  configMap: {name: {{ .config | quote }}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range include "factro-bridge.secretFiles" . | fromYamlArray }}
      - secret: {name: {{ .secret | quote }}, items: [{key: {{ .key | quote }}, path: {{ .path | quote }}}]}
      {{- else }}
      []
      {{- end }}
{{- end }}

{{/* What is in the ConfigMap of a workload. Takes root and w. */}}
{{- define "factro-bridge.configFiles" -}}
bridge.yaml: |
  {{- include "factro-bridge.config" (dict "root" .root "w" .w "roles" .w.roles "natsCredentials" .w.natsCredentials) | nindent 2 }}
{{- with .root.Values.knownActions }}
known-actions.txt: {{ printf "%s\n" (join "\n" .) | quote }}
{{- end }}
{{- end }}
