package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/dipcast/dipcast/hack/demo/stage"
)

const (
	release   = "dipcast"
	namespace = "dipcast-system"
	patience  = "120s"
)

// kube drives the cluster as a person would: with kubectl and helm.
type kube struct {
	helm string
	tell stage.Teller
}

func (k *kube) kubectl(ctx context.Context, args ...string) ([]byte, error) {
	return output(ctx, "kubectl", args...)
}

func output(ctx context.Context, name string, args ...string) ([]byte, error) {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return nil, fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, exit.Stderr)
	}
	return out, err
}

// install installs the chart and the company, and waits until both are ready.
func (k *kube) install(ctx context.Context, version string) error {
	k.tell.Step("helm install %s charts/dipcast", release)
	_, err := output(ctx, k.helm, "upgrade", "--install", release, "charts/dipcast", "--namespace", namespace, "--create-namespace",
		"--set", "image.tag="+version, "--set-json", "classes=[]", "--set-file", "trustedCAs="+trusted(),
		"--set-json", `trustedProxies=["`+ingressAt+`/32"]`, "--wait", "--timeout", patience)
	if err != nil {
		return k.explain(ctx, err)
	}
	k.tell.Step("kubectl apply -f %s", samples)
	if _, err := k.kubectl(ctx, "apply", "-f", samples); err != nil {
		return err
	}
	for _, object := range []string{"pbxtenant/acme", "naverworksbot/acme-bot"} {
		if _, err := k.kubectl(ctx, "-n", "acme", "wait", "--for=condition=Ready", "--timeout="+patience, object); err != nil {
			return k.explain(ctx, err)
		}
		k.tell.Step("%s is Ready", object)
	}
	return nil
}

// explain adds what the cluster says to an error.
func (k *kube) explain(ctx context.Context, err error) error {
	ctx = context.WithoutCancel(ctx)
	for _, args := range [][]string{
		{"get", "pbxtenants,siptrunks,naverworksbots,pods", "-A", "-o", "wide"},
		{
			"-n", "acme", "get", "pbxtenants,naverworksbots", "-o",
			`jsonpath={range .items[*]}{.kind}{range .status.conditions[*]}{"\n"}  {.type}={.status} {.reason}: {.message}{end}{"\n"}{end}`,
		},
		{"-n", namespace, "logs", "-l", "app.kubernetes.io/name=dipcast-operator", "--tail=20"},
	} {
		if out, e := k.kubectl(ctx, args...); e == nil && len(out) > 0 {
			err = fmt.Errorf("%w\n%s", err, out)
		}
	}
	return err
}

// show prints the cluster's own view of what was shown.
func (k *kube) show(ctx context.Context) error {
	for _, what := range [][]string{{"pbxtenants"}, {"siptrunks,naverworksbots"}, {"pods", "-o", "wide"}} {
		args := append([]string{"-n", "acme", "get"}, what...)
		out, err := k.kubectl(ctx, args...)
		if err != nil {
			return err
		}
		k.tell.Step("kubectl %s", strings.Join(args, " "))
		indent(k.tell, out)
	}
	k.tell.Note("(phones and calls are counted every ten seconds)")
	return nil
}

// remove takes the company away, then the operator, which must still be there
// to clean up behind it.
func (k *kube) remove(ctx context.Context) error {
	k.keepLogs(ctx)
	k.tell.Step("kubectl delete -f %s", samples)
	for _, what := range []string{samples + "/30-tenant.yaml", samples} { // the namespace last
		if _, err := k.kubectl(ctx, "delete", "--ignore-not-found", "--timeout="+patience, "-f", what); err != nil {
			return k.explain(ctx, err)
		}
	}
	k.tell.Step("The company is gone; helm uninstall %s", release)
	_, err := output(ctx, k.helm, "uninstall", release, "--namespace", namespace, "--ignore-not-found", "--wait", "--timeout", patience)
	if err == nil {
		// With what the operator itself made there: the lease of its leader, which
		// the next one would wait for.
		_, err = k.kubectl(ctx, "delete", "namespace", namespace, "--ignore-not-found", "--timeout="+patience)
	}
	if err == nil {
		k.tell.Step("The chart is gone; the cluster stays (make cluster-down removes it)")
	}
	return err
}

// keepLogs writes the logs of operator and PBX beside those of the other
// programs.
func (k *kube) keepLogs(ctx context.Context) {
	for file, args := range map[string][]string{
		"operator.log": {"-n", namespace, "logs", "-l", "app.kubernetes.io/name=dipcast-operator", "--tail=-1"},
		"pbx.log":      {"-n", "acme", "logs", "-l", "pbx.dipcast.io/tenant=acme", "--tail=-1"},
	} {
		out, err := k.kubectl(ctx, args...)
		if err == nil {
			err = os.WriteFile(filepath.Join(data, file), out, 0o600)
		}
		if err != nil {
			k.tell.Note("no %s: %v", file, err)
		}
	}
}
