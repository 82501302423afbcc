{{/* SPIRE's server.conf, as YAML that the caller turns into JSON. */}}
{{- define "spire.serverConfig" -}}
{{- $server := index .Values "spire-server" }}
{{- $global := .Values.global.spire }}
{{- $store := $server.dataStore.sql }}
server:
  bind_address: 0.0.0.0
  bind_port: "8081"
  trust_domain: {{ required "global.spire.trustDomain" $global.trustDomain | quote }}
  data_dir: /run/spire/data
  log_level: info
  log_format: {{ $server.logFormat }}
  jwt_issuer: {{ required "global.spire.jwtIssuer" $global.jwtIssuer | quote }}
  audit_log_enabled: {{ $server.auditLogEnabled }}
  disable_jwt_svids: false
  ca_key_type: {{ $server.caKeyType }}
  ca_ttl: {{ $server.caTTL }}
  default_x509_svid_ttl: {{ $server.defaultX509SvidTTL }}
  default_jwt_svid_ttl: {{ $server.defaultJwtSvidTTL }}
  ca_subject:
    - country: [{{ $global.caSubject.country | quote }}]
      organization: [{{ $global.caSubject.organization | quote }}]
      common_name: {{ $global.caSubject.commonName | quote }}
  {{- with $server.federation }}
  {{- if .enabled }}
  {{- if not .tls.spire.enabled }}{{ fail "federation here is https_spiffe alone: federation.tls.spire.enabled" }}{{ end }}
  federation:
    bundle_endpoint:
      address: 0.0.0.0
      port: {{ .bundleEndpoint.port }}
      refresh_hint: {{ .bundleEndpoint.refreshHint }}
      profile: [{https_spiffe: {}}]
  {{- end }}
  {{- end }}
  ratelimit: {attestation: true, signing: true}
plugins:
  DataStore:
    - sql:
        plugin_data:
          database_type: {{ $store.databaseType }}
          # The password is put in when the server starts, from the Secret spire-server-dbpw.
          connection_string: {{ include "spire.connection" $store | quote }}
          max_open_conns: 100
          max_idle_conns: 2
          disable_migration: false
  NodeAttestor:
    {{- if $server.nodeAttestor.k8sPSAT.enabled }}
    - k8s_psat:
        plugin_data:
          clusters:
            - {{ required "global.spire.clusterName" $global.clusterName | quote }}:
                service_account_allow_list: ["{{ include "spire.systemNamespace" . }}:spire-agent"]
                audience: [spire-server]
                allowed_node_label_keys: []
                allowed_pod_label_keys: []
    {{- end }}
  KeyManager:
    {{- with $server.keyManager }}
    {{- if eq (toString .awsKMS.enabled) (toString .disk.enabled) }}{{ fail "one key manager, disk or awsKMS" }}{{ end }}
    {{- if .disk.enabled }}
    - disk: {plugin_data: {keys_path: /run/spire/data/keys.json}}
    {{- else }}
    - aws_kms:
        plugin_data:
          region: {{ .awsKMS.region }}
          {{- if .awsKMS.keyIdentifierFile.enabled }}
          key_identifier_file: /run/spire/data/aws-kms-key-identifier
          {{- end }}
          key_tags: {{ .awsKMS.keyTags | toJson }}
    {{- end }}
    {{- end }}
  {{- with $server.upstreamAuthority.awsPCA }}
  {{- if .enabled }}
  UpstreamAuthority:
    - aws_pca:
        plugin_data:
          region: {{ .region }}
          certificate_authority_arn: {{ .certificateAuthorityARN }}
  {{- end }}
  {{- end }}
  {{- with $server.bundlePublisher.k8sConfigMap }}
  {{- if .enabled }}
  BundlePublisher:
    - k8s_configmap:
        plugin_data:
          clusters:
            - chart-internal:
                namespace: {{ include "spire.systemNamespace" $ }}
                configmap_name: spire-bundle
                configmap_key: {{ include "spire.bundleKey" $ }}
                format: {{ .format }}
  {{- end }}
  {{- end }}
health_checks:
  listener_enabled: true
  bind_address: 0.0.0.0
  bind_port: "8080"
  live_path: /live
  ready_path: /ready
{{- if include "spire.figures" (dict "root" . "own" $server.telemetry) }}
telemetry: [{Prometheus: [{host: 0.0.0.0, port: 9988}]}]
{{- end }}
{{- end }}

{{/* PostgreSQL's keywords and values. */}}
{{- define "spire.connection" -}}
dbname={{ .databaseName }} user={{ .username }} password=${DBPW} host={{ .host }} port={{ .port }}
{{- range .options }}{{ range $key, $value := . }} {{ $key }}={{ $value }}{{ end }}{{ end }}
{{- end }}

{{/* The key in the bundle's ConfigMap follows its format. */}}
{{- define "spire.bundleKey" -}}
{{- $format := (index .Values "spire-server").bundlePublisher.k8sConfigMap.format -}}
bundle.{{ ternary "crt" $format (eq $format "pem") }}
{{- end }}
