package kubecmd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/dipcast/dipcast/cmd/dipcast/cluster"
	"github.com/dipcast/dipcast/cmd/dipcast/doctor"
	"github.com/dipcast/dipcast/config/crd"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

var start = time.Date(2026, 11, 23, 9, 0, 0, 0, time.UTC)

// objects are a healthy tenant, one without ports and one that is updated.
func objects(t *testing.T) []client.Object {
	t.Helper()
	var parts []string
	for _, file := range []string{"../doctor/testdata/fleet.yaml", "testdata/more.yaml"} {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, strings.Split(string(raw), "\n---\n")...)
	}
	names, err := fs.Glob(crd.Files, "*.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		raw, err := crd.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, string(raw))
	}
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	decoder := serializer.NewCodecFactory(scheme).UniversalDeserializer()
	var list []client.Object
	for _, part := range parts {
		o, _, err := decoder.Decode([]byte(part), nil, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, part)
		}
		if c, ok := o.(*apiextensionsv1.CustomResourceDefinition); ok {
			c.Status.Conditions = []apiextensionsv1.CustomResourceDefinitionCondition{{Type: apiextensionsv1.Established, Status: "True"}}
		}
		list = append(list, o.(client.Object))
	}
	return list
}

// peer is a PBX's admin port as far as the commands use it.
type peer struct {
	mu      sync.Mutex
	report  conf.Report
	calls   []pbx.Call
	records []pbx.CDR
	drains  []conf.Drain
	resumes int
	// ending is how many calls end at each question.
	ending int
	status int // of every answer, 0: as it should be
}

func (p *peer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	switch {
	case r.Header.Get("Authorization") != "Bearer secret-token":
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = io.WriteString(w, `{"error":{"code":"unauthorized","message":"the token is wrong"}}`)
	case p.status != 0:
		http.Error(w, "no", p.status)
	case r.Method == http.MethodGet && r.URL.Path == conf.PathReport:
		p.report.ActiveCalls = max(0, p.report.ActiveCalls-p.ending)
		answer(p.report)
	case r.Method == http.MethodPost && r.URL.Path == conf.PathDrain:
		var d conf.Drain
		if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		p.drains = append(p.drains, d)
		p.report.Draining = true
		answer(p.report)
	case r.Method == http.MethodDelete && r.URL.Path == conf.PathDrain:
		p.resumes++
		p.report.Draining = false
		answer(p.report)
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/calls":
		answer(map[string]any{"calls": p.calls})
	case r.Method == http.MethodGet && r.URL.Path == "/api/v1/cdrs" && r.URL.Query().Get("limit") != "":
		answer(pbx.CDRPage{Records: p.records})
	default:
		http.NotFound(w, r)
	}
}

func newPeer() *peer {
	outside := pbx.Party{Number: "010-1234-5678", Name: "\x1b[31mhostile", Trunk: "carrier"}
	desk := pbx.Party{Number: "101", Extension: "101"}
	return &peer{
		report: conf.Report{
			Version: 1, Tenant: "acme/acme", Program: "0.3.0", ActiveCalls: 2, Registrations: 41, DatabaseUp: true,
			Trunks: []conf.TrunkReport{{Name: "carrier", Up: true, Host: "sip.carrier.example:5060"}},
		},
		calls: []pbx.Call{
			{
				ID: "Zk3v9QpL0aXw7TtB", Direction: pbx.Inbound, State: pbx.CallActive, From: outside, To: desk, AnsweredBy: desk,
				PulledBy: "102", Started: start.Add(-3 * time.Minute), Answered: start.Add(-95 * time.Second),
			},
			{ID: "b81Yw", Direction: pbx.Internal, State: pbx.CallRinging, From: desk, To: pbx.Party{Number: "600"}, Started: start.Add(-4 * time.Second)},
		},
		records: []pbx.CDR{{
			ID: "c0ffee00c0ffee00", Direction: pbx.Outbound, From: desk, To: outside, Started: start.Add(-2 * time.Hour),
			Answered: start.Add(-2 * time.Hour), Ended: start.Add(-30 * time.Minute), Disposition: pbx.Answered, AnsweredBy: outside,
		}},
	}
}

