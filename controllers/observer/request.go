package observer

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"syscall"

	"github.com/dipcast/dipcast/pbx/conf"
)

// ErrCallsUp is the answer to a Drain with IfIdle while calls are up.
var ErrCallsUp = errors.New("calls are up")

// Drain asks a PBX to take no new calls; ErrCallsUp if d.IfIdle and calls are
// up. What it answers counts as observed.
func (o *Observer) Drain(ctx context.Context, t Target, d conf.Drain) (conf.Report, error) {
	body, err := json.Marshal(d)
	if err != nil {
		return conf.Report{}, fmt.Errorf("drain: %w", err)
	}
	r, err := o.command(ctx, t, http.MethodPost, body)
	if err != nil {
		return conf.Report{}, fmt.Errorf("drain: %w", err)
	}
	return *r, nil
}

// Resume asks a PBX to take calls again.
func (o *Observer) Resume(ctx context.Context, t Target) error {
	if _, err := o.command(ctx, t, http.MethodDelete, nil); err != nil {
		return fmt.Errorf("end of drain: %w", err)
	}
	return nil
}

func (o *Observer) command(ctx context.Context, t Target, method string, body []byte) (*conf.Report, error) {
	ctx, cancel := context.WithTimeout(ctx, requestLimit)
	defer cancel()
	r, err := o.request(ctx, t, method, conf.PathDrain, body)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.targets[t.Tenant]; e != nil && e.target.same(t) {
		// Whoever commands knows the answer: nothing is told.
		e.failed = 0
		e.seen = Observation{Report: r, Reachable: true}
		e.told = e.seen
	}
	return r, nil
}

// ask gets a target's report.
func (o *Observer) ask(ctx context.Context, t Target) (*conf.Report, error) {
	return o.request(ctx, t, http.MethodGet, conf.PathReport, nil)
}

// request makes one request; its errors are stable and hold no token.
func (o *Observer) request(ctx context.Context, t Target, method, path string, body []byte) (*conf.Report, error) {
	if t.URL == "" {
		return nil, errors.New("the pod has no address yet")
	}
	req, err := http.NewRequestWithContext(ctx, method, t.URL+path, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the pod's address makes no URL")
	}
	req.Header.Set("Authorization", "Bearer "+t.Token)
	req.Header.Set("User-Agent", "dipcast-operator")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	res, err := o.client.Do(req)
	if err != nil {
		return nil, noAnswer(t, err)
	}
	defer func() { _ = res.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(res.Body, answerLimit+1))
	if err != nil {
		return nil, noAnswer(t, err)
	}
	if err := refusal(t, res.StatusCode); err != nil {
		return nil, err
	}
	if len(answer) > answerLimit {
		return nil, fmt.Errorf("%s answers with more than %d KiB: no PBX does that; look what listens there", t.URL, answerLimit>>10)
	}
	r, err := Parse(answer)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", t.URL, err)
	}
	// The name is not quoted: another company's is nobody's business here.
	if r.Tenant != t.Tenant.String() {
		return nil, fmt.Errorf("%s: another tenant's PBX answers there: look which pods share its ports on this node", t.URL)
	}
	return r, nil
}

// refusal says what a status other than 200 means.
func refusal(t Target, status int) error {
	switch status {
	case http.StatusOK:
		return nil
	case http.StatusConflict:
		return ErrCallsUp
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%s answers %d: it does not know the token of Secret %s-api; if the Secret was just changed, the PBX learns it with its next document",
			t.URL, status, t.Tenant.Name)
	case http.StatusNotFound:
		return fmt.Errorf("%s answers 404: it is no PBX of this version, or something else listens there", t.URL)
	}
	return fmt.Errorf("%s answers %d instead of a report: see the log of the pod", t.URL, status)
}

// noAnswer makes stable text of a failed request: the errors of the network
// packages name ports that are other ones each time.
func noAnswer(t Target, err error) error {
	var timeout net.Error
	var number syscall.Errno
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s does not answer within %s", t.URL, requestLimit)
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE):
		return fmt.Errorf("%s ends the connection without an answer", t.URL)
	case errors.As(err, &number):
		return fmt.Errorf("%s does not answer: %s", t.URL, number.Error())
	}
	return fmt.Errorf("%s does not answer in HTTP", t.URL)
}

// Parse reads a report. It refuses another version, text after the object and
// counts that cannot be. Fields that it does not know are passed over: an
// operator that was taken back still sees PBXs of the newer version.
func Parse(b []byte) (*conf.Report, error) {
	var head struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(b, &head); err != nil {
		return nil, errors.New("the answer is no report: look what listens there")
	}
	if head.Version != conf.ReportVersion {
		return nil, fmt.Errorf("the PBX reports in version %d, this operator reads version %d: use an image of the operator's own version",
			head.Version, conf.ReportVersion)
	}
	var r conf.Report
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, errors.New("the report has a field of another type than this operator knows: use an image of the operator's own version")
	}
	if r.ActiveCalls < 0 || r.ActiveCalls > math.MaxInt32 || r.Registrations < 0 || r.Registrations > math.MaxInt32 {
		return nil, errors.New("the report counts calls or phones below zero or above any limit: see the log of the pod")
	}
	return &r, nil
}
