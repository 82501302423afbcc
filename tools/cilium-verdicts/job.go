package main

import (
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"

	"github.com/cilium/cilium/pkg/u8proto"
	"sigs.k8s.io/yaml"
)

// Job is one question: which of these flows and DNS lookups do these policies allow? Ids are free text, unique over
// workloads, entities, addresses and names.
type Job struct {
	ClusterName string                       `json:"cluster_name"`
	Policies    []map[string]any             `json:"policies"`
	Namespaces  map[string]map[string]string `json:"namespaces"` // name to labels
	Workloads   []Workload                   `json:"workloads"`
	Entities    []string                     `json:"entities"`  // host, world, kube-apiserver, remote-node, …
	Addresses   []Address                    `json:"addresses"` // outside the cluster
	Names       []Name                       `json:"names"`     // hosts outside, after their DNS answer
	Flows       []Flow                       `json:"flows"`
	Lookups     []Lookup                     `json:"lookups"`
	SelfCheck   bool                         `json:"self_check"` // compare with Cilium's own simulators
	Plant       []Fault                      `json:"plant"`      // leave a step out, to see the known denials fail
}

// Fault is a step of the set-up that fails open when it is left out.
type Fault string

const (
	// EntitiesUninitialised leaves the entity "cluster" without a selector, which the engine reads as "anyone".
	EntitiesUninitialised Fault = "entities-uninitialised"
	// SubjectsUnknown leaves the workloads out of the cache that policies find their subjects in.
	SubjectsUnknown Fault = "subjects-unknown"
)

// Workload is a pod; replicas with equal labels are one workload.
type Workload struct {
	ID             string            `json:"id"`
	Namespace      string            `json:"namespace"`
	Labels         map[string]string `json:"labels"`
	ServiceAccount string            `json:"service_account"`
	NamedPorts     []NamedPort       `json:"named_ports"`
}

// NamedPort is a container port; the protocol is TCP unless said.
type NamedPort struct {
	Name     string `json:"name"`
	Port     uint16 `json:"port"`
	Protocol string `json:"protocol"`
}

// Address is an IP outside the cluster. The API server of a managed control plane is one, with KubeAPIServer set.
type Address struct {
	ID            string `json:"id"`
	IP            string `json:"ip"`
	KubeAPIServer bool   `json:"kube_apiserver"`
}

// Name is a DNS name outside the cluster and the address it resolved to.
type Name struct {
	ID string `json:"id"`
	IP string `json:"ip"`
}

// Flow is the first packet of a connection, to the port of the pod (not of the Service).
type Flow struct {
	ID       string `json:"id"`
	From     string `json:"from"`
	To       string `json:"to"`
	Port     uint16 `json:"port"`
	Protocol string `json:"protocol"`
}

// Lookup is a DNS query over UDP to the pod of a DNS server; Port and Protocol say where the name is wanted at (443,
// TCP unless said).
type Lookup struct {
	ID        string `json:"id"`
	From      string `json:"from"`
	DNSServer string `json:"dns_server"`
	DNSPort   uint16 `json:"dns_port"` // 53 unless said
	Name      string `json:"name"`
	Port      uint16 `json:"port"`
	Protocol  string `json:"protocol"`
}

func readJob(from io.Reader) (*Job, error) {
	text, err := io.ReadAll(from)
	if err != nil {
		return nil, err
	}
	job := &Job{}
	if err := yaml.UnmarshalStrict(text, job); err != nil {
		return nil, fmt.Errorf("job: %w", err)
	}
	for i, lookup := range job.Lookups {
		if lookup.DNSPort == 0 {
			job.Lookups[i].DNSPort = 53
		}
		if lookup.Port == 0 {
			job.Lookups[i].Port = 443
		}
	}
	return job, job.problems()
}

// problems is what would make the engine answer another question than the one asked.
func (job *Job) problems() error {
	if job.ClusterName == "" {
		return errors.New("cluster_name: say which; without one every selector means any cluster")
	}
	known := map[string]string{}
	declare := func(kind, id string) error {
		if before, taken := known[id]; taken || id == "" {
			return fmt.Errorf("%s %q: use an id of its own (taken by %q)", kind, id, before)
		}
		known[id] = kind
		return nil
	}
	var errs []error
	for _, workload := range job.Workloads {
		errs = append(errs, declare("workload", workload.ID))
		if _, ok := job.Namespaces[workload.Namespace]; !ok {
			errs = append(errs, fmt.Errorf("workload %q: namespace %q is not among namespaces", workload.ID, workload.Namespace))
		}
		for _, port := range workload.NamedPorts {
			_, err := protocol(port.Protocol)
			errs = append(errs, err)
		}
	}
	for _, entity := range job.Entities {
		errs = append(errs, declare("entity", entity))
	}
	for _, address := range job.Addresses {
		errs = append(errs, declare("address", address.ID), isIP("address", address.ID, address.IP))
	}
	for _, name := range job.Names {
		errs = append(errs, declare("name", name.ID), isIP("name", name.ID, name.IP))
	}
	for _, fault := range job.Plant {
		if fault != EntitiesUninitialised && fault != SubjectsUnknown {
			errs = append(errs, fmt.Errorf("plant: no such fault: %q", fault))
		}
	}
	return errors.Join(append(errs, job.questionProblems(known)...)...)
}

func (job *Job) questionProblems(known map[string]string) []error {
	var errs []error
	asked := map[string]bool{}
	once := func(kind, id string) {
		if asked[kind+id] || id == "" {
			errs = append(errs, fmt.Errorf("%s %q: use an id of its own", kind, id))
		}
		asked[kind+id] = true
	}
	for _, flow := range job.Flows {
		once("flow", flow.ID)
		for _, end := range []string{flow.From, flow.To} {
			if _, ok := known[end]; !ok {
				errs = append(errs, fmt.Errorf("flow %q: %q is declared nowhere", flow.ID, end))
			}
		}
		if flow.Port == 0 {
			errs = append(errs, fmt.Errorf("flow %q: port 0 is none", flow.ID))
		}
		_, err := protocol(flow.Protocol)
		errs = append(errs, err)
	}
	for _, lookup := range job.Lookups {
		once("lookup", lookup.ID)
		if known[lookup.From] != "workload" || known[lookup.DNSServer] != "workload" {
			errs = append(errs, fmt.Errorf("lookup %q: from and dns_server are ids of workloads", lookup.ID))
		}
		if lookup.Name == "" {
			errs = append(errs, fmt.Errorf("lookup %q: name is empty", lookup.ID))
		}
		_, err := protocol(lookup.Protocol)
		errs = append(errs, err)
	}
	return errs
}

func (job *Job) plants(fault Fault) bool { return slices.Contains(job.Plant, fault) }

func isIP(kind, id, ip string) error {
	if _, err := netip.ParseAddr(ip); err != nil {
		return fmt.Errorf("%s %q: %w", kind, id, err)
	}
	return nil
}

// protocol reads TCP (also when empty), UDP or SCTP.
func protocol(name string) (u8proto.U8proto, error) {
	switch name {
	case "", "TCP":
		return u8proto.TCP, nil
	case "UDP":
		return u8proto.UDP, nil
	case "SCTP":
		return u8proto.SCTP, nil
	}
	return 0, fmt.Errorf("protocol %q: use TCP, UDP or SCTP", name)
}
