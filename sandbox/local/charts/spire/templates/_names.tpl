{{/* Labels of an object: root, name, and component where the chart has one. */}}
{{- define "spire.labels" -}}
{{ include "spire.selector" . }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "spire.selector" -}}
app.kubernetes.io/name: {{ .name }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
{{- end }}

{{- define "spire.serverNamespace" -}}{{ .Values.global.spire.namespaces.server.name }}{{- end }}
{{- define "spire.systemNamespace" -}}{{ .Values.global.spire.namespaces.system.name }}{{- end }}
{{- define "spire.discoveryName" -}}{{ .Release.Name }}-spiffe-oidc-discovery-provider{{- end }}
{{- define "spire.driverName" -}}{{ .Release.Name }}-spiffe-csi-driver{{- end }}
{{- define "spire.webhookName" -}}spire-server-spire-controller-manager-webhook{{- end }}

{{/* What the chart's recommendations give a container and a pod. */}}
{{- define "spire.container" -}}
{{- if .Values.global.spire.recommendations.enabled -}}
runAsNonRoot: true
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
seccompProfile: {type: RuntimeDefault}
{{- else }}{}{{ end }}
{{- end }}

{{- define "spire.pod" -}}
{{- if .Values.global.spire.recommendations.enabled -}}
runAsUser: 1000
runAsGroup: 1000
fsGroup: 1000
fsGroupChangePolicy: OnRootMismatch
{{- else }}{}{{ end }}
{{- end }}

{{/* Whether a part's figures are served: own is its telemetry value. */}}
{{- define "spire.figures" -}}
{{- $advice := .root.Values.global.spire.recommendations -}}
{{- if or .own.prometheus.enabled (and $advice.enabled $advice.prometheus) }}yes{{ end }}
{{- end }}

{{/* One ClusterRole or Role and its binding. root, name, account, accountNamespace, rules, and namespace for a Role. */}}
{{- define "spire.access" -}}
{{- $kind := ternary "Role" "ClusterRole" (hasKey . "namespace") }}
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
rules: {{ .rules | toJson }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: {{ $kind }}
  name: {{ .name }}
subjects:
  - kind: ServiceAccount
    name: {{ .account }}
    namespace: {{ .accountNamespace }}
---
{{- end }}
