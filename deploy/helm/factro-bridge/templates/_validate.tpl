{{/*
What the schema cannot say. All mistakes at once. "helm lint" only reports them, so the default values, which have no
cloud, are good as far as they go.
*/}}
{{- define "factro-bridge.validate" -}}
{{- $wrong := list -}}
{{- if not .Values.clouds -}}
{{- $wrong = append $wrong "clouds: none is given; name one, with its webhook secret and its API key, as values.yaml shows" -}}
{{- end -}}
{{- $names := list -}}
{{- range .Values.clouds -}}
{{- if has .name $names -}}
{{- $wrong = append $wrong (printf "clouds: %q is there twice" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $values := dict "api.key" .api.key.value -}}
{{- range $i, $secret := .webhook.secrets -}}{{- $_ := set $values (printf "webhook.secrets[%d]" $i) $secret.value -}}{{- end -}}
{{- range $setting, $value := $values -}}
{{- if and $value (not (regexMatch "^[ -~]+\n?$" $value)) -}}
{{- $wrong = append $wrong (printf "%s: the value is not one line of ASCII, and the bridge would not take it" $setting) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- $nats := .Values.nats -}}
{{- if and $nats.bundled.enabled $nats.url -}}
{{- $wrong = append $wrong "nats: there is a url and bundled.enabled; only one NATS is used" -}}
{{- end -}}
{{- if not (or $nats.bundled.enabled $nats.url) -}}
{{- $wrong = append $wrong "nats: there is neither a url nor bundled.enabled" -}}
{{- end -}}
{{- if and $nats.bundled.enabled (gt (include "factro-bridge.streamReplicas" . | int) (int $nats.bundled.replicas)) -}}
{{- $wrong = append $wrong "nats.replicas: more than nats.bundled.replicas has servers" -}}
{{- end -}}
{{- $secrets := list (list "nats.credentials" $nats.credentials) -}}
{{- $budget := 0 -}}
{{- range $component, $w := include "factro-bridge.workloads" . | fromYaml -}}
{{- $secrets = append $secrets (list (printf "workloads.%s.natsCredentials" $component) $w.natsCredentials) -}}
{{- if and $w.autoscaling.enabled $w.keda.enabled -}}
{{- $wrong = append $wrong (printf "workloads.%s: autoscaling and keda are both enabled; only one can set the replicas" $component) -}}
{{- end -}}
{{- if and $w.keda.enabled (not (has "egress" $w.roles)) -}}
{{- $wrong = append $wrong (printf "workloads.%s.keda: it scales by commands that wait, and this workload carries out none" $component) -}}
{{- end -}}
{{- if and $w.keda.enabled (not $nats.bundled.enabled) (not $w.keda.monitoringEndpoint) -}}
{{- $wrong = append $wrong (printf "workloads.%s.keda.monitoringEndpoint: with a NATS of yours it has to be given" $component) -}}
{{- end -}}
{{- if gt (int $w.least) (int $w.most) -}}
{{- $wrong = append $wrong (printf "workloads.%s: minReplicas is more than maxReplicas" $component) -}}
{{- end -}}
{{- $budget = add $budget (default 0 $w.budgetPercent) -}}
{{- end -}}
{{- if gt (int $budget) 100 -}}
{{- $wrong = append $wrong (printf "workloads: the budgetPercent of all make %d; together they may call factro with 100" $budget) -}}
{{- end -}}
{{- $canary := include "factro-bridge.overlay" (list .Values.defaults .Values.test) | fromYaml -}}
{{- range append $secrets (list "test.natsCredentials" $canary.natsCredentials) -}}
{{- $ref := default dict (default dict (index . 1)).existingSecret -}}
{{- if and $ref.credsKey $ref.nkeyKey -}}
{{- $wrong = append $wrong (printf "%s.existingSecret: credsKey and nkeyKey are both set; one of them is enough" (index . 0)) -}}
{{- end -}}
{{- if and $ref.name (not (or $ref.credsKey $ref.nkeyKey)) -}}
{{- $wrong = append $wrong (printf "%s.existingSecret: neither credsKey nor nkeyKey says what is in it" (index . 0)) -}}
{{- end -}}
{{- if and (not $ref.name) (or $ref.credsKey $ref.nkeyKey) -}}
{{- $wrong = append $wrong (printf "%s.existingSecret: it has no name" (index . 0)) -}}
{{- end -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) -}}
{{- $wrong = append $wrong "ingress.hosts: none is given" -}}
{{- end -}}
{{- if and .Values.httpRoute.enabled (not .Values.httpRoute.parentRefs) -}}
{{- $wrong = append $wrong "httpRoute.parentRefs: none is given; name the Gateway" -}}
{{- end -}}
{{- with $wrong -}}
{{- fail (printf "\n%s" (join "\n" .)) -}}
{{- end -}}
{{- end }}
