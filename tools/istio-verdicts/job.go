package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"sort"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/yaml"

	meshconfig "istio.io/api/mesh/v1alpha1"
	security "istio.io/api/security/v1beta1"
	"istio.io/istio/pilot/pkg/config/kube/crd"
	"istio.io/istio/pkg/config"
	"istio.io/istio/pkg/config/mesh"
	"istio.io/istio/pkg/config/schema/collections"
	"istio.io/istio/pkg/config/schema/resource"
)

// buildJob is what `build` reads.
type buildJob struct {
	MeshConfig string            `json:"mesh_config"` // YAML, as in the ConfigMap's `mesh` key
	Objects    []json.RawMessage `json:"objects"`     // Istio's kinds and v1 Services
	Proxies    []proxySpec       `json:"proxies"`
	Jwks       map[string]string `json:"jwks"`   // jwksUri → the key set it stands for; nothing is fetched
	Custom     string            `json:"custom"` // "drop" leaves CUSTOM filters out, host:port keeps them and leads them there
}

// proxySpec is one workload's proxy.
type proxySpec struct {
	Name           string            `json:"name"`
	Namespace      string            `json:"namespace"`
	Labels         map[string]string `json:"labels"`
	ServiceAccount string            `json:"service_account"`
	Port           int               `json:"port"`    // the workload's port; a Service that selects it may add more
	Kind           string            `json:"kind"`    // sidecar or gateway
	Secrets        string            `json:"secrets"` // what its static secrets are named after: <secrets>/<secret name>
}

type manifest struct {
	APIVersion string             `json:"apiVersion"`
	Kind       string             `json:"kind"`
	Metadata   *metav1.ObjectMeta `json:"metadata"`
	Spec       json.RawMessage    `json:"spec"`
}

// trustDomainName is SPIFFE's set of characters; Istio takes any string and then matches nothing with it.
var trustDomainName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// strictMesh refuses what Istio drops in silence: keys it does not know, and malformed trust domains.
func strictMesh(text string) (*meshconfig.MeshConfig, []string) {
	var raw any
	if err := yaml.Unmarshal([]byte(text), &raw); err != nil {
		return nil, []string{fmt.Sprintf("mesh config: %v", err)}
	}
	var faults []string
	for _, field := range unknownFields((&meshconfig.MeshConfig{}).ProtoReflect().Descriptor(), raw, "") {
		faults = append(faults, fmt.Sprintf("mesh config: unknown field %s", field))
	}
	made, err := mesh.ApplyMeshConfigDefaults(text)
	if err != nil {
		return nil, append(faults, fmt.Sprintf("mesh config: %v", err))
	}
	names := append([]string{made.TrustDomain}, made.TrustDomainAliases...)
	for _, authority := range made.CaCertificates {
		names = append(names, authority.TrustDomains...)
	}
	for _, name := range names {
		if !trustDomainName.MatchString(name) {
			faults = append(faults, fmt.Sprintf("mesh config: %q is no trust domain", name))
		}
	}
	return made, faults
}

// strictObjects parses every object by the kind's own schema; faults name the object and the field.
func strictObjects(raw []json.RawMessage, jwks map[string]string) (configs []config.Config, services []corev1.Service, faults []string) {
	for index, text := range raw {
		var named metav1.PartialObjectMetadata
		if err := yaml.Unmarshal(text, &named); err != nil || named.Name == "" || named.Namespace == "" {
			faults = append(faults, fmt.Sprintf("object %d: %s %s: a name and a namespace are needed", index, named.Kind, named.Name))
			continue
		}
		subject := fmt.Sprintf("%s %s/%s", named.Kind, named.Namespace, named.Name)
		if named.APIVersion == "v1" && named.Kind == "Service" {
			var service corev1.Service
			if err := yaml.UnmarshalStrict(text, &service); err != nil {
				faults = append(faults, fmt.Sprintf("%s: %v", subject, err))
			}
			services = append(services, service)
			continue
		}
		var object manifest
		if err := yaml.UnmarshalStrict(text, &object); err != nil {
			faults = append(faults, fmt.Sprintf("%s: %v", subject, err))
			continue
		}
		made, found := strictConfig(object, jwks)
		for _, fault := range found {
			faults = append(faults, subject+": "+fault)
		}
		if made != nil {
			configs = append(configs, *made)
		}
	}
	return configs, services, faults
}

