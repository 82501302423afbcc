{{- define "vault.selector" -}}
app.kubernetes.io/name: vault
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "vault.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "vault.selector" . }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{- define "vault.pods" -}}
{{ include "vault.selector" . }}
component: server
{{- end }}

{{- define "vault.scheme" -}}{{ ternary "http" "https" .Values.global.tlsDisable }}{{- end }}

{{/* The servers' configuration, with the machine's own keys where the values have some. */}}
{{- define "vault.config" -}}
{{- $config := .Values.server.ha.raft.config | fromJson }}
{{- with $config.Error }}{{ fail . }}{{ end }}
{{- range $key, $value := .Values.configuration }}{{ $config = set $config $key $value }}{{ end }}
{{- toJson $config }}
{{- end }}
