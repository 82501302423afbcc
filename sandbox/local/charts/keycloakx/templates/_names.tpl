{{- define "keycloak.name" -}}{{ .Release.Name }}-keycloakx{{- end }}

{{- define "keycloak.selector" -}}
app.kubernetes.io/name: keycloakx
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "keycloak.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{ include "keycloak.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}

{{/* A list that a value says as text: a template, and YAML. root and text. */}}
{{- define "keycloak.list" -}}
{{- $items := tpl (.text | default "[]") .root | fromYamlArray }}
{{- range $items }}{{ if kindIs "string" . }}{{ fail . }}{{ end }}{{ end }}
{{- toJson $items }}
{{- end }}

{{- define "keycloak.kept-apart" -}}
podAntiAffinity:
  requiredDuringSchedulingIgnoredDuringExecution:
    - &others
      topologyKey: kubernetes.io/hostname
      labelSelector:
        matchLabels: {{- include "keycloak.selector" . | nindent 10 }}
        matchExpressions: [{key: app.kubernetes.io/component, operator: NotIn, values: [test]}]
  preferredDuringSchedulingIgnoredDuringExecution:
    - weight: 100
      podAffinityTerm:
        <<: *others
        topologyKey: topology.kubernetes.io/zone
{{- end }}
