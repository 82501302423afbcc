{{- define "spire.discoveryIdentity" -}}spire-server-{{ .Release.Name }}-oidc-discovery-provider{{- end }}

{{/* The discovery provider's configuration, as YAML that the caller turns into JSON. */}}
{{- define "spire.discoveryConfig" -}}
{{- $discovery := index .Values "spiffe-oidc-discovery-provider" }}
{{- $name := include "spire.discoveryName" . }}
{{- $space := include "spire.serverNamespace" . }}
domains:
  - {{ $name }}
  - {{ $name }}.{{ $space }}
  - {{ $name }}.{{ $space }}.svc.cluster.local
  - {{ trimPrefix "https://" .Values.global.spire.jwtIssuer }}
jwt_issuer: {{ .Values.global.spire.jwtIssuer | quote }}
log_level: info
log_format: {{ $discovery.config.logFormat }}
serving_cert_file:
  addr: ":8443"
  cert_file_path: /certs/tls.crt
  key_file_path: /certs/tls.key
workload_api:
  socket_path: /spiffe-workload-api/{{ base (index .Values "spire-agent").socketPath }}
  trust_domain: {{ .Values.global.spire.trustDomain }}
health_checks:
  bind_port: "8008"
  live_path: /live
  ready_path: /ready
{{- end }}
