{{- $server := .Values.server }}
{{- $scheme := include "vault.scheme" . }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: vault-config
  namespace: {{ .Release.Namespace }}
  labels: {{- include "vault.labels" . | nindent 4 }}
data:
  extraconfig-from-values.hcl: {{ include "vault.config" . | quote }}
---
apiVersion: apps/v1
kind: StatefulSet
metadata:
  name: vault
  namespace: {{ .Release.Namespace }}
  labels:
    {{- include "vault.selector" . | nindent 4 }}
    app.kubernetes.io/managed-by: {{ .Release.Service }}
spec:
  serviceName: vault-internal
  podManagementPolicy: Parallel
  replicas: {{ $server.ha.replicas }}
  updateStrategy: {type: {{ $server.updateStrategyType }}}
  {{- with $server.persistentVolumeClaimRetentionPolicy }}
  persistentVolumeClaimRetentionPolicy: {{ toJson . }}
  {{- end }}
  selector:
    matchLabels: {{- include "vault.pods" . | nindent 6 }}
  template:
    metadata:
      labels:
        helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
        {{- include "vault.pods" . | nindent 8 }}
    spec:
      serviceAccountName: {{ $server.serviceAccount.name }}
      shareProcessNamespace: {{ $server.shareProcessNamespace }}
      terminationGracePeriodSeconds: 10
      hostNetwork: false
      securityContext: {{ toJson $server.statefulSet.securityContext.pod }}
      {{- with $server.priorityClassName }}
      priorityClassName: {{ . }}
      {{- end }}
      {{- with $server.nodeSelector }}
      nodeSelector: {{ toJson . }}
      {{- end }}
      {{- with $server.tolerations }}
      tolerations: {{ toJson . }}
      {{- end }}
      {{- with $server.topologySpreadConstraints }}
      topologySpreadConstraints: {{ toJson . }}
      {{- end }}
      {{- if eq $server.affinity "hostname" }}
      affinity:
        podAntiAffinity:
          requiredDuringSchedulingIgnoredDuringExecution:
            - topologyKey: kubernetes.io/hostname
              labelSelector:
                matchLabels: {{- include "vault.pods" . | nindent 18 }}
      {{- end }}
      containers:
        - name: vault
          image: {{ $server.image.repository }}:{{ $server.image.tag }}
          imagePullPolicy: IfNotPresent
          command: [/bin/sh, -ec]
          args:
            - cp /vault/config/extraconfig-from-values.hcl /tmp/storageconfig.hcl;
              exec /usr/local/bin/docker-entrypoint.sh vault server -config=/tmp/storageconfig.hcl
          env:
            {{- include "vault.environment" . | nindent 12 }}
          ports:
            - {name: {{ $scheme }}, containerPort: 8200}
            - {name: https-internal, containerPort: 8201}
            - {name: {{ $scheme }}-rep, containerPort: 8202}
          {{- with $server.readinessProbe }}
          {{- if .enabled }}
          readinessProbe:
            exec: {command: [/bin/sh, -ec, vault status -tls-skip-verify]}
            initialDelaySeconds: 5
            periodSeconds: 5
            timeoutSeconds: {{ .timeoutSeconds }}
            successThreshold: 1
            failureThreshold: 2
          {{- end }}
          {{- end }}
          {{- with $server.livenessProbe }}
          {{- if .enabled }}
          livenessProbe:
            httpGet: {path: {{ quote .path }}, port: 8200, scheme: {{ upper $scheme }}}
            initialDelaySeconds: {{ .initialDelaySeconds }}
            periodSeconds: 5
            timeoutSeconds: {{ .timeoutSeconds }}
            successThreshold: 1
            failureThreshold: 2
          {{- end }}
          {{- end }}
          # Gives the others the time to see that this one goes.
          lifecycle: {preStop: {exec: {command: [/bin/sh, -c, sleep 5 && kill -SIGTERM $(pidof vault)]}}}
          resources: {{ toJson $server.resources }}
          securityContext: {{ toJson $server.statefulSet.securityContext.container }}
          volumeMounts:
            - {name: config, mountPath: /vault/config}
            - {name: home, mountPath: /home/vault}
            {{- with .Values.sealSecret }}
            - {name: seal, mountPath: /vault/seal, readOnly: true}
            {{- end }}
            {{- range $volume, $storage := dict "data" $server.dataStorage "audit" $server.auditStorage }}
            {{- if $storage.enabled }}
            - {name: {{ $volume }}, mountPath: {{ $storage.mountPath }}}
            {{- end }}
            {{- end }}
            {{- range $server.volumeMounts }}
            - {{ toJson . }}
            {{- end }}
        {{- range $server.extraContainers }}
        - {{ toJson . }}
        {{- end }}
      volumes:
        - {name: config, configMap: {name: vault-config}}
        - {name: home, emptyDir: {}}
        {{- with .Values.sealSecret }}
        - {name: seal, secret: {secretName: {{ . }}, defaultMode: 288}}
        {{- end }}
        {{- range $server.volumes }}
        - {{ toJson . }}
        {{- end }}
  volumeClaimTemplates:
    {{- range $volume, $storage := dict "data" $server.dataStorage "audit" $server.auditStorage }}
    {{- if $storage.enabled }}
    - apiVersion: v1
      kind: PersistentVolumeClaim
      metadata: {name: {{ $volume }}}
      spec:
        accessModes: [ReadWriteOnce]
        resources: {requests: {storage: {{ $storage.size }}}}
        {{- with $storage.storageClass }}
        storageClassName: {{ . }}
        {{- end }}
    {{- end }}
    {{- end }}
