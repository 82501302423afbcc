package main

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	accesslog "github.com/envoyproxy/go-control-plane/envoy/config/accesslog/v3"
	cluster "github.com/envoyproxy/go-control-plane/envoy/config/cluster/v3"
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	endpoint "github.com/envoyproxy/go-control-plane/envoy/config/endpoint/v3"
	listener "github.com/envoyproxy/go-control-plane/envoy/config/listener/v3"
	route "github.com/envoyproxy/go-control-plane/envoy/config/route/v3"
	extauthz "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/http/ext_authz/v3"
	proxyprotocol "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/listener/proxy_protocol/v3"
	echo "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/echo/v3"
	hcm "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/http_connection_manager/v3"
	tcpproxy "github.com/envoyproxy/go-control-plane/envoy/extensions/filters/network/tcp_proxy/v3"
	tls "github.com/envoyproxy/go-control-plane/envoy/extensions/transport_sockets/tls/v3"
	upstreams "github.com/envoyproxy/go-control-plane/envoy/extensions/upstreams/http/v3"

	"istio.io/istio/pilot/pkg/util/protoconv"
	"istio.io/istio/pkg/util/sets"
	"istio.io/istio/pkg/wellknown"
)

// absent are Istio's own filters that a bare Envoy lacks; they carry telemetry and ALPN, and decide nothing.
var absent = sets.New("istio.metadata_exchange", "istio.stats", "istio.alpn")

// inboundPrefix starts the names of the clusters behind a sidecar: what reaches one was let through.
const (
	inboundPrefix      = "inbound|"
	inboundPassthrough = "InboundPassthroughCluster"
)

// rewriter makes Istio's listeners fit for a bare Envoy. It changes what leads out of the machine (address, secrets,
// clusters) and leaves alone what decides: filter chain matches, SAN matches, normalization, jwt_authn, RBAC.
type rewriter struct {
	custom   string
	external sets.String // names of the clusters that kept CUSTOM filters call
}

func newRewriter(custom string) *rewriter {
	return &rewriter{custom: custom, external: sets.New[string]()}
}

// listener gives the listener a loopback port of its own. The PROXY protocol stands in for iptables: it tells the
// connection's source and original destination, so port matches and address rules see what they would see in a pod.
func (r *rewriter) listener(
	made *listener.Listener, name, secrets string, routes map[string]*route.RouteConfiguration, dropped sets.String,
) (*listener.Listener, error) {
	fit := proto.Clone(made).(*listener.Listener)
	fit.Name, fit.Address, fit.AdditionalAddresses = name, address("127.0.0.1", 0), nil
	fit.UseOriginalDst, fit.AccessLog = nil, nil
	kept := []*listener.ListenerFilter{{
		Name:       wellknown.ProxyProtocol,
		ConfigType: &listener.ListenerFilter_TypedConfig{TypedConfig: protoconv.MessageToAny(&proxyprotocol.ProxyProtocol{})},
	}}
	for _, filter := range fit.ListenerFilters {
		if filter.Name != wellknown.OriginalDestination && filter.Name != wellknown.OriginalSource {
			kept = append(kept, filter)
		}
	}
	fit.ListenerFilters = kept
	chains := fit.FilterChains
	if fit.DefaultFilterChain != nil {
		chains = append(chains[:len(chains):len(chains)], fit.DefaultFilterChain)
	}
	for _, chain := range chains {
		if err := transport(chain, secrets); err != nil {
			return nil, err
		}
		filters, err := r.network(chain.Filters, routes, dropped)
		if err != nil {
			return nil, fmt.Errorf("chain %s: %w", chain.Name, err)
		}
		chain.Filters = filters
	}
	return fit, nil
}

