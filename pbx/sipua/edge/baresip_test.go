package edge_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// TestBaresip registers a phone that millions of others are built like: it
// takes MD5 and wants nothing to do with what it does not know.
func TestBaresip(t *testing.T) {
	need(t, "baresip")
	b := newBed(t, nil)
	dir := t.TempDir()
	config := "sip_listen 127.0.0.1:0\nnet_interface 127.0.0.1\nmodule_path /usr/lib/baresip/modules\nmodule account.so\nmodule g711.so\n"
	account := "<sip:101@" + domain + ";transport=udp>;auth_user=101;auth_pass=secret-101;outbound=\"sip:" + b.addr.String() + "\";regint=300\n"
	for name, text := range map[string]string{"config": config, "accounts": account, "contacts": ""} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cmd := exec.CommandContext(ctx, "baresip", "-f", dir)
	var out output
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		cancel()
		_ = cmd.Wait() // it was killed
		if t.Failed() {
			t.Log(out.String())
		}
	}()
	waitFor(t, "baresip to register", func() bool { return len(b.reg.Contacts("101")) == 1 })
}

// output collects what a program prints.
type output struct {
	mu   sync.Mutex
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}
