package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/util/retry"
)

const (
	namespacesAtOnce = 8
	eventPatience    = 30 * time.Second
)

// conflicts are other responders' writes of the same object: each try reads it again.
var conflicts = wait.Backoff{Steps: 10, Duration: 10 * time.Millisecond, Factor: 2, Jitter: 0.5, Cap: time.Second}

// responder acts on what an event says of a workload.
type responder struct {
	known  *configuration
	client v1.CoreV1Interface
}

// raise writes the risk in every tenant's namespace; a namespace that fails keeps none of the others from it. It returns in how
// many the risk was lower before.
func (r *responder) raise(ctx context.Context, id, level string) (int, error) {
	who := strings.TrimPrefix(id, scheme)
	slots := make(chan struct{}, namespacesAtOnce)
	errs := make([]error, len(r.known.Tenants))
	changed := make([]bool, len(r.known.Tenants))
	var group sync.WaitGroup
	for place, tenant := range r.known.Tenants {
		group.Add(1)
		go func() {
			defer group.Done()
			slots <- struct{}{}
			defer func() { <-slots }()
			var err error
			if changed[place], err = r.raiseIn(ctx, tenant, who, level); err != nil {
				errs[place] = fmt.Errorf("%s: %w", tenant, err)
			}
		}()
	}
	group.Wait()
	count := 0
	for _, one := range changed {
		if one {
			count++
		}
	}
	return count, errors.Join(errs...)
}

func (r *responder) raiseIn(ctx context.Context, tenant, who, level string) (bool, error) {
	maps, changed := r.client.ConfigMaps(tenant), false
	err := retry.RetryOnConflict(conflicts, func() error {
		found, err := maps.Get(ctx, r.known.RiskConfigMap, metav1.GetOptions{})
		if err != nil {
			return err
		}
		text, higher, err := raised(found.Data[r.known.RiskFile], who, level)
		if err != nil || !higher {
			return err
		}
		made := found.DeepCopy()
		made.Data[r.known.RiskFile] = text
		_, err = maps.Update(ctx, made, metav1.UpdateOptions{})
		changed = err == nil
		return err
	})
	return changed, err
}

// quarantine is what became of a pod.
type quarantine string

const (
	begun    quarantine = "begun"
	standing quarantine = "standing"
	gone     quarantine = "gone"
	foreign  quarantine = "foreign"
	unnamed  quarantine = "unnamed"
	refused  quarantine = "failed"
)

// isolate labels the pod that an event names, if its account is the workload's: a pod's labels, which the event's id is made of,
// are said by whoever made the pod.
func (r *responder) isolate(ctx context.Context, one workload, namespace, name string) (quarantine, error) {
	if name == "" {
		return unnamed, nil
	}
	if namespace != one.Tenant {
		return foreign, nil
	}
	pods, said := r.client.Pods(one.Tenant), refused
	err := retry.RetryOnConflict(conflicts, func() error {
		pod, err := pods.Get(ctx, name, metav1.GetOptions{})
		switch {
		case apierrors.IsNotFound(err):
			said = gone
			return nil
		case err != nil:
			return err
		case pod.Spec.ServiceAccountName != one.ServiceAccount:
			said = foreign
			return nil
		case pod.Labels[r.known.QuarantineLabel] != "":
			said = standing
			return nil
		}
		// The version it was read in: another pod of the same name is not labelled in its place.
		patch, err := json.Marshal(map[string]any{"metadata": map[string]any{
			"uid":             pod.UID,
			"resourceVersion": pod.ResourceVersion,
			"labels":          map[string]string{r.known.QuarantineLabel: "true"},
		}})
		if err != nil {
			return err
		}
		if _, err = pods.Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{}); err == nil {
			said = begun
		}
		return err
	})
	if err != nil {
		return refused, fmt.Errorf("pod %s/%s: %w", one.Tenant, name, err)
	}
	return said, nil
}
