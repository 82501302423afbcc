{{- $server := index .Values "spire-server" }}
{{- $manager := $server.controllerManager }}
{{- $named := dict "root" . "name" "server" }}
{{- $space := include "spire.serverNamespace" . }}
{{- range $name, $identity := $manager.identities.clusterSPIFFEIDs }}
{{- if $identity.enabled }}
{{- fail (printf "no registration %s here: controllerManager.identities.clusterSPIFFEIDs" $name) }}
{{- end }}
{{- end }}
apiVersion: v1
kind: ConfigMap
metadata:
  name: spire-controller-manager
  namespace: {{ $space }}
data:
  controller-manager-config.yaml: |
    {{- include "spire.controllerConfig" . | nindent 4 }}
---
apiVersion: v1
kind: Service
metadata:
  name: spire-controller-manager-webhook
  namespace: {{ $space }}
  labels: {{- include "spire.labels" $named | nindent 4 }}
spec:
  type: ClusterIP
  selector: {{- include "spire.selector" $named | nindent 4 }}
  ports:
    - {name: https, port: 443, targetPort: https, protocol: TCP}
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata:
  name: {{ include "spire.webhookName" . }}
webhooks:
  {{- range $kind := list "clusterfederatedtrustdomain" "clusterspiffeid" }}
  - name: v{{ $kind }}.kb.io
    admissionReviewVersions: [v1]
    sideEffects: None
    failurePolicy: {{ $manager.validatingWebhookConfiguration.failurePolicy }}
    clientConfig:
      service:
        name: spire-controller-manager-webhook
        namespace: {{ $space }}
        path: /validate-spire-spiffe-io-v1alpha1-{{ $kind }}
    rules:
      - apiGroups: [spire.spiffe.io]
        apiVersions: [v1alpha1]
        operations: [CREATE, UPDATE]
        resources: [{{ $kind }}s]
    {{- if eq $kind "clusterspiffeid" }}
    # It comes with the release, before anybody answers here.
    matchConditions:
      - name: not-of-the-release
        expression: request.name != '{{ include "spire.discoveryIdentity" $ }}'
    {{- end }}
  {{- end }}
---
{{- $look := list "get" "list" "watch" }}
{{- $write := concat $look (list "create" "update" "patch" "delete") }}
{{- $own := list "spire.spiffe.io" }}
{{- $rules := list
  (dict "apiGroups" (list "") "resources" (list "namespaces" "nodes" "pods" "endpoints") "verbs" $look)
  (dict "apiGroups" (list "admissionregistration.k8s.io") "resources" (list "validatingwebhookconfigurations")
    "verbs" (append $look "patch")) }}
{{- range $kind := list "clusterfederatedtrustdomains" "clusterspiffeids" "clusterstaticentries" }}
{{- $rules = concat $rules (list
  (dict "apiGroups" $own "resources" (list $kind) "verbs" $write)
  (dict "apiGroups" $own "resources" (list (print $kind "/finalizers")) "verbs" (list "update"))
  (dict "apiGroups" $own "resources" (list (print $kind "/status")) "verbs" (list "get" "patch" "update"))) }}
{{- end }}
{{ include "spire.access" (dict "name" "spire-server-spire-controller-manager" "account" $server.serviceAccount.name
     "accountNamespace" $space "rules" $rules) }}
{{- $leader := list
  (dict "apiGroups" (list "") "resources" (list "configmaps") "verbs" $write)
  (dict "apiGroups" (list "coordination.k8s.io") "resources" (list "leases") "verbs" $write)
  (dict "apiGroups" (list "") "resources" (list "events") "verbs" (list "create" "patch")) }}
{{ include "spire.access" (dict "name" "spire-controller-manager-leader-election" "namespace" $space
     "account" $server.serviceAccount.name "accountNamespace" $space "rules" $leader) }}
