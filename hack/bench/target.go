package main

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	_ "embed"
	"encoding/pem"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"text/template"

	"github.com/dipcast/dipcast/hack/bench/process"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// Who lives in the tenant of the benchmark.
const (
	domain      = "bench.pbx.example"
	password    = "bench-8Kq2vTz5"
	person      = "100"
	personMail  = "haneul@bench.example"
	firstNumber = 1001
	numbers     = 400
	mostInPlan  = 1000
	botID       = 3000001
	worksDomain = 40029601
	carrierHost = "127.0.0.2"
)

var (
	//go:embed testdata/manifests.yaml
	manifests string
	//go:embed testdata/kamailio.cfg
	kamailioConfig string
)

// target is a SIP server under load.
type target struct {
	*process.Process
	sip    netip.AddrPort
	domain string
}

// works is the simulated NAVER WORKS with the key that the PBX signs with.
type worksSim struct {
	*sim.Server
	key string // PEM
}

func startWorks() (*worksSim, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
	s, err := sim.New(sim.Config{
		Apps: []sim.App{{
			ClientID: "bench-client", ClientSecret: "bench-client-secret", ServiceAccount: "bench.serviceaccount@bench.example",
			PublicKey: text, DomainID: worksDomain,
		}},
		Bots:          []sim.Bot{{BotID: botID, Name: "DIPCAST", Secret: "bench-bot-secret", DomainID: worksDomain}},
		Users:         []works.User{{UserID: sim.UserID(personMail), Email: personMail, DomainID: worksDomain, Locale: "ko_KR"}},
		RatePerMinute: -1,
	})
	if err != nil {
		return nil, err
	}
	return &worksSim{Server: s, key: text}, s.Start("127.0.0.1:0")
}

// company is what differs between the tenants of the parts.
type company struct {
	extensions int
	recorded   bool // every call is
}

// startPBX starts `dipcast up` for a company and waits until it is ready.
func startPBX(ctx context.Context, bin, dir string, w *worksSim, carrier netip.AddrPort, of company) (*target, error) {
	extensions := make([]int, of.extensions)
	for i := range extensions {
		extensions[i] = firstNumber + i
	}
	// A folder of its own: the program watches the one that holds the file.
	file := filepath.Join(dir, "manifests", "bench.yaml")
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return nil, err
	}
	err := fill(file, manifests, map[string]any{
		"Password": password, "Key": strings.ReplaceAll(strings.TrimSpace(w.key), "\n", "\n    "), "Domain": domain,
		"Person": person, "User": personMail, "Recorded": of.recorded, "Plans": slices.Collect(slices.Chunk(extensions, mostInPlan)), "CarrierHost": carrier.Addr(),
		"CarrierPort": carrier.Port(), "Bot": botID, "WorksDomain": worksDomain, "WorksURL": w.URL(),
	})
	if err != nil {
		return nil, err
	}
	sip, err := freePort()
	if err != nil {
		return nil, err
	}
	web, err := freePort()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp(dir, "data")
	if err != nil {
		return nil, err
	}
	p, err := process.Start(dir, "dipcast", nil, bin, "up", "-f", file, "--data", data, "--drain", "0s",
		"--sip-port", strconv.Itoa(int(sip.Port())), "--http-port", strconv.Itoa(int(web.Port())))
	if err != nil {
		return nil, err
	}
	url := "http://" + web.String() + "/readyz"
	if err := p.Until(ctx, func(ctx context.Context) bool {
		settings, _ := w.BotSettings(botID)
		return settings.CallbackURL != "" && process.Answers(ctx, url)
	}); err != nil {
		p.Stop()
		return nil, err
	}
	return &target{Process: p, sip: sip, domain: domain}, nil
}

// startKamailio starts the peer; errNotInstalled if it is not there.
func startKamailio(ctx context.Context, dir string) (*target, error) {
	bin, err := exec.LookPath("kamailio")
	if err != nil {
		return nil, errNotInstalled
	}
	listen, err := freePort()
	if err != nil {
		return nil, err
	}
	file := filepath.Join(dir, "kamailio.cfg")
	if err := fill(file, kamailioConfig, map[string]any{"Listen": listen, "Domain": domain, "Password": password}); err != nil {
		return nil, err
	}
	// With its default memory it answers 500 under load.
	p, err := process.Start(dir, "kamailio", nil, bin, "-f", file, "-DD", "-E", "-m", "1024", "-M", "16", "-Y", dir)
	if err != nil {
		return nil, err
	}
	t := &target{Process: p, sip: listen, domain: domain}
	probe, err := newPhone("127.0.0.1:0", "probe", t)
	if err != nil {
		p.Stop()
		return nil, err
	}
	defer probe.close()
	err = p.Until(ctx, func(context.Context) bool {
		_ = probe.send(probe.text(&request{
			method: "OPTIONS", uri: "sip:" + domain, to: probe.own(), from: probe.own() + ";tag=1", callID: probe.next(), cseq: 1,
		}))
		return len(probe.responses) > 0
	})
	if err != nil {
		p.Stop()
		return nil, err
	}
	return t, nil
}

// fill writes a template with its values to a file.
func fill(path, text string, values any) error {
	t, err := template.New(filepath.Base(path)).Parse(text)
	if err != nil {
		return err
	}
	var b strings.Builder
	if err := t.Execute(&b, values); err != nil {
		return err
	}
	return os.WriteFile(path, []byte(b.String()), 0o600)
}

// freePort finds a port on loopback that is free for UDP and TCP.
func freePort() (netip.AddrPort, error) {
	for range 20 {
		conn, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(loopback(0)))
		if err != nil {
			return netip.AddrPort{}, err
		}
		addr := conn.LocalAddr().(*net.UDPAddr).AddrPort() //nolint:errcheck,forcetypeassert // of a UDP socket
		l, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(addr))
		_ = conn.Close()
		if err == nil {
			return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port()), l.Close()
		}
	}
	return netip.AddrPort{}, errors.New("no port is free for UDP and TCP")
}
