{{- define "tiktok-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{- /* The prefix of every object's name: the release's, unless it says tiktok-operator already. Forty characters leave room for a suffix. */}}
{{- define "tiktok-operator.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains (include "tiktok-operator.name" .) .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "tiktok-operator.name" .) | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- /* What selects pods: it never changes over upgrades. Takes (dict "root" . "component" "manager"). */}}
{{- define "tiktok-operator.selector" -}}
app.kubernetes.io/name: {{ include "tiktok-operator.name" .root | quote }}
app.kubernetes.io/instance: {{ .root.Release.Name | quote }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- /* Takes (dict "root" . "component" "manager" "more" .podLabels). Of a label that is in both, more's counts, rather than commonLabels'. */}}
{{- define "tiktok-operator.labels" -}}
{{ include "tiktok-operator.selector" . }}
app.kubernetes.io/part-of: tiktok-operator
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | replace "+" "_" }}
{{- with merge (dict) (default (dict) .more) (default (dict) .root.Values.commonLabels) }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* Takes (dict "root" . "component" "manager"). */}}
{{- define "tiktok-operator.serviceAccount" -}}
{{- $values := index .root.Values .component -}}
{{- default (printf "%s-%s" (include "tiktok-operator.fullname" .root) .component) $values.serviceAccount.name }}
{{- end }}

{{- /* Takes (dict "root" . "binary" "tiktok-simulator" "digest" "simulator"). */}}
{{- define "tiktok-operator.image" -}}
{{- $image := .root.Values.image }}
{{- printf "%s/%s:%s" $image.registry .binary (default .root.Chart.AppVersion $image.tag) }}
{{- with index (default (dict) $image.digests) .digest }}@{{ . }}{{ end }}
{{- end }}

{{- /* Takes the annotations of what is kept, and adds those by which Helm, Flux and Argo CD keep it. Other options for Argo CD count too. */}}
{{- define "tiktok-operator.kept" -}}
{{- $sync := "argocd.argoproj.io/sync-options" }}
{{- $options := compact (append (splitList "," (default "" (get . $sync))) "Prune=false") | uniq }}
{{- $keep := dict $sync (append $options "Delete=false" | uniq | join ",") }}
{{- toYaml (merge $keep (dict "helm.sh/resource-policy" "keep" "kustomize.toolkit.fluxcd.io/prune" "disabled") .) }}
{{- end }}

{{- define "tiktok-operator.externalNATS" -}}
{{- if or .Values.eventLog.nats.url .Values.eventLog.nats.urlFrom.secret }}true{{ end }}
{{- end }}

{{- /* How many seconds a duration such as 1h30m has, which the schema has checked the form of. */}}
{{- define "tiktok-operator.seconds" -}}
{{- $units := dict "ns" 1e-9 "us" 1e-6 "ms" 1e-3 "s" 1.0 "m" 60.0 "h" 3600.0 }}
{{- $total := 0.0 }}
{{- range regexFindAll "[0-9.]+[a-z]+" . -1 }}
{{- $unit := regexFind "[a-z]+$" . }}
{{- $total = addf $total (mulf (trimSuffix $unit . | float64) (get $units $unit)) }}
{{- end }}
{{- $total }}
{{- end }}

{{- /* A number as people write it: of a file of values Helm makes floats, which Go prints as 1e+06. Anything else stays as it is. */}}
{{- define "tiktok-operator.number" -}}
{{- if kindIs "float64" . }}{{ int64 . }}{{ else }}{{ . }}{{ end }}
{{- end }}

{{- /* How many bytes an amount such as 1.5Gi is, which the schema has checked the form of. */}}
{{- define "tiktok-operator.bytes" -}}
{{- $units := dict "" 1.0 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18 }}
{{- $units = merge $units (dict "Ki" 0x1p10 "Mi" 0x1p20 "Gi" 0x1p30 "Ti" 0x1p40 "Pi" 0x1p50 "Ei" 0x1p60) }}
{{- mulf (regexFind "^[0-9.]+" . | float64) (get $units (regexFind "[a-zA-Z]*$" .)) }}
{{- end }}

