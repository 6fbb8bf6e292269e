package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/dipcast/dipcast/hack/demo/stage"
)

// The fabric's addresses; config/samples/cluster says the same.
const (
	ingressAt = "10.213.0.2"
	worksAt   = "10.213.0.3"
	carrierAt = "10.213.0.4:5070"
	phonesAt  = "10.213.0.5:0"

	console   = "https://acme.pbx.example.com"
	works     = "https://works.example"
	samples   = "config/samples/cluster"
	data      = ".demo-cluster"
	playLimit = time.Minute
)

// play installs the product and lets the story play; at the end it takes
// away what it installed, and the cluster stays.
func play(ctx context.Context, o options, tell stage.Teller) (err error) {
	if err := os.RemoveAll(data); err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o700); err != nil {
		return err
	}
	programs := &stage.Programs{Dir: data, Hint: "it wants " + worksAt + ":443 in the fabric for itself: is another demo running?"}
	defer func() { err = errors.Join(err, programs.Stop()) }()
	client, err := startWorks(ctx, o, programs, tell)
	if err != nil {
		return err
	}
	k := &kube{helm: o.helm, tell: tell}
	defer func() {
		// Also after Ctrl-C: nothing of the demo may stay.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Minute)
		defer cancel()
		err = errors.Join(err, k.remove(last))
	}()
	if err := k.install(ctx, o.version); err != nil {
		return fmt.Errorf("%w\n(the programs' output is in %s/*.log)", err, data)
	}
	place, err := k.place(ctx, client)
	if err != nil {
		return err
	}
	scene, err := stage.New(ctx, place, tell)
	if err != nil {
		return err
	}
	defer scene.Close()
	limited, cancel := context.WithTimeout(ctx, playLimit)
	defer cancel()
	if err := scene.Play(limited); err != nil {
		return fmt.Errorf("%w\n(the programs' output is in %s/*.log)", err, data)
	}
	if err := k.show(ctx); err != nil {
		return err
	}
	tell.Step("Done.")
	if o.once {
		return nil
	}
	k.stay(ctx)
	playing, done := context.WithCancel(ctx)
	hosted := make(chan struct{})
	go func() {
		defer close(hosted)
		scene.Host(playing, os.Stdin)
	}()
	err = programs.Wait(ctx)
	done()
	<-hosted
	return err
}

// startWorks starts NAVER WORKS and returns a client for it and the console:
// it asks the cluster's DNS and trusts both certificate authorities.
func startWorks(ctx context.Context, o options, programs *stage.Programs, tell stage.Teller) (*http.Client, error) {
	tell.Step("Starting NAVER WORKS (simulated) at %s", works)
	// in.sh names the cluster's kubeconfig; the ingress keeps its authority beside it.
	ingressCA := filepath.Join(filepath.Dir(os.Getenv("KUBECONFIG")), "ingress-ca", "ca.crt")
	worksCA := filepath.Join(data, "works-ca.crt")
	err := programs.Start(o.bin, "works-sim", "--from", samples, "--listen", worksAt+":443", "--url", works,
		"--tls", "--tls-name", "works.example", "--ca-out", worksCA,
		"--trust", ingressCA, "--resolve", "acme.pbx.example.com="+ingressAt+":443")
	if err != nil {
		return nil, err
	}
	ready, cancel := context.WithTimeout(ctx, playLimit)
	defer cancel()
	// Before its certificate is known only that it answers can be asked.
	blind := &http.Client{Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, InsecureSkipVerify: true},
	}}
	if err := programs.Until(ready, blind, works+"/sim/users"); err != nil {
		return nil, err
	}
	blind.CloseIdleConnections()
	roots := x509.NewCertPool()
	var bundle []byte
	for _, file := range []string{ingressCA, worksCA} {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		if !roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s holds no certificate", file)
		}
		bundle = append(bundle, text...)
	}
	if err := os.WriteFile(trusted(), bundle, 0o600); err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		DialContext: dial, TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
	}}, nil
}

// trusted is the file with both authorities, for the chart.
func trusted() string { return filepath.Join(data, "cas.pem") }

// dial finds names by the cluster's DNS.
func dial(ctx context.Context, network, address string) (net.Conn, error) {
	resolver := &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "udp", net.JoinHostPort(ingressAt, "53"))
	}}
	return (&net.Dialer{Resolver: resolver}).DialContext(ctx, network, address)
}

// place asks the cluster where the company's PBX is.
func (k *kube) place(ctx context.Context, client *http.Client) (stage.Place, error) {
	var pods struct {
		Items []struct {
			Spec   struct{ NodeName string }
			Status struct{ HostIP string }
		}
	}
	var tenant struct {
		Status struct{ Ports struct{ SIP int } }
	}
	if err := k.get(ctx, &pods, "pods", "-l", "pbx.dipcast.io/tenant=acme"); err != nil {
		return stage.Place{}, err
	}
	if err := k.get(ctx, &tenant, "pbxtenant", "acme"); err != nil {
		return stage.Place{}, err
	}
	if len(pods.Items) != 1 || tenant.Status.Ports.SIP == 0 {
		return stage.Place{}, fmt.Errorf("%d pods of tenant acme, SIP port %d: want one pod with a port", len(pods.Items), tenant.Status.Ports.SIP)
	}
	pod := pods.Items[0]
	sip := net.JoinHostPort(pod.Status.HostIP, strconv.Itoa(tenant.Status.Ports.SIP))
	k.tell.Step("The company's PBX runs on node %s at %s", pod.Spec.NodeName, sip)
	return stage.Place{
		SIP: sip, Console: console, Works: works, Phones: phonesAt, Carrier: carrierAt, Client: client,
		Token: func() (string, error) {
			var secret struct{ Data struct{ Token []byte } }
			err := k.get(ctx, &secret, "secret", "acme-api")
			return string(secret.Data.Token), err
		},
	}, nil
}

// stay tells what can be tried while the demo stays up.
func (k *kube) stay(ctx context.Context) {
	// in.sh puts the folder of the cluster's own kubectl first.
	programs, _, _ := strings.Cut(os.Getenv("PATH"), ":")
	k.tell.Step("Everything stays up until Ctrl-C. Try it yourself, in another terminal:")
	k.tell.Note("the cluster             export KUBECONFIG=%s PATH=%s:$PATH", os.Getenv("KUBECONFIG"), programs)
	k.tell.Note("                        kubectl get pods -A; bin/dipcast status -A")
	k.tell.Note("names for a browser     echo %s works.example %s acme.pbx.example.com | xargs -n 2 >>/etc/hosts", worksAt, ingressAt)
	k.tell.Note("the employees' chat     %s/chat (signed by an authority of the demo: the browser warns)", works)
	k.tell.Note("the console             %s (sign in as 김하늘)", console)
	if node, err := k.kubectl(ctx, "-n", "acme", "get", "pods", "-l", "pbx.dipcast.io/tenant=acme", "-o", "jsonpath={.items[*].spec.nodeName}"); err == nil {
		k.tell.Note("a power cut             hack/cluster/node.sh off %s; power again: hack/cluster/node.sh on %s", node, node)
	}
	k.tell.Note("another outside call    press Enter here; the phones are lifted by themselves")
}

// get reads an object or a list of the company's namespace.
func (k *kube) get(ctx context.Context, into any, args ...string) error {
	out, err := k.kubectl(ctx, append([]string{"-n", "acme", "get", "-o", "json"}, args...)...)
	if err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(out)).Decode(into)
}

func indent(tell stage.Teller, text []byte) {
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimSpace(line); line != "" {
			tell.Note("%s", line)
		}
	}
}
