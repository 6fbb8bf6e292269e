package trust

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// every is how often the file of certificates is looked at. A mounted
// ConfigMap changes about once a minute at most.
const every = 10 * time.Second

// CAs holds the certificates that every PBX trusts beside the system's. One
// goroutine, Start's, reads the file; any may ask.
type CAs struct {
	path    string
	changed func()
	now     atomic.Pointer[string]
}

// New reads the file at path, "" for none. Changed is called when it has changed.
func New(path string, changed func()) (*CAs, error) {
	t := &CAs{path: path, changed: changed}
	empty := ""
	t.now.Store(&empty)
	_, err := t.read()
	return t, err
}

// PEM is the text of the certificates; empty: none.
func (t *CAs) PEM() string { return *t.now.Load() }

// NeedLeaderElection implements manager.LeaderElectionRunnable: replicas that
// wait for their turn receive callbacks meanwhile.
func (t *CAs) NeedLeaderElection() bool { return false }

// Start implements manager.Runnable.
func (t *CAs) Start(ctx context.Context) error {
	if t.path == "" {
		return nil
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			// A file that is being written is read again; until then what was
			// good stays.
			if changed, err := t.read(); err == nil && changed {
				t.changed()
			}
		}
	}
}

func (t *CAs) read() (changed bool, err error) {
	if t.path == "" {
		return false, nil
	}
	text, err := os.ReadFile(t.path)
	if err != nil {
		return false, fmt.Errorf("trusted certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(text) {
		return false, fmt.Errorf("trusted certificates: %s holds no PEM certificate", t.path)
	}
	pem := string(text)
	return *t.now.Swap(&pem) != pem, nil
}
