package server

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/dipcast/dipcast/pbx"
	"github.com/dipcast/dipcast/pbx/bot"
	"github.com/dipcast/dipcast/pbx/call"
	"github.com/dipcast/dipcast/pbx/capped"
	"github.com/dipcast/dipcast/pbx/cdr"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/journal"
	"github.com/dipcast/dipcast/pbx/keeper"
	"github.com/dipcast/dipcast/pbx/media"
	"github.com/dipcast/dipcast/pbx/media/audiofile"
	"github.com/dipcast/dipcast/pbx/media/dtls"
	"github.com/dipcast/dipcast/pbx/media/record"
	"github.com/dipcast/dipcast/pbx/media/rtpio"
	"github.com/dipcast/dipcast/pbx/metrics"
	"github.com/dipcast/dipcast/pbx/nodeguard"
	"github.com/dipcast/dipcast/pbx/sipua"
	"github.com/dipcast/dipcast/pbx/store"
	"github.com/dipcast/dipcast/pbx/web"
)

// Options is what a Server is made of.
type Options struct {
	Document *conf.Document
	// DataDir holds the database, the generated keys and the prompts; it must
	// exist and be writable.
	DataDir string
	// Node is the name of the node in Document.Network.Advertise.
	Node string
	// Internal is the address of the node that HTTP and the admin listener bind
	// to; the admin listener binds to loopback, too. Without it they bind as
	// conf.Network says.
	Internal netip.Addr
	// Program is the program's version, for the report.
	Program string
	// DrainFor is how long Run waits for calls to end by themselves; 0 = not
	// at all.
	DrainFor time.Duration
	// Linger is how long Run goes on at most, after the cause ErrHandOver, until
	// the next process waits for this one's end; 0 = not at all.
	Linger time.Duration
	// CallTiming changes how long calls wait in each situation; zero fields
	// keep the defaults.
	CallTiming call.Timing
	// Keeper holds the sockets while the process restarts; nil = nobody does.
	Keeper keeper.Keeper
	// Serving is called by Run when everything is taken up and served; nil:
	// nobody asks.
	Serving func()
	// Restarts is how often the processes before this one have died, for the
	// metrics.
	Restarts int
	Log      *slog.Logger // nil = silent
}

// Server is one tenant's PBX.
type Server struct {
	opts Options
	log  *slog.Logger
	keys keys
	// doc is what is in force: parts that take a restart are as New found them.
	doc      atomic.Pointer[conf.Document]
	standing atomic.Pointer[standing]

	journal  *journal.Journal
	store    *store.DB
	pool     *rtpio.Pool
	agent    *sipua.Agent
	engine   *call.Engine
	sinks    *fan
	recorder *cdr.Recorder
	tapes    *record.Recorder
	identity *dtls.Identity // of this process, towards browsers
	metrics  *metrics.Set
	works    *worksLink
	bot      *bot.Bot
	web      *web.Server
	http     *capped.Listener
	admin    []net.Listener
	hold     *holder
	database watchedDatabase
	load     overload
	guard    *nodeguard.Client // of the node, if there is one

	apply   sync.Mutex // one Apply at a time
	ran     bool
	leaves  bool     // the sockets are for a process of another parent
	closers []func() // in the order of opening
}

// New opens everything that the document asks for: sockets, database, keys.
// Nothing is served before Run. On error nothing stays open.
func New(ctx context.Context, o Options) (s *Server, err error) {
	if err := o.Document.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Keeper == nil {
		o.Keeper = keeper.None{}
	}
	tenant := o.Document.Tenant
	s = &Server{opts: o, log: o.Log.With("tenant", tenant.Namespace+"/"+tenant.Name)}
	defer func() {
		if err != nil {
			s.close()
			s, err = nil, fmt.Errorf("tenant %s/%s: %w", tenant.Namespace, tenant.Name, err)
		}
	}()
	s.doc.Store(o.Document)
	s.standing.Store(&standing{generation: o.Document.Generation})
	s.metrics = metrics.New(tenant.Namespace, tenant.Name)
	if s.keys, err = loadKeys(o.DataDir, o.Document.Web.APIToken.Reveal(), o.Document.Web.SessionKey.Reveal()); err != nil {
		return s, err
	}
	advertise, err := advertised(o.Document.Network, o.Node)
	if err != nil {
		return s, err
	}
	bind, err := addresses("network.bind", o.Document.Network.Bind)
	if err != nil {
		return s, err
	}
	for _, open := range []func(context.Context, []netip.Addr, []netip.Addr) error{
		// What live calls need comes first: their callers wait.
		s.openJournal, s.openMedia, s.openRecordings, s.openSIP, s.openCalls,
		s.openStore, s.openRecorder, s.openBot, s.openWeb,
	} {
		if err := open(ctx, bind, advertise); err != nil {
			return s, err
		}
	}
	s.observe()
	s.metrics.Applied(o.Document.Generation)
	return s, nil
}

func (s *Server) document() *conf.Document { return s.doc.Load() }

