//go:build cluster

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgo "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// The fabric's addresses, as docs/cluster.md tells.
const (
	// baresip sends its audio from the first address of the machine.
	firstAt   = "10.213.0.1"
	ingressAt = "10.213.0.2"
	worksAt   = "10.213.0.3:443"
	carrierAt = "10.213.0.4"
	phonesAt  = "10.213.0.5"

	worksURL  = "https://works.example"
	samples   = "config/samples/cluster"
	release   = "dipcast"
	system    = "dipcast-system"
	mark      = "dipcast-e2e" // label of all that belongs to no namespace of a test
	patience  = 90 * time.Second
	setupTime = 5 * time.Minute
)

// settings are what `make e2e` says.
type settings struct {
	helm, dipcast string
	version, next string // tags of the images: what is installed, what is upgraded to
	full          bool   // also what takes minutes
}

// installation is what that all tests share.
type installation struct {
	settings
	client client.Client
	sim    *sim.Server
	web    *http.Client // finds the companies' consoles and NAVER WORKS
	cas    string       // file with the authorities of both

	install sync.Once
	took    time.Duration // how long it took
	failed  error
}

// the is the installation, from TestMain on.
var the *installation

func TestMain(m *testing.M) {
	var s settings
	flag.StringVar(&s.helm, "helm", "helm", "helm")
	flag.StringVar(&s.dipcast, "dipcast", "bin/dipcast", "the program that is kubectl-dipcast")
	flag.StringVar(&s.version, "images", "", "tag of the images that are installed")
	flag.StringVar(&s.next, "next", "", "tag of another image of the PBX")
	flag.BoolVar(&s.full, "full", false, "also the tests that take minutes")
	flag.Parse()
	code, err := s.run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	os.Exit(code)
}

func (s settings) run(m *testing.M) (code int, err error) {
	if err := toRoot(); err != nil {
		return 1, err
	}
	if s.version == "" || s.next == "" || os.Getenv("KUBECONFIG") == "" {
		return 1, errors.New("run these tests by make e2e")
	}
	dir, err := os.MkdirTemp("", "dipcast-e2e-")
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	the, err = s.open(dir)
	if err != nil {
		return 1, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), setupTime)
	defer cancel()
	if err := the.clear(ctx); err != nil {
		return 1, fmt.Errorf("remains of an earlier run: %w", err)
	}
	code = m.Run()
	last, cancel := context.WithTimeout(context.Background(), setupTime)
	defer cancel()
	return code, errors.Join(the.clear(last), the.sim.Close())
}

// toRoot makes the module's folder the current one.
func toRoot() error {
	for {
		if _, err := os.Stat("go.mod"); err == nil {
			return nil
		}
		here, err := os.Getwd()
		if err != nil || here == "/" {
			return errors.Join(err, errors.New("not inside the module"))
		}
		if err := os.Chdir(".."); err != nil {
			return err
		}
	}
}

// open connects to the cluster and starts NAVER WORKS.
func (s settings) open(dir string) (*installation, error) {
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	if err != nil {
		return nil, err
	}
	config.QPS, config.Burst = 200, 400
	scheme := runtime.NewScheme()
	if err := errors.Join(clientgo.AddToScheme(scheme), v1alpha1.AddToScheme(scheme)); err != nil {
		return nil, err
	}
	st := &installation{settings: s, cas: filepath.Join(dir, "cas.pem")}
	if st.client, err = client.New(config, client.Options{Scheme: scheme}); err != nil {
		return nil, err
	}
	ingressCA, err := os.ReadFile(filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "ingress-ca", "ca.crt"))
	if err != nil {
		return nil, err
	}
	pair, worksCA, err := certificate("works.example")
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(st.cas, append(ingressCA, worksCA...), 0o600); err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(append(ingressCA, worksCA...))
	transport := &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}
	st.web = &http.Client{Transport: transport, Timeout: patience}
	return st, st.startWorks(pair, transport)
}

// dial knows where the names of the fabric are, so that a test needs no DNS
// to be right.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	switch _, numeric := netip.ParseAddr(host); {
	case host == "works.example":
		address = worksAt
	case numeric != nil:
		address = net.JoinHostPort(ingressAt, port)
	}
	return (&net.Dialer{}).DialContext(ctx, network, address)
}

