{{- $parts := list .Values.injector .Values.csi .Values.ui .Values.server.standalone }}
{{- range $parts }}
{{- if .enabled }}{{ fail "servers in a raft cluster alone here: no injector, csi, ui or standalone" }}{{ end }}
{{- end }}
{{- range list .Values.global .Values.server .Values.server.ha .Values.server.ha.raft }}
{{- if not .enabled }}{{ fail "servers in a raft cluster here: global, server, ha and raft are enabled" }}{{ end }}
{{- end }}
{{- $account := .Values.server.serviceAccount }}
{{- if $account.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $account.name }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "vault.labels" . | nindent 4 }}
  annotations: {{ toJson $account.annotations }}
{{- end }}
{{- if .Values.server.authDelegator.enabled }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: vault-server-binding
  labels: {{- include "vault.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:auth-delegator"}
subjects:
  - {kind: ServiceAccount, name: {{ $account.name }}, namespace: {{ .Release.Namespace }}}
{{- end }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: vault-discovery-role
  namespace: {{ .Release.Namespace }}
  labels: {{- include "vault.labels" . | nindent 4 }}
rules:
  - {apiGroups: [""], resources: [pods], verbs: [get, watch, list, update, patch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: vault-discovery-rolebinding
  namespace: {{ .Release.Namespace }}
  labels: {{- include "vault.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: vault-discovery-role}
subjects:
  - {kind: ServiceAccount, name: {{ $account.name }}, namespace: {{ .Release.Namespace }}}
{{- with .Values.server.ha.disruptionBudget }}
{{- if .enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: vault
  namespace: {{ $.Release.Namespace }}
  labels: {{- include "vault.labels" $ | nindent 4 }}
spec:
  # A server alone is not drained away.
  maxUnavailable: {{ ternary 0 .maxUnavailable (eq (int $.Values.server.ha.replicas) 1) }}
  selector:
    matchLabels: {{- include "vault.pods" $ | nindent 6 }}
{{- end }}
{{- end }}
