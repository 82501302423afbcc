package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/util/intstr"

	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"

	meshconfig "istio.io/api/mesh/v1alpha1"
	"istio.io/istio/pilot/pkg/model"
	"istio.io/istio/pilot/pkg/networking/core"
	"istio.io/istio/pilot/pkg/networking/util"
	kubeservice "istio.io/istio/pilot/pkg/serviceregistry/kube"
	"istio.io/istio/pilot/pkg/serviceregistry/provider"
	"istio.io/istio/pkg/cluster"
	"istio.io/istio/pkg/config/host"
	"istio.io/istio/pkg/config/labels"
	"istio.io/istio/pkg/config/protocol"
	"istio.io/istio/pkg/config/visibility"
	"istio.io/istio/pkg/spiffe"
	"istio.io/istio/pkg/test"
	"istio.io/istio/pkg/util/protomarshal"
	"istio.io/istio/pkg/util/sets"
)

// domainSuffix is the cluster's DNS domain; istioVersion is what the pinned builder calls itself to proxies.
const (
	domainSuffix = "cluster.local"
	istioVersion = "1.31.0"
)

// buildResult is what `build` writes.
type buildResult struct {
	Listeners map[string][]madeListener `json:"listeners"` // by proxy
	Addresses map[string]string         `json:"addresses"` // by proxy: its pod address, the destination to name in `ask`
	Outbound  map[string][]string       `json:"outbound"`  // by sidecar: host:port it can reach, "*" if anything
	Dropped   map[string][]string       `json:"dropped"`   // by proxy: filters a bare Envoy does not have
	Clusters  []json.RawMessage         `json:"clusters"`
}

// madeListener is one Envoy listener; Port is 0 for a sidecar's, which serves every port.
type madeListener struct {
	Name   string          `json:"name"`
	Port   uint32          `json:"port"`
	Config json.RawMessage `json:"config"`
}

func build(job buildJob) (result buildResult, err error) {
	meshConfig, faults := strictMesh(job.MeshConfig)
	configs, services, found := strictObjects(job.Objects, job.Jwks)
	faults = append(faults, found...)
	if job.Custom == "" {
		faults = append(faults, `custom: say "drop" or host:port`)
	}
	for _, proxy := range job.Proxies {
		if proxy.Kind != "sidecar" && proxy.Kind != "gateway" {
			faults = append(faults, fmt.Sprintf("proxy %s: kind %q is neither sidecar nor gateway", proxy.Name, proxy.Kind))
		}
	}
	if len(faults) > 0 {
		return result, refusal(faults)
	}
	result = buildResult{
		Listeners: map[string][]madeListener{}, Addresses: map[string]string{}, Outbound: map[string][]string{},
		Dropped: map[string][]string{}, Clusters: []json.RawMessage{},
	}
	world := newRegistry(meshConfig, services)
	for index, proxy := range job.Proxies {
		result.Addresses[proxy.Name] = fmt.Sprintf("10.64.%d.%d", index/250, index%250+1)
		world.add(proxy, result.Addresses[proxy.Name])
	}
	var inner error
	err = test.Wrap(func(t test.Failer) {
		generator := core.NewConfigGenTest(t, core.TestOptions{
			MeshConfig: meshConfig, Configs: configs, Services: world.services, Instances: world.instances,
		})
		keys := time.Hour // key sets are inline: the resolver has nothing to refresh
		generator.PushContext().JwtKeyResolver = model.NewJwksResolver(keys, keys, keys, keys)
		rewriter := newRewriter(job.Custom)
		for _, proxy := range job.Proxies {
			if inner = buildProxy(generator, rewriter, meshConfig, proxy, &result); inner != nil {
				return
			}
		}
		for _, made := range rewriter.clusters() {
			text, err := protomarshal.Marshal(made)
			if err != nil {
				inner = err
				return
			}
			result.Clusters = append(result.Clusters, text)
		}
	})
	if err == nil {
		err = inner
	}
	return result, err
}

func buildProxy(
	generator *core.ConfigGenTest, rewriter *rewriter, meshConfig *meshconfig.MeshConfig, spec proxySpec, result *buildResult,
) error {
	kind := model.SidecarProxy
	if spec.Kind == "gateway" {
		kind = model.Router
	}
	proxy := generator.SetupProxy(&model.Proxy{
		Type: kind, ID: spec.Name + "." + spec.Namespace, ConfigNamespace: spec.Namespace, Labels: spec.Labels,
		Metadata: &model.NodeMetadata{
			Namespace: spec.Namespace, Labels: spec.Labels, ServiceAccount: spec.ServiceAccount, IstioVersion: istioVersion,
		},
		IPAddresses: []string{result.Addresses[spec.Name]}, DNSDomain: spec.Namespace + ".svc." + domainSuffix,
		VerifiedIdentity: &spiffe.Identity{
			TrustDomain: meshConfig.TrustDomain, Namespace: spec.Namespace, ServiceAccount: spec.ServiceAccount,
		},
	})
	all := generator.Listeners(proxy)
	routes := map[string]*route.RouteConfiguration{}
	if kind == model.Router {
		for _, made := range generator.RoutesFromListeners(proxy, all) {
			routes[made.Name] = made
		}
	} else {
		result.Outbound[spec.Name] = reachable(generator, proxy, all)
	}
	dropped := sets.New[string]()
	for _, made := range all {
		if kind == model.SidecarProxy && made.Name != model.VirtualInboundListenerName {
			continue
		}
		if made.GetAddress().GetSocketAddress() == nil || made.UdpListenerConfig != nil {
			continue
		}
		port := made.GetAddress().GetSocketAddress().GetPortValue()
		if kind == model.SidecarProxy {
			port = 0
		}
		fit, err := rewriter.listener(made, spec.Name+"/"+made.Name, spec.Secrets, routes, dropped)
		if err != nil {
			return fmt.Errorf("proxy %s: %w", spec.Name, err)
		}
		text, err := protomarshal.Marshal(fit)
		if err != nil {
			return fmt.Errorf("proxy %s: %w", spec.Name, err)
		}
		result.Listeners[spec.Name] = append(result.Listeners[spec.Name], madeListener{Name: fit.Name, Port: port, Config: text})
	}
	result.Dropped[spec.Name] = sets.SortedList(dropped)
	return nil
}