// transport turns SDS over the agent's socket into static secrets named <secrets>/<name>; what is matched stays.
func transport(chain *listener.FilterChain, secrets string) error {
	if chain.TransportSocket == nil || chain.TransportSocket.Name != wellknown.TransportSocketTLS {
		return nil
	}
	context := &tls.DownstreamTlsContext{}
	if err := chain.TransportSocket.GetTypedConfig().UnmarshalTo(context); err != nil {
		return err
	}
	common := context.CommonTlsContext
	references := append([]*tls.SdsSecretConfig{}, common.TlsCertificateSdsSecretConfigs...)
	references = append(references, common.GetCombinedValidationContext().GetValidationContextSdsSecretConfig())
	references = append(references, common.GetValidationContextSdsSecretConfig())
	for _, reference := range references {
		if reference == nil {
			continue
		}
		// Static, because every watched file costs Envoy one of the machine's few inotify instances.
		reference.Name, reference.SdsConfig = secrets+"/"+reference.Name, nil
	}
	chain.TransportSocket.ConfigType = &core.TransportSocket_TypedConfig{TypedConfig: protoconv.MessageToAny(context)}
	return nil
}

func (r *rewriter) network(
	filters []*listener.Filter, routes map[string]*route.RouteConfiguration, dropped sets.String,
) (kept []*listener.Filter, err error) {
	for _, filter := range filters {
		packed := filter.GetTypedConfig()
		skip, err := unavailable(filter.Name, packed, dropped)
		switch {
		case err != nil:
			return nil, err
		case skip:
			continue
		}
		manager, forward := &hcm.HttpConnectionManager{}, &tcpproxy.TcpProxy{}
		switch {
		case packed.UnmarshalTo(manager) == nil:
			if err := r.manager(manager, routes, dropped); err != nil {
				return nil, err
			}
			filter.ConfigType = &listener.Filter_TypedConfig{TypedConfig: protoconv.MessageToAny(manager)}
		case packed.UnmarshalTo(forward) == nil:
			forward.AccessLog = nil
			filter.ConfigType = &listener.Filter_TypedConfig{TypedConfig: protoconv.MessageToAny(forward)}
			if name := forward.GetCluster(); strings.HasPrefix(name, inboundPrefix) || strings.HasPrefix(name, inboundPassthrough) {
				filter = &listener.Filter{
					Name:       "envoy.filters.network.echo",
					ConfigType: &listener.Filter_TypedConfig{TypedConfig: protoconv.MessageToAny(&echo.Echo{})},
				}
			}
		}
		kept = append(kept, filter)
	}
	return kept, nil
}

// unavailable says whether a bare Envoy lacks the filter; one that is not known to be harmless is an error.
func unavailable(name string, packed *anypb.Any, dropped sets.String) (bool, error) {
	if strings.HasPrefix(packed.GetTypeUrl(), "type.googleapis.com/envoy.extensions.") {
		return false, nil
	}
	if !absent.Contains(name) {
		return false, fmt.Errorf("filter %s (%s) is not Envoy's, and not known to decide nothing", name, packed.GetTypeUrl())
	}
	dropped.Insert(name)
	return true, nil
}

