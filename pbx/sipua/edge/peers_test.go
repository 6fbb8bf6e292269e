package edge_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx/sipua/edge"
	"github.com/dipcast/dipcast/pbx/sipua/gate"
)

// need fails the test without a program: its silence would prove nothing.
func need(t *testing.T, name string) {
	t.Helper()
	if testing.Short() {
		t.Skipf("needs %s", name)
	}
	if _, err := exec.LookPath(name); err != nil {
		t.Fatalf("%v: make packages as root (go test -short leaves peers out)", err)
	}
}

// tool runs a program of the test machine (.ci/run installs it).
func tool(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	need(t, name)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = t.TempDir()
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		t.Fatalf("%s does not end:\n%s", name, out)
	}
	return string(out), err
}

func TestSipsak(t *testing.T) {
	b := newBed(t, nil)
	out, err := tool(t, "sipsak", "-vv", "-s", "sip:"+b.addr.String())
	if err != nil || !strings.Contains(out, "200 OK") {
		t.Errorf("OPTIONS: %v\n%s", err, out)
	}
	// Its random mode cuts and spoils a request until the server is silent.
	_, _ = tool(t, "sipsak", "-R", "-t", "300", "-s", "sip:"+b.addr.String())
	if out, err = tool(t, "sipsak", "-vv", "-s", "sip:"+b.addr.String()); err != nil {
		t.Errorf("OPTIONS after random messages: %v\n%s", err, out)
	}
}

// TestSipvicious: the scanner finds no extension, the cracker no password,
// though it has the right one in its dictionary.
func TestSipvicious(t *testing.T) {
	b := newBed(t, func(c *edge.Config) { c.Gate.Bans = gate.BanLimits{Failures: 5} })
	need(t, "svcrack")
	port := strconv.Itoa(int(b.addr.Port()))
	out, _ := tool(t, "svwar", "-b", "127.0.0.78", "-e", "100-130", "-m", "REGISTER", "-p", port, "127.0.0.1")
	// It lists either nothing ("it does not seem to challenge") or everything.
	if found := strings.Count(out, "reqauth"); found != 0 && found != 31 {
		t.Fatalf("svwar tells users apart:\n%s", out)
	}
	if b.Counters().Received.Load() == 0 {
		t.Fatalf("svwar asked nothing, so it proves nothing:\n%s", out)
	}
	words := make([]string, 200)
	for i := range words {
		words[i] = fmt.Sprintf("guess%d", i)
	}
	words[150] = "secret-101"
	out = crack(t, port, words)
	if n := b.reg.Counters.Accepted.Load(); n != 0 {
		t.Errorf("%d guesses were right:\n%s", n, out)
	}
	control := newBed(t, nil)
	for range 3 { // it gives up at the first answer that it does not understand
		if out = crack(t, strconv.Itoa(int(control.addr.Port())), words[150:151]); control.reg.Counters.Accepted.Load() != 0 {
			return
		}
	}
	t.Errorf("svcrack does not even find the password when it is its first guess, so it proves nothing:\n%s", out)
}

// crack lets svcrack guess the password of 101 for a while, from an address of
// its own, since it takes whatever comes to its port for an answer. What it
// says of its success is not to be relied on.
func crack(t *testing.T, port string, words []string) string {
	t.Helper()
	dict := filepath.Join(t.TempDir(), "dict")
	if err := os.WriteFile(dict, []byte(strings.Join(words, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "svcrack", "-b", "127.0.0.77", "-u", "101", "-d", dict, "-p", port, "127.0.0.1")
	cmd.Dir = t.TempDir()
	out, _ := cmd.CombinedOutput() // it may be killed while it still tries
	return string(out)
}

func TestSippRegisters(t *testing.T) {
	b := newBed(t, nil)
	const scenario = `<?xml version="1.0"?><scenario name="reg">
<send retrans="500"><![CDATA[

REGISTER sip:acme.example SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:103@acme.example>;tag=[call_number]
To: <sip:103@acme.example>
Call-ID: [call_id]
CSeq: 1 REGISTER
Contact: <sip:103@[local_ip]:[local_port]>
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="401" auth="true"/>
<send retrans="500"><![CDATA[

REGISTER sip:acme.example SIP/2.0
Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]
From: <sip:103@acme.example>;tag=[call_number]
To: <sip:103@acme.example>
Call-ID: [call_id]
CSeq: 2 REGISTER
Contact: <sip:103@[local_ip]:[local_port]>
[authentication username=103 password=secret-103]
Max-Forwards: 70
Content-Length: 0

]]></send>
<recv response="200"/>
</scenario>`
	file := filepath.Join(t.TempDir(), "reg.xml")
	if err := os.WriteFile(file, []byte(scenario), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, transport := range []string{"u1", "t1"} {
		out, err := tool(t, "sipp", "-nostdin", "-m", "5", "-r", "50", "-timeout", "30", "-t", transport,
			"-sf", file, "-i", "127.0.0.1", b.addr.String())
		if err != nil {
			t.Errorf("%s: %v\n%s", transport, err, out)
		}
	}
	if len(b.reg.Contacts("103")) == 0 {
		t.Error("no binding")
	}
}

// BenchmarkRegister measures registrations with digest (REGISTER, 401,
// REGISTER, 200) over UDP. The client is in the same process, so the figure
// contains the cost of both sides.
func BenchmarkRegister(b *testing.B) {
	bed := newBed(b, func(c *edge.Config) { c.Gate.Rate, c.Gate.Burst, c.UserRate, c.UserBurst = 1e9, 1e9, 1e9, 1e9 })
	conn, err := net.DialUDP("udp", nil, net.UDPAddrFromAddrPort(bed.addr))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { conn.Close() })
	p := &peer{t: b, conn: conn}
	cpu := func() time.Duration {
		var r syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
			b.Fatal(err)
		}
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	start := cpu()
	b.ResetTimer()
	for i := range b.N {
		user := strconv.Itoa(101 + i%20)
		r := msg{method: "REGISTER", from: "sip:" + user + "@" + domain, callID: "bench" + user, seq: 2*i + 1}
		res := p.ask(p.text(r))
		r.seq++
		r.extra = []string{p.contact(user), login(b, res, "MD5", user, "secret-"+user, "REGISTER", "sip:"+domain, 1)}
		if res = p.ask(p.text(r)); res.Status != 200 {
			b.Fatalf("answer %q", res.Text())
		}
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/(cpu()-start).Seconds(), "registrations/cpu-s")
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapAlloc)/(1<<20), "MiB-heap")
}
