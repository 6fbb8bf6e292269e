package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/conf"
)

const (
	answerWithin  = 20 * time.Second
	longestAnswer = 16 << 20
)

// StatusError is an answer of a PBX that is no success.
type StatusError struct {
	Code int
	Text string // the PBX's own words
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("it answers %d %s", e.Code, strings.TrimSpace(http.StatusText(e.Code)+": "+e.Text))
}

// PBX speaks to the admin port of one tenant's pod.
type PBX struct {
	Tenant types.NamespacedName
	Pod    types.NamespacedName
	Port   int

	token  string
	client *http.Client
}

// PodName is the name of a tenant's pod.
func PodName(tenant types.NamespacedName) types.NamespacedName {
	return types.NamespacedName{Namespace: tenant.Namespace, Name: desired.PodName(tenant.Name)}
}

// Name is the tenant's namespace and name.
func Name(t *v1alpha1.PBXTenant) types.NamespacedName { return client.ObjectKeyFromObject(t) }

// Pod reads a tenant's pod; nil if there is none.
func (c *Cluster) Pod(ctx context.Context, tenant types.NamespacedName) (*corev1.Pod, error) {
	p := &corev1.Pod{}
	if err := c.Reader.Get(ctx, PodName(tenant), p); err != nil {
		if apierrors.IsNotFound(err) {
			return nil, nil //nolint:nilnil // a tenant without a pod is a state like another
		}
		return nil, Explain(fmt.Errorf("pod %s: %w", PodName(tenant), err))
	}
	return p, nil
}

// PBX returns the way to a tenant's running PBX. It must be closed.
func (c *Cluster) PBX(ctx context.Context, t *v1alpha1.PBXTenant) (*PBX, error) {
	name := Name(t)
	pod, err := c.Pod(ctx, name)
	if err != nil {
		return nil, err
	}
	if pod == nil || pod.Status.Phase != corev1.PodRunning {
		return nil, fmt.Errorf("the PBX of %s does not run: kubectl dipcast status %s -n %s tells why", name, t.Name, t.Namespace)
	}
	port := AdminPort(t, pod)
	if port == 0 {
		return nil, fmt.Errorf("PBXTenant %s: has no admin port in status.ports: the operator has not given it ports yet", name)
	}
	secret := &corev1.Secret{}
	key := types.NamespacedName{Namespace: t.Namespace, Name: compile.APISecret(t.Name)}
	if err := c.Reader.Get(ctx, key, secret); err != nil {
		return nil, Explain(fmt.Errorf("secret %s with the PBX's token: %w", key, err))
	}
	token := string(secret.Data[v1alpha1.KeyToken])
	if token == "" {
		return nil, fmt.Errorf("secret %s: has no key %q: delete the Secret, and the operator makes a new one", key, v1alpha1.KeyToken)
	}
	p := &PBX{Tenant: name, Pod: client.ObjectKeyFromObject(pod), Port: port, token: token}
	p.client = &http.Client{Timeout: answerWithin, Transport: &http.Transport{
		DialContext:         func(ctx context.Context, _, _ string) (net.Conn, error) { return c.Forward(ctx, p.Pod, p.Port) },
		MaxIdleConnsPerHost: 1,
	}}
	return p, nil
}

// AdminPort is the port that the running pod declares; while a tenant waits to
// be moved it is not yet that of the status.
func AdminPort(t *v1alpha1.PBXTenant, pod *corev1.Pod) int {
	if port := desired.DeclaredPort(pod, desired.PortAdmin); port != 0 || t.Status.Ports == nil {
		return int(port)
	}
	return int(t.Status.Ports.Admin)
}

// Close gives the connection back.
func (p *PBX) Close() { p.client.CloseIdleConnections() }

// Report asks the PBX about itself.
func (p *PBX) Report(ctx context.Context) (*conf.Report, error) {
	r := &conf.Report{}
	return r, p.do(ctx, http.MethodGet, conf.PathReport, nil, r)
}

// Drain asks the PBX to take no new calls.
func (p *PBX) Drain(ctx context.Context, d conf.Drain) (*conf.Report, error) {
	r := &conf.Report{}
	return r, p.do(ctx, http.MethodPost, conf.PathDrain, d, r)
}

// Resume ends a drain.
func (p *PBX) Resume(ctx context.Context) error {
	return p.do(ctx, http.MethodDelete, conf.PathDrain, nil, nil)
}

// Calls returns the calls that are not over.
func (p *PBX) Calls(ctx context.Context) ([]pbx.Call, error) {
	var list struct {
		Calls []pbx.Call `json:"calls"`
	}
	err := p.do(ctx, http.MethodGet, "/api/v1/calls", nil, &list)
	return list.Calls, err
}

// CDRs returns the last call records, newest first.
func (p *PBX) CDRs(ctx context.Context, limit int) ([]pbx.CDR, error) {
	var page pbx.CDRPage
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	err := p.do(ctx, http.MethodGet, "/api/v1/cdrs?"+query.Encode(), nil, &page)
	return page.Records, err
}

func (p *PBX) do(ctx context.Context, method, path string, in, out any) error {
	var body io.Reader
	if in != nil {
		raw, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(raw)
	}
	// The host is never looked up: every connection goes to the pod.
	target := "http://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(p.Port)) + path
	request, err := http.NewRequestWithContext(ctx, method, target, body)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+p.token)
	if in != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	answer, err := p.client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // its text would name an address that means nothing
		}
		return fmt.Errorf("the PBX of %s does not answer: %w", p.Tenant, err)
	}
	defer func() { _ = answer.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, longestAnswer))
	if err != nil {
		return fmt.Errorf("the PBX of %s: %w", p.Tenant, err)
	}
	if answer.StatusCode/100 != 2 {
		return p.refusal(answer.StatusCode, raw)
	}
	if out == nil {
		return nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return fmt.Errorf("the PBX of %s: its answer to %s is no JSON of this version: %w", p.Tenant, path, err)
	}
	return nil
}

// refusal tells what to do about an answer that is no success.
func (p *PBX) refusal(code int, raw []byte) error {
	var body struct {
		Error struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	status := &StatusError{Code: code, Text: strings.TrimSpace(string(raw))}
	if json.Unmarshal(raw, &body) == nil && body.Error.Message != "" {
		status.Text = body.Error.Message
	}
	const longest = 200
	if len(status.Text) > longest {
		status.Text = status.Text[:longest]
	}
	err := fmt.Errorf("the PBX of %s: %w", p.Tenant, status)
	switch code {
	case http.StatusUnauthorized, http.StatusForbidden:
		return fmt.Errorf("%w: it does not take the token of Secret %s: its newest document may not be in force yet, see kubectl dipcast doctor", err, compile.APISecret(p.Tenant.Name))
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		return fmt.Errorf("%w: it may be of another version than this program", err)
	default:
		return err
	}
}
