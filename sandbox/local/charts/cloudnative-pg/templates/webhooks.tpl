apiVersion: v1
kind: Service
metadata:
  name: cnpg-webhook-service
  namespace: {{ .Release.Namespace }}
  labels: {{- include "cnpg.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  selector: {{- include "cnpg.selector" . | nindent 4 }}
  ports:
    - {name: webhook-server, port: 443, targetPort: webhook-server}
{{- $root := . }}
{{- range $document := include "cnpg.module" (dict "root" . "file" "webhooks.yaml") | splitList "\n---" }}
{{- with $document | trimPrefix "---" | fromYaml }}
{{- $mutating := eq .kind "MutatingWebhookConfiguration" }}
---
apiVersion: {{ .apiVersion }}
kind: {{ .kind }}
metadata:
  name: cnpg-{{ .metadata.name }}
  labels: {{- include "cnpg.labels" $root | nindent 4 }}
webhooks:
  {{- range .webhooks }}
  {{- $service := dict "name" "cnpg-webhook-service" "namespace" $root.Release.Namespace "port" 443
       "path" .clientConfig.service.path }}
  {{- $policy := ternary $root.Values.webhook.mutating $root.Values.webhook.validating $mutating }}
  - {{ merge (dict "clientConfig" (dict "service" $service) "failurePolicy" $policy.failurePolicy) . | toJson }}
  {{- end }}
{{- end }}
{{- end }}
