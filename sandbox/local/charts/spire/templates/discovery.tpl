{{- $discovery := index .Values "spiffe-oidc-discovery-provider" }}
{{- $named := dict "root" . "name" "spiffe-oidc-discovery-provider" }}
{{- $space := include "spire.serverNamespace" . }}
{{- $name := include "spire.discoveryName" . }}
{{- $socket := base (index .Values "spire-agent").socketPath }}
{{- if or $discovery.tls.spire.enabled (not $discovery.tls.externalSecret.enabled) }}
{{- fail "the discovery provider's certificate here comes from a Secret: tls.externalSecret.enabled" }}
{{- end }}
{{- $config := include "spire.discoveryConfig" . | fromYaml }}
{{- with $config.Error }}{{ fail . }}{{ end }}
apiVersion: v1
kind: ServiceAccount
metadata:
  name: {{ $name }}
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ $name }}
  namespace: {{ $space }}
data:
  oidc-discovery-provider.conf: {{ $config | toPrettyJson | quote }}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ $name }}
  namespace: {{ $space }}
spec:
  type: ClusterIP
  selector: {{- include "spire.selector" $named | nindent 4 }}
  ports:
    - {name: https, port: 443, targetPort: https, protocol: TCP}
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ $name }}
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
spec:
  replicas: {{ $discovery.replicaCount }}
  selector:
    matchLabels: {{- include "spire.selector" $named | nindent 6 }}
  template:
    metadata:
      annotations:
        checksum/config: {{ toJson $config | sha256sum }}
      labels:
        {{- include "spire.selector" $named | nindent 8 }}
        component: oidc-discovery-provider
        release: {{ .Release.Name }}
        release-namespace: {{ .Release.Namespace }}
    spec:
      serviceAccountName: {{ $name }}
      securityContext: {{- include "spire.pod" . | nindent 8 }}
      containers:
        - name: spiffe-oidc-discovery-provider
          image: {{ $discovery.image }}:{{ .Chart.AppVersion }}
          imagePullPolicy: IfNotPresent
          args: [-config, /run/spire/oidc/config/oidc-discovery-provider.conf]
          securityContext: {{- include "spire.container" . | nindent 12 }}
          ports:
            - {name: healthz, containerPort: 8008}
            - {name: https, containerPort: 8443}
          livenessProbe: &probe
            httpGet: {path: /live, port: healthz}
            initialDelaySeconds: 5
            periodSeconds: 5
          readinessProbe:
            <<: *probe
            httpGet: {path: /ready, port: healthz}
          volumeMounts:
            - {name: spiffe-workload-api, mountPath: /spiffe-workload-api, readOnly: true}
            - {name: spire-oidc-sockets, mountPath: /run/spire/oidc-sockets}
            - name: spire-oidc-config
              mountPath: /run/spire/oidc/config/oidc-discovery-provider.conf
              subPath: oidc-discovery-provider.conf
              readOnly: true
            - {name: certdir, mountPath: /certs, readOnly: true}
      volumes:
        - {name: spiffe-workload-api, csi: {driver: csi.spiffe.io, readOnly: true}}
        - {name: spire-oidc-sockets, emptyDir: {}}
        - {name: spire-oidc-config, configMap: {name: {{ $name }}}}
        - {name: certdir, secret: {secretName: {{ $discovery.tls.externalSecret.secretName }}}}
---
apiVersion: spire.spiffe.io/v1alpha1
kind: ClusterSPIFFEID
metadata:
  name: {{ include "spire.discoveryIdentity" . }}
  labels:
    spire.spiffe.io/class-name: {{ (index .Values "spire-server").controllerManager.className }}
spec:
  className: {{ (index .Values "spire-server").controllerManager.className }}
  hint: oidc-discovery-provider
  spiffeIDTemplate: {{ `spiffe://{{ .TrustDomain }}/ns/{{ .PodMeta.Namespace }}/sa/{{ .PodSpec.ServiceAccountName }}` }}
  autoPopulateDNSNames: true
  dnsNameTemplates: [{{ `"oidc-discovery.{{ .TrustDomain }}"` }}]
  namespaceSelector:
    matchExpressions:
      - key: kubernetes.io/metadata.name
        operator: In
        values: [{{ $space }}, {{ include "spire.systemNamespace" . }}]
  podSelector:
    matchLabels:
      component: oidc-discovery-provider
      release: {{ .Release.Name }}
      release-namespace: {{ .Release.Namespace }}
