{{- define "cnpg.selector" -}}
app.kubernetes.io/name: cloudnative-pg
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "cnpg.labels" -}}
{{ include "cnpg.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- end }}

{{/* A file of the operator's module, which sandbox.local.charts puts beside the templates. */}}
{{- define "cnpg.module" -}}
{{- $text := .root.Files.Get (print "module/" .file) }}
{{- if not $text }}{{ fail (print .file " is not here: the folder is completed by sandbox.local.charts") }}{{ end }}
{{- $text }}
{{- end }}
