{{- $account := .Values.serviceAccount }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $account.name | default (include "keycloak.name" .) }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "keycloak.labels" . | nindent 4 }}
automountServiceAccountToken: {{ $account.automountServiceAccountToken }}
{{- range $part := list "headless" "http" }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ include "keycloak.name" $ }}-{{ $part }}
  namespace: {{ $.Release.Namespace }}
  labels:
    {{- include "keycloak.labels" $ | nindent 4 }}
    app.kubernetes.io/component: {{ $part }}
spec:
  type: ClusterIP
  selector: {{- include "keycloak.selector" $ | nindent 4 }}
  {{- if eq $part "headless" }}
  clusterIP: None
  {{- end }}
  ports:
    {{- if eq $part "http" }}
    - {name: http-internal, port: 9000, targetPort: http-internal, protocol: TCP}
    - {name: https, port: 8443, targetPort: https, protocol: TCP}
    {{- end }}
    - {name: http, port: 80, targetPort: http, protocol: TCP}
{{- end }}
{{- with .Values.podDisruptionBudget }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ include "keycloak.name" $ }}
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "keycloak.labels" $ | nindent 4 }}
spec:
  selector:
    matchLabels: {{- include "keycloak.selector" $ | nindent 6 }}
  {{- toYaml . | nindent 2 }}
{{- end }}
