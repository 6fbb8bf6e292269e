package up_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/dipcast/dipcast/cmd/dipcast/up"
	"github.com/dipcast/dipcast/cmd/dipcast/workssim"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 30 * time.Second
	samples  = "../../../config/samples/"
)

// classes are small, so that the tenants' ports are.
const classes = `apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXClass
metadata: {name: dipcast-50}
spec:
  limits: {extensions: 10, registrations: {operating: 5, maximum: 10}, concurrentCalls: 2}
  network:
    portPool: {from: %d, to: %d}
    advertise: {from: Static, address: 127.0.0.1}
---
apiVersion: pbx.dipcast.io/v1alpha1
kind: PBXClass
metadata: {name: dipcast-100}
spec:
  default: true
  limits: {extensions: 10, registrations: {operating: 5, maximum: 10}, concurrentCalls: 2}
  network:
    portPool: {from: %d, to: %d}
    advertise: {from: Static, address: 127.0.0.1}
`

// slot is the number of ports of a tenant with two calls.
const slot = 22

// stage is a copy of the samples whose ports are free, and the command that
// runs them.
type stage struct {
	t         *testing.T
	manifests string
	data      string
	sip, http int // of the first tenant, acme
	beta      int // SIP port of the second one
	out, errs screen
	cancel    context.CancelFunc
	done      chan int
}

// newStage writes the manifests; nothing runs yet.
func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, manifests: t.TempDir(), data: t.TempDir(), done: make(chan int, 1)}
	ports := pbxtest.FreePorts(t, 4)
	s.sip, s.http = ports[0], ports[1]
	pool := pbxtest.FreeRange(t, 2*slot)
	s.beta = pool
	s.write("classes.yaml", fmt.Sprintf(classes, pool, pool+slot-1, pool+slot, pool+2*slot-1))
	s.copy("demo/secrets.yaml", "secrets.yaml")
	s.copy("demo/tenant.yaml", "acme.yaml",
		"port: 5070", fmt.Sprintf("port: %d", ports[2]), "127.0.0.1:9080", fmt.Sprintf("127.0.0.1:%d", ports[3]))
	s.copy("beta/tenant.yaml", "beta.yaml")
	s.works(ports[3])
	return s
}

// works runs a NAVER WORKS until the test ends.
func (s *stage) works(port int) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	var out screen
	go func() {
		done <- workssim.Run(ctx, []string{"-listen", fmt.Sprintf("127.0.0.1:%d", port), "-from", s.manifests}, &out, &out)
	}()
	s.t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			s.t.Errorf("works-sim ended with %d: %s", code, out.String())
		}
	})
	out.wait(s.t, "api:")
}

func (s *stage) write(name, text string) {
	s.t.Helper()
	path := filepath.Join(s.manifests, name)
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil { // as editors do
		s.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		s.t.Fatal(err)
	}
}

func (s *stage) copy(sample, name string, replace ...string) {
	s.t.Helper()
	text, err := os.ReadFile(samples + sample)
	if err != nil {
		s.t.Fatal(err)
	}
	s.write(name, strings.NewReplacer(replace...).Replace(string(text)))
}

// edit replaces text in a manifest.
func (s *stage) edit(name, old, text string) {
	s.t.Helper()
	before, err := os.ReadFile(filepath.Join(s.manifests, name))
	if err != nil {
		s.t.Fatal(err)
	}
	if !strings.Contains(string(before), old) {
		s.t.Fatalf("%s does not contain %q", name, old)
	}
	s.write(name, strings.Replace(string(before), old, text, 1))
}

func (s *stage) args(more ...string) []string {
	return append([]string{
		"-f", s.manifests, "--data", s.data, "--sip-port", strconv.Itoa(s.sip), "--http-port", strconv.Itoa(s.http),
	}, more...)
}

// start runs the command until the test ends or stop is called.
func (s *stage) start(more ...string) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	s.cancel = cancel
	go func() { s.done <- up.Run(ctx, keeper.Alone(), s.args(more...), &s.out, &s.errs) }()
	s.t.Cleanup(s.stop)
	for _, tenant := range []string{"acme/acme: SIP ", "beta/beta: SIP "} {
		s.out.wait(s.t, tenant)
	}
}

