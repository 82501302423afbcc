{{- $values := .Values }}
{{- $prefix := ternary "" (trimSuffix "/" $values.http.relativePath) (eq $values.http.relativePath "/") }}
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: {{ include "keycloak.name" . }}
  namespace: {{ .Release.Namespace }}
  labels: {{- include "keycloak.labels" . | nindent 4 }}
spec:
  replicas: {{ $values.replicas }}
  serviceName: {{ include "keycloak.name" . }}-headless
  podManagementPolicy: OrderedReady
  updateStrategy: {type: RollingUpdate}
  selector:
    matchLabels: {{- include "keycloak.selector" . | nindent 6 }}
  template:
    metadata:
      labels: {{- include "keycloak.selector" . | nindent 8 }}
      annotations: {{ toJson $values.podAnnotations }}
    spec:
      serviceAccountName: {{ $values.serviceAccount.name | default (include "keycloak.name" .) }}
      enableServiceLinks: {{ $values.enableServiceLinks }}
      restartPolicy: Always
      terminationGracePeriodSeconds: 60
      securityContext: {{ toJson $values.podSecurityContext }}
      topologySpreadConstraints: {{ include "keycloak.list" (dict "root" . "text" $values.topologySpreadConstraints) }}
      {{- if $values.spreadOverNodes }}
      affinity: {{- include "keycloak.kept-apart" . | nindent 8 }}
      {{- end }}
      containers:
        - name: keycloak
          image: {{ $values.image }}:{{ .Chart.AppVersion }}
          imagePullPolicy: IfNotPresent
          command: {{ toJson $values.command }}
          args: {{ toJson $values.args }}
          env:
            - {name: KC_HTTP_RELATIVE_PATH, value: {{ $prefix | default "/" }}}
            - {name: KC_CACHE, value: ispn}
            - {name: KC_CACHE_STACK, value: jdbc-ping}
            {{- if $values.proxy.enabled }}
            - {name: KC_PROXY_HEADERS, value: {{ $values.proxy.mode }}}
            {{- end }}
            {{- if $values.proxy.http.enabled }}
            - {name: KC_HTTP_ENABLED, value: "true"}
            {{- end }}
            {{- $fields := dict "vendor" "KC_DB" "hostname" "KC_DB_URL_HOST" "port" "KC_DB_URL_PORT"
                 "database" "KC_DB_URL_DATABASE" "username" "KC_DB_USERNAME" }}
            {{- range $field, $name := $fields }}
            {{- with get $values.database $field }}
            - {name: {{ $name }}, value: {{ quote . }}}
            {{- end }}
            {{- end }}
            - {name: KC_METRICS_ENABLED, value: "true"}
            - {name: KC_HEALTH_ENABLED, value: "true"}
            {{- with $values.extraEnv }}
            {{- tpl . $ | nindent 12 }}
            {{- end }}
          ports:
            - {name: http, containerPort: 8080, protocol: TCP}
            - {name: http-internal, containerPort: 9000, protocol: TCP}
            - {name: https, containerPort: 8443, protocol: TCP}
          livenessProbe:
            httpGet: {path: "{{ $prefix }}/health/live", port: http-internal, scheme: HTTP}
            initialDelaySeconds: 0
            timeoutSeconds: 5
          readinessProbe:
            httpGet: {path: "{{ $prefix }}/health/ready", port: http-internal, scheme: HTTP}
            initialDelaySeconds: 10
            timeoutSeconds: 1
          # A first start builds the server before it runs it.
          startupProbe:
            httpGet: {path: "{{ $prefix }}/health", port: http-internal, scheme: HTTP}
            initialDelaySeconds: 15
            periodSeconds: 5
            timeoutSeconds: 1
            failureThreshold: 60
          resources: {{ toJson $values.resources }}
          securityContext: {{ toJson $values.securityContext }}
          volumeMounts: {{ include "keycloak.list" (dict "root" . "text" $values.extraVolumeMounts) }}
      volumes: {{ include "keycloak.list" (dict "root" . "text" $values.extraVolumes) }}
