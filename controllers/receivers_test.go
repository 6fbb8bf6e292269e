package controllers_test

import (
	"context"
	"io"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/controllers/receiver"
	"github.com/dipcast/dipcast/pbx/works"
)

// replicas are the EndpointSlice of an operator's own Service, as Kubernetes
// would write it.
func replicas(t *testing.T, service string, ready ...string) *discoveryv1.EndpointSlice {
	t.Helper()
	s := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: kubetest.OperatorNamespace, Name: service + "-x", Labels: map[string]string{discoveryv1.LabelServiceName: service},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       []discoveryv1.EndpointPort{{Name: ptr.To(receiver.PortName), Port: ptr.To(int32(8082)), Protocol: ptr.To(corev1.ProtocolTCP)}},
		Endpoints:   endpoints(ready...),
	}
	cluster.Create(t, s)
	t.Cleanup(func() {
		if err := cluster.Client.Delete(context.WithoutCancel(t.Context()), s); err != nil {
			t.Error(err)
		}
	})
	return s
}

func endpoints(ready ...string) (list []discoveryv1.Endpoint) {
	for _, a := range ready {
		list = append(list, discoveryv1.Endpoint{Addresses: []string{a}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(true)}})
	}
	return append(list, discoveryv1.Endpoint{Addresses: []string{"10.9.9.9"}, Conditions: discoveryv1.EndpointConditions{Ready: ptr.To(false)}})
}

// The tenant's callback path leads to the operator's replicas that are ready,
// wherever they go; and to the PBX again in an installation without receivers.
func TestCallbacksAreLedToTheReceivers(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	service := "callbacks-" + at.namespace
	own := replicas(t, service, "10.1.1.1", "10.1.1.2")
	options := controllers.Options{
		Namespaces: []string{at.namespace}, ReceiverService: types.NamespacedName{Namespace: kubetest.OperatorNamespace, Name: service},
	}
	stop := operate(t, options)
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	slice := &discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{
		Namespace: at.namespace, Name: desired.CallbackSliceName("acme", discoveryv1.AddressTypeIPv4),
	}}
	leads := func(want ...string) {
		t.Helper()
		cluster.Wait(t, slice, "endpoints "+strings.Join(want, ", "), func(exists bool) bool {
			var got []string
			for _, e := range slice.Endpoints {
				got = append(got, e.Addresses...)
			}
			return exists && slices.Equal(got, want) && *slice.Ports[0].Port == 8082
		})
	}
	leads("10.1.1.1", "10.1.1.2")
	if got := backends(t, tenant); got["/works/callback"] != "acme-callback" || got["/"] != "acme-pbx" {
		t.Errorf("the Ingress leads to %v", got)
	}

	kubetest.Update(t, cluster, own, func(s *discoveryv1.EndpointSlice) { s.Endpoints = endpoints("10.1.1.2", "10.1.1.3") })
	leads("10.1.1.2", "10.1.1.3")
	// None is ready: a list of none would help nobody.
	kubetest.Update(t, cluster, own, func(s *discoveryv1.EndpointSlice) { s.Endpoints = endpoints() })
	// Somebody else's address is not left among them.
	kubetest.Update(t, cluster, slice, func(s *discoveryv1.EndpointSlice) {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{Addresses: []string{"10.6.6.6"}})
	})
	leads("10.1.1.2", "10.1.1.3")
	stop()

	options.ReceiverService = types.NamespacedName{}
	operate(t, options)
	cluster.Gone(t, slice)
	cluster.Gone(t, &corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: at.namespace, Name: "acme-callback"}})
	ingress := ingressOf(tenant)
	cluster.Wait(t, ingress, "one path", func(exists bool) bool { return exists && len(ingress.Spec.Rules[0].HTTP.Paths) == 1 })
}

func ingressOf(tenant *v1alpha1.PBXTenant) *networkingv1.Ingress {
	return &networkingv1.Ingress{ObjectMeta: metav1.ObjectMeta{Namespace: tenant.Namespace, Name: desired.WebName(tenant.Name)}}
}

