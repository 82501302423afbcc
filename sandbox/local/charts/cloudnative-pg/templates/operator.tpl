{{- $image := printf "%s:%s" .Values.image.repository (.Values.image.tag | default .Chart.AppVersion) }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: cnpg-controller-manager-config
  namespace: {{ .Release.Namespace }}
  labels: {{- include "cnpg.labels" . | nindent 4 }}
data: {}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: cnpg-default-monitoring
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "cnpg.labels" . | nindent 4 }}
    cnpg.io/reload: ""
data:
  queries: {{ (include "cnpg.module" (dict "root" . "file" "queries.yaml") | fromYaml).data.queries | quote }}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: cloudnative-pg
  namespace: {{ .Release.Namespace }}
  labels: {{- include "cnpg.labels" . | nindent 4 }}
spec:
  replicas: {{ .Values.replicaCount }}
  selector:
    matchLabels: {{- include "cnpg.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "cnpg.selector" . | nindent 8 }}
    spec:
      serviceAccountName: cloudnative-pg
      terminationGracePeriodSeconds: 10
      securityContext: {runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}
      {{- with .Values.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with .Values.nodeSelector }}
      nodeSelector: {{ toJson . }}
      {{- end }}
      {{- with .Values.tolerations }}
      tolerations: {{ toJson . }}
      {{- end }}
      {{- with .Values.topologySpreadConstraints }}
      topologySpreadConstraints: {{ toJson . }}
      {{- end }}
      containers:
        - name: manager
          image: {{ $image }}
          imagePullPolicy: IfNotPresent
          command: [/manager]
          args:
            - controller
            - --leader-elect
            - --max-concurrent-reconciles={{ .Values.config.maxConcurrentReconciles }}
            - --config-map-name=cnpg-controller-manager-config
            - --webhook-port=9443
          env:
            - {name: OPERATOR_IMAGE_NAME, value: {{ quote $image }}}
            - {name: OPERATOR_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
            - {name: MONITORING_QUERIES_CONFIGMAP, value: cnpg-default-monitoring}
          ports:
            - {name: metrics, containerPort: 8080, protocol: TCP}
            - {name: webhook-server, containerPort: 9443, protocol: TCP}
          livenessProbe:
            httpGet: &ready {path: /readyz, port: webhook-server, scheme: HTTPS}
            initialDelaySeconds: 3
          readinessProbe:
            httpGet: *ready
            initialDelaySeconds: 3
          startupProbe:
            httpGet: *ready
            periodSeconds: 5
            failureThreshold: 6
          resources: {{ toJson .Values.resources }}
          securityContext:
            runAsUser: 10001
            runAsGroup: 10001
            allowPrivilegeEscalation: false
            readOnlyRootFilesystem: true
            capabilities: {drop: [ALL]}
            seccompProfile: {type: RuntimeDefault}
          volumeMounts:
            - {name: scratch-data, mountPath: /controller}
            - {name: webhook-certificates, mountPath: /run/secrets/cnpg.io/webhook}
      volumes:
        - {name: scratch-data, emptyDir: {}}
        - {name: webhook-certificates, secret: {secretName: cnpg-webhook-cert, defaultMode: 420, optional: true}}
{{- if .Values.monitoring.podMonitorEnabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: PodMonitor
metadata:
  name: cloudnative-pg
  namespace: {{ .Release.Namespace }}
  labels: {{- include "cnpg.labels" . | nindent 4 }}
spec:
  selector:
    matchLabels: {{- include "cnpg.selector" . | nindent 6 }}
  podMetricsEndpoints: [{port: metrics}]
{{- end }}
