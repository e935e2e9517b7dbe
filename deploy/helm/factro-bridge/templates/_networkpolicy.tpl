{{/* The way to the names. */}}
{{- define "factro-bridge.dnsRule" -}}
- ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
  {{- with .Values.networkPolicy.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* The way to NATS: to the bundled servers, or anywhere on the ports of the URL. */}}
{{- define "factro-bridge.natsRule" -}}
{{- if .Values.nats.bundled.enabled -}}
- ports: [{port: 4222, protocol: TCP}]
  to:
    - podSelector:
        matchLabels:
          {{- include "factro-bridge.selector" (dict "root" . "component" "nats") | nindent 10 }}
{{- else -}}
{{- $ports := list -}}
{{- range splitList "," .Values.nats.url -}}
{{- $ports = append $ports (include "factro-bridge.port" (list . "4222")) -}}
{{- end -}}
- ports: {{ include "factro-bridge.ports" $ports }}
{{- end -}}
{{- end }}

{{/* The ways to factro's Core API. */}}
{{- define "factro-bridge.factroRule" -}}
{{- $ports := list -}}
{{- range .Values.clouds -}}
{{- $url := default "https://cloud.factro.com" .api.url -}}
{{- $ports = append $ports (include "factro-bridge.port" (list $url (ternary "80" "443" (hasPrefix "http:" $url)))) -}}
{{- end -}}
{{- if $ports -}}
- ports: {{ include "factro-bridge.ports" $ports }}
{{- end -}}
{{- end }}

{{/* The port of a URL. Takes the list of URL and default. */}}
{{- define "factro-bridge.port" -}}
{{- $host := index . 0 | trim | regexFind "^([a-z]+://)?[^/]*" -}}
{{- default (index . 1) (regexFind ":[0-9]+$" $host | trimPrefix ":") -}}
{{- end }}

{{- define "factro-bridge.ports" -}}
[
{{- range $i, $port := . | uniq | sortAlpha -}}
{{- if $i }}, {{ end }}{port: {{ $port }}, protocol: TCP}
{{- end -}}
]
{{- end }}