func (r *rewriter) manager(
	manager *hcm.HttpConnectionManager, routes map[string]*route.RouteConfiguration, dropped sets.String,
) error {
	manager.AccessLog, manager.Tracing = nil, nil
	var kept []*hcm.HttpFilter
	for _, filter := range manager.HttpFilters {
		skip, err := unavailable(filter.Name, filter.GetTypedConfig(), dropped)
		if err != nil {
			return err
		}
		authorizer := &extauthz.ExtAuthz{}
		if !skip && filter.GetTypedConfig().UnmarshalTo(authorizer) == nil {
			called := authorizer.GetGrpcService().GetEnvoyGrpc().GetClusterName()
			switch {
			case r.custom == "drop":
				dropped.Insert(filter.Name)
				skip = true
			case called == "":
				return fmt.Errorf("filter %s: only gRPC servers are called", filter.Name)
			default:
				r.external.Insert(called)
			}
		}
		if !skip {
			kept = append(kept, filter)
		}
	}
	manager.HttpFilters = kept
	if named := manager.GetRds().GetRouteConfigName(); named != "" {
		found, known := routes[named]
		if !known {
			return fmt.Errorf("no routes are named %s", named)
		}
		manager.RouteSpecifier = &hcm.HttpConnectionManager_RouteConfig{RouteConfig: proto.Clone(found).(*route.RouteConfiguration)}
	}
	for _, virtual := range manager.GetRouteConfig().GetVirtualHosts() {
		for _, entry := range virtual.Routes {
			answer(entry)
		}
	}
	manager.LocalReplyConfig = &hcm.LocalReplyConfig{Mappers: []*hcm.ResponseMapper{{
		Filter: &accesslog.AccessLogFilter{FilterSpecifier: &accesslog.AccessLogFilter_StatusCodeFilter{
			StatusCodeFilter: &accesslog.StatusCodeFilter{Comparison: &accesslog.ComparisonFilter{
				Op: accesslog.ComparisonFilter_GE, Value: &core.RuntimeUInt32{DefaultValue: 0, RuntimeKey: "verdicts.every_status"},
			}},
		}},
		HeadersToAdd: []*core.HeaderValueOption{header("x-reason", "%RESPONSE_CODE_DETAILS%")},
	}}}
	return nil
}

// answer replaces forwarding by a 200 that says what would have been forwarded, to where, and on whose behalf. Rewrites
// a route makes on the way are not shown.
func answer(entry *route.Route) {
	forward := entry.GetRoute()
	if forward == nil {
		return
	}
	named := forward.GetCluster()
	for _, weighted := range forward.GetWeightedClusters().GetClusters() {
		named = strings.TrimPrefix(named+","+weighted.Name, ",")
	}
	entry.Action = &route.Route_DirectResponse{DirectResponse: &route.DirectResponseAction{Status: 200}}
	entry.Decorator, entry.RequestHeadersToAdd, entry.RequestHeadersToRemove = nil, nil, nil
	entry.ResponseHeadersToRemove = nil
	entry.ResponseHeadersToAdd = []*core.HeaderValueOption{
		header("x-path", "%REQ(:PATH)%"), header("x-principal", "%DOWNSTREAM_PEER_URI_SAN%"), header("x-cluster", named),
	}
}

func header(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: name, Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}

// clusters are the external authorizers', all led to the job's address.
func (r *rewriter) clusters() (made []*cluster.Cluster) {
	ip, text, _ := net.SplitHostPort(r.custom)
	port, _ := strconv.Atoi(text)
	for _, name := range sets.SortedList(r.external) {
		made = append(made, &cluster.Cluster{
			Name: name, ClusterDiscoveryType: &cluster.Cluster_Type{Type: cluster.Cluster_STATIC},
			LoadAssignment: &endpoint.ClusterLoadAssignment{
				ClusterName: name,
				Endpoints: []*endpoint.LocalityLbEndpoints{{LbEndpoints: []*endpoint.LbEndpoint{{
					HostIdentifier: &endpoint.LbEndpoint_Endpoint{Endpoint: &endpoint.Endpoint{Address: address(ip, uint32(port))}},
				}}}},
			},
			TypedExtensionProtocolOptions: map[string]*anypb.Any{
				"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": protoconv.MessageToAny(&upstreams.HttpProtocolOptions{
					UpstreamProtocolOptions: &upstreams.HttpProtocolOptions_ExplicitHttpConfig_{
						ExplicitHttpConfig: &upstreams.HttpProtocolOptions_ExplicitHttpConfig{
							ProtocolConfig: &upstreams.HttpProtocolOptions_ExplicitHttpConfig_Http2ProtocolOptions{
								Http2ProtocolOptions: &core.Http2ProtocolOptions{},
							},
						},
					},
				}),
			},
		})
	}
	return made
}

func address(ip string, port uint32) *core.Address {
	return &core.Address{Address: &core.Address_SocketAddress{SocketAddress: &core.SocketAddress{
		Address: ip, PortSpecifier: &core.SocketAddress_PortValue{PortValue: port},
	}}}
}
