package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/dipcast/dipcast/controllers"
)

// cluster is a real API server with the operator's kinds, and nobody else on it.
type cluster struct {
	env    *envtest.Environment
	config *rest.Config
	// client reads and writes without a cache and without a limit of its own.
	client client.Client
	// kubeconfig is a file for the operator.
	kubeconfig string
	// audit is the API server's log of who called what, "" if it is not wanted.
	audit string
}

// policy has the API server write down each call once, when it is answered.
const policy = `{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived", "ResponseStarted"], "rules": [{"level": "Metadata"}]}`

// startCluster starts etcd and the API server in the module's folder; the
// programs are built before if need be.
func startCluster(ctx context.Context, dir string, audit bool) (*cluster, error) {
	assets, err := programs(ctx)
	if err != nil {
		return nil, err
	}
	c := &cluster{kubeconfig: filepath.Join(dir, "kubeconfig"), env: &envtest.Environment{
		BinaryAssetsDirectory: assets,
		CRDDirectoryPaths:     []string{filepath.Join("config", "crd")},
		ErrorIfCRDPathMissing: true,
	}}
	args := c.env.ControlPlane.GetAPIServer().Configure()
	// The default range has room for 254 Services.
	args.Set("service-cluster-ip-range", "10.0.0.0/12")
	if audit {
		c.audit = filepath.Join(dir, "audit.log")
		file := filepath.Join(dir, "policy.json")
		if err := os.WriteFile(file, []byte(policy), 0o600); err != nil {
			return nil, err
		}
		args.Set("audit-policy-file", file).Set("audit-log-path", c.audit)
	}
	if c.config, err = c.env.Start(); err != nil {
		// What was started goes on otherwise.
		return nil, errors.Join(fmt.Errorf("API server: %w", err), c.env.Stop())
	}
	if err := c.connect(); err != nil {
		return nil, errors.Join(err, c.env.Stop())
	}
	return c, nil
}

func (c *cluster) connect() error {
	user, err := c.env.AddUser(envtest.User{Name: "operator", Groups: []string{"system:masters"}}, nil)
	if err != nil {
		return err
	}
	text, err := user.KubeConfig()
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.kubeconfig, text, 0o600); err != nil {
		return err
	}
	scheme, err := controllers.NewScheme()
	if err != nil {
		return err
	}
	c.config.QPS, c.config.UserAgent = -1, "bench"
	c.client, err = client.New(c.config, client.Options{Scheme: scheme})
	return err
}

func (c *cluster) stop() error { return c.env.Stop() }

// programs is the folder with etcd and kube-apiserver.
func programs(ctx context.Context) (string, error) {
	if dir := os.Getenv("KUBEBUILDER_ASSETS"); dir != "" {
		return dir, nil
	}
	script := filepath.Join("hack", "cluster", "kube-bin.sh")
	cmd := exec.CommandContext(ctx, script, "envtest")
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s envtest: %w: run the benchmark in the module's folder; the script tells more by hand", script, err)
	}
	return strings.TrimSpace(string(out)), nil
}
