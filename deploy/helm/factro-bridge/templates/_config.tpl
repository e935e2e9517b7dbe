{{/*
bridge.yaml of a workload: values.config, and over it what the chart decides. Takes root, roles, natsCredentials, and
for the budget w; the canary has none, as it calls nobody.
*/}}
{{- define "factro-bridge.config" -}}
{{- $v := .root.Values -}}
{{- $secrets := "/run/secrets/factro-bridge" -}}
{{- $http := dict "listen" ":8080" -}}
{{- with $v.http.tls.existingSecret -}}
{{- if and .name (has "ingress" $.roles) -}}
{{- $tls := dict "cert_file" (printf "%s/http/tls.crt" $secrets) "key_file" (printf "%s/http/tls.key" $secrets) -}}
{{- if .clientCAKey -}}{{- $_ := set $tls "client_ca_file" (printf "%s/http/ca.crt" $secrets) -}}{{- end -}}
{{- $_ := set $http "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- $nats := dict "url" (include "factro-bridge.natsURL" .root) "prefix" $v.nats.prefix "manage" $v.nats.manage -}}
{{- $_ := set $nats "replicas" (include "factro-bridge.streamReplicas" .root | int) -}}
{{- with $v.nats.duplicateWindow -}}{{- $_ := set $nats "duplicate_window" . -}}{{- end -}}
{{- $credentials := include "factro-bridge.natsCredentials" . | fromYaml -}}
{{- if $credentials.credsKey -}}{{- $_ := set $nats "creds_file" (printf "%s/nats/user.creds" $secrets) -}}{{- end -}}
{{- if $credentials.nkeyKey -}}{{- $_ := set $nats "nkey_file" (printf "%s/nats/user.nk" $secrets) -}}{{- end -}}
{{- with $v.nats.tls.existingSecret -}}
{{- if .name -}}
{{- $tls := dict -}}
{{- if .caKey -}}{{- $_ := set $tls "ca_file" (printf "%s/nats/ca.crt" $secrets) -}}{{- end -}}
{{- if .certKey -}}{{- $_ := set $tls "cert_file" (printf "%s/nats/tls.crt" $secrets) -}}{{- end -}}
{{- if .keyKey -}}{{- $_ := set $tls "key_file" (printf "%s/nats/tls.key" $secrets) -}}{{- end -}}
{{- $_ := set $nats "tls" $tls -}}
{{- end -}}
{{- end -}}
{{- $clouds := list -}}
{{- range $v.clouds -}}
{{- $clouds = append $clouds (include "factro-bridge.cloud" (dict "cloud" . "roles" $.roles "w" $.w) | fromYaml) -}}
{{- end -}}
{{- $own := dict "roles" .roles "http" $http "admin" (dict "listen" ":9090") "nats" $nats "clouds" $clouds -}}
{{- if and $v.spool.enabled (has "ingress" .roles) -}}
{{- $_ := set $own "spool" (dict "dir" "/var/lib/factro-bridge/spool") -}}
{{- end -}}
{{- if $v.knownActions -}}
{{- $_ := set $own "known_actions_file" "/etc/factro-bridge/known-actions.txt" -}}
{{- end -}}
{{- include "factro-bridge.overlay" (list $v.config $own) -}}
{{- end }}

{{/* One cloud as the bridge writes it, with what the roles need. Takes cloud, roles and w. */}}
{{- define "factro-bridge.cloud" -}}
{{- $secrets := printf "/run/secrets/factro-bridge/%s" .cloud.name -}}
name: {{ .cloud.name | quote }}
{{- with .cloud.source }}
source: {{ . | quote }}
{{- end }}
webhook:
  header: {{ default "X-Bridge-Key" .cloud.webhook.header | quote }}
  {{- with .cloud.webhook.url }}
  url: {{ . | quote }}
  {{- end }}
  {{- if has "ingress" .roles }}
  secrets:
    {{- range $i, $_ := .cloud.webhook.secrets }}
    - file: {{ printf "%s/webhook-%d" $secrets $i | quote }}
    {{- end }}
  {{- end }}
{{- if or (has "egress" .roles) (has "query" .roles) (has "reconcile" .roles) (has "mirror" .roles) }}
api:
  {{- with .cloud.api.url }}
  url: {{ . | quote }}
  {{- end }}
  key: {file: {{ printf "%s/api-key" $secrets | quote }}}
  {{- with include "factro-bridge.budget" . }}
  requests_per_minute: {{ . }}
  {{- end }}
  {{- with .cloud.api.reserve }}
  reserve: {{ int . }}
  {{- end }}
  {{- with .cloud.api.concurrency }}
  concurrency: {{ int . }}
  {{- end }}
  {{- with .cloud.api.timeout }}
  timeout: {{ . | quote }}
  {{- end }}
{{- with .cloud.onDead }}
on_dead: {{ . }}
{{- end }}
{{- with .cloud.batch }}
{{- with .max }}
batch: {max: {{ int . }}}
{{- end }}
{{- end }}
{{- with .cloud.policy }}
policy: {{ toJson . }}
{{- end }}
{{- end }}
{{- end }}

{{- define "factro-bridge.natsURL" -}}
{{- if .Values.nats.bundled.enabled -}}
{{- printf "nats://%s-nats:4222" (include "factro-bridge.fullname" .) -}}
{{- else -}}
{{- .Values.nats.url -}}
{{- end -}}
{{- end }}

{{- define "factro-bridge.streamReplicas" -}}
{{- $n := .Values.nats -}}
{{- if not (kindIs "invalid" $n.replicas) -}}
{{- int $n.replicas -}}
{{- else -}}
{{- ternary $n.bundled.replicas 1 $n.bundled.enabled | int -}}
{{- end -}}
{{- end }}
