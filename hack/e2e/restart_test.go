package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/media/tone"
	"github.com/dipcast/dipcast/pbx/pbxtest"
	"github.com/dipcast/dipcast/pbx/phone"
)

const (
	crowd       = 120 // extensions that register at the same time
	crowdFrom   = 2000
	crowdSecret = "crowd-password-4Kd8"
)

// program is the pod's program in a process of its own.
type program struct {
	t        *testing.T
	path     string // of the binary
	document string // file
	data     string
	args     []string // besides document and data
	doc      *conf.Document
	cmd      *exec.Cmd
	log      *lockedBuffer
}

// newProgram builds the program and writes its document.
func newProgram(t *testing.T) *program {
	t.Helper()
	dir := t.TempDir()
	p := &program{t: t, path: filepath.Join(dir, "pbx"), document: filepath.Join(dir, "document.json"), data: filepath.Join(dir, "data")}
	build := exec.CommandContext(t.Context(), "go", "build", "-o", p.path, "../../cmd/pbx")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	ports := pbxtest.FreePorts(t, 4)
	p.doc = document(t)
	p.doc.Bot = nil
	p.doc.Network.Bind = []string{"127.0.0.1"}
	p.doc.Network.Ports = conf.Ports{SIP: ports[0], HTTP: ports[1], Admin: ports[2]}
	p.doc.Trunks[0].Hosts[0].Port = ports[3] // nobody is there
	for n := crowdFrom; n < crowdFrom+crowd; n++ {
		p.doc.Extensions = append(p.doc.Extensions, conf.Extension{Number: strconv.Itoa(n), MaxContacts: 2, Password: crowdSecret})
	}
	p.doc.Limits.RegistrationsOperating, p.doc.Limits.RegistrationsMaximum = 2*crowd, 4*crowd
	text, err := json.Marshal(p.doc)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(p.document, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(p.data, 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.kill)
	return p
}

// start runs the program until it serves.
func (p *program) start() {
	p.t.Helper()
	p.begin()
	waitFor(p.t, "the program serves", func() bool {
		_, err := p.registrations()
		return err == nil
	})
}

// begin starts the program and does not wait for it.
func (p *program) begin() {
	p.t.Helper()
	p.log = &lockedBuffer{}
	args := append([]string{"-document", p.document, "-data", p.data}, p.args...)
	p.cmd = exec.CommandContext(context.WithoutCancel(p.t.Context()), p.path, args...)
	p.cmd.Stderr = p.log
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := p.cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
}

// kill ends the program as a failing machine does.
func (p *program) kill() {
	if p.cmd == nil {
		return
	}
	_ = p.cmd.Process.Kill() // SIGKILL
	_ = p.cmd.Wait()
	if p.t.Failed() {
		p.t.Logf("the program's log:\n%s", p.log)
	}
	p.cmd = nil
}

// registrations asks the REST interface.
func (p *program) registrations() ([]pbx.Contact, error) {
	p.t.Helper()
	req, err := http.NewRequestWithContext(within(p.t), http.MethodGet,
		fmt.Sprintf("http://127.0.0.1:%d/api/v1/registrations", p.doc.Network.Ports.HTTP), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+p.doc.Web.APIToken.Reveal())
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	res, err := client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", res.StatusCode)
	}
	var body struct {
		Registrations []pbx.Contact `json:"registrations"`
	}
	return body.Registrations, json.NewDecoder(res.Body).Decode(&body)
}

func (p *program) phone(extension, password string) *phone.Phone {
	p.t.Helper()
	return newPhone(p.t, phone.Config{
		User: extension, Password: password, Domain: p.doc.Tenant.Domain, NoRefresh: true,
		Server: fmt.Sprintf("127.0.0.1:%d", p.doc.Network.Ports.SIP),
	})
}

