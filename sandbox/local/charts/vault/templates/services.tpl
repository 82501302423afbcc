{{- $active := printf "%s-active" .Values.podLabelPrefix }}
{{- $services := list
  (dict "name" "vault")
  (dict "name" "vault-active" "marks" (dict "vault-active" "true") "chooses" (dict $active "true"))
  (dict "name" "vault-standby" "chooses" (dict $active "false"))
  (dict "name" "vault-internal" "marks" (dict "vault-internal" "true") "headless" true) }}
{{- range $services }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .name }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "vault.labels" $ | nindent 4 }}
    {{- range $label, $value := .marks }}
    {{ $label }}: {{ quote $value }}
    {{- end }}
spec:
  {{- if .headless }}
  clusterIP: None
  {{- end }}
  # A server that is sealed is reached by its name, to be opened.
  publishNotReadyAddresses: true
  selector:
    {{- include "vault.pods" $ | nindent 4 }}
    {{- range $label, $value := .chooses }}
    {{ $label }}: {{ quote $value }}
    {{- end }}
  ports:
    - {name: {{ include "vault.scheme" $ }}, port: 8200, targetPort: 8200}
    - {name: https-internal, port: 8201, targetPort: 8201}
{{- end }}
{{- with .Values.serverTelemetry.serviceMonitor }}
{{- if .enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: vault
  labels:
    {{- include "vault.labels" $ | nindent 4 }}
    {{- toYaml .selectors | nindent 4 }}
spec:
  namespaceSelector: {matchNames: [{{ $.Release.Namespace }}]}
  selector:
    matchLabels:
      {{- include "vault.selector" $ | nindent 6 }}
      {{- toYaml .matchLabels | nindent 6 }}
  endpoints:
    - port: {{ include "vault.scheme" $ }}
      scheme: {{ include "vault.scheme" $ }}
      path: /v1/sys/metrics
      params: {format: [prometheus]}
      interval: 30s
      scrapeTimeout: 10s
      tlsConfig: {{ toJson .tlsConfig }}
{{- end }}
{{- end }}
