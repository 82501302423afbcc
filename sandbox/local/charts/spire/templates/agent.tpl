{{- $agent := index .Values "spire-agent" }}
{{- $named := dict "root" . "name" "agent" }}
{{- $pods := dict "root" . "name" "agent" "component" "default" }}
{{- $space := include "spire.systemNamespace" . }}
{{- $socket := base $agent.socketPath }}
{{- with $agent.socketAlternate.names }}{{ fail "no second socket here: spire-agent.socketAlternate.names" }}{{ end }}
{{- $config := include "spire.agentConfig" . | fromYaml }}
{{- with $config.Error }}{{ fail . }}{{ end }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: spire-agent
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: spire-agent
  namespace: {{ $space }}
data:
  agent.conf: {{ $config | toPrettyJson | quote }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: spire-agent
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $pods | nindent 4 }}
spec:
  selector:
    matchLabels: {{- include "spire.selector" $pods | nindent 6 }}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata:
      annotations:
        kubectl.kubernetes.io/default-container: spire-agent
        checksum/config: {{ toJson $config | sha256sum }}
      labels: {{- include "spire.selector" $pods | nindent 8 }}
    spec:
      serviceAccountName: spire-agent
      # Of the node: the agent finds a caller's container by its process, and the kubelet on loopback.
      hostPID: true
      hostNetwork: true
      dnsPolicy: ClusterFirstWithHostNet
      securityContext: {{- include "spire.pod" . | nindent 8 }}
      {{- if .Values.global.spire.recommendations.enabled }}
      priorityClassName: system-node-critical
      {{- end }}
      {{- with $agent.tolerations }}
      tolerations: {{ toJson . }}
      {{- end }}
      initContainers:
        # A folder of the node belongs to root, and fsGroup does not reach it.
        - name: fsgroupfix
          image: {{ $agent.ownership }}
          imagePullPolicy: IfNotPresent
          command: [bash, -c, chown -R 1000:1000 {{ dir $agent.socketPath }} /var/lib/spire]
          securityContext: {runAsUser: 0, runAsGroup: 0}
          volumeMounts:
            - {name: spire-agent-socket-dir, mountPath: {{ dir $agent.socketPath }}}
            - {name: spire-agent-persistence, mountPath: /var/lib/spire}
      containers:
        - name: spire-agent
          image: {{ $agent.image }}:{{ .Chart.AppVersion }}
          imagePullPolicy: IfNotPresent
          args: [-config, /opt/spire/conf/agent/agent.conf]
          env:
            - {name: PATH, value: "/opt/spire/bin:/bin"}
          ports:
            - {name: healthz, containerPort: 9982}
            {{- if include "spire.figures" (dict "root" . "own" $agent.telemetry) }}
            - {name: prom, containerPort: {{ $agent.telemetry.prometheus.port }}}
            {{- end }}
          livenessProbe:
            httpGet: {path: /live, port: healthz}
            initialDelaySeconds: 15
            periodSeconds: 60
          readinessProbe:
            httpGet: {path: /ready, port: healthz}
            initialDelaySeconds: 10
            periodSeconds: 30
          volumeMounts:
            - {name: spire-config, mountPath: /opt/spire/conf/agent, readOnly: true}
            - {name: spire-agent-persistence, mountPath: /var/lib/spire}
            - {name: spire-bundle, mountPath: /run/spire/bundle, readOnly: true}
            - {name: spire-agent-socket-dir, mountPath: /tmp/spire-agent/public}
            - {name: spire-token, mountPath: /var/run/secrets/tokens}
      volumes:
        - {name: spire-config, configMap: {name: spire-agent}}
        - {name: spire-bundle, configMap: {name: spire-bundle}}
        - {name: spire-agent-persistence, emptyDir: {}}
        - {name: spire-agent-socket-dir, hostPath: {path: {{ dir $agent.socketPath }}, type: DirectoryOrCreate}}
        - name: spire-token
          projected:
            sources:
              - serviceAccountToken: {path: spire-agent, audience: spire-server, expirationSeconds: 7200}
---
{{- $pods := dict "apiGroups" (list "") "resources" (list "pods" "nodes" "nodes/proxy") "verbs" (list "get") }}
{{ include "spire.access" (dict "name" "spire-agent" "account" "spire-agent" "accountNamespace" $space "rules" (list $pods)) }}
