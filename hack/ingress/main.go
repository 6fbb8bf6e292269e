package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

type options struct {
	kubeconfig, class, ca, listen, dns string
	names                              map[string]netip.Addr // answered by DNS beside the cluster's own
}

func main() {
	var o options
	o.names = make(map[string]netip.Addr)
	flag.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "access to the cluster")
	flag.StringVar(&o.class, "class", "local", "ingress class that is served; Ingresses without a class are served, too")
	flag.StringVar(&o.ca, "ca", ".ingress-ca", "folder of the certificate authority; made when missing, ca.crt is what clients trust")
	flag.StringVar(&o.listen, "listen", "127.0.0.1:8443", "ADDRESS:PORT of HTTPS")
	flag.StringVar(&o.dns, "dns", "", "ADDRESS:PORT of the DNS server; empty: none")
	flag.Func("name", "HOST=ADDRESS that the DNS server knows, too; may be repeated", o.addName)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, o)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "ingress:", err)
		os.Exit(1)
	}
}

func (o *options) addName(value string) error {
	host, address, _ := strings.Cut(value, "=")
	a, err := netip.ParseAddr(address)
	if err != nil || host == "" {
		return errors.New("must be HOST=ADDRESS, e.g. works.example=192.0.2.7")
	}
	o.names[strings.ToLower(host)] = a
	return nil
}

func run(ctx context.Context, o options) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	access, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return err
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		return err
	}
	listen, err := netip.ParseAddrPort(o.listen)
	if err != nil {
		return fmt.Errorf("-listen: %w", err)
	}
	authority, err := openAuthority(o.ca, time.Now())
	if err != nil {
		return err
	}
	c := &controller{client: client, class: o.class, address: listen.Addr(), log: log}
	var dns net.PacketConn
	if o.dns != "" {
		if dns, err = (&net.ListenConfig{}).ListenPacket(ctx, "udp", o.dns); err != nil {
			return err
		}
	}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.listen)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return c.run(ctx) })
	g.Go(func() error { return serveHTTPS(ctx, l, newProxy(&c.table, authority, listen.Addr(), log)) })
	if dns != nil {
		g.Go(func() error { return serveNames(ctx, dns, c.lookup(o.names)) })
	}
	return g.Wait()
}

// serveHTTPS serves until ctx ends.
func serveHTTPS(ctx context.Context, l net.Listener, p *proxy) error {
	server := &http.Server{
		Handler: p, TLSConfig: p.tlsConfig(), ReadHeaderTimeout: 10 * time.Second,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	ended := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(ended)
		_ = server.Close()
	})
	err := server.ServeTLS(l, "", "")
	if stop() {
		return err
	}
	<-ended
	return nil
}
