package naverworks

import (
	"context"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/conf"
)

// callbackTimeout bounds one look at a callback URL.
const callbackTimeout = 5 * time.Second

// Callback asks a callback URL, as a stranger without a signature would, and
// says whether the PBX with that mark answers. Redirects are not followed, as
// NAVER WORKS follows none. What an answer says is not looked at, only who
// sends it.
func Callback(ctx context.Context, transport http.RoundTripper, callbackURL, mark string) Verdict {
	ctx, cancel := context.WithTimeout(ctx, callbackTimeout)
	defer cancel()
	v := look(ctx, transport, callbackURL, mark)
	v.Message = callbackURL + ": " + v.Message
	return v
}

func look(ctx context.Context, transport http.RoundTripper, callbackURL, mark string) Verdict {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, callbackURL, strings.NewReader("{}"))
	if err != nil {
		return no(v1alpha1.ReasonInvalid, "is no URL: correct spec.domain or spec.web.externalURL of the tenant")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "dipcast-operator")
	client := http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(r)
	if err != nil {
		return silence(r.URL.Hostname(), err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, 4096)) // so that the connection can be used again
	return judge(r.URL, resp.StatusCode, resp.Header.Get(conf.HeaderTenant), mark)
}

// judge says who answered.
func judge(u *url.URL, status int, got, mark string) Verdict {
	host := u.Hostname()
	switch {
	case got == mark && status == http.StatusUnauthorized:
		return Yes(v1alpha1.ReasonReachable, "the tenant's PBX answers")
	case got == mark && status == http.StatusNotFound:
		return no(v1alpha1.ReasonProgressing, "the tenant's PBX answers and has not taken over the bot yet: see ConfigApplied of the tenant")
	case got == mark:
		return no(v1alpha1.ReasonUnreachable, "the tenant's PBX answers HTTP %d to a callback: see its log", status)
	case got != "":
		return no(v1alpha1.ReasonConflict, "another tenant's PBX answers: see which Service the Ingress or route of %s leads to, and where its DNS record points", host)
	case status >= 300 && status < 400:
		return no(v1alpha1.ReasonUnreachable, "is redirected (HTTP %d), and NAVER WORKS follows no redirect: see the Ingress and spec.web.externalURL of the tenant", status)
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		return no(v1alpha1.ReasonUnreachable, "HTTP %d: the Ingress or route of %s is there and does not reach the PBX: see the tenant's pod, its Service and network policies", status, host)
	}
	return no(v1alpha1.ReasonUnreachable, "HTTP %d comes from something that is not the PBX: see where the DNS record of %s points and whether its Ingress or route leads to the tenant's Service", status, host)
}