// onClose adds what close runs, last added first.
func (s *Server) onClose(f func()) { s.closers = append(s.closers, f) }

func (s *Server) close() {
	for i := len(s.closers) - 1; i >= 0; i-- {
		s.closers[i]()
	}
	s.closers = nil
}

func (s *Server) openMedia(_ context.Context, bind, advertise []netip.Addr) (err error) {
	ports := s.document().Network.Ports
	if s.identity, err = dtls.NewIdentity(rand.Reader, time.Now()); err != nil {
		return err
	}
	s.pool, err = rtpio.NewPool(rtpio.Config{
		From: ports.RTPFrom, To: ports.RTPTo, Bind: bind, Advertise: advertise, Sockets: rtpSockets{s.opts.Keeper},
		Identity: s.identity, Log: s.log,
	})
	if err == nil {
		s.onClose(s.pool.Close)
	}
	return err
}

func (s *Server) openSIP(_ context.Context, bind, advertise []netip.Addr) (err error) {
	s.guard = nodeguard.NewClient(func() (uint16, []netip.Prefix) {
		return s.SIPAddr().Port(), s.agent.Trunks().Networks()
	}, s.log)
	ports := s.document().Network.Ports
	s.agent, err = sipua.New(sipua.Config{
		Document: s.document(), Advertise: advertise, Bind: bind,
		Ports:  sipua.Ports{SIP: ports.SIP, TLS: ports.SIPS, WSS: ports.WSS},
		Keeper: s.opts.Keeper, Media: s.pool, Fingerprint: s.identity.Fingerprint(), Journal: s.journal, Log: s.log, Banned: s.guard.Ban,
	})
	if err != nil {
		return err
	}
	s.onClose(func() {
		if !s.ran { // Run closes the sockets by itself
			s.agent.Close()
		}
	})
	return nil
}

// Recordings is the subfolder of the data folder that recordings lie in.
const Recordings = "recordings"

func (s *Server) openRecordings(context.Context, []netip.Addr, []netip.Addr) (err error) {
	s.tapes, err = record.New(record.Options{Dir: filepath.Join(s.opts.DataDir, Recordings), Log: s.log})
	if err == nil {
		s.onClose(s.tapes.Close)
	}
	return err
}

// openCalls makes the engine. Its sinks come later: what happens meanwhile to
// the calls of the process before waits for them.
func (s *Server) openCalls(context.Context, []netip.Addr, []netip.Addr) error {
	prompts, err := audiofile.LoadPrompts(filepath.Join(s.opts.DataDir, "prompts"), s.document().Tenant.Locale)
	if err != nil {
		// A damaged recording is no reason to take no calls: tones stand in.
		s.log.Error("a recorded prompt cannot be used", "error", err)
	}
	s.sinks = &fan{}
	s.engine = call.New(call.Config{
		Document: s.document, Dialer: s.agent, Sink: s.sinks, Sounds: sounds{prompts},
		Log: s.log, Timing: s.opts.CallTiming, Recordings: s.tapes, Journal: s.journal,
	})
	s.onClose(s.leaveCalls)
	s.takeUp()
	s.agent.SetReceiver(s.engine)
	s.hold = &holder{calls: s.engine, edge: s.agent, log: s.log}
	s.onClose(s.hold.end)
	return nil
}

// openRecorder begins to write call records and to read registrations.
func (s *Server) openRecorder(ctx context.Context, _, _ []netip.Addr) error {
	s.loadRegistrations(ctx)
	s.recorder = cdr.NewRecorder(s.store, s.journal, s.log, s.engine.Recorded)
	s.onClose(func() {
		if lost := s.recorder.Close(); lost > 0 {
			s.log.Error("call records were lost", "records", lost)
		}
	})
	return nil
}

// sounds gives the engine its prompts.
type sounds struct{ prompts *audiofile.Prompts }

func (s sounds) Sound(name string) media.Source { return s.prompts.Source(audiofile.Prompt(name)) }

func (s *Server) openBot(context.Context, []netip.Addr, []netip.Addr) (err error) {
	s.works = &worksLink{log: s.log, observe: s.metrics.Works, dropped: func(error) { s.metrics.Dropped() }}
	s.onClose(s.works.Close)
	s.bot, err = bot.New(bot.Options{
		Config: botConfig(s.document()), Tenant: s.document().Tenant.Namespace + "/" + s.document().Tenant.Name,
		Key: s.keys.tokens, Control: s.engine, Messenger: s.works,
		ResolveUser: s.works.ResolveUser, CallerName: s.works.CallerName,
		Hooks: bot.Hooks{CardSent: func(_ string, d time.Duration) { s.metrics.Card(d) }, Press: s.metrics.Pressed, Dropped: s.metrics.Dropped},
		Log:   s.log, Journal: s.journal,
	})
	if err != nil {
		return err
	}
	s.sinks.open(pbx.EventSinks{s.metrics, s.recorder, s.bot})
	return s.works.Apply(s.document())
}

