package receiver

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/naverworks"
	"github.com/dipcast/dipcast/controllers/trust"
	"github.com/dipcast/dipcast/controllers/watch"
	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/works"
)

// Config is what an installation says of its receivers.
type Config struct {
	// Address to listen on; "": this operator receives nothing.
	Address string
	// TrustedCAsFile is the operator's: NAVER WORKS may be behind a proxy.
	TrustedCAsFile string
	// Registry takes the metrics.
	Registry prometheus.Registerer
	Log      *slog.Logger
}

// directory looks up in the operator's cache what a Receiver asks for.
type directory struct {
	cache   client.Reader
	clients *naverworks.Clients
}

// Setup adds a receiver to a manager that was made with the operator's options
// and indexes. Once the manager has ended, Wait for what the receiver held.
func Setup(mgr manager.Manager, c Config) (*Receiver, error) {
	cas, err := trust.New(c.TrustedCAsFile, func() {})
	if err != nil {
		return nil, err
	}
	d := &directory{
		cache:   mgr.GetClient(),
		clients: naverworks.NewClients(naverworks.NewTransport(cas.PEM), time.Now, c.Log),
	}
	// What is asked for with each callback is in memory before the first.
	for _, kind := range []client.Object{&v1alpha1.PBXTenant{}, &v1alpha1.NaverWorksBot{}, &corev1.Secret{}, &corev1.Pod{}} {
		if _, err := mgr.GetCache().GetInformer(context.Background(), kind, cache.BlockUntilSynced(false)); err != nil {
			return nil, fmt.Errorf("callbacks: watch %T: %w", kind, err)
		}
	}
	r, err := New(Options{
		Listen: func(ctx context.Context) (net.Listener, error) {
			return (&net.ListenConfig{}).Listen(ctx, "tcp", c.Address)
		},
		Find: d.find, Where: d.where, Tell: d.tell, Transport: transport(),
		Registry: c.Registry, Now: time.Now, Log: c.Log,
	})
	if err != nil {
		return nil, fmt.Errorf("callbacks: %w", err)
	}
	for _, add := range []manager.Runnable{cas, r} {
		if err := mgr.Add(add); err != nil {
			return nil, err
		}
	}
	return r, mgr.AddReadyzCheck("callbacks", r.Ready)
}

// transport reaches pods: never over a proxy, whatever the environment says.
func transport() http.RoundTripper {
	return &http.Transport{
		DialContext:            (&net.Dialer{Timeout: time.Second}).DialContext,
		DisableCompression:     true,
		MaxIdleConns:           512,
		MaxIdleConnsPerHost:    4,
		IdleConnTimeout:        time.Minute,
		MaxResponseHeaderBytes: 16 << 10,
	}
}

// find returns the tenants whose domain in force is the host.
func (d *directory) find(ctx context.Context, host string) ([]Tenant, error) {
	var tenants v1alpha1.PBXTenantList
	if err := d.cache.List(ctx, &tenants, client.MatchingFields{watch.IndexDomain: host}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, err
	}
	var out []Tenant
	for i := range tenants.Items {
		t := Tenant{Name: client.ObjectKeyFromObject(&tenants.Items[i])}
		var bots v1alpha1.NaverWorksBotList
		err := d.cache.List(ctx, &bots, client.InNamespace(t.Name.Namespace), client.MatchingFields{watch.IndexTenant: t.Name.Name}, client.UnsafeDisableDeepCopy)
		if err != nil {
			return nil, err
		}
		for j := range bots.Items {
			b := &bots.Items[j]
			secret, _, err := d.secret(ctx, b)
			if err != nil {
				return nil, err
			}
			if s := secret[v1alpha1.KeyBotSecret]; b.DeletionTimestamp == nil && len(s) > 0 {
				t.Bots = append(t.Bots, Bot{client.ObjectKeyFromObject(b), strconv.FormatInt(b.Spec.BotID, 10), conf.Secret(bytes.TrimSpace(s))})
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// secret reads a bot's credentials; false: there are none, or the operator has
// not labelled them yet.
func (d *directory) secret(ctx context.Context, b *v1alpha1.NaverWorksBot) (map[string][]byte, bool, error) {
	var s corev1.Secret
	err := d.cache.Get(ctx, types.NamespacedName{Namespace: b.Namespace, Name: b.Spec.CredentialsRef.Name}, &s, client.UnsafeDisableDeepCopy)
	if err != nil {
		return nil, false, client.IgnoreNotFound(err)
	}
	return s.Data, s.Type != corev1.SecretTypeServiceAccountToken, nil
}

// where is the HTTP listener of a tenant's pod. One that is being deleted still
// takes presses.
func (d *directory) where(ctx context.Context, tenant types.NamespacedName) string {
	var pod corev1.Pod
	name := types.NamespacedName{Namespace: tenant.Namespace, Name: desired.PodName(tenant.Name)}
	if err := d.cache.Get(ctx, name, &pod, client.UnsafeDisableDeepCopy); err != nil {
		return ""
	}
	port := desired.DeclaredPort(&pod, desired.PortHTTP)
	if pod.Status.PodIP == "" || port == 0 {
		return ""
	}
	return "http://" + net.JoinHostPort(pod.Status.PodIP, strconv.Itoa(int(port)))
}

// tell sends a message to somebody whose press was lost, as the bot.
func (d *directory) tell(ctx context.Context, l Loss) error {
	var bot v1alpha1.NaverWorksBot
	var tenant v1alpha1.PBXTenant
	if err := d.cache.Get(ctx, l.Bot, &bot); err != nil {
		return err
	}
	if err := d.cache.Get(ctx, l.Tenant, &tenant); err != nil {
		return err
	}
	secret, found, err := d.secret(ctx, &bot)
	if err != nil {
		return err
	}
	c, _, v := d.clients.Open(&bot, secret, found)
	if c == nil {
		return fmt.Errorf("bot %s: %s", l.Bot, v.Message)
	}
	return c.SendMessage(ctx, l.User, works.Text{Words: sorry(tenant.Spec.Locale)})
}
