{{/*
The files of secrets that a workload needs, and no more, as a list in YAML of secret, key and path below
/run/secrets/factro-bridge. What is given as a value lies in the chart's own Secret. Takes root, roles and
natsCredentials.
*/}}
{{- define "factro-bridge.secretFiles" -}}
{{- $files := list -}}
{{- $made := include "factro-bridge.madeSecret" .root -}}
{{- $calls := or (has "egress" .roles) (has "query" .roles) (has "reconcile" .roles) (has "mirror" .roles) -}}
{{- range $cloud := .root.Values.clouds -}}
{{- if has "ingress" $.roles -}}
{{- range $i, $secret := $cloud.webhook.secrets -}}
{{- $ref := default (dict "name" $made "key" (printf "%s.webhook.%d" $cloud.name $i)) $secret.existingSecret -}}
{{- $files = append $files (dict "secret" $ref.name "key" $ref.key "path" (printf "%s/webhook-%d" $cloud.name $i)) -}}
{{- end -}}
{{- end -}}
{{- if $calls -}}
{{- $ref := default (dict "name" $made "key" (printf "%s.api-key" $cloud.name)) $cloud.api.key.existingSecret -}}
{{- $files = append $files (dict "secret" $ref.name "key" $ref.key "path" (printf "%s/api-key" $cloud.name)) -}}
{{- end -}}
{{- end -}}
{{- $nats := include "factro-bridge.natsCredentials" . | fromYaml -}}
{{- if $nats.credsKey -}}
{{- $files = append $files (dict "secret" $nats.name "key" $nats.credsKey "path" "nats/user.creds") -}}
{{- end -}}
{{- if $nats.nkeyKey -}}
{{- $files = append $files (dict "secret" $nats.name "key" $nats.nkeyKey "path" "nats/user.nk") -}}
{{- end -}}
{{- with .root.Values.nats.tls.existingSecret -}}
{{- if .name -}}
{{- range $path, $key := dict "ca.crt" .caKey "tls.crt" .certKey "tls.key" .keyKey -}}
{{- if $key -}}
{{- $files = append $files (dict "secret" $.root.Values.nats.tls.existingSecret.name "key" $key "path" (printf "nats/%s" $path)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- with .root.Values.http.tls.existingSecret -}}
{{- if and .name (has "ingress" $.roles) -}}
{{- range $path, $key := dict "ca.crt" .clientCAKey "tls.crt" .certKey "tls.key" .keyKey -}}
{{- if $key -}}
{{- $files = append $files (dict "secret" $.root.Values.http.tls.existingSecret.name "key" $key "path" (printf "http/%s" $path)) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- toYaml $files -}}
{{- end }}

{{/* The Secret with the NATS credentials of a workload: its own, or those of all. Takes root and natsCredentials. */}}
{{- define "factro-bridge.natsCredentials" -}}
{{- $own := default dict (default dict .natsCredentials).existingSecret -}}
{{- toYaml (ternary $own .root.Values.nats.credentials.existingSecret (not (empty $own.name))) -}}
{{- end }}

{{/* The name of the Secret that the chart makes of plain values. */}}
{{- define "factro-bridge.madeSecret" -}}
{{- printf "%s-values" (include "factro-bridge.fullname" .) -}}
{{- end }}

{{/* What is in it, in YAML; empty if nothing was given as a value. */}}
{{- define "factro-bridge.madeSecretData" -}}
{{- $data := dict -}}
{{- range $cloud := .Values.clouds -}}
{{- range $i, $secret := $cloud.webhook.secrets -}}
{{- with $secret.value -}}
{{- $_ := set $data (printf "%s.webhook.%d" $cloud.name $i) . -}}
{{- end -}}
{{- end -}}
{{- with $cloud.api.key.value -}}
{{- $_ := set $data (printf "%s.api-key" $cloud.name) . -}}
{{- end -}}
{{- end -}}
{{- with $data -}}{{- toYaml . -}}{{- end -}}
{{- end }}