// registerAndKill lets the phones register at the same time, kills the program
// as soon as so many of them were answered, and returns those.
func (p *program) registerAndKill(phones []*phone.Phone, after int) (registered []*phone.Phone) {
	p.t.Helper()
	ctx, cancel := context.WithCancel(within(p.t))
	defer cancel()
	answered := make(chan *phone.Phone, len(phones))
	var wg sync.WaitGroup
	for _, ph := range phones {
		wg.Go(func() {
			if ph.Register(ctx, time.Hour) == nil {
				answered <- ph
			}
		})
	}
	for len(registered) < after {
		select {
		case ph := <-answered:
			registered = append(registered, ph)
		case <-ctx.Done():
			p.t.Fatalf("%d of %d phones are registered", len(registered), after)
		}
	}
	p.kill()
	cancel()
	wg.Wait()
	close(answered)
	for ph := range answered { // answered before it was killed
		registered = append(registered, ph)
	}
	return registered
}

// Whoever was answered 200 is registered after the program was killed in the
// midst of others' registrations.
func TestKilledDuringRegistrations(t *testing.T) {
	p := newProgram(t)
	var phones []*phone.Phone
	for n := crowdFrom; n < crowdFrom+crowd; n++ {
		phones = append(phones, p.phone(strconv.Itoa(n), crowdSecret))
	}
	var registered []*phone.Phone
	for _, after := range []int{1, 7, 25} { // each time with other phones
		p.start()
		registered = append(registered, p.registerAndKill(phones[:crowd/3], after)...)
		phones = phones[crowd/3:]
	}
	p.start()
	contacts, err := p.registrations()
	if err != nil {
		t.Fatal(err)
	}
	for _, ph := range registered {
		found := false
		for _, c := range contacts {
			found = found || c.Source == ph.Addr() && c.Expires.After(time.Now())
		}
		if !found {
			t.Errorf("the phone at %s was answered 200 and is not registered", ph.Addr())
		}
	}
	t.Logf("%d of %d phones were answered before the three kills, %d are registered", len(registered), crowd, len(contacts))

	caller := p.phone("101", passwords["101"])
	if err := caller.Register(within(t), time.Hour); err != nil {
		t.Fatal(err)
	}
	called := registered[0]
	var extension string
	for _, c := range contacts {
		if c.Source == called.Addr() {
			extension = c.Extension
		}
	}
	c, err := caller.Dial(within(t), extension, phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rings(t, called)
	if err := c.Hangup(within(t)); err != nil {
		t.Error(err)
	}
}

// After a drain that is final SIGTERM refuses new calls, lets those that are up
// go on, and the program ends by itself, without an error, when the last one is
// over.
func TestTerminatedDuringACall(t *testing.T) {
	p := newProgram(t)
	p.start()
	one, two := p.phone("101", passwords["101"]), p.phone("102", passwords["102"])
	for _, ph := range []*phone.Phone{one, two} {
		if err := ph.Register(within(t), time.Hour); err != nil {
			t.Fatal(err)
		}
	}
	c, err := one.Dial(within(t), "102", phone.DialOptions{})
	if err != nil {
		t.Fatal(err)
	}
	e := rings(t, two)
	answer(t, e)
	e.Play(tone.Sine(660, loud))
	hears(t, c, "the caller", 660)

	p.drain(conf.Drain{Final: true, Hold: conf.Duration(time.Hour)})
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "new calls are refused with 503 and Retry-After", func() bool {
		late, err := two.Dial(within(t), "777", phone.DialOptions{})
		if err != nil {
			t.Fatal(err)
		}
		cause, err := late.WaitEnded(within(t))
		if err != nil {
			t.Fatal(err)
		}
		return cause.Code == 503 && late.EndHeader("Retry-After") != "" // 404 before: nobody has that number
	})
	hears(t, c, "the caller during the drain", 660)
	if err := c.Hangup(within(t)); err != nil {
		t.Error(err)
	}
	p.ended()
}
