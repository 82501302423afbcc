package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/cilium/cilium/pkg/crypto/certificatemanager"
	envoypolicy "github.com/cilium/cilium/pkg/envoy/policy"
	"github.com/cilium/cilium/pkg/identity"
	"github.com/cilium/cilium/pkg/identity/identitymanager"
	slimmeta "github.com/cilium/cilium/pkg/k8s/slim/k8s/apis/meta/v1"
	k8sutils "github.com/cilium/cilium/pkg/k8s/utils"
	"github.com/cilium/cilium/pkg/labels"
	"github.com/cilium/cilium/pkg/labelsfilter"
	"github.com/cilium/cilium/pkg/option"
	"github.com/cilium/cilium/pkg/policy"
	"github.com/cilium/cilium/pkg/policy/api"
	"github.com/cilium/cilium/pkg/policy/types"
	pkgtypes "github.com/cilium/cilium/pkg/types"
	"github.com/cilium/cilium/pkg/u8proto"
)

const (
	firstPodIdentity     = 1000 // below 256 are the reserved ones
	firstOutsideIdentity = identity.IdentityScopeLocal + 1
)

// party is one end of a flow. Policies bind workloads; every other party is only a peer.
type party struct {
	id       string
	identity *identity.Identity
	workload *Workload
	ports    pkgtypes.NamedPortMap
}

// world is the policy repository of a cluster in which the job's workloads run.
type world struct {
	log      *slog.Logger
	policies []loaded
	repo     *policy.Repository
	manager  identitymanager.IDManager
	parties  map[string]*party
	enforced map[string]*enforced
}

// setUp sets what the agent's start sets for the whole process: IPv4 only, enforcement by default, localhost always
// allowed (as the agent decides on Kubernetes), the default label filter.
func setUp(job *Job, log *slog.Logger) error {
	option.Config.EnableIPv4, option.Config.EnableIPv6 = true, false
	option.Config.EnableL7Proxy = true
	option.Config.UnsafeDaemonConfigOption.AllowLocalhost = option.AllowLocalhostAlways
	policy.SetPolicyEnabled(option.DefaultEnforcement)
	if !job.plants(EntitiesUninitialised) {
		api.InitEntities(job.ClusterName)
	}
	return labelsfilter.ParseLabelPrefixCfg(log, nil, nil, "")
}

type noMetrics struct{}

func (noMetrics) AddRule(types.PolicyEntry) {}
func (noMetrics) DelRule(types.PolicyEntry) {}

type portsByName struct{ ports pkgtypes.NamedPortMultiMap }

func (p portsByName) GetNamedPorts() pkgtypes.NamedPortMultiMap { return p.ports }

// newWorld loads policies and identities; every identity is known before the first policy is computed, as the engine
// would otherwise need to be told of each change.
func newWorld(job *Job, log *slog.Logger) (*world, error) {
	policies, err := loadPolicies(job, log)
	if err != nil {
		return nil, err
	}
	w := &world{log: log, policies: policies, parties: map[string]*party{}, enforced: map[string]*enforced{}}
	w.manager = identitymanager.NewIDManager(log)
	translator := envoypolicy.NewEnvoyL7RulesTranslator(log, certificatemanager.NewMockSecretManagerInline())
	reserved := identity.ListReservedIdentities()
	w.repo = policy.NewPolicyRepository(log, reserved, nil, translator, w.manager, noMetrics{})
	for _, one := range policies {
		w.repo.ReplaceByResource(one.entries, one.resource)
	}
	ids := identity.IdentityMap{}
	if err := w.addEntities(job); err != nil {
		return nil, err
	}
	if err := w.addWorkloads(job, ids); err != nil {
		return nil, err
	}
	w.addOutside(job, ids)
	w.repo.GetSelectorCache().UpdateIdentities(ids, nil, &sync.WaitGroup{})
	if !job.plants(SubjectsUnknown) {
		w.repo.UpdateIdentities(reserved, nil)
		w.repo.UpdateIdentities(ids, nil)
	}
	return w, nil
}

func (w *world) addEntities(job *Job) error {
	for _, name := range job.Entities {
		found := identity.LookupReservedIdentity(identity.GetReservedID(name))
		if found == nil {
			return fmt.Errorf("entity %q: Cilium reserves no identity of this name", name)
		}
		w.parties[name] = &party{id: name, identity: found}
	}
	return nil
}