func strictConfig(object manifest, jwks map[string]string) (*config.Config, []string) {
	kind := schema.FromAPIVersionAndKind(object.APIVersion, object.Kind)
	found, known := collections.Pilot.FindByGroupVersionAliasesKind(resource.FromKubernetesGVK(&kind))
	if !known {
		return nil, []string{"unknown kind " + object.APIVersion + " " + object.Kind}
	}
	var spec any
	if err := json.Unmarshal(object.Spec, &spec); err != nil {
		return nil, []string{fmt.Sprintf("spec: %v", err)}
	}
	empty, err := found.NewInstance()
	if err != nil {
		return nil, []string{err.Error()}
	}
	var faults []string
	for _, field := range unknownFields(empty.(protoreflect.ProtoMessage).ProtoReflect().Descriptor(), spec, "spec") {
		faults = append(faults, "unknown field "+field)
	}
	kept := &crd.IstioKind{
		TypeMeta: metav1.TypeMeta{APIVersion: object.APIVersion, Kind: object.Kind}, ObjectMeta: *object.Metadata, Spec: object.Spec,
	}
	made, err := crd.ConvertObject(found, kept, "cluster.local")
	if err != nil {
		return nil, append(faults, err.Error())
	}
	if request, ok := made.Spec.(*security.RequestAuthentication); ok {
		faults = append(faults, inlineKeys(request, jwks)...)
	}
	if _, err := found.ValidateConfig(*made); err != nil {
		faults = append(faults, err.Error())
	}
	return made, faults
}

// inlineKeys puts the job's key sets in the place of the addresses they would be fetched from. A rule without keys is a
// fault: Istio would give it a key nobody holds and refuse every token, which looks like a verdict.
func inlineKeys(request *security.RequestAuthentication, jwks map[string]string) (faults []string) {
	for _, rule := range request.JwtRules {
		if rule.Jwks != "" {
			continue
		}
		keys, known := jwks[rule.JwksUri]
		if !known {
			faults = append(faults, fmt.Sprintf("issuer %q: no key set is given for jwksUri %q", rule.Issuer, rule.JwksUri))
			continue
		}
		rule.Jwks, rule.JwksUri = keys, ""
	}
	return faults
}

// unknownFields walks a decoded object along its message and returns the paths of the keys no field is named after.
// Only the JSON names count: an API server prunes the protobuf spelling, which Istio's own parser accepts.
func unknownFields(message protoreflect.MessageDescriptor, value any, path string) (unknown []string) {
	object, isObject := value.(map[string]any)
	if !isObject || strings.HasPrefix(string(message.FullName()), "google.protobuf.") {
		return nil
	}
	for key, inner := range object {
		here := strings.TrimPrefix(path+"."+key, ".")
		field := message.Fields().ByJSONName(key)
		switch {
		case field == nil:
			unknown = append(unknown, here)
		case field.IsMap():
			if entries, ok := inner.(map[string]any); ok && field.MapValue().Message() != nil {
				for name, entry := range entries {
					unknown = append(unknown, unknownFields(field.MapValue().Message(), entry, here+"."+name)...)
				}
			}
		case field.Message() == nil:
		case field.IsList():
			items, _ := inner.([]any)
			for index, item := range items {
				unknown = append(unknown, unknownFields(field.Message(), item, fmt.Sprintf("%s[%d]", here, index))...)
			}
		default:
			unknown = append(unknown, unknownFields(field.Message(), inner, here)...)
		}
	}
	sort.Strings(unknown)
	return unknown
}
