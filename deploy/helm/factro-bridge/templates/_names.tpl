{{/*
The name that all others are made of. It leaves room for the longest suffixes: a StatefulSet's name ends up, with eleven
more characters, in a label of its pods, and labels end at 63.
*/}}
{{- define "factro-bridge.fullname" -}}
{{- $chart := default .Chart.Name .Values.nameOverride -}}
{{- $name := .Values.fullnameOverride -}}
{{- if not $name -}}
{{- $name = ternary .Release.Name (printf "%s-%s" .Release.Name $chart) (contains $chart .Release.Name) -}}
{{- end -}}
{{- if gt (len $name) 40 -}}
{{- $name = printf "%s-%s" ($name | trunc 31 | trimSuffix "-") (sha256sum $name | trunc 8) -}}
{{- end -}}
{{- $name -}}
{{- end }}

{{/* The labels that never change, for selectors. Takes root and component. */}}
{{- define "factro-bridge.selector" -}}
app.kubernetes.io/name: {{ default .root.Chart.Name .root.Values.nameOverride | trunc 63 | trimSuffix "-" | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . | quote }}
{{- end }}
{{- end }}

{{/*
The labels of pods. The chart's version is not among them, or NATS would start again at each upgrade of the chart. Takes
root and component.
*/}}
{{- define "factro-bridge.podLabels" -}}
{{ include "factro-bridge.selector" . }}
{{- with .root.Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* All labels. Takes root and component. */}}
{{- define "factro-bridge.labels" -}}
{{ include "factro-bridge.podLabels" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" | quote }}
{{- end }}

{{/*
Name, namespace, labels and annotations of an object. Takes root, name, and if need be component, labels, annotations.
*/}}
{{- define "factro-bridge.metadata" -}}
name: {{ .name | quote }}
namespace: {{ .root.Release.Namespace | quote }}
labels:
  {{- include "factro-bridge.labels" . | nindent 2 }}
  {{- with .labels }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with merge (dict) (default dict .annotations) .root.Values.commonAnnotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "factro-bridge.serviceAccountName" -}}
{{- $sa := .Values.serviceAccount -}}
{{- default (ternary (include "factro-bridge.fullname" .) "default" $sa.create) $sa.name -}}
{{- end }}

{{/* A whole reference of an image. Takes image and tag, the default. */}}
{{- define "factro-bridge.image" -}}
{{- $name := .image.repository -}}
{{- with .image.registry -}}{{- $name = printf "%s/%s" . $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (default .tag .image.tag) -}}
{{- end -}}
{{- end }}
