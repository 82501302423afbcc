{{- $driver := index .Values "spiffe-csi-driver" }}
{{- $named := dict "root" . "name" "spiffe-csi-driver" }}
{{- $space := include "spire.systemNamespace" . }}
{{- $name := include "spire.driverName" . }}
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata:
  name: csi.spiffe.io
spec:
  attachRequired: false
  podInfoOnMount: true
  fsGroupPolicy: None
  volumeLifecycleModes: [Ephemeral]
---
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: {{ $name }}
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
spec:
  selector:
    matchLabels: {{- include "spire.selector" $named | nindent 6 }}
  updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1}}
  template:
    metadata:
      labels: {{- include "spire.selector" $named | nindent 8 }}
    spec:
      serviceAccountName: {{ $name }}
      {{- if .Values.global.spire.recommendations.enabled }}
      priorityClassName: system-node-critical
      {{- end }}
      {{- with $driver.tolerations }}
      tolerations: {{ toJson . }}
      {{- end }}
      containers:
        - name: spiffe-csi-driver
          image: {{ $driver.image.repository }}:{{ $driver.image.tag }}
          imagePullPolicy: IfNotPresent
          args:
            - -workload-api-socket-dir
            - /spire-agent-socket
            - -plugin-name
            - csi.spiffe.io
            - -csi-socket-path
            - /spiffe-csi/csi.sock
          env:
            - {name: MY_NODE_NAME, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
          # It mounts into other pods.
          securityContext: {privileged: true, readOnlyRootFilesystem: true, capabilities: {drop: [ALL]}}
          volumeMounts:
            - {name: spire-agent-socket-dir, mountPath: /spire-agent-socket, readOnly: true}
            - {name: spiffe-csi-socket-dir, mountPath: /spiffe-csi}
            - {name: mountpoint-dir, mountPath: /var/lib/kubelet/pods, mountPropagation: Bidirectional}
        - name: node-driver-registrar
          image: {{ $driver.registrar }}
          imagePullPolicy: IfNotPresent
          args:
            - -csi-address
            - /spiffe-csi/csi.sock
            - -kubelet-registration-path
            - /var/lib/kubelet/plugins/csi.spiffe.io/csi.sock
            - -health-port
            - "9809"
          ports:
            - {name: healthz, containerPort: 9809}
          livenessProbe:
            httpGet: {path: /healthz, port: healthz}
            initialDelaySeconds: 5
            timeoutSeconds: 5
          volumeMounts:
            - {name: spiffe-csi-socket-dir, mountPath: /spiffe-csi}
            - {name: kubelet-plugin-registration-dir, mountPath: /registration}
      volumes:
        - {name: spire-agent-socket-dir, hostPath: {path: {{ dir $driver.agentSocketPath }}, type: DirectoryOrCreate}}
        - {name: spiffe-csi-socket-dir, hostPath: {path: /var/lib/kubelet/plugins/csi.spiffe.io, type: DirectoryOrCreate}}
        - {name: mountpoint-dir, hostPath: {path: /var/lib/kubelet/pods, type: Directory}}
        - {name: kubelet-plugin-registration-dir, hostPath: {path: /var/lib/kubelet/plugins_registry, type: Directory}}