// reachable is every host:port the sidecar has a cluster for, and "*" when what it does not know may leave as well.
func reachable(generator *core.ConfigGenTest, proxy *model.Proxy, all []*listener.Listener) []string {
	found := sets.New[string]()
	for _, made := range generator.Clusters(proxy) {
		if !strings.HasPrefix(made.Name, string(model.TrafficDirectionOutbound)+"|") {
			continue
		}
		_, _, name, port := model.ParseSubsetKey(made.Name)
		found.Insert(fmt.Sprintf("%s:%d", name, port))
	}
	for _, made := range all {
		if made.Name != model.VirtualOutboundListenerName {
			continue
		}
		for _, chain := range append(made.FilterChains, made.DefaultFilterChain) {
			for _, filter := range chain.GetFilters() {
				forward := &tcpproxy.TcpProxy{}
				if filter.GetTypedConfig().UnmarshalTo(forward) == nil && forward.GetCluster() == util.PassthroughCluster {
					found.Insert("*")
				}
			}
		}
	}
	return sets.SortedList(found)
}

// registry stands in for the cluster's services and endpoints.
type registry struct {
	trustDomain string
	manifests   []corev1.Service
	services    []*model.Service
	instances   []*model.ServiceInstance
}

func newRegistry(meshConfig *meshconfig.MeshConfig, manifests []corev1.Service) *registry {
	made := &registry{trustDomain: meshConfig.TrustDomain, manifests: manifests}
	for _, manifest := range manifests {
		made.services = append(made.services, kubeservice.ConvertService(manifest, nil, domainSuffix, cluster.ID(provider.Mock), made.trustDomain))
	}
	return made
}

// add makes the proxy an endpoint of the Services that select it. If none leads to its port, a service nobody sees does:
// Istio makes an inbound chain of its own only for ports that a service or a Sidecar names.
func (r *registry) add(proxy proxySpec, address string) {
	served := false
	for index, manifest := range r.manifests {
		selector := labels.Instance(manifest.Spec.Selector)
		if manifest.Namespace != proxy.Namespace || len(selector) == 0 || !selector.SubsetOf(proxy.Labels) {
			continue
		}
		for number, port := range manifest.Spec.Ports {
			target := port.TargetPort.IntValue()
			switch {
			case port.TargetPort.Type == intstr.String:
				target = proxy.Port
			case target == 0:
				target = int(port.Port)
			}
			served = served || target == proxy.Port
			r.instance(r.services[index], r.services[index].Ports[number], proxy, address, target)
		}
	}
	if served || proxy.Kind == "gateway" {
		return
	}
	port := &model.Port{Name: "http", Port: proxy.Port, Protocol: protocol.HTTP}
	hidden := &model.Service{
		Hostname:       host.Name(fmt.Sprintf("hidden-%s.%s.svc.%s", proxy.Name, proxy.Namespace, domainSuffix)),
		DefaultAddress: "0.0.0.0", Ports: model.PortList{port}, Resolution: model.ClientSideLB,
		Attributes: model.ServiceAttributes{
			ServiceRegistry: provider.Kubernetes, Name: "hidden-" + proxy.Name, Namespace: proxy.Namespace,
			ExportTo: sets.New(visibility.None),
		},
	}
	r.services = append(r.services, hidden)
	r.instance(hidden, port, proxy, address, proxy.Port)
}

func (r *registry) instance(service *model.Service, port *model.Port, proxy proxySpec, address string, target int) {
	identity := spiffe.Identity{TrustDomain: r.trustDomain, Namespace: proxy.Namespace, ServiceAccount: proxy.ServiceAccount}
	r.instances = append(r.instances, &model.ServiceInstance{
		Service: service, ServicePort: port,
		Endpoint: &model.IstioEndpoint{
			Addresses: []string{address}, ServicePortName: port.Name, EndpointPort: uint32(target), Labels: proxy.Labels,
			ServiceAccount: identity.String(), Namespace: proxy.Namespace, TLSMode: model.IstioMutualTLSModeLabel,
		},
	})
}
