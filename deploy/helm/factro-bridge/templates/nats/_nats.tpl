{{/* What is in the ConfigMap of NATS. */}}
{{- define "factro-bridge.natsFiles" -}}
{{- $name := printf "%s-nats" (include "factro-bridge.fullname" .) -}}
{{- with .Values.nats.bundled -}}
nats.conf: |
  server_name: $POD_NAME
  port: 4222
  http_port: 8222
  pid_file: "/run/nats/nats.pid"
  max_payload: {{ .maxPayload }}
  jetstream {
    # A server that becomes part of a cluster removes the streams that the cluster does not know. In another folder those
    # of a single server are out of its reach.
    store_dir: {{ ternary "/data/cluster" "/data" (gt (int .replicas) 1) | quote }}
    max_file_store: {{ .maxFileStore }}
    sync_interval: {{ .syncInterval | quote }}
  }
  {{- if gt (int .replicas) 1 }}
  # A server that stops first sends its clients elsewhere, over this time.
  lame_duck_grace_period: 1s
  lame_duck_duration: {{ .lameDuckSeconds }}s
  cluster {
    name: {{ $name | quote }}
    port: 6222
    no_advertise: true
    routes: [
      {{- range $i := until (int .replicas) }}
      {{ printf "nats://%s-%d.%s-headless:6222" $name $i $name | quote }}
      {{- end }}
    ]
  }
  {{- end }}
  {{- if .auth.existingSecret.name }}
  include "./auth.conf"
  {{- end }}
{{- end }}
{{- end }}
