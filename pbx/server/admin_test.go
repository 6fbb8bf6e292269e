package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

const adminToken = "token-of-the-tenant-0123456789abcdef"

// guarded is the sample with an API token.
func guarded() *conf.Document {
	d := sample()
	d.Web.APIToken = adminToken
	return d
}

// ask sends a request to the admin listener; token "" = none.
func (r *running) ask(method, path, token, body string) (int, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(within(r.t), method, "http://"+r.AdminAddr()+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return res.StatusCode, string(text)
}

// told is ask for an answer that is a report.
func (r *running) told(method, path, body string, status int) (report conf.Report) {
	r.t.Helper()
	code, text := r.ask(method, path, adminToken, body)
	if code != status {
		r.t.Fatalf("%s %s: %d %s, want %d", method, path, code, text, status)
	}
	if err := json.Unmarshal([]byte(text), &report); err != nil {
		r.t.Fatalf("%s: %v", text, err)
	}
	return report
}

func (r *running) reported() conf.Report {
	r.t.Helper()
	return r.told(http.MethodGet, conf.PathReport, "", http.StatusOK)
}

func TestReport(t *testing.T) {
	d := guarded()
	d.Trunks = []conf.Trunk{{
		Name: "one", Hosts: []conf.TrunkHost{{Host: "127.0.0.2", Port: pbxtest.FreePorts(t, 1)[0], Transport: "UDP"}},
		Numbers: []string{"025550100"}, CallerID: conf.CallerID{Default: "025550100", Permitted: []string{"025550100"}}, Codecs: []string{"PCMA"},
	}}
	r := run(t, d)
	r.registered("101")
	r.registered("102")
	got := r.reported()
	if len(got.Trunks) != 1 || got.Trunks[0].Name != "one" || got.Trunks[0].Up == (got.Trunks[0].Why != "") {
		t.Errorf("trunks %+v", got.Trunks)
	}
	got.Trunks = nil
	want := conf.Report{
		Version: conf.ReportVersion, Tenant: "acme/acme", Program: "test", Generation: "1", Registrations: 2, DatabaseUp: true,
		Journal: conf.JournalVersion,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestAdminWantsTheToken(t *testing.T) {
	r := run(t, guarded())
	for _, tc := range []struct {
		method, path, token, body string
		status                    int
	}{
		{"GET", "/report", "", "", 401},
		{"GET", "/report", "token-of-another-tenant", "", 401},
		{"POST", "/drain", "", `{"hold":"1m"}`, 401},
		{"DELETE", "/drain", "", "", 401},
		{"GET", "/api/v1/calls", "", "", 401},
		{"GET", "/api/v1/calls", adminToken, "", 200},
		{"GET", "/api/v1/cdrs", adminToken, "", 200},
		{"GET", "/api/v1/registrations", adminToken, "", 200},
		{"POST", "/report", adminToken, "", 405},
		{"GET", "/drain", adminToken, "", 405},
		{"GET", "/healthz", "", "", 200},
		{"GET", "/readyz", "", "", 200},
		{"GET", "/metrics", "", "", 200},
		{"GET", "/calls", "", "", 404},
		{"POST", "/drain", adminToken, `{}`, 400},
		{"POST", "/drain", adminToken, ``, 400},
		{"POST", "/drain", adminToken, `{"hold":"25h"}`, 400},
		{"POST", "/drain", adminToken, `{"hold":"1m","endCallsAfter":"2m"}`, 400},
		{"POST", "/drain", adminToken, `{"hold":"1m"}{}`, 400},
		{"POST", "/drain", adminToken, `{"hold":"1m","force":true}`, 400},
		{"POST", "/drain", adminToken, `{"hold":"` + strings.Repeat(" ", 1<<20) + `1m"}`, 400},
	} {
		if code, body := r.ask(tc.method, tc.path, tc.token, tc.body); code != tc.status || strings.Contains(body, adminToken) {
			t.Errorf("%s %s %.40s: %d %.200s, want %d", tc.method, tc.path, tc.body, code, body, tc.status)
		}
	}
	if r.reported().Draining {
		t.Error("a refused request has drained the PBX")
	}
	if code, _ := r.get(r.HTTPAddr(), conf.PathReport); code == http.StatusOK {
		t.Error("the public listener has the report")
	}
}

// refused tells that a call gets 503 with Retry-After.
func (r *running) refused(from *phone.Phone, to string) bool {
	r.t.Helper()
	c, err := from.Dial(within(r.t), to, phone.DialOptions{})
	if err != nil {
		r.t.Fatal(err)
	}
	cause, err := c.WaitEnded(within(r.t))
	if err != nil {
		r.t.Fatal(err)
	}
	return cause.Code == 503 && c.EndHeader("Retry-After") != ""
}

func TestDrainAndResumeOverHTTP(t *testing.T) {
	r := run(t, guarded())
	one, two := r.registered("101"), r.registered("102")
	c := r.call(one, two, "102")
	if got := r.told("POST", conf.PathDrain, `{"ifIdle":true,"hold":"1m"}`, http.StatusConflict); got.Draining || got.ActiveCalls != 1 {
		t.Errorf("with a call up: %+v", got)
	}
	if got := r.told("POST", conf.PathDrain, `{"hold":"1m"}`, http.StatusOK); !got.Draining || got.ActiveCalls != 1 {
		t.Errorf("draining: %+v", got)
	}
	if code, body := r.get(r.AdminAddr(), "/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz while draining: %d %s", code, body)
	}
	if code, _ := r.get(r.AdminAddr(), "/healthz"); code != http.StatusOK {
		t.Errorf("/healthz while draining: %d", code)
	}
	if !r.refused(two, "101") {
		t.Error("a call while draining was not refused with 503")
	}
	if err := c.WaitTone(within(t), 660); err != nil {
		t.Errorf("the call that was up does not go on: %v", err)
	}
	if got := r.told("DELETE", conf.PathDrain, "", http.StatusOK); got.Draining {
		t.Errorf("after DELETE: %+v", got)
	}
	if code, _ := r.get(r.AdminAddr(), "/readyz"); code != http.StatusOK {
		t.Errorf("/readyz after the drain: %d", code)
	}
	if err := c.Hangup(within(t)); err != nil {
		t.Fatal(err)
	}
	r.waitFor("the call is over", func() bool { return r.reported().ActiveCalls == 0 })
	r.call(one, two, "102")
	if got := r.told("DELETE", conf.PathDrain, "", http.StatusOK); got.Draining {
		t.Errorf("a second DELETE: %+v", got)
	}
}

func TestDrainEndsByItselfOverHTTP(t *testing.T) {
	r := run(t, guarded())
	if got := r.told("POST", conf.PathDrain, `{"ifIdle":true,"hold":"1s"}`, http.StatusOK); !got.Draining {
		t.Errorf("draining: %+v", got)
	}
	r.waitFor("new calls are taken again", func() bool { return !r.reported().Draining })
	r.call(r.registered("101"), r.registered("102"), "102")
}

func TestDrainEndsCallsWithByeAndRecord(t *testing.T) {
	r := run(t, guarded())
	c := r.call(r.registered("101"), r.registered("102"), "102")
	r.told("POST", conf.PathDrain, `{"hold":"1h","endCallsAfter":"1ms"}`, http.StatusOK)
	if cause, err := c.WaitEnded(within(t)); err != nil || !cause.Remote || cause.Code != 200 {
		t.Errorf("the call ended with %+v, %v", cause, err)
	}
	if rec := r.record(pbx.CDRQuery{Extension: "101"}); rec.Disposition != pbx.Answered || rec.Ended.IsZero() {
		t.Errorf("record %+v", rec)
	}
	r.waitFor("no call is up", func() bool { got := r.reported(); return got.ActiveCalls == 0 && got.Draining })
}

// A call that begins at the moment of the drain either makes it answer 409, or
// is refused: no call is up on a PBX that said that it drains.
func TestDrainIfIdleRacesWithACallOverHTTP(t *testing.T) {
	r := run(t, guarded())
	one, two := r.registered("101"), r.registered("102")
	drained := 0
	for round := range 40 {
		var (
			both   sync.WaitGroup
			c      *phone.Call
			dialed error
			code   int
		)
		both.Go(func() { c, dialed = one.Dial(within(t), "102", phone.DialOptions{}) })
		both.Go(func() {
			// A call is challenged first: later and later, so that they meet.
			<-time.After(time.Duration(round) * 30 * time.Microsecond)
			code, _ = r.ask("POST", conf.PathDrain, adminToken, `{"ifIdle":true,"hold":"1h"}`)
		})
		both.Wait()
		if dialed != nil {
			t.Fatal(dialed)
		}
		if code == http.StatusOK {
			if cause, err := c.WaitEnded(within(t)); err != nil || cause.Code != 503 || r.engine.Active() != 0 {
				t.Fatalf("round %d: the drain began, and the call: %+v, %v, %d are up", round, cause, err, r.engine.Active())
			}
			r.told("DELETE", conf.PathDrain, "", http.StatusOK)
			drained++
			continue
		}
		if code != http.StatusConflict || r.engine.Draining() {
			t.Fatalf("round %d: status %d, draining %t", round, code, r.engine.Draining())
		}
		e, err := two.WaitIncoming(within(t))
		if err != nil {
			t.Fatalf("round %d: the drain was refused, and the call does not arrive: %v", round, err)
		}
		if err := e.Reject(486); err != nil {
			t.Fatal(err)
		}
		if _, err := c.WaitEnded(within(t)); err != nil {
			t.Fatal(err)
		}
		r.waitFor("the call is over", func() bool { return r.engine.Active() == 0 })
	}
	t.Logf("of 40 times the drain came first %d times", drained)
}

func TestEmergencyCallIsLetOutWhileDraining(t *testing.T) {
	carrier, err := phone.New(phone.Config{User: "carrier", Listen: "127.0.0.2:0"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(carrier.Close)
	d := guarded()
	d.Trunks = []conf.Trunk{{
		Name: "one", Hosts: []conf.TrunkHost{{Host: "127.0.0.2", Port: int(carrier.Addr().Port()), Transport: "UDP"}},
		Numbers: []string{"025550100"}, CallerID: conf.CallerID{Default: "025550100", Permitted: []string{"025550100"}}, Codecs: []string{"PCMA"},
	}}
	r := run(t, d)
	one := r.registered("101")
	r.told("POST", conf.PathDrain, `{"ifIdle":true,"hold":"1h","endCallsAfter":"1ms"}`, http.StatusOK)
	c, err := one.Dial(within(t), "119", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := carrier.WaitIncoming(within(t))
	if err != nil {
		t.Fatalf("119 was not called: %v", err)
	}
	if err := e.Answer(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitAnswered(within(t)); err != nil {
		t.Error(err)
	}
}

func TestReportTellsOfRefusedDocumentsAndRestarts(t *testing.T) {
	r := run(t, guarded())
	wrong := clone(t, guarded())
	wrong.Generation, wrong.Limits.ConcurrentCalls = "2", 0
	if _, err := r.Apply(wrong); err == nil {
		t.Fatal("a wrong document is in force")
	}
	if got := r.reported(); got.Generation != "1" || got.RefusedGeneration != "2" || !strings.Contains(got.Refused, "concurrentCalls") {
		t.Errorf("%+v", got)
	}
	r.Refuse("", errors.New("document: no JSON\n at "+strings.Repeat("x", 5000)))
	if got := r.reported(); got.RefusedGeneration != "" || !strings.HasPrefix(got.Refused, "document: no JSON at x") || len(got.Refused) > 1100 {
		t.Errorf("%+v", got)
	}
	moved := clone(t, guarded())
	moved.Generation, moved.Network.Ports.HTTP = "3", pbxtest.FreePorts(t, 1)[0]
	moved.Network.Advertise["another-node"] = []string{"192.0.2.7"}
	if _, err := r.Apply(moved); err != nil {
		t.Fatal(err)
	}
	if got := r.reported(); got.Generation != "3" || got.Refused != "" || !cmp.Equal(got.Restart, []string{"listeners"}) {
		t.Errorf("%+v", got)
	}
	r.Refuse("4", errors.New("again"))
	if got := r.reported(); got.RefusedGeneration != "4" || len(got.Restart) != 1 {
		t.Errorf("%+v", got)
	}
	moved = clone(t, moved)
	moved.Generation, moved.Network.Ports.HTTP = "5", 0
	if _, err := r.Apply(moved); err != nil {
		t.Fatal(err)
	}
	if got := r.reported(); got.Generation != "5" || got.Refused != "" || len(got.Restart) != 0 {
		t.Errorf("another node's address alone: %+v", got)
	}
}

// TestInternalAddress: HTTP and admin bind to the node's address, admin to
// loopback, too; nothing binds to every address.
func TestInternalAddress(t *testing.T) {
	ports := pbxtest.FreePorts(t, 2)
	d := guarded()
	d.Network.Bind, d.Network.Ports.HTTP, d.Network.Ports.Admin = nil, ports[0], ports[1]
	r := run(t, d, func(o *Options) { o.Internal = netip.MustParseAddr("127.0.0.3") })
	if r.HTTPAddr() != "127.0.0.3:"+strconv.Itoa(ports[0]) || r.AdminAddr() != "127.0.0.3:"+strconv.Itoa(ports[1]) {
		t.Errorf("HTTP %s, admin %s", r.HTTPAddr(), r.AdminAddr())
	}
	for _, host := range []string{"127.0.0.3:", "127.0.0.1:"} {
		if code, _ := r.get(host+strconv.Itoa(ports[1]), "/healthz"); code != http.StatusOK {
			t.Errorf("admin on %s: %d", host, code)
		}
	}
	for port, host := range map[int]string{ports[0]: "127.0.0.1:", ports[1]: "127.0.0.4:"} {
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+host+strconv.Itoa(port)+"/healthz", nil)
		if err != nil {
			t.Fatal(err)
		}
		if res, err := (&http.Transport{}).RoundTrip(req); err == nil {
			res.Body.Close()
			t.Errorf("%s%d is served", host, port)
		}
	}
}

func TestInternalAddressThatIsWrong(t *testing.T) {
	for address, want := range map[string]string{"0.0.0.0": "stands for every address", "::": "stands for every address", "192.0.2.1": "internal address"} {
		_, err := New(t.Context(), Options{Document: sample(), DataDir: t.TempDir(), Internal: netip.MustParseAddr(address)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", address, err, want)
		}
	}
}

// TestTrustedProxies: wrong tokens are counted by source; behind a proxy that
// the document names, the proxy's word tells sources apart, at once.
func TestTrustedProxies(t *testing.T) {
	d := guarded()
	d.Network.Bind = []string{"127.0.0.1"}
	r := run(t, d)
	wrong := func(i int) int {
		req, err := http.NewRequestWithContext(within(t), http.MethodGet, "http://"+r.HTTPAddr()+"/api/v1/calls", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer wrong")
		req.Header.Set("X-Forwarded-For", "198.51.100."+strconv.Itoa(i)+", 10.1.2.3")
		res, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		return res.StatusCode
	}
	limited := func(from int) (n int) {
		for i := range 20 {
			if wrong(from+i) == http.StatusTooManyRequests {
				n++
			}
		}
		return n
	}
	// Loopback is trusted; 10.1.2.3 is a stranger to whom all are ascribed.
	if n := limited(0); n == 0 {
		t.Error("sources behind a stranger were told apart by his word")
	}
	d = clone(t, d)
	d.Generation, d.Web.TrustedProxies = "2", []string{"10.1.0.0/16"}
	if plan, err := r.Apply(d); err != nil || plan[PartWeb] != Update || len(plan.Restarts()) > 0 {
		t.Fatalf("plan %v, %v", plan, err)
	}
	if n := limited(100); n != 0 {
		t.Errorf("%d sources behind a trusted proxy were taken for one", n)
	}
}

func TestStopWithOpenConnections(t *testing.T) {
	leavesNothing(t, func(t *testing.T) {
		r := run(t, guarded())
		// An observer keeps its connection, a drain is in force.
		transport := &http.Transport{}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(within(t), http.MethodPost, "http://"+r.AdminAddr()+conf.PathDrain, strings.NewReader(`{"hold":"24h"}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+adminToken)
		res, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.Copy(io.Discard, res.Body)
		res.Body.Close()
		before := time.Now()
		r.stop()
		t.Logf("stopped in %v", time.Since(before))
	})
}
