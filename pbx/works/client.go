package works

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// requestTimeout ends an exchange that the server leaves hanging.
const requestTimeout = 10 * time.Second

// maxBody is the largest answer that is read, beside attachments.
const maxBody = 8 << 20

// Client speaks the API for one bot. It is safe for concurrent use and has no
// goroutine of its own.
type Client struct {
	cfg    Config
	opts   Options
	http   *http.Client
	tokens *tokenSource
	// botTurn is held while the bot's settings are changed: the API forbids
	// parallel changes of one bot.
	botTurn chan struct{}
}

// New checks the configuration and returns a client. Nothing is sent. The
// error names every wrong field at once and holds no secret.
func New(cfg Config, opts Options) (*Client, error) {
	cfg, opts = cfg.withDefaults(), opts.withDefaults()
	key, err := cfg.check()
	if err != nil {
		return nil, fmt.Errorf("NAVER WORKS configuration: %w", err)
	}
	c := &Client{cfg: cfg, opts: opts, botTurn: make(chan struct{}, 1)}
	c.http = &http.Client{
		Transport: opts.Transport,
		// Redirects are followed by hand: a token must not reach a host
		// that an answer names.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	c.tokens = newTokenSource(c, key)
	return c, nil
}

// newTransport is a transport of its own, so that idle connections end with
// the client.
func newTransport(roots *x509.CertPool) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 5 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:   5 * time.Second,
		ForceAttemptHTTP2:     true,
		MaxIdleConnsPerHost:   8,
		MaxConnsPerHost:       16,
		IdleConnTimeout:       90 * time.Second,
		ResponseHeaderTimeout: requestTimeout,
	}
}

// Close lets go of idle connections. Requests under way go on.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// BotID returns the bot that the client speaks for.
func (c *Client) BotID() int64 { return c.cfg.BotID }

// String names the client's bot; it holds no secret.
func (c *Client) String() string { return c.cfg.String() }

// call is one API operation.
type call struct {
	operation string // for errors and metrics
	method    string
	path      []string // escaped and joined to the API's URL
	query     url.Values
	in, out   any // JSON bodies, nil = none
}

// botPath is a path below the client's bot.
func (c *Client) botPath(rest ...string) []string {
	return append([]string{"bots", strconv.FormatInt(c.cfg.BotID, 10)}, rest...)
}

// do performs an operation: a 401 is answered with exactly one new token and
// one more try; everything else is the caller's to decide.
func (c *Client) do(ctx context.Context, k call) error {
	body, err := encode(k)
	if err != nil {
		return err
	}
	target := c.target(k)
	for try := 0; ; try++ {
		token, err := c.tokens.get(ctx)
		if err != nil {
			return err
		}
		a, err := c.exchange(ctx, k.operation, func(ctx context.Context) (*http.Request, error) {
			return newRequest(ctx, k.method, target, token, body)
		})
		if err != nil {
			return err
		}
		if a.status == http.StatusUnauthorized && try == 0 {
			c.tokens.drop(token)
			continue
		}
		return c.decode(k, a)
	}
}

// read is do for operations that may be repeated: it tries up to four times
// when the service is busy or silent, as long as ctx lasts.
func (c *Client) read(ctx context.Context, k call) error {
	for try := 0; ; try++ {
		err := c.do(ctx, k)
		wait, again := c.backoff(err, try, true)
		if !again || try == 3 {
			return err
		}
		c.opts.Logger.InfoContext(ctx, "NAVER WORKS is asked again", "operation", k.operation, "in", wait, "because", err)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return errors.Join(err, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

func encode(k call) ([]byte, error) {
	if k.in == nil {
		return nil, nil
	}
	b, err := json.Marshal(k.in)
	if err != nil {
		return nil, fmt.Errorf("NAVER WORKS %s: %w", k.operation, err)
	}
	return b, nil
}

func (c *Client) target(k call) string {
	var b strings.Builder
	b.WriteString(c.cfg.APIURL)
	for _, p := range k.path {
		b.WriteString("/" + url.PathEscape(p))
	}
	if len(k.query) > 0 {
		b.WriteString("?" + k.query.Encode())
	}
	return b.String()
}

func newRequest(ctx context.Context, method, target, token string, body []byte) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Accept", "application/json")
	if len(body) > 0 {
		r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	}
	return r, nil
}

// reply is an answer that was read whole.
type reply struct {
	status int
	header http.Header
	body   []byte
}

// exchange sends one request and reads the answer whole, within the request
// time-out.
func (c *Client) exchange(ctx context.Context, operation string, build func(context.Context) (*http.Request, error)) (reply, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { sent.Store(true) }})
	req, err := build(ctx)
	if err != nil {
		return reply{}, &TransportError{Operation: operation, Err: withoutURL(err)}
	}
	begin := c.opts.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		c.opts.Observe(operation, 0, c.opts.Now().Sub(begin))
		return reply{}, &TransportError{Operation: operation, Sent: sent.Load(), Err: withoutURL(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	c.opts.Observe(operation, resp.StatusCode, c.opts.Now().Sub(begin))
	if err != nil {
		return reply{}, &TransportError{Operation: operation, Sent: true, Err: withoutURL(err)}
	}
	return reply{resp.StatusCode, resp.Header, data}, nil
}

func (c *Client) decode(k call, a reply) error {
	if a.status < 200 || a.status > 299 {
		return parseError(k.operation, a, c.redact)
	}
	if k.out == nil {
		return nil
	}
	if err := json.Unmarshal(a.body, k.out); err != nil {
		return &APIError{Operation: k.operation, Status: a.status, Description: "the answer is not the documented JSON"}
	}
	return nil
}

const redacted = "[redacted]"

// redact takes out of a server's words whatever secret they repeat.
func (c *Client) redact(s string) string {
	for _, secret := range []string{c.cfg.ClientSecret, c.cfg.BotSecret, c.tokens.current()} {
		if secret != "" {
			s = strings.ReplaceAll(s, secret, redacted)
		}
	}
	return s
}