// stage runs commands against fixed objects, a peer over real HTTP, and a
// clock that only waiting moves.
type stage struct {
	t       *testing.T
	peer    *peer
	env     *Env
	out     bytes.Buffer
	errs    bytes.Buffer
	clock   time.Time
	waits   int
	atWait  func(n int)
	dialled []string
	logged  *corev1.PodLogOptions
	logErr  error
	down    bool // the pod is gone
	reader  client.Reader
}

func newStage(t *testing.T) *stage {
	t.Helper()
	scheme, err := cluster.Scheme()
	if err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, peer: newPeer(), clock: start}
	s.reader = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects(t)...).Build()
	server := httptest.NewServer(s.peer)
	server.Config.SetKeepAlivesEnabled(false) // each question finds the pod as it is then
	t.Cleanup(server.Close)
	s.env = &Env{
		Program: "kubectl dipcast", Version: "0.3.0", Stdout: &s.out, Stderr: &s.errs, Width: 80,
		Getenv: func(name string) string { return map[string]string{"NO_COLOR": "1"}[name] },
		Zone:   time.UTC,
		Now:    func() time.Time { return s.clock },
		After: func(d time.Duration) <-chan time.Time {
			s.clock, s.waits = s.clock.Add(d), s.waits+1
			if s.atWait != nil {
				s.atWait(s.waits)
			}
			passed := make(chan time.Time, 1)
			passed <- s.clock
			return passed
		},
		Connect: func(o cluster.Options) (*cluster.Cluster, error) {
			if o.Context == "none" {
				return nil, errors.New("context none does not exist")
			}
			namespace := o.Namespace
			if namespace == "" {
				namespace = "acme"
			}
			return &cluster.Cluster{
				Reader: s.reader, Namespace: namespace,
				Forward: func(ctx context.Context, pod types.NamespacedName, port int) (net.Conn, error) {
					if s.down {
						return nil, errors.New("pod not found")
					}
					s.dialled = append(s.dialled, fmt.Sprintf("%s:%d", pod, port))
					return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
				},
				Logs: func(_ context.Context, pod types.NamespacedName, o *corev1.PodLogOptions) (io.ReadCloser, error) {
					s.logged = o
					text := "time=2026-11-23T08:57:00.412Z level=INFO msg=\"call begins\" call=Zk3v9QpL0aXw7TtB direction=inbound\ntime=2026-11-23T08:59:56.031Z level=INFO msg=\"call begins\" call=b81Yw\n" +
						"time=2026-11-23T09:00:00.007Z level=INFO msg=\"call ends\" call=Zk3v9QpL0aXw7TtB\nlast line of " + pod.String()
					return io.NopCloser(strings.NewReader(text)), s.logErr
				},
			}, nil
		},
		Prober: &doctor.Prober{
			Resolver: nobody{}, Now: func() time.Time { return s.clock }, Token: func() string { return "t" }, Timeout: time.Minute,
			Dial: func(context.Context, string, string) (net.Conn, error) { return nil, errors.New("connection refused") },
		},
	}
	return s
}

// nobody is a resolver that knows no name.
type nobody struct{ doctor.Resolver }

func (nobody) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	return nil, &net.DNSError{IsNotFound: true}
}

func (nobody) LookupSRV(context.Context, string, string, string) (string, []*net.SRV, error) {
	return "", nil, &net.DNSError{IsNotFound: true}
}

// run executes a command line and returns the exit code.
func (s *stage) run(line string) int {
	s.t.Helper()
	s.out.Reset()
	s.errs.Reset()
	args := strings.Fields(line)
	verbs := map[string]func(context.Context, *Env, []string) int{
		"status": Status, "calls": Calls, "drain": Drain, "doctor": Doctor, "logs": Logs,
	}
	return verbs[args[0]](s.t.Context(), s.env, args[1:])
}
