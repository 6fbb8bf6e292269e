package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/phone"
	"github.com/dipcast/dipcast/pbx/server"
)

// processEnv names the file that describes the PBX which TestPBXProcess runs.
const processEnv = "E2E_PBX_PROCESS"

// processFile is its content.
type processFile struct {
	Document *conf.Document
	DataDir  string
}

// TestPBXProcess is no test but the PBX that startProcess runs as a process of
// its own, so that its memory can be told from that of the load generators.
// Its exit status says whether goroutines were left over (TestMain).
func TestPBXProcess(t *testing.T) {
	path := os.Getenv(processEnv)
	if path == "" {
		t.Skip("other tests run this as a process")
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var f processFile
	if err := json.Unmarshal(text, &f); err != nil {
		t.Fatal(err)
	}
	srv, err := server.New(t.Context(), server.Options{Document: f.Document, DataDir: f.DataDir, Log: processLog()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- srv.Run(ctx) }()
	fmt.Fprintf(os.Stdout, "PBX %s %s %s\n", srv.SIPAddr(), srv.AdminAddr(), srv.HTTPAddr())
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
	stop()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// process is a rig whose PBX runs in another process.
type process struct {
	*rig
	admin string
	http  string
	pid   int
	log   *lockedBuffer
	end   func() // ends the PBX and fails the test if it did not end well
}

// lockedBuffer holds what the process says.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// startProcess starts the sample tenant in a process of its own; its document
// may be changed first.
func startProcess(t *testing.T, change ...func(*conf.Document)) *process {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir()}
	r.sim = startWorks(t, nil)
	r.carrier = newPhone(t, phone.Config{User: "carrier", Listen: "127.0.0.2:0"})
	r.doc = document(t)
	r.doc.Network.Bind = []string{"127.0.0.1"}
	r.doc.Network.Ports = conf.Ports{} // the kernel chooses
	r.doc.Bot.APIURL, r.doc.Bot.AuthURL, r.doc.Bot.IssuerURL = r.sim.APIURL(), r.sim.AuthURL(), r.sim.URL()
	r.doc.Trunks[0].Hosts = []conf.TrunkHost{{Host: "127.0.0.2", Port: int(r.carrier.Addr().Port()), Transport: "UDP"}}
	r.doc.Trunks[0].AllowedCIDRs = []string{"127.0.0.2/32"}
	for _, f := range change {
		f(r.doc)
	}
	text, err := json.Marshal(processFile{Document: r.doc, DataDir: r.dir})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "pbx.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	p := &process{rig: r, log: &lockedBuffer{}}
	p.run(file)
	return p
}

func (p *process) run(file string) {
	t := p.t
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run=^TestPBXProcess$", "-test.v", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), processEnv+"="+file)
	cmd.Stderr = p.log
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.pid = cmd.Process.Pid
	var once sync.Once
	var drained sync.WaitGroup
	p.end = func() {
		once.Do(func() {
			_ = in.Close()
			drained.Wait()
			if err := cmd.Wait(); err != nil {
				t.Errorf("the PBX ended badly: %v\n%.4000s", err, p.log)
			}
		})
	}
	t.Cleanup(p.end)
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) == 4 && f[0] == "PBX" {
			p.sip = netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), netip.MustParseAddrPort(f[1]).Port()).String()
			p.admin, p.http = f[2], f[3]
			break
		}
	}
	drained.Go(func() { _, _ = io.Copy(p.log, out) })
	if p.sip == "" {
		t.Fatalf("the PBX does not start:\n%s", p.log)
	}
}

// rss returns the resident memory of the process now and at most, in bytes.
func (p *process) rss() (now, most int64) {
	p.t.Helper()
	return resident(p.t, p.pid)
}

// resident returns the resident memory of a process now and at most, in bytes.
func resident(t *testing.T, pid int) (now, most int64) {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		f := strings.Fields(line)
		if len(f) != 3 || f[0] != "VmRSS:" && f[0] != "VmHWM:" {
			continue
		}
		n, err := strconv.ParseInt(f[1], 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		if f[0] == "VmRSS:" {
			now = n << 10
		} else {
			most = n << 10
		}
	}
	return now, most
}

// heap returns the Go memory of the process in use: heap and stacks.
func (p *process) heap() int64 {
	p.t.Helper()
	return int64(metric(p.t, p.admin, "go_memstats_heap_inuse_bytes") + metric(p.t, p.admin, "go_memstats_stack_inuse_bytes"))
}

func (p *process) goroutines() int { return int(metric(p.t, p.admin, "go_goroutines")) }
