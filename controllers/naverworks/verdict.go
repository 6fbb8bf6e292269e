package naverworks

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/works"
)

// Verdict is what a condition is made of. Messages are stable: no times, no
// counts, nothing that the other side draws anew with each answer.
type Verdict struct {
	Status  metav1.ConditionStatus
	Reason  string
	Message string
	// RetryAfter is how long NAVER WORKS wants to be left alone; 0: not told.
	RetryAfter time.Duration
}

// OK reports whether everything is as it should be.
func (v Verdict) OK() bool { return v.Status == metav1.ConditionTrue }

// Condition makes the condition of a type.
func (v Verdict) Condition(kind string) metav1.Condition {
	return metav1.Condition{Type: kind, Status: v.Status, Reason: v.Reason, Message: v.Message}
}

// Yes is the verdict that all is well.
func Yes(reason, message string) Verdict {
	return Verdict{Status: metav1.ConditionTrue, Reason: reason, Message: message}
}

// No is the verdict that something is wrong.
func No(reason, message string) Verdict { return no(reason, "%s", message) }

// Explain says what an error of a client means for a bot: False for what
// somebody has to put right, Unknown for what may pass by itself.
func Explain(b *v1alpha1.NaverWorksBot, err error) Verdict {
	var api *works.APIError
	if errors.As(err, &api) {
		v := explainAnswer(b, api)
		v.RetryAfter = api.RetryAfter
		return v
	}
	var tr *works.TransportError
	if !errors.As(err, &tr) {
		return no(v1alpha1.ReasonInvalid, "%v", err) // the client refuses to send it
	}
	host := hostOf(b.Spec.Endpoints.API)
	if tr.Operation == "token" {
		host = hostOf(b.Spec.Endpoints.Auth)
	}
	v := silence(host, tr) // not that the patience ended after it
	return Verdict{Status: metav1.ConditionUnknown, Reason: v.Reason, Message: "NAVER WORKS: " + v.Message + "; it is asked again by itself"}
}

func explainAnswer(b *v1alpha1.NaverWorksBot, e *works.APIError) Verdict {
	switch {
	case e.Status == http.StatusTooManyRequests:
		return Verdict{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonRateLimited,
			Message: "NAVER WORKS answers HTTP 429, the company's limit of requests is used up: it is asked again by itself; see which other programs use this app or domain",
		}
	case e.Status >= 500:
		return Verdict{
			Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonUnreachable,
			Message: fmt.Sprintf("NAVER WORKS answers HTTP %d to %s: it is asked again by itself; see the service's own notices", e.Status, e.Operation),
		}
	case e.Operation == "token":
		return explainToken(b, e)
	case e.Status == http.StatusUnauthorized:
		return no(v1alpha1.ReasonUnauthorized,
			"NAVER WORKS refuses the access token although it is new (HTTP 401 to %s): see in the Developer Console whether the app and its service account are active", e.Operation)
	case e.Status == http.StatusForbidden:
		return explainForbidden(b, e)
	case (e.Status == http.StatusNotFound || e.Status == http.StatusGone) && strings.HasPrefix(e.Operation, "bot."):
		return no(v1alpha1.ReasonNotFound, "NAVER WORKS knows no bot %d: copy spec.botID from the Developer Console", b.Spec.BotID)
	}
	return no(v1alpha1.ReasonInvalid, "NAVER WORKS answers HTTP %d %s to %s: compare the bot's settings with the Developer Console", e.Status, e.Code, e.Operation)
}

func explainToken(b *v1alpha1.NaverWorksBot, e *works.APIError) Verdict {
	secret := b.Namespace + "/" + b.Spec.CredentialsRef.Name
	switch e.Code {
	case "invalid_client":
		return no(v1alpha1.ReasonUnauthorized,
			"NAVER WORKS refuses client-id or client-secret of Secret %s: copy both again from the app in the Developer Console", secret)
	case "invalid_grant":
		return no(v1alpha1.ReasonUnauthorized,
			"NAVER WORKS refuses service-account or private-key of Secret %s: copy the account again, issue a new key in the Developer Console, and see that the clock of the operator's node is right", secret)
	case "invalid_scope":
		return no(v1alpha1.ReasonForbidden,
			"the app lacks one of the scopes %s: add it in the Developer Console, which takes some minutes to work, or take it out of spec.scopes", strings.Join(scopes(b), ", "))
	case "unauthorized_client":
		return no(v1alpha1.ReasonForbidden, "the app of Secret %s may not use a service account: allow it in the Developer Console", secret)
	}
	reason := v1alpha1.ReasonUnauthorized
	if e.Status == http.StatusForbidden {
		reason = v1alpha1.ReasonForbidden
	}
	return no(reason, "NAVER WORKS issues no access token for Secret %s (HTTP %d %s): compare all five keys with the Developer Console, and spec.endpoints.auth with its documents", secret, e.Status, e.Code)
}

