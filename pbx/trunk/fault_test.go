package trunk

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestFaultOf(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{nil, ""},
		{errors.New("no answer came"), ""},
		{x509.HostnameError{Certificate: &x509.Certificate{}, Host: "a.example"}, "for another name"},
		{&tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}, "of no known authority"},
		{x509.CertificateInvalidError{Reason: x509.Expired}, "has expired or is not valid yet"},
		{x509.CertificateInvalidError{Reason: x509.IncompatibleUsage}, "not valid for servers"},
		{tls.RecordHeaderError{}, "does not speak TLS"},
	} {
		got := faultOf(fmt.Errorf("OPTIONS: %w", tc.err))
		if tc.err == nil {
			got = faultOf(nil)
		}
		if !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
			t.Errorf("%v: %q, want %q", tc.err, got, tc.want)
		}
	}
}

func TestSilenceSaysWhatIsWrong(t *testing.T) {
	s := &state{hosts: []Host{{Health: Down}, {Health: Down, Fault: "its certificate has expired"}}}
	s.hosts[1].Host = "b.example"
	if got := s.text(time.Unix(1000, 0)); got != "no host answers over TLS: b.example: its certificate has expired" {
		t.Errorf("%q", got)
	}
}