{{- /* What the schema cannot say. */}}
{{- define "tiktok-operator.check" -}}
{{- $external := include "tiktok-operator.externalNATS" . }}
{{- $fullname := include "tiktok-operator.fullname" . }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" $fullname) }}
{{- fail (printf "objects cannot have names that begin with %q, as the release's does: a Service's name begins with a letter and has no dot; set fullnameOverride" $fullname) }}
{{- end }}
{{- if contains "@" (default "" .Values.image.tag) }}
{{- fail "image.tag is for all images, and each has another digest: leave the digest out, and set image.digests" }}
{{- end }}
{{- $tolerance := include "tiktok-operator.seconds" .Values.webhook.signatureTolerance | float64 }}
{{- if or (lt $tolerance 1.0) (gt $tolerance (mulf 743 3600)) }}
{{- fail "webhook.signatureTolerance must be between 1s and 743h" }}
{{- end }}
{{- $kept := include "tiktok-operator.seconds" .Values.eventLog.maxAge | float64 }}
{{- if or (lt $kept (mulf 73 3600)) (lt $kept (addf $tolerance 3600)) }}
{{- fail "eventLog.maxAge must be 73h at least, and an hour more than webhook.signatureTolerance: for as long as a webhook that comes again is recognised" }}
{{- end }}
{{- $durations := dict "eventLog.maxAge" .Values.eventLog.maxAge "simulator.accessTokenTTL" .Values.simulator.accessTokenTTL }}
{{- range $name, $duration := set $durations "webhook.tls.certManager.duration" .Values.webhook.tls.certManager.duration }}
{{- if gt (include "tiktok-operator.seconds" (default "" $duration) | float64) 9223372036.0 }}
{{- fail (printf "%s must be 2562047h at most, the longest that the programs can count" $name) }}
{{- end }}
{{- end }}
{{- $bytes := include "tiktok-operator.bytes" (include "tiktok-operator.number" .Values.eventLog.maxBytes) | float64 }}
{{- if and (gt $bytes 0.0) (or (lt $bytes 0x1p26) (ge $bytes 0x1p63)) }}
{{- fail "eventLog.maxBytes must be 0, or 64Mi at least and less than 8Ei: with less every webhook is soon answered 503" }}
{{- end }}
{{- $volume := .Values.eventLog.embedded.persistence }}
{{- if and (not $external) $volume.existingClaim (not $volume.enabled) }}
{{- fail "eventLog.embedded.persistence.existingClaim needs persistence.enabled: without it the claim is not used, and events die with the pod" }}
{{- end }}
{{- if and (not $external) $volume.enabled (not $volume.existingClaim) (not (and $volume.size $volume.accessModes)) }}
{{- fail "eventLog.embedded.persistence needs size and accessModes, or existingClaim" }}
{{- end }}
{{- $fsync := .Values.eventLog.embedded.fsync }}
{{- if ne $fsync "always" }}
{{- $interval := include "tiktok-operator.seconds" $fsync | float64 }}
{{- if or (lt $interval 0.01) (gt $interval 600.0) }}
{{- fail "eventLog.embedded.fsync must be always, or between 10ms and 10m" }}
{{- end }}
{{- end }}
{{- if lt (include "tiktok-operator.seconds" .Values.simulator.accessTokenTTL | float64) 1.0 }}
{{- fail "simulator.accessTokenTTL must be 1s at least" }}
{{- end }}
{{- /* Helm goes by the claim in the cluster. Who keeps it needs no permission to read claims here. */}}
{{- if and $external .Release.IsUpgrade (not .Values.eventLog.embedded.persistence.keep) }}
{{- $name := printf "%s-webhook-data" $fullname }}
{{- $annotations := dig "metadata" "annotations" (dict) (lookup "v1" "PersistentVolumeClaim" .Release.Namespace $name) }}
{{- if and (eq (get $annotations "meta.helm.sh/release-name") .Release.Name) (ne (get $annotations "helm.sh/resource-policy") "keep") }}
{{- $how := "upgrade with keep=true alone first, or annotate the claim with helm.sh/resource-policy=keep, and delete it when you are sure" }}
{{- fail (printf "persistence.keep is false, so this upgrade would delete the volume %s with the events that no sink has taken: %s" $name $how) }}
{{- end }}
{{- end }}
{{- if and (not $external) .Values.eventLog.nats.replicas }}
{{- fail "eventLog.nats.replicas goes with eventLog.nats.url: the embedded event log has one copy" }}
{{- end }}
{{- if and .Values.eventLog.nats.url .Values.eventLog.nats.urlFrom.secret }}
{{- fail "set eventLog.nats.url or eventLog.nats.urlFrom.secret, not both" }}
{{- end }}
{{- if and (not $external) (or (gt (int .Values.webhook.replicas) 1) .Values.webhook.autoscaling.enabled) }}
{{- fail "webhook.replicas above 1 and webhook.autoscaling need an external NATS: the embedded event log has one writer; set eventLog.nats.url" }}
{{- end }}
{{- $resources := default (dict) .Values.webhook.resources }}
{{- if and .Values.webhook.autoscaling.enabled (not (or ($resources.requests).cpu ($resources.limits).cpu)) }}
{{- fail "webhook.autoscaling needs webhook.resources.requests.cpu: how much of that is used says how many pods there are" }}
{{- end }}
{{- $scaling := .Values.webhook.autoscaling }}
{{- if and $scaling.enabled (not (and $scaling.maxReplicas $scaling.targetCPUUtilizationPercentage)) }}
{{- fail "webhook.autoscaling needs maxReplicas and targetCPUUtilizationPercentage" }}
{{- end }}
{{- if and .Values.webhook.autoscaling.enabled (gt (int .Values.webhook.autoscaling.minReplicas) (int .Values.webhook.autoscaling.maxReplicas)) }}
{{- fail "webhook.autoscaling.minReplicas must not be above maxReplicas" }}
{{- end }}
{{- if and (not $external) (or .Values.eventLog.nats.credentials.existingSecret .Values.eventLog.nats.tls.caSecret .Values.eventLog.nats.tls.clientSecret) }}
{{- fail "eventLog.nats.credentials and eventLog.nats.tls go with eventLog.nats.url" }}
{{- end }}
{{- if and .Values.webhook.tls.existingSecret .Values.webhook.tls.certManager.enabled }}
{{- fail "set webhook.tls.existingSecret or webhook.tls.certManager.enabled, not both" }}
{{- end }}
{{- if and .Values.webhook.tls.certManager.enabled (not (.Values.webhook.tls.certManager.issuerRef).name) }}
{{- fail "webhook.tls.certManager needs issuerRef.name" }}
{{- end }}
{{- if and .Values.ingress.enabled (not .Values.ingress.hosts) }}
{{- fail "ingress.enabled needs ingress.hosts: the host names of the publicURL of your TiktokApps" }}
{{- end }}
{{- if and .Values.gateway.enabled (not .Values.gateway.parentRefs) }}
{{- fail "gateway.enabled needs gateway.parentRefs: the Gateway that ends TLS" }}
{{- end }}
{{- if and .Values.simulator.enabled (not (and .Values.simulator.appID .Values.simulator.appSecret)) }}
{{- fail "simulator.enabled needs simulator.appID and simulator.appSecret" }}
{{- end }}
{{- if and .Values.simulator.enabled (or (gt (int .Values.webhook.replicas) 1) .Values.webhook.autoscaling.enabled) }}
{{- fail "simulator.enabled needs webhook.replicas 1: the simulator runs beside the webhook and keeps its users in memory" }}
{{- end }}
{{- end }}

{{- /* What the pods of both deployments have. Takes (dict "root" . "component" "manager"). */}}
{{- define "tiktok-operator.pod" -}}
{{- $values := index .root.Values .component -}}
serviceAccountName: {{ include "tiktok-operator.serviceAccount" . | quote }}
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets:
{{- toYaml . | nindent 0 }}
{{- end }}
terminationGracePeriodSeconds: 60
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  fsGroup: 65532
  # Without it every start walks the whole event log.
  fsGroupChangePolicy: OnRootMismatch
  seccompProfile:
    type: RuntimeDefault
{{- with $values.priorityClassName }}
priorityClassName: {{ . | quote }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector:
{{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations:
{{- toYaml . | nindent 0 }}
{{- end }}
{{- with $values.affinity }}
affinity:
{{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
{{- toYaml $values.topologySpreadConstraints | nindent 0 }}
{{- else }}
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels:
      {{- include "tiktok-operator.selector" . | nindent 6 }}
{{- end }}
{{- end }}

{{- define "tiktok-operator.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{- /* Flags that both binaries have. */}}
{{- define "tiktok-operator.args" -}}
- --health-probe-bind-address=:8081
- --zap-log-level={{ .root.Values.logging.level }}
- --zap-encoder={{ .root.Values.logging.encoder }}
{{- with .root.Values.watchNamespaces }}
- --watch-namespaces={{ join "," . }}
{{- end }}
{{- if .root.Values.allowPrivateSinks }}
- --allow-private-sinks
{{- end }}
{{- end }}

{{- define "tiktok-operator.env" -}}
- name: POD_NAMESPACE
  valueFrom:
    fieldRef:
      fieldPath: metadata.namespace
{{- end }}
