{{- define "vault.environment" -}}
{{- $scheme := include "vault.scheme" . }}
{{- $server := .Values.server }}
- {name: HOST_IP, valueFrom: {fieldRef: {fieldPath: status.hostIP}}}
- {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
- {name: VAULT_K8S_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: VAULT_K8S_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: VAULT_ADDR, value: "{{ $scheme }}://127.0.0.1:8200"}
- {name: HOSTNAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: VAULT_API_ADDR, value: {{ $server.ha.apiAddr | default (print $scheme "://$(POD_IP):8200") | quote }}}
- {name: VAULT_CLUSTER_ADDR, value: "https://$(HOSTNAME).vault-internal:8201"}
{{- if $server.ha.raft.setNodeId }}
- {name: VAULT_RAFT_NODE_ID, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
{{- end }}
- {name: SKIP_CHOWN, value: "true"}
- {name: SKIP_SETCAP, value: "true"}
- {name: HOME, value: /home/vault}
{{- with $server.logFormat }}
- {name: VAULT_LOG_FORMAT, value: {{ . }}}
{{- end }}
{{- range $name, $value := $server.extraEnvironmentVars }}
- {name: {{ $name }}, value: {{ quote $value }}}
{{- end }}
{{- end }}