func (s *Server) openWeb(ctx context.Context, bind, advertise []netip.Addr) (err error) {
	config, err := webConfig(s.document(), s.keys)
	if err != nil {
		return err
	}
	s.web, err = web.New(web.Options{
		Config: config, CDRs: s.store, Control: s.engine, Recording: s.tapes.Open,
		Registrations: s.registrations, Deliver: s.press, Healthy: s.healthy, Ready: s.ready, Log: s.log,
		Hooks: web.Hooks{Callback: s.metrics.Callback}, Journal: s.journal,
		TrustedProxies: loopback(), // a reverse proxy on the same machine
	})
	if err != nil {
		return err
	}
	ports := s.document().Network.Ports
	listen := func(port int) (net.Listener, error) { return s.listenHTTP(ctx, bind, advertise, port) }
	if s.opts.Internal.IsValid() {
		listen = func(port int) (net.Listener, error) { return s.listenInternal(ctx, s.opts.Internal, port) }
	}
	public, err := listen(ports.HTTP)
	if err != nil {
		return err
	}
	s.http = capped.Listen(public, httpConnections, httpPerSource, s.proxy)
	s.onClose(func() { s.closeListener(s.http) })
	admin, err := listen(ports.Admin)
	if err != nil {
		return err
	}
	s.admin = []net.Listener{admin}
	s.onClose(func() {
		for _, l := range s.admin {
			s.closeListener(l)
		}
	})
	if s.opts.Internal.IsValid() {
		err = s.adminOnLoopback(ctx)
	}
	return err
}

// Run serves until ctx ends and returns when everything has ended. The calls
// are drained, or handed over if the cause is ErrHandOver.
func (s *Server) Run(ctx context.Context) error {
	s.ran = true
	defer s.close()
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	g, inner := errgroup.WithContext(inner)
	g.Go(func() error { return s.agent.Run(inner) })
	g.Go(func() error { return s.bot.Run(inner) })
	g.Go(func() error { return s.openStoreLater(inner) })
	g.Go(func() error { return s.watchLoad(inner) })
	g.Go(func() error { return s.guard.Run(inner) })
	g.Go(func() error { return serveHTTP(inner, s.http, web.NewHTTPServer(s.web.Handler(), s.log)) })
	admin := web.NewHTTPServer(s.web.AdminHandler(s.metrics.Handler(), s.private()), s.log)
	for _, l := range s.admin {
		g.Go(func() error { return serveHTTP(inner, l, admin) })
	}
	g.Go(func() error { return s.web.Run(inner) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			if s.handsOver(ctx) {
				s.linger(ctx)
				s.handOver(ctx)
			} else {
				s.drain(ctx)
				s.engine.Close()
			}
			stop()
		case <-inner.Done():
		}
		return nil
	})
	s.log.Info("the PBX serves", "document", s.document(), "sip", s.SIPAddr(), "http", s.HTTPAddr(), "admin", s.AdminAddr())
	if s.opts.Serving != nil {
		s.opts.Serving()
	}
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// drain refuses new calls and waits for those that are up.
func (s *Server) drain(ctx context.Context) {
	s.hold.end()
	limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.opts.DrainFor)
	defer cancel()
	s.log.Info("draining: new calls are refused", "calls", s.engine.Active(), "for", s.opts.DrainFor)
	if err := s.engine.Idle(limited); err != nil {
		s.log.Warn("calls are cut at the end of the drain", "calls", s.engine.Active())
	}
}

// Control returns what people and machines may do to calls.
func (s *Server) Control() pbx.Controller { return s.engine }

// CDRs returns the call records.
func (s *Server) CDRs() pbx.CDRStore { return s.store }

// SIPAddr is where SIP is served over UDP and TCP.
func (s *Server) SIPAddr() netip.AddrPort { return s.agent.SIPAddr("UDP") }

// SecureAddr is where SIP is served over "TLS" or "WSS"; not valid without a
// certificate.
func (s *Server) SecureAddr(transport string) netip.AddrPort { return s.agent.SIPAddr(transport) }

// HTTPAddr is where console, REST and callbacks are served.
func (s *Server) HTTPAddr() string { return s.http.Addr().String() }

// AdminAddr is where metrics, health and the report are served.
func (s *Server) AdminAddr() string { return s.admin[0].Addr().String() }

// APITokenFile is the file that holds the REST interface's bearer token,
// unless the document carries it.
func (s *Server) APITokenFile() string { return filepath.Join(s.opts.DataDir, "api-token") }

// ManageBot sets the bot's callbacks and its menu for this PBX, whose console
// is at baseURL, as the operator does in a cluster.
func (s *Server) ManageBot(ctx context.Context, baseURL string) error {
	return s.works.ManageBot(ctx, baseURL)
}

// PrepareDataDir makes the data folder of a tenant below root and returns it.
func PrepareDataDir(root, namespace, name string) (string, error) {
	dir := filepath.Join(root, namespace, name)
	return dir, os.MkdirAll(dir, 0o700)
}
