package controllers

import (
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/recorder"

	"github.com/dipcast/dipcast/controllers/apply"
	"github.com/dipcast/dipcast/controllers/fleet"
	"github.com/dipcast/dipcast/controllers/optional"
	"github.com/dipcast/dipcast/controllers/receiver"
	"github.com/dipcast/dipcast/controllers/secret"
	"github.com/dipcast/dipcast/controllers/trust"
	"github.com/dipcast/dipcast/controllers/verdict"
	"github.com/dipcast/dipcast/controllers/worksync"
)

// Options of the operator.
type Options struct {
	// PBXImage runs tenants whose class names no image.
	PBXImage string
	// ImagePullSecrets are Secrets of each tenant's namespace.
	ImagePullSecrets []string
	// MonitoringLabels are added to PodMonitors and PrometheusRules.
	MonitoringLabels map[string]string
	// TrustedProxies are CIDRs whose X-Forwarded-For every PBX believes.
	TrustedProxies []string
	// TrustedCAsFile holds PEM certificates that every PBX and the operator
	// itself trust beside the system's. It is read again when it changes;
	// empty: none.
	TrustedCAsFile string
	// Namespaces are those that the operator serves; empty: all.
	Namespaces []string
	// ReceiverService finds the replicas of the operator that take bots'
	// callbacks, by its port "callbacks"; zero: Ingresses and routes lead
	// callbacks to the tenants' PBXs.
	ReceiverService types.NamespacedName
	// MaxUpdates is how many tenants are replaced at a time. Default: 5.
	MaxUpdates int
	// NodeDeadAfter is how long a node must not have been ready before a pod on
	// it that was told to go is removed without its node's word; 0: never. See
	// controllers/rollout for what is at stake.
	NodeDeadAfter time.Duration
	// Concurrency is how many tenants are reconciled at a time. Default: 8.
	Concurrency int
	// Now is the clock. Default: time.Now.
	Now func() time.Time
	// Random makes passwords. Default: crypto/rand.
	Random io.Reader
	// Log takes what is not about one object. Default: slog.Default.
	Log *slog.Logger
	// Metrics takes the operator's collectors. Default: controller-runtime's.
	Metrics prometheus.Registerer
	// SameNames allows a second manager in one process: tests.
	SameNames bool
}

// operator is what all reconcilers share.
type operator struct {
	Options
	client   client.Client // reads from the cache, writes as v1alpha1.FieldOwner
	live     client.Reader // reads from the API server
	recorder recorder.EventRecorder
	fleet    *fleet.Fleet
	verdicts *verdict.Store
	wakers   wakers
	pbxs     pbxs
	applier  *apply.Applier
	line     *worksync.Line
	apis     *optional.APIs
	secrets  *secret.Keeper
	trust    *trust.CAs
	memory   memory
	// receivers is nil if callbacks are not received.
	receivers *receiver.Places
	nudges    nudges
}