// backends are the Services that a tenant's Ingress leads to, by path.
func backends(t *testing.T, tenant *v1alpha1.PBXTenant) map[string]string {
	t.Helper()
	ingress := ingressOf(tenant)
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(ingress), ingress); err != nil {
		t.Fatal(err)
	}
	out := map[string]string{}
	for _, p := range ingress.Spec.Rules[0].HTTP.Paths {
		out[p.Path] = p.Backend.Service.Name
	}
	return out
}

// An operator that does not lead takes a press, proves it by the bot's Secret,
// and gives it to the pod where it runs; one that it cannot give away is told.
func TestAReplicaThatWaitsForItsTurnReceives(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	naver, bot, secret := company(t, at.namespace, "acme", member("kim", "101"))
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	cluster.Create(t, secret, bot)
	tenant := ready(t, kubetest.Tenant(at.namespace, "acme", at.class))
	address := replica(t, at.namespace)
	p := pod(t, tenant)
	body := `{"type":"postback","source":{"userId":"id-kim"},"data":"token"}`
	press := func(host, key string) int {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+address+receiver.Path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		r.Header.Set(works.HeaderBotID, strconv.Itoa(botID))
		r.Header.Set(works.HeaderSignature, works.Sign(key, []byte(body)))
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if code := press("nobody.example", "bot-s3cret"); code != http.StatusNotFound {
		t.Errorf("a host of nobody: %d", code)
	}
	if code := press(tenant.Spec.Domain, "guess"); code != http.StatusServiceUnavailable {
		t.Errorf("a press that nothing proves, for a PBX that is away: %d", code)
	}
	cluster.Wait(t, secret, "the label of the cache", func(bool) bool { return secret.Labels[v1alpha1.LabelWatched] != "" })
	if code := press(tenant.Spec.Domain, "bot-s3cret"); code != http.StatusOK {
		t.Errorf("a press: %d", code)
	}
	got := make(chan string, 1)
	serveAt(t, net.JoinHostPort(p.Status.PodIP, strconv.Itoa(int(desired.DeclaredPort(p, desired.PortHTTP)))), got)
	select {
	case g := <-got:
		if g != tenant.Spec.Domain+" "+body {
			t.Errorf("the PBX got %s", g)
		}
	case <-time.After(kubetest.Patience):
		t.Fatal("the press never came to the PBX")
	}
	if n := len(naver.Messages("id-kim")); n != 0 {
		t.Errorf("%d messages for a press that was delivered", n)
	}
}

// replica runs an operator that receives and never leads, and returns where.
func replica(t *testing.T, namespace string) string {
	t.Helper()
	free, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	if err := free.Close(); err != nil {
		t.Fatal(err)
	}
	options := controllers.Options{Namespaces: []string{namespace}}
	cluster.Create(t, &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "lead"},
		Spec: coordinationv1.LeaseSpec{
			HolderIdentity: ptr.To("another"), LeaseDurationSeconds: ptr.To(int32(3600)),
			AcquireTime: ptr.To(metav1.NowMicro()), RenewTime: ptr.To(metav1.NowMicro()),
		},
	})
	operateWith(t, options, func(mgr manager.Manager) error {
		_, err := receiver.Setup(mgr, receiver.Config{Address: address, Registry: prometheus.NewRegistry(), Log: slog.New(slog.DiscardHandler)})
		return err
	}, func(o *manager.Options) {
		o.LeaderElection, o.LeaderElectionID, o.LeaderElectionNamespace = true, "lead", namespace
		o.LeaderElectionConfig = cluster.Config
	})
	deadline := time.After(kubetest.Patience)
	for {
		c, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err == nil {
			_ = c.Close()
			return address
		}
		select {
		case <-deadline:
			t.Fatalf("it does not listen: %v", err)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// serveAt answers callbacks at an address, as a PBX does, until the test ends.
func serveAt(t *testing.T, address string, got chan<- string) {
	t.Helper()
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- r.Host + " " + string(body)
		w.WriteHeader(http.StatusOK)
	})}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(l) // ended by Close
	}()
	t.Cleanup(func() {
		_ = server.Close()
		<-done
	})
}
