package main

import (
	"cmp"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client/config"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/receiver"
)

// privateRanges are where reverse proxies of a cluster usually are: RFC 1918,
// RFC 6598, RFC 4193.
const privateRanges = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16,100.64.0.0/10,fc00::/7"

// flags are what the command line says.
type flags struct {
	operator       controllers.Options
	callbacks      string
	metrics        string
	health         string
	elect          bool
	electNamespace string
	qps            float64
	burst          int
	level          slog.Level
}

func parse(args []string, out io.Writer) (flags, error) {
	f := flags{}
	var proxies, namespaces, pull, labels, level, service string
	set := flag.NewFlagSet("operator", flag.ContinueOnError)
	set.SetOutput(out)
	set.StringVar(&f.operator.PBXImage, "pbx-image", os.Getenv("PBX_IMAGE"), "image of the PBX for classes that name none")
	set.StringVar(&pull, "image-pull-secrets", "", "Secrets of each tenant's namespace to pull the PBX with, comma-separated")
	set.StringVar(&proxies, "trusted-proxies", privateRanges, "CIDRs of reverse proxies whose X-Forwarded-For is believed, comma-separated")
	set.StringVar(&f.operator.TrustedCAsFile, "trusted-cas", "", "file with PEM certificates to trust beside the system's")
	set.StringVar(&namespaces, "namespaces", "", "namespaces to serve, comma-separated; empty: all")
	set.StringVar(&labels, "monitoring-labels", "", "labels of PodMonitors and PrometheusRules, KEY=VALUE, comma-separated")
	set.StringVar(&f.callbacks, "callback-bind-address", "0", "address on which callbacks of bots are taken for PBXs that are away; 0: none")
	set.StringVar(&service, "callback-service", "", "NAMESPACE/NAME of the Service that finds the operators that take callbacks; empty: PBXs take their own")
	set.IntVar(&f.operator.MaxUpdates, "max-updates", 5, "tenants whose pod is replaced at a time")
	set.DurationVar(&f.operator.NodeDeadAfter, "node-dead-after", 0, "how long a node must be silent before its pods are given up; 0: never")
	set.IntVar(&f.operator.Concurrency, "concurrency", 8, "tenants that are reconciled at a time")
	set.StringVar(&f.metrics, "metrics-bind-address", ":8080", "address of /metrics; 0: none")
	set.StringVar(&f.health, "health-probe-bind-address", ":8081", "address of /healthz and /readyz; 0: none")
	set.BoolVar(&f.elect, "leader-elect", true, "run beside others of which one works")
	set.StringVar(&f.electNamespace, "leader-election-namespace", os.Getenv("POD_NAMESPACE"), "namespace of the lease; empty: the operator's own")
	set.Float64Var(&f.qps, "kube-api-qps", 200, "requests a second to the API server")
	set.IntVar(&f.burst, "kube-api-burst", 400, "requests at once to the API server")
	set.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if err := f.level.UnmarshalText([]byte(level)); err != nil {
		return f, fmt.Errorf("-log-level %s: say debug, info, warn or error", level)
	}
	f.operator.TrustedProxies, f.operator.Namespaces = split(proxies), split(namespaces)
	f.operator.ImagePullSecrets = split(pull)
	if namespace, name, _ := strings.Cut(service, "/"); service != "" {
		f.operator.ReceiverService = types.NamespacedName{Namespace: namespace, Name: name}
	}
	for _, pair := range split(labels) {
		key, value, ok := strings.Cut(pair, "=")
		if !ok {
			return f, fmt.Errorf("-monitoring-labels %s: say KEY=VALUE", pair)
		}
		if f.operator.MonitoringLabels == nil {
			f.operator.MonitoringLabels = map[string]string{}
		}
		f.operator.MonitoringLabels[key] = value
	}
	return f, f.check()
}

func (f flags) check() error {
	if f.operator.PBXImage == "" {
		return fmt.Errorf("-pbx-image: name the image of the PBX")
	}
	for _, p := range f.operator.TrustedProxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			return fmt.Errorf("-trusted-proxies %s: must be a network such as 10.0.0.0/8", p)
		}
	}
	if s := f.operator.ReceiverService; (s.Namespace == "") != (s.Name == "") {
		return fmt.Errorf("-callback-service %s: say NAMESPACE/NAME", s)
	}
	if f.operator.MaxUpdates < 1 || f.operator.Concurrency < 1 || f.qps <= 0 || f.burst < 1 {
		return fmt.Errorf("-max-updates, -concurrency, -kube-api-qps and -kube-api-burst: must be at least 1")
	}
	return nil
}

func split(list string) []string {
	out := strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
	slices.Sort(out)
	return slices.Compact(out)
}

// rest is how the API server is reached: from inside a pod, or as KUBECONFIG
// says.
func (f flags) rest() (*rest.Config, error) {
	c, err := config.GetConfig()
	if err != nil {
		return nil, fmt.Errorf("no way to the API server: run in a pod, or set KUBECONFIG: %w", err)
	}
	c.QPS, c.Burst = float32(f.qps), f.burst
	c.UserAgent = "dipcast-operator/" + version
	return c, nil
}

func (f flags) manager() (manager.Options, error) {
	o, err := controllers.ManagerOptions(f.operator.Namespaces)
	o.Metrics.BindAddress, o.HealthProbeBindAddress = cmp.Or(f.metrics, "0"), cmp.Or(f.health, "0")
	o.LeaderElection, o.LeaderElectionNamespace = f.elect, f.electNamespace
	o.LeaderElectionID = "dipcast-operator"
	o.LeaderElectionReleaseOnCancel = true // the next one takes over at once; this one ends right after
	o.GracefulShutdownTimeout = ptr.To(receiver.LeaveFor + 5*time.Second)
	return o, err
}
