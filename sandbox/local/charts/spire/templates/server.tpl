{{- if .Values.global.spire.namespaces.create }}
{{- fail "the namespaces are the program's here: global.spire.namespaces.create" }}
{{- end }}
{{- $server := index .Values "spire-server" }}
{{- $named := dict "root" . "name" "server" }}
{{- $pods := dict "root" . "name" "server" "component" "server" }}
{{- $space := include "spire.serverNamespace" . }}
{{- $config := include "spire.serverConfig" . | fromYaml }}
{{- with $config.Error }}{{ fail . }}{{ end }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $server.serviceAccount.name }}
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: spire-server
  namespace: {{ $space }}
data:
  server.conf: {{ $config | toPrettyJson | quote }}
---
apiVersion: v1
kind: Secret
metadata:
  name: spire-server-dbpw
  namespace: {{ $space }}
data:
  DBPW: {{ $server.dataStore.sql.password | b64enc }}
---
apiVersion: v1
kind: Service
metadata:
  name: spire-server
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
spec:
  type: ClusterIP
  selector: {{- include "spire.selector" $named | nindent 4 }}
  ports:
    - {name: grpc, port: 443, targetPort: grpc, protocol: TCP}
    {{- if $server.federation.enabled }}
    - {name: federation, port: {{ $server.federation.bundleEndpoint.port }}, targetPort: federation, protocol: TCP}
    {{- end }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: spire-server
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $pods | nindent 4 }}
spec:
  replicas: {{ $server.replicaCount }}
  serviceName: spire-server
  selector:
    matchLabels: {{- include "spire.selector" $pods | nindent 6 }}
  template:
    metadata:
      annotations:
        kubectl.kubernetes.io/default-container: spire-server
        checksum/config: {{ toJson $config | sha256sum }}
        checksum/controller: {{ include "spire.controllerConfig" . | sha256sum }}
      labels:
        {{- include "spire.selector" $pods | nindent 8 }}
        component: server
        release: {{ .Release.Name }}
        release-namespace: {{ .Release.Namespace }}
    spec:
      serviceAccountName: {{ $server.serviceAccount.name }}
      shareProcessNamespace: true
      securityContext: {{- include "spire.pod" . | nindent 8 }}
      {{- if .Values.global.spire.recommendations.enabled }}
      priorityClassName: system-cluster-critical
      {{- end }}
      {{- with $server.topologySpreadConstraints }}
      topologySpreadConstraints: {{ toJson . }}
      {{- end }}
      containers:
        - name: spire-server
          image: {{ $server.image }}:{{ .Chart.AppVersion }}
          imagePullPolicy: IfNotPresent
          args: [-expandEnv, -config, /run/spire/config/server.conf]
          env:
            - {name: PATH, value: "/opt/spire/bin:/bin"}
            - {name: DBPW, valueFrom: {secretKeyRef: {name: spire-server-dbpw, key: DBPW}}}
          securityContext: {{- include "spire.container" . | nindent 12 }}
          ports:
            - {name: grpc, containerPort: 8081, protocol: TCP}
            - {name: healthz, containerPort: 8080}
            {{- if $server.federation.enabled }}
            - {name: federation, containerPort: {{ $server.federation.bundleEndpoint.port }}, protocol: TCP}
            {{- end }}
            {{- if include "spire.figures" (dict "root" . "own" $server.telemetry) }}
            - {name: prom, containerPort: 9988}
            {{- end }}
          livenessProbe:
            httpGet: {path: /live, port: healthz}
            initialDelaySeconds: 15
            periodSeconds: 60
            timeoutSeconds: 3
            failureThreshold: 2
          readinessProbe:
            httpGet: {path: /ready, port: healthz}
            initialDelaySeconds: 5
            periodSeconds: 5
          volumeMounts:
            - {name: spire-server-socket, mountPath: /tmp/spire-server/private}
            - {name: spire-config, mountPath: /run/spire/config, readOnly: true}
            - {name: spire-data, mountPath: /run/spire/data}
            - {name: server-tmp, mountPath: /tmp}
            {{- range $server.extraVolumeMounts }}
            - {{ toJson . }}
            {{- end }}
        {{- include "spire.controllerContainer" . | nindent 8 }}
      volumes:
        - {name: server-tmp, emptyDir: {}}
        - {name: spire-server-socket, emptyDir: {}}
        - {name: spire-controller-manager-tmp, emptyDir: {}}
        - {name: spire-config, configMap: {name: spire-server}}
        - {name: controller-manager-config, configMap: {name: spire-controller-manager}}
        {{- range $server.extraVolumes }}
        - {{ toJson . }}
        {{- end }}
        {{- if ne $server.persistence.type "pvc" }}
        - {name: spire-data, emptyDir: {}}
        {{- end }}
  {{- if eq $server.persistence.type "pvc" }}
  volumeClaimTemplates:
    - metadata:
        name: spire-data
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: {{ $server.persistence.size }}}}
        {{- with .Values.global.spire.persistence.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
  {{- end }}
---
{{- $reviews := dict "apiGroups" (list "authentication.k8s.io") "resources" (list "tokenreviews")
     "verbs" (list "get" "watch" "list" "create") }}
{{- $agents := dict "apiGroups" (list "") "resources" (list "nodes" "pods") "verbs" (list "get" "list") }}
{{ include "spire.access" (dict "name" "spire-server-spire-server" "account" $server.serviceAccount.name "accountNamespace" $space
     "rules" (list $reviews $agents)) }}
{{- $bundle := dict "apiGroups" (list "") "resources" (list "configmaps")
     "resourceNames" (list "spire-bundle") "verbs" (list "get" "patch" "create") }}
{{ include "spire.access" (dict "name" "spire-bundle" "namespace" (include "spire.systemNamespace" .)
     "account" $server.serviceAccount.name "accountNamespace" $space "rules" (list $bundle)) }}
