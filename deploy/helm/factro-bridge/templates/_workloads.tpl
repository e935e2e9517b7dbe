{{/*
The workloads as a map in YAML: the defaults, what a workload says otherwise, and what follows from both. All that is
made for each workload is made by a loop over this.
*/}}
{{- define "factro-bridge.workloads" -}}
{{- $roles := dict "bridge" (list "ingress" "egress" "query" "reconcile") -}}
{{- if eq .Values.roles "split" -}}
{{- $roles = dict "ingress" (list "ingress") "egress" (list "egress" "query") "reconcile" (list "reconcile") -}}
{{- end -}}
{{- if .Values.mirror.enabled -}}
{{- $with := ternary "mirror" "bridge" (eq .Values.roles "split") -}}
{{- $_ := set $roles $with (append (default list (get $roles $with)) "mirror") -}}
{{- end -}}
{{- $all := dict -}}
{{- range $component, $has := $roles -}}
{{- $w := include "factro-bridge.overlay" (list $.Values.defaults (index $.Values.workloads $component)) | fromYaml -}}
{{- $suffix := ternary "" (printf "-%s" $component) (eq $component "bridge") -}}
{{- $_ := set $w "component" $component -}}
{{- $_ := set $w "roles" $has -}}
{{- $_ := set $w "name" (printf "%s%s" (include "factro-bridge.fullname" $) $suffix) -}}
{{- $_ := set $w "spools" (and $.Values.spool.enabled (has "ingress" $has)) -}}
{{- $_ := set $w "kind" (ternary "StatefulSet" "Deployment" (and $w.spools $.Values.spool.persistence.enabled)) -}}
{{- $_ := set $w "scaled" (or $w.autoscaling.enabled $w.keda.enabled) -}}
{{- if kindIs "invalid" $w.keda.maxReplicas -}}
{{- $_ := set $w.keda "maxReplicas" (max 1 $w.keda.minReplicas (len $.Values.clouds)) -}}
{{- end -}}
{{- $_ := set $w "least" (ternary $w.autoscaling.minReplicas (ternary $w.keda.minReplicas $w.replicas $w.keda.enabled) $w.autoscaling.enabled | int) -}}
{{- $_ := set $w "most" (ternary $w.autoscaling.maxReplicas (ternary $w.keda.maxReplicas $w.replicas $w.keda.enabled) $w.autoscaling.enabled | int) -}}
{{- $_ := set $all $component $w -}}
{{- end -}}
{{- toYaml $all -}}
{{- end }}

{{/*
One map over the other, in YAML. Unlike merge, what is false, 0 or empty counts as well. Takes the list of both.
*/}}
{{- define "factro-bridge.overlay" -}}
{{- $below := deepCopy (index . 0) -}}
{{- range $key, $value := index . 1 -}}
{{- $old := get $below $key -}}
{{- if and (kindIs "map" $value) (kindIs "map" $old) -}}
{{- $value = include "factro-bridge.overlay" (list $old $value) | fromYaml -}}
{{- end -}}
{{- $_ := set $below $key $value -}}
{{- end -}}
{{- toYaml $below -}}
{{- end }}

{{/*
The calls a minute that one pod may make to a cloud's Core API. The sum over all pods that may call at once is at most
what the cloud has: each workload has its part, and where queries are answered every pod answers some, so it is divided
by their number. A pod that has the whole budget gets no bound of its own, as it follows what factro's answers say.
Takes w and cloud.
*/}}
{{- define "factro-bridge.budget" -}}
{{- $pods := ternary (max 1 .w.most) 1 (has "query" .w.roles) -}}
{{- if or .cloud.api.requestsPerMinute (gt (int $pods) 1) (lt (int .w.budgetPercent) 100) -}}
{{- $part := div (mul (default 500 .cloud.api.requestsPerMinute) .w.budgetPercent) 100 -}}
{{- max 1 (div $part $pods) -}}
{{- end -}}
{{- end }}

{{/* A duration in whole seconds; the schema knows only hours, minutes and seconds. */}}
{{- define "factro-bridge.seconds" -}}
{{- $h := regexFind "[0-9]+h" . | trimSuffix "h" | default "0" | int -}}
{{- $m := regexFind "[0-9]+m" . | trimSuffix "m" | default "0" | int -}}
{{- $s := regexFind "[0-9]+s" . | trimSuffix "s" | default "0" | int -}}
{{- add (mul 3600 $h) (mul 60 $m) $s -}}
{{- end }}

{{/*
How long a pod may take to end: first the load balancers notice it, then requests and the command in flight continue for
shutdown_timeout, then the connection to NATS closes and the last traces are sent, within a second. Takes root and w.
*/}}
{{- define "factro-bridge.gracePeriod" -}}
{{- if kindIs "invalid" .w.terminationGracePeriodSeconds -}}
{{- add .w.preStopSeconds (include "factro-bridge.seconds" (default "20s" .root.Values.config.shutdown_timeout)) 8 -}}
{{- else -}}
{{- int .w.terminationGracePeriodSeconds -}}
{{- end -}}
{{- end }}
