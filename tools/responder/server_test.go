package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/kubernetes/fake"
	ktesting "k8s.io/client-go/testing"
)

const (
	domain = "eu-west-1.example.internal"
	caller = domain + "/ns/bank-a/sa/api-ms"
	label  = "zerotrust.dev/quarantined"
)

var known = &configuration{
	MinimumPriority: "warning", HighPriority: "error", RiskConfigMap: "workload-risk", RiskFile: "risk.json",
	QuarantineLabel: label, Path: "/events", Tenants: []string{"bank-a", "bank-b"},
	Workloads: map[string]workload{scheme + caller: {Tenant: "bank-a", ServiceAccount: "api-ms"}},
}

func pod(name, account string) *corev1.Pod {
	about := metav1.ObjectMeta{Name: name, Namespace: "bank-a", UID: "1", Labels: map[string]string{"app.kubernetes.io/name": "api-ms"}}
	return &corev1.Pod{ObjectMeta: about, Spec: corev1.PodSpec{ServiceAccountName: account}}
}

func cluster(more ...runtime.Object) *fake.Clientset {
	for _, tenant := range known.Tenants {
		about := metav1.ObjectMeta{Name: known.RiskConfigMap, Namespace: tenant}
		more = append(more, &corev1.ConfigMap{ObjectMeta: about, Data: map[string]string{known.RiskFile: "{}\n"}})
	}
	return fake.NewSimpleClientset(more...)
}

func told(priority, id, podName string) string {
	text, _ := json.Marshal(map[string]any{
		"uuid": "1", "output": "o", "priority": priority, "rule": "r", "time": "2026-11-01T00:00:00.000000000Z", "source": "syscall",
		"hostname": "h", "tags": []string{"t"},
		"output_fields": map[string]any{"spiffe_id": id, "k8s.ns.name": "bank-a", "k8s.pod.name": podName, "evt.num": 1},
	})
	return string(text)
}

// post says the status, and the counters as the server shows them.
func post(client *fake.Clientset, bodies ...string) ([]int, string) {
	served := newServer(known, client.CoreV1(), prometheus.NewRegistry())
	statuses := []int{}
	for _, body := range bodies {
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequest(http.MethodPost, "/events", strings.NewReader(body)))
		statuses = append(statuses, answer.Code)
	}
	shown := httptest.NewRecorder()
	served.ServeHTTP(shown, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	return statuses, shown.Body.String()
}

func risks(t *testing.T, client *fake.Clientset) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, tenant := range known.Tenants {
		one, err := client.CoreV1().ConfigMaps(tenant).Get(context.Background(), known.RiskConfigMap, metav1.GetOptions{})
		if err != nil {
			t.Fatal(err)
		}
		found[tenant] = one.Data[known.RiskFile]
	}
	return found
}

