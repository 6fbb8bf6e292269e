package fields

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"testing"

	"github.com/go-logr/logr"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/dipcast/dipcast/controllers/kubetest"
)

// One API server and the nodes of all tests.
var (
	cluster *kubetest.Cluster
	nodes   *kubetest.Nodes
	rights  *rest.Config // the operator's
)

func TestMain(m *testing.M) {
	code, err := runAll(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func runAll(m *testing.M) (code int, err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	log.SetLogger(logr.Discard())
	if cluster, err = kubetest.Start(ctx); err != nil {
		return 1, err
	}
	defer func() {
		if stopErr := cluster.Stop(); err == nil {
			err = stopErr
		}
	}()
	if rights, err = cluster.AsOperator(ctx); err != nil {
		return 1, err
	}
	if nodes, err = cluster.Nodes(ctx); err != nil {
		return 1, err
	}
	code = m.Run()
	return code, nodes.Stop()
}
