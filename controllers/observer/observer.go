package observer

import (
	"context"
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/pbx/conf"
)

// How often a target is asked, and what one request may take.
const (
	idleEvery    = 10 * time.Second
	idleJitter   = 0.1 // of idleEvery, to both sides
	fastFirst    = 250 * time.Millisecond
	fastLast     = time.Second
	fastGrowth   = 1.1
	retryFirst   = 250 * time.Millisecond
	retryLast    = 15 * time.Second
	retryGrowth  = 2
	urgentRetry  = 2 * time.Second // the last interval while somebody waits
	countsEvery  = 10 * time.Second
	requestLimit = 2 * time.Second
	// connectLimit is shorter: the transport goes on connecting after the
	// request has ended, and that counts as no request.
	connectLimit = 1500 * time.Millisecond
	answerLimit  = 64 << 10
	failures     = 2 // in a row before a target counts as unreachable

	// keptOpen bounds the connections that are kept between two requests, and
	// keptFor for how long: longer than two requests of ten seconds are apart. A
	// new connection costs as much CPU as the rest of a request; one that rests
	// costs some 10 KiB.
	keptOpen = 2048
	keptFor  = 15 * time.Second
)

// Target is a running PBX.
type Target struct {
	Tenant types.NamespacedName
	URL    string // from AdminURL
	Token  string // of Secret TENANT-api
	// Instance changes with the process: the pod's UID and the container's ID.
	// Another one makes the observer forget what the old process reported.
	Instance string
	// Await is the generation that the PBX should come to run, "" = none.
	Await string
	// Urgent asks often and tells at once that the PBX became idle or busy.
	Urgent bool
}

// same reports whether two targets are one process, reached in one way.
func (t Target) same(o Target) bool {
	return t.URL == o.URL && t.Token == o.Token && t.Instance == o.Instance
}

// Observation is what is known of a target.
type Observation struct {
	// Report is the last one, nil before the first. Nobody changes it.
	Report *conf.Report
	// Reachable is false after two failures in a row.
	Reachable bool
	// Error says why it is not reachable: stable text for a condition.
	Error string
}

// Options of an Observer; the zero value is a good one.
type Options struct {
	Workers int // requests at a time; 0 = 32
	// Changed is called with each tenant to look at again. It may be called
	// from several goroutines, without a lock held, and must not block.
	Changed func(types.NamespacedName)
	// Dial opens connections; nil = a plain net.Dialer.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)
	// Random spreads the requests over time, in [0,1); nil = math/rand.
	Random func() float64
}

// Observer polls targets. It is a manager.Runnable.
type Observer struct {
	opts      Options
	transport *http.Transport
	client    *http.Client
	wake      chan struct{} // of the scheduler; holds one

	mu      sync.Mutex
	targets map[types.NamespacedName]*entry
	// answering and failing hold the targets that wait for their time, by
	// whether they answered the last time.
	answering, failing schedule
	busy, busyFailing  int // requests under way, and those of failing targets
}

// AdminURL is the base address of a pod's admin listener, "" if there is none.
func AdminURL(podIP string, port int32) string {
	ip, err := netip.ParseAddr(podIP)
	if err != nil || port < 1 || port > 65535 {
		return ""
	}
	return "http://" + net.JoinHostPort(ip.String(), strconv.Itoa(int(port)))
}

// New returns an observer that Start sets to work.
func New(opts Options) *Observer {
	if opts.Workers < 1 {
		opts.Workers = 32
	}
	if opts.Changed == nil {
		opts.Changed = func(types.NamespacedName) {}
	}
	if opts.Dial == nil {
		opts.Dial = (&net.Dialer{}).DialContext
	}
	if opts.Random == nil {
		opts.Random = rand.Float64
	}
	transport := &http.Transport{
		Proxy: nil, // whatever the environment says
		DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, connectLimit)
			defer cancel()
			return opts.Dial(ctx, network, address)
		},
		DisableCompression:     true,
		MaxIdleConns:           keptOpen,
		MaxIdleConnsPerHost:    1,
		IdleConnTimeout:        keptFor,
		ResponseHeaderTimeout:  requestLimit,
		MaxResponseHeaderBytes: 16 << 10,
		WriteBufferSize:        1 << 10,
		ReadBufferSize:         2 << 10,
	}
	return &Observer{
		opts:      opts,
		transport: transport,
		client: &http.Client{
			Transport:     transport,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
		wake:    make(chan struct{}, 1),
		targets: map[types.NamespacedName]*entry{},
	}
}

// NeedLeaderElection implements manager.LeaderElectionRunnable: one operator asks.
func (o *Observer) NeedLeaderElection() bool { return true }

// SetTarget begins or changes the polling of a tenant's PBX.
func (o *Observer) SetTarget(t Target) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.targets[t.Tenant]
	switch {
	case e == nil || !e.target.same(t):
		if e != nil {
			o.remove(e)
		}
		e = &entry{target: t, place: -1, step: fastFirst}
		o.targets[t.Tenant] = e
		o.plan(e, time.Now())
	case e.target == t:
		return
	default:
		was := e.hurried()
		e.target = t
		if e.hurried() && !was {
			e.step = fastFirst
			o.plan(e, time.Now())
		}
	}
}

// Forget ends it, a request that is under way included.
func (o *Observer) Forget(name types.NamespacedName) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if e := o.targets[name]; e != nil {
		o.remove(e)
		delete(o.targets, name)
	}
}

// Report returns what is known of a tenant's PBX, false before the first
// answer and before it counts as unreachable.
func (o *Observer) Report(name types.NamespacedName) (Observation, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	e := o.targets[name]
	if e == nil || e.seen == (Observation{}) {
		return Observation{}, false
	}
	return e.seen, true
}
