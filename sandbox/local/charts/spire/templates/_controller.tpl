{{/* The configuration of SPIRE's controller manager. */}}
{{- define "spire.controllerConfig" -}}
{{- $manager := (index .Values "spire-server").controllerManager }}
{{- $space := include "spire.serverNamespace" . }}
apiVersion: spire.spiffe.io/v1alpha1
kind: ControllerManagerConfig
metadata:
  name: spire-controller-manager
  namespace: {{ $space }}
metrics: {bindAddress: "0.0.0.0:8082"}
health: {healthProbeBindAddress: "0.0.0.0:8083"}
gcInterval: 10000000000
logLevel: info
logEncoding: console
leaderElection:
  leaderElect: true
  resourceName: 6f304bd2.spiffe.io
  resourceNamespace: {{ $space }}
  leaseDuration: 15s
  renewDeadline: 10s
  retryPeriod: 2s
validatingWebhookConfigurationName: {{ include "spire.webhookName" . }}
entryIDPrefix: {{ .Values.global.spire.clusterName }}
clusterName: {{ .Values.global.spire.clusterName }}
trustDomain: {{ .Values.global.spire.trustDomain }}
ignoreNamespaces: {{ toJson $manager.ignoreNamespaces }}
spireServerSocketPath: /tmp/spire-server/private/api.sock
className: {{ $manager.className | quote }}
watchClassless: {{ $manager.watchClassless }}
parentIDTemplate: {{ `"spiffe://{{ .TrustDomain }}/spire/agent/k8s_psat/{{ .ClusterName }}/{{ .NodeMeta.UID }}"` }}
reconcile: {clusterSPIFFEIDs: true, clusterStaticEntries: true, clusterFederatedTrustDomains: true}
{{- end }}

{{- define "spire.controllerContainer" -}}
{{- $server := index .Values "spire-server" -}}
- name: spire-controller-manager
  image: {{ $server.controllerManager.image.repository }}:{{ $server.controllerManager.image.tag }}
  imagePullPolicy: IfNotPresent
  args: [--config=controller-manager-config.yaml]
  env:
    - {name: ENABLE_WEBHOOKS, value: "true"}
  securityContext: {{- include "spire.container" . | nindent 4 }}
  ports:
    - {name: https, containerPort: 9443, protocol: TCP}
    - {name: hp-cm, containerPort: 8083}
    - {name: pm-cm, containerPort: 8082}
  livenessProbe: &probe
    httpGet: {path: /healthz, port: hp-cm}
    initialDelaySeconds: 5
    periodSeconds: 10
    timeoutSeconds: 5
    failureThreshold: 3
  readinessProbe:
    <<: *probe
    httpGet: {path: /readyz, port: hp-cm}
  volumeMounts:
    - {name: spire-server-socket, mountPath: /tmp/spire-server/private, readOnly: true}
    - name: controller-manager-config
      mountPath: /controller-manager-config.yaml
      subPath: controller-manager-config.yaml
      readOnly: true
    - {name: spire-controller-manager-tmp, mountPath: /tmp, subPath: spire-controller-manager}
    {{- range $server.extraVolumeMounts }}
    - {{ toJson . }}
    {{- end }}
{{- end }}