// startWorks starts NAVER WORKS with the apps and bots of every company that
// has a bot.
func (s *installation) startWorks(pair tls.Certificate, callbacks http.RoundTripper) error {
	sample, err := sampleCredentials()
	if err != nil {
		return err
	}
	config := sim.Config{
		BaseURL: worksURL, RatePerMinute: -1, Callbacks: callbacks,
		TLS: &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}},
	}
	for name, id := range bots() {
		domain := id + 40_000_000
		config.Apps = append(config.Apps, sim.App{
			ClientID: name + "-client", ClientSecret: name + "-client-secret", ServiceAccount: name + ".serviceaccount@acme.example",
			PublicKey: sample[v1alpha1.KeyPrivateKey], DomainID: domain,
		})
		config.Bots = append(config.Bots, sim.Bot{BotID: id, Name: name, Secret: name + "-bot-secret", DomainID: domain})
		config.Users = append(config.Users, works.User{
			UserID: sim.UserID(person(name)), Email: person(name), DomainID: domain, Locale: string(works.Korean), Name: works.PersonName{Last: "김", First: name},
		})
	}
	config.Apps = append(config.Apps, sim.App{
		ClientID: sample[v1alpha1.KeyClientID], ClientSecret: sample[v1alpha1.KeyClientSecret],
		ServiceAccount: sample[v1alpha1.KeyServiceAccount], PublicKey: sample[v1alpha1.KeyPrivateKey], DomainID: sampleDomain,
	})
	config.Bots = append(config.Bots, sim.Bot{BotID: sampleBot, Name: "DIPCAST", Secret: sample[v1alpha1.KeyBotSecret], DomainID: sampleDomain})
	for _, name := range []string{"haneul", "bada", "sol"} {
		email := name + "@acme.example"
		config.Users = append(config.Users, works.User{
			UserID: sim.UserID(email), Email: email, DomainID: sampleDomain, Locale: string(works.Korean), Name: works.PersonName{First: name},
		})
	}
	if s.sim, err = sim.New(config); err != nil {
		return err
	}
	return s.sim.Start(worksAt)
}

// The sample company's bot, as config/samples/cluster says.
const (
	sampleBot    = 2000001
	sampleDomain = 40029600
)

// sampleCredentials are those of the sample company's bot.
func sampleCredentials() (map[string]string, error) {
	text, err := os.ReadFile(samples + "/20-secrets.yaml")
	if err != nil {
		return nil, err
	}
	for part := range strings.SplitSeq(string(text), "\n---\n") {
		var secret corev1.Secret
		if err := yaml.Unmarshal([]byte(part), &secret); err != nil {
			return nil, err
		}
		if secret.StringData[v1alpha1.KeyBotSecret] != "" {
			return secret.StringData, nil
		}
	}
	return nil, errors.New("the sample has no Secret with a bot's credentials")
}

// bots are the companies that have one, with its ID.
func bots() map[string]int64 {
	return map[string]int64{"bots-a": 2100001, "bots-b": 2100002, "leaves": 2100003, "erased": 2100004, "pressed": 2100005}
}

// person is the employee with extension 101.
func person(company string) string { return "haneul@" + company + ".example" }

// installed installs the chart, once for all tests, and makes the class that
// most of them use.
func (s *installation) installed(t *testing.T) {
	t.Helper()
	s.install.Do(func() {
		began := time.Now()
		if _, s.failed = s.chart(t.Context()); s.failed != nil {
			s.failed = fmt.Errorf("%w\n%s", s.failed, s.told(system))
		}
		s.took = time.Since(began)
	})
	if s.failed != nil {
		t.Fatalf("the chart cannot be installed: %v", s.failed)
	}
}

// chart installs or upgrades it, with more settings of helm.
func (s *installation) chart(ctx context.Context, set ...string) (string, error) {
	args := []string{
		"upgrade", "--install", release, "charts/dipcast", "--namespace", system, "--create-namespace",
		"--set", "image.tag=" + s.version, "--set-json", "classes=[]", "--set-file", "trustedCAs=" + s.cas,
		"--set-json", `trustedProxies=["` + ingressAt + `/32"]`, "--wait", "--timeout", patience.String(),
	}
	for _, v := range set {
		args = append(args, "--set", v)
	}
	return run(ctx, "", s.helm, args...)
}