func explainForbidden(b *v1alpha1.NaverWorksBot, e *works.APIError) Verdict {
	directory := strings.HasPrefix(e.Operation, "user.")
	switch {
	case e.Code == "SERVICE_ACCOUNT_NOT_ALLOWED":
		return no(v1alpha1.ReasonForbidden, "NAVER WORKS allows %s to no service account: take it out of what is asked for", e.Operation)
	case e.Code == "ACCESS_DENIED" && directory:
		return no(v1alpha1.ReasonForbidden, "NAVER WORKS denies the directory of domain %d: copy spec.domainID from the Developer Console of the company whose app this is", b.Spec.DomainID)
	case e.Code == "ACCESS_DENIED":
		return no(v1alpha1.ReasonForbidden, "NAVER WORKS denies bot %d to this app: add the bot under Admin > Service > Bot, and see that it belongs to domain %d", b.Spec.BotID, b.Spec.DomainID)
	}
	return no(v1alpha1.ReasonForbidden,
		"the access token lacks the scope %s for %s: add it to the app in the Developer Console, which takes some minutes to work, and to spec.scopes", scopeOf(e.Operation), e.Operation)
}

// scopeOf is the least scope that an operation needs.
func scopeOf(operation string) string {
	switch {
	case operation == "bot.get":
		return "bot.read"
	case strings.HasPrefix(operation, "bot."):
		return "bot"
	}
	return "user.read"
}

func hostOf(raw string) string {
	if u, err := url.Parse(raw); err == nil && u.Host != "" {
		return u.Hostname()
	}
	return "the service"
}

// silence says why a host gave no answer, and the cure.
func silence(host string, err error) Verdict {
	unreachable := func(format string, args ...any) Verdict {
		return no(v1alpha1.ReasonUnreachable, format, args...)
	}
	if v, ok := wrongCertificate(host, err); ok {
		return v
	}
	var dns *net.DNSError
	var timeout net.Error
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		return unreachable("%s has no address: create its DNS record, or correct the name", host)
	case errors.As(err, &dns):
		return unreachable("the name server does not answer for %s: see the cluster's DNS", host)
	case errors.Is(err, syscall.ECONNREFUSED):
		return unreachable("%s refuses the connection: nothing listens there, see its address and the way to it", host)
	case errors.Is(err, syscall.EHOSTUNREACH), errors.Is(err, syscall.ENETUNREACH):
		return unreachable("there is no route to %s: see the cluster's network", host)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return unreachable("%s does not answer in time: see firewalls and network policies between the operator and it", host)
	}
	return unreachable("the connection to %s breaks off: see what stands between the operator and it", host)
}

// wrongCertificate tells what is wrong with a host's certificate.
func wrongCertificate(host string, err error) (Verdict, bool) {
	var (
		name      x509.HostnameError
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		noTLS     tls.RecordHeaderError
		alert     tls.AlertError
	)
	bad := func(format string, args ...any) (Verdict, bool) {
		return no(v1alpha1.ReasonInsecure, format, args...), true
	}
	switch {
	case errors.As(err, &name):
		return bad("the certificate of %s is for another name: see spec.web.tls of the tenant, its Certificate and the Ingress", host)
	case errors.As(err, &authority):
		return bad("the certificate of %s is of no known authority, and NAVER WORKS takes only public ones: name an issuer of a public authority in spec.web.tls of the tenant", host)
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return bad("the certificate of %s has expired or is not valid yet: renew it, and see the clocks", host)
	case errors.As(err, &invalid):
		return bad("the certificate of %s cannot be used for a web server: issue another one", host)
	case errors.As(err, &noTLS), errors.Is(err, http.ErrSchemeMismatch):
		return bad("%s does not speak TLS at this port: see the Ingress and the port of the URL", host)
	case errors.As(err, &alert), strings.Contains(err.Error(), "remote error: tls:"):
		return bad("%s breaks off the TLS handshake: see the certificate of its Ingress or route", host)
	}
	return Verdict{}, false
}
