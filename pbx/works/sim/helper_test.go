package sim_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
)

// newServer runs a handler on loopback and returns its URL.
func newServer(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.URL
}