// stop is SIGTERM, and waits for the end.
func (s *stage) stop() {
	s.t.Helper()
	s.cancel()
	select {
	case code := <-s.done:
		s.done <- code // for those who ask again
		if code != 0 {
			s.t.Errorf("exit code %d: %s", code, s.errs.String())
		}
	case <-time.After(2 * patience):
		s.t.Errorf("the command does not end: %s\n%s", s.out.String(), s.errs.String())
	}
	if s.t.Failed() {
		s.t.Logf("out:\n%serrors:\n%s", s.out.String(), s.errs.String())
	}
}

func (s *stage) phone(extension, password, domain string, port int) *phone.Phone {
	s.t.Helper()
	p, err := phone.New(phone.Config{User: extension, Password: password, Domain: domain, Server: fmt.Sprintf("127.0.0.1:%d", port)})
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(p.Close)
	return p
}

// acme registers a phone of the first tenant.
func (s *stage) acme(extension, password string) *phone.Phone {
	s.t.Helper()
	return s.registered(s.phone(extension, password, "acme.pbx.example.com", s.sip))
}

// betaPhone makes a phone of the second tenant, whose passwords are made by
// the command.
func (s *stage) betaPhone(extension string) *phone.Phone {
	s.t.Helper()
	files, err := filepath.Glob(filepath.Join(s.data, "beta", "beta", "secrets", "*"+extension))
	if err != nil || len(files) != 1 {
		s.t.Fatalf("the password of extension %s is in %v: %v", extension, files, err)
	}
	password, err := os.ReadFile(files[0])
	if err != nil {
		s.t.Fatal(err)
	}
	return s.phone(extension, strings.TrimSpace(string(password)), "beta.pbx.example.com", s.beta)
}

func (s *stage) registered(p *phone.Phone) *phone.Phone {
	s.t.Helper()
	if err := p.Register(within(s.t), time.Hour); err != nil {
		s.t.Fatal(err)
	}
	return p
}

// talk is a call between two phones that hear each other's tones.
type talk struct{ caller, called *phone.Call }

// call connects two phones.
func call(t *testing.T, from, to *phone.Phone, number string) talk {
	t.Helper()
	c, err := from.Dial(within(t), number, phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e, err := to.WaitIncoming(within(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Answer(within(t)); err != nil {
		t.Fatal(err)
	}
	if err := c.WaitAnswered(within(t)); err != nil {
		t.Fatal(err)
	}
	c.Play(tone.Sine(440, 0.5))
	e.Play(tone.Sine(660, 0.5))
	k := talk{c, e}
	k.goesOn(t)
	return k
}

// goesOn proves that both sides hear each other from now on.
func (k talk) goesOn(t *testing.T) {
	t.Helper()
	if err := k.caller.WaitTone(within(t), 660); err != nil {
		t.Error(err)
	}
	if err := k.called.WaitTone(within(t), 440); err != nil {
		t.Error(err)
	}
}

// end hangs up, and waits for the other side.
func (k talk) end(t *testing.T) {
	t.Helper()
	if err := k.caller.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	if _, err := k.called.WaitEnded(within(t)); err != nil {
		t.Error(err)
	}
}

func within(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// screen is what a command has printed so far.
type screen struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{}
}

var _ io.Writer = (*screen)(nil)

// Write implements io.Writer.
func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.changed != nil {
		close(s.changed)
		s.changed = nil
	}
	return s.b.Write(b)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// clear forgets what was printed.
func (s *screen) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.b.Reset()
}

// wait waits until the text was printed and returns the line that holds it.
func (s *screen) wait(t *testing.T, text string) string {
	t.Helper()
	ctx := within(t)
	for {
		s.mu.Lock()
		for line := range strings.Lines(s.b.String()) {
			if strings.Contains(line, text) {
				s.mu.Unlock()
				return line
			}
		}
		if s.changed == nil {
			s.changed = make(chan struct{})
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			t.Fatalf("%q is not printed, but:\n%s", text, s.String())
		}
	}
}
