{{/* SPIRE's agent.conf, as YAML that the caller turns into JSON. */}}
{{- define "spire.agentConfig" -}}
{{- $agent := index .Values "spire-agent" }}
{{- $attestor := $agent.workloadAttestors.k8s }}
agent:
  data_dir: /var/lib/spire
  log_level: info
  log_format: {{ $agent.logFormat }}
  server_address: spire-server.{{ include "spire.serverNamespace" . }}
  server_port: "443"
  socket_path: /tmp/spire-agent/public/{{ base $agent.socketPath }}
  trust_bundle_path: /run/spire/bundle/{{ include "spire.bundleKey" . }}
  trust_bundle_format: {{ (index .Values "spire-server").bundlePublisher.k8sConfigMap.format }}
  trust_domain: {{ .Values.global.spire.trustDomain }}
  rebootstrap_mode: always
  rebootstrap_delay: 10m
  {{- with $agent.sds }}
  {{- if .enabled }}
  sds:
    default_svid_name: {{ .defaultSVIDName | quote }}
    default_bundle_name: {{ .defaultBundleName | quote }}
    default_all_bundles_name: {{ .defaultAllBundlesName | quote }}
    disable_spiffe_cert_validation: false
  {{- end }}
  {{- end }}
plugins:
  NodeAttestor: [{k8s_psat: {plugin_data: {cluster: {{ .Values.global.spire.clusterName | quote }}}}}]
  KeyManager: [{memory: {plugin_data: null}}]
  WorkloadAttestor:
    - k8s:
        plugin_data:
          disable_container_selectors: {{ $attestor.disableContainerSelectors }}
          use_new_container_locator: true
          verbose_container_locator_logs: false
          {{- if eq $attestor.verification.type "apiServerCA" }}
          skip_kubelet_verification: false
          kubelet_ca_path: /var/run/secrets/kubernetes.io/serviceaccount/ca.crt
          {{- else if eq $attestor.verification.type "skip" }}
          skip_kubelet_verification: true
          {{- else }}{{ fail "verification.type here is apiServerCA or skip" }}{{ end }}
health_checks:
  listener_enabled: true
  bind_address: 0.0.0.0
  bind_port: "9982"
  live_path: /live
  ready_path: /ready
{{- if include "spire.figures" (dict "root" . "own" $agent.telemetry) }}
telemetry: [{Prometheus: [{host: 0.0.0.0, port: {{ $agent.telemetry.prometheus.port }}}]}]
{{- end }}
{{- end }}
