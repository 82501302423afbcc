{{- if not .Values.config.clusterWide }}{{ fail "the operator here serves every namespace: config.clusterWide" }}{{ end }}
{{- if .Values.rbac.create }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: cloudnative-pg
  namespace: {{ .Release.Namespace }}
  labels: {{- include "cnpg.labels" . | nindent 4 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: cloudnative-pg
  labels: {{- include "cnpg.labels" . | nindent 4 }}
rules: {{ (include "cnpg.module" (dict "root" . "file" "role.yaml") | fromYaml).rules | toJson }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata:
  name: cloudnative-pg
  labels: {{- include "cnpg.labels" . | nindent 4 }}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cloudnative-pg}
subjects:
  - {kind: ServiceAccount, name: cloudnative-pg, namespace: {{ .Release.Namespace }}}
{{- $kinds := list "backups" "clusters" "clusters/status" "databaseroles" "databases" "failoverquorums" "poolers" "publications"
     "scheduledbackups" "imagecatalogs" "clusterimagecatalogs" "subscriptions" }}
{{- $verbs := dict "view" (list "get" "list" "watch") "edit" (list "create" "delete" "deletecollection" "patch" "update") }}
{{- range $role, $may := $verbs }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata:
  name: cloudnative-pg-{{ $role }}
  labels:
    {{- include "cnpg.labels" $ | nindent 4 }}
    {{- if $.Values.rbac.aggregateClusterRoles }}
    rbac.authorization.k8s.io/aggregate-to-{{ $role }}: "true"
    rbac.authorization.k8s.io/aggregate-to-admin: "true"
    {{- end }}
rules:
  - {apiGroups: [postgresql.cnpg.io], resources: {{ toJson $kinds }}, verbs: {{ toJson $may }}}
{{- end }}
{{- end }}
