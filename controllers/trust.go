package controllers

import (
	"context"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
	"time"
)

// trustEvery is how often the file of certificates is looked at. A mounted
// ConfigMap changes about once a minute at most.
const trustEvery = 10 * time.Second

// trust holds the certificates that every PBX trusts beside the system's. One
// goroutine, Start's, reads the file; any may ask.
type trust struct {
	path    string
	changed func()
	now     atomic.Pointer[string]
}

func newTrust(path string, changed func()) (*trust, error) {
	t := &trust{path: path, changed: changed}
	empty := ""
	t.now.Store(&empty)
	_, err := t.read()
	return t, err
}

// pem is the text of the certificates; empty: none.
func (t *trust) pem() string { return *t.now.Load() }

// Start implements manager.Runnable.
func (t *trust) Start(ctx context.Context) error {
	if t.path == "" {
		return nil
	}
	tick := time.NewTicker(trustEvery)
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

func (t *trust) read() (changed bool, err error) {
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