func quarantined(t *testing.T, client *fake.Clientset, name string) bool {
	t.Helper()
	one, err := client.CoreV1().Pods("bank-a").Get(context.Background(), name, metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return one.Labels[label] == "true"
}

func TestAnEventRaisesTheRiskForEveryTenantAndAtHighLabelsThePod(t *testing.T) {
	for priority, wanted := range map[string]string{"Warning": medium, "Error": high, "critical": high, "Emergency": high} {
		client := cluster(pod("api-ms-1", "api-ms"))
		statuses, shown := post(client, told(priority, scheme+caller, "api-ms-1"))
		if statuses[0] != http.StatusNoContent {
			t.Fatalf("%s: %d", priority, statuses[0])
		}
		for tenant, text := range risks(t, client) {
			if text != fmt.Sprintf("{%q:%q}\n", caller, wanted) {
				t.Errorf("%s: %s has %q", priority, tenant, text)
			}
		}
		if quarantined(t, client, "api-ms-1") != (wanted == high) {
			t.Errorf("%s: in quarantine or not", priority)
		}
		if line := fmt.Sprintf(`zerotrust_responder_risks_raised_total{level=%q,tenant="bank-a",workload="api-ms"} 1`, wanted); !strings.Contains(shown, line) {
			t.Errorf("%s is not counted", line)
		}
	}
}

func TestWhatIsNobodysToDoChangesNothing(t *testing.T) {
	nobodys := strings.Replace(caller, "api-ms", "other", 1)
	for name, one := range map[string]struct {
		body    string
		status  int
		outcome string
	}{
		"lesser":           {told("Notice", scheme+caller, "api-ms-1"), http.StatusNoContent, below},
		"unknown":          {told("Error", scheme+nobodys, "api-ms-1"), http.StatusNoContent, nobody},
		"other domain":     {told("Error", scheme+strings.Replace(caller, "west", "east", 1), "api-ms-1"), http.StatusNoContent, nobody},
		"without scheme":   {told("Error", caller, "api-ms-1"), http.StatusNoContent, nobody},
		"without an id":    {told("Error", "", "api-ms-1"), http.StatusUnprocessableEntity, malformed},
		"without priority": {told("Grave", scheme+caller, "api-ms-1"), http.StatusUnprocessableEntity, malformed},
		"unknown field":    {strings.Replace(told("Error", scheme+caller, "api-ms-1"), `"uuid"`, `"uid"`, 1), http.StatusBadRequest, malformed},
		"two events":       {told("Error", scheme+caller, "a") + told("Error", scheme+caller, "a"), http.StatusBadRequest, malformed},
		"no JSON":          {"risk", http.StatusBadRequest, malformed},
		"too large":        {told("Error", scheme+caller, strings.Repeat("a", largestEvent)), http.StatusRequestEntityTooLarge, malformed},
	} {
		client := cluster(pod("api-ms-1", "api-ms"))
		statuses, shown := post(client, one.body)
		if statuses[0] != one.status {
			t.Errorf("%s: %d", name, statuses[0])
		}
		if line := fmt.Sprintf("zerotrust_responder_events_total{outcome=%q} 1", one.outcome); !strings.Contains(shown, line) {
			t.Errorf("%s: %s is not counted", name, line)
		}
		for _, action := range client.Actions() {
			if action.GetVerb() != "get" {
				t.Errorf("%s: %s", name, action.GetVerb())
			}
		}
	}
}

func TestAnotherAccountsPodAndAnotherNamespacesIsNotLabelled(t *testing.T) {
	client := cluster(pod("api-ms-1", "worker"), pod("api-ms-2", "api-ms"))
	elsewhere := strings.Replace(told("Error", scheme+caller, "api-ms-2"), `"k8s.ns.name":"bank-a"`, `"k8s.ns.name":"bank-b"`, 1)
	own := func(name string) string { return told("Error", scheme+caller, name) }
	statuses, shown := post(client, own("api-ms-1"), elsewhere, own("gone"), own(""))
	for place, status := range statuses {
		if status != http.StatusNoContent {
			t.Errorf("%d: %d", place, status)
		}
	}
	for _, name := range []string{"api-ms-1", "api-ms-2"} {
		if quarantined(t, client, name) {
			t.Errorf("%s is in quarantine", name)
		}
	}
	for outcome, count := range map[quarantine]int{foreign: 2, gone: 1, unnamed: 1} {
		line := fmt.Sprintf(`zerotrust_responder_quarantines_total{outcome=%q,tenant="bank-a",workload="api-ms"} %d`, outcome, count)
		if !strings.Contains(shown, line) {
			t.Errorf("%s is not counted", line)
		}
	}
}

func TestANamespaceThatFailsKeepsNoOtherFromIt(t *testing.T) {
	client := cluster(pod("api-ms-1", "api-ms"))
	client.PrependReactor("get", "configmaps", func(action ktesting.Action) (bool, runtime.Object, error) {
		return action.GetNamespace() == "bank-a", nil, apierrors.NewInternalError(fmt.Errorf("no"))
	})
	statuses, shown := post(client, told("Error", scheme+caller, "api-ms-1"))
	if statuses[0] != http.StatusInternalServerError || !strings.Contains(shown, `events_total{outcome="failed"} 1`) {
		t.Errorf("%v\n%s", statuses, shown)
	}
	one, _ := client.Tracker().Get(schema.GroupVersionResource{Version: "v1", Resource: "configmaps"}, "bank-b", known.RiskConfigMap)
	if text := one.(*corev1.ConfigMap).Data[known.RiskFile]; !strings.Contains(text, high) {
		t.Errorf("bank-b has %q", text)
	}
	if !quarantined(t, client, "api-ms-1") {
		t.Error("the pod is not in quarantine")
	}
}

func TestAWriteThatAnotherForestalledReadsAgain(t *testing.T) {
	client, mutex, left := cluster(pod("api-ms-1", "api-ms")), sync.Mutex{}, map[string]int{"configmaps": 3, "pods": 3}
	again := func(action ktesting.Action) (bool, runtime.Object, error) {
		mutex.Lock()
		defer mutex.Unlock()
		resource := action.GetResource()
		left[resource.Resource]--
		return left[resource.Resource] >= 0, nil, apierrors.NewConflict(resource.GroupResource(), "one", fmt.Errorf("changed"))
	}
	client.PrependReactor("update", "configmaps", again)
	client.PrependReactor("patch", "pods", again)
	statuses, _ := post(client, told("Error", scheme+caller, "api-ms-1"))
	if statuses[0] != http.StatusNoContent || !quarantined(t, client, "api-ms-1") {
		t.Errorf("%v", statuses)
	}
	for tenant, text := range risks(t, client) {
		if !strings.Contains(text, high) {
			t.Errorf("%s has %q", tenant, text)
		}
	}
}

func TestOnlyEventsArePostedAndOnlyThere(t *testing.T) {
	served := newServer(known, cluster().CoreV1(), prometheus.NewRegistry())
	for request, wanted := range map[string]int{
		"GET /events": http.StatusMethodNotAllowed, "POST /": http.StatusNotFound, "POST /events/x": http.StatusNotFound,
		"GET /healthz": http.StatusOK, "GET /metrics": http.StatusOK,
	} {
		method, path, _ := strings.Cut(request, " ")
		answer := httptest.NewRecorder()
		served.ServeHTTP(answer, httptest.NewRequest(method, path, strings.NewReader("{}")))
		if answer.Code != wanted {
			t.Errorf("%s: %d", request, answer.Code)
		}
	}
}