// addWorkloads gives workloads of equal security labels one identity, as the agent does.
func (w *world) addWorkloads(job *Job, ids identity.IdentityMap) error {
	byLabels := map[string]*identity.Identity{}
	multi := pkgtypes.NewNamedPortMultiMap()
	for i := range job.Workloads {
		workload := &job.Workloads[i]
		namespace := &slimmeta.ObjectMeta{Name: workload.Namespace, Labels: job.Namespaces[workload.Namespace]}
		sanitized := k8sutils.SanitizePodLabels(workload.Labels, namespace, workload.ServiceAccount, job.ClusterName)
		filtered, _ := labelsfilter.Filter(labels.Map2Labels(sanitized, labels.LabelSourceK8s))
		key := string(filtered.SortedList())
		if byLabels[key] == nil {
			byLabels[key] = identity.NewIdentity(identity.NumericIdentity(firstPodIdentity+len(byLabels)), filtered)
		}
		one := &party{id: workload.ID, identity: byLabels[key], workload: workload, ports: pkgtypes.NamedPortMap{}}
		for _, port := range workload.NamedPorts {
			proto, err := protocol(port.Protocol)
			if err != nil {
				return err
			}
			one.ports[port.Name] = pkgtypes.PortProto{Proto: proto, Port: port.Port}
		}
		multi.Update(one.identity.ID, nil, one.ports)
		ids[one.identity.ID] = one.identity.LabelArray
		w.parties[workload.ID] = one
	}
	w.repo.SetNamedPortsGetter(portsByName{multi})
	return nil
}

// addOutside gives each address one identity. An address that names resolved to carries the labels of every toFQDNs
// selector that matches one of them: what the agent adds when it sees the DNS answer.
func (w *world) addOutside(job *Job, ids identity.IdentityMap) {
	byIP := map[string]labels.Labels{}
	of := func(ip string) labels.Labels {
		addr := netip.MustParseAddr(ip)
		if byIP[addr.String()] == nil {
			byIP[addr.String()] = labels.GetCIDRLabels(netip.PrefixFrom(addr, addr.BitLen()))
		}
		return byIP[addr.String()]
	}
	for _, address := range job.Addresses {
		lbls := of(address.IP)
		if address.KubeAPIServer {
			for key, label := range labels.LabelKubeAPIServer {
				lbls[key] = label
			}
		}
	}
	for _, name := range job.Names {
		lbls := of(name.IP)
		for _, selector := range w.fqdnSelectors() {
			if matchesName(selector, name.ID) {
				label := selector.IdentityLabel()
				lbls[label.Key] = label
			}
		}
	}
	byAddress := map[string]*identity.Identity{}
	for i, ip := range sortedKeys(byIP) {
		byAddress[ip] = identity.NewIdentity(firstOutsideIdentity+identity.NumericIdentity(i), byIP[ip])
		ids[byAddress[ip].ID] = byAddress[ip].LabelArray
	}
	for _, address := range job.Addresses {
		w.parties[address.ID] = &party{id: address.ID, identity: byAddress[netip.MustParseAddr(address.IP).String()]}
	}
	for _, name := range job.Names {
		w.parties[name.ID] = &party{id: name.ID, identity: byAddress[netip.MustParseAddr(name.IP).String()]}
	}
}

func (w *world) fqdnSelectors() []*api.FQDNSelector {
	var all []*api.FQDNSelector
	for _, one := range w.policies {
		for _, entry := range one.entries {
			for _, selector := range entry.L3 {
				if fqdn, ok := selector.GetFQDNSelector(); ok {
					all = append(all, fqdn)
				}
			}
		}
	}
	return all
}

// matchesName is false for a selector whose pattern does not compile; Sanitize has refused those.
func matchesName(selector *api.FQDNSelector, name string) bool {
	pattern, err := selector.ToRegex()
	return err == nil && pattern.MatchString(asFQDN(name))
}

func asFQDN(name string) string { return strings.TrimSuffix(strings.ToLower(name), ".") + "." }

func (p *party) namedPort(name string, proto u8proto.U8proto) uint16 {
	if port, ok := p.ports[name]; ok && port.Proto == proto {
		return port.Port
	}
	return 0
}

func sortedKeys[V any](of map[string]V) []string {
	keys := make([]string, 0, len(of))
	for key := range of {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}
