package desired_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/controllers/desired"
)

// violations lists which rules of the Pod Security profile "restricted"
// (which holds "baseline") a pod breaks.
func violations(spec *corev1.PodSpec) []string {
	var out []string
	found := func(broken bool, rule string) {
		if broken && !slices.Contains(out, rule) {
			out = append(out, rule)
		}
	}
	found(spec.HostNetwork, "hostNetwork")
	found(spec.HostPID || spec.HostIPC, "host namespaces")
	podLevel := spec.SecurityContext
	if podLevel == nil {
		podLevel = &corev1.PodSecurityContext{}
	}
	found(len(podLevel.Sysctls) > 0, "sysctls")
	found(podLevel.SELinuxOptions != nil || podLevel.AppArmorProfile != nil || podLevel.WindowsOptions != nil, "options of the host's security")
	found(podLevel.RunAsUser != nil && *podLevel.RunAsUser == 0, "runAsUser")
	for _, v := range spec.Volumes {
		s := v.VolumeSource
		found(s.ConfigMap == nil && s.CSI == nil && s.DownwardAPI == nil && s.EmptyDir == nil && s.Ephemeral == nil &&
			s.PersistentVolumeClaim == nil && s.Projected == nil && s.Secret == nil, "volume types")
	}
	found(len(spec.EphemeralContainers) > 0, "ephemeral containers")
	for _, c := range append(slices.Clone(spec.InitContainers), spec.Containers...) {
		own := c.SecurityContext
		if own == nil {
			own = &corev1.SecurityContext{}
		}
		found(ptr.Deref(own.Privileged, false), "privileged")
		found(ptr.Deref(own.AllowPrivilegeEscalation, true), "allowPrivilegeEscalation")
		caps := ptr.Deref(own.Capabilities, corev1.Capabilities{})
		found(!slices.Contains(caps.Drop, "ALL"), "capabilities dropped")
		found(slices.ContainsFunc(caps.Add, func(c corev1.Capability) bool { return c != "NET_BIND_SERVICE" }), "capabilities added")
		found(!ptr.Deref(own.RunAsNonRoot, ptr.Deref(podLevel.RunAsNonRoot, false)), "runAsNonRoot")
		found(own.RunAsUser != nil && *own.RunAsUser == 0, "runAsUser")
		found(own.ProcMount != nil && *own.ProcMount != corev1.DefaultProcMount, "procMount")
		found(own.SELinuxOptions != nil || own.AppArmorProfile != nil || own.WindowsOptions != nil, "options of the host's security")
		seccomp := own.SeccompProfile
		if seccomp == nil {
			seccomp = podLevel.SeccompProfile
		}
		found(seccomp == nil || seccomp.Type == corev1.SeccompProfileTypeUnconfined, "seccomp")
		found(slices.ContainsFunc(c.Ports, func(p corev1.ContainerPort) bool { return p.HostPort != 0 }), "hostPorts")
		for _, p := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe, c.StartupProbe} {
			found(p != nil && (p.HTTPGet != nil && p.HTTPGet.Host != "" || p.TCPSocket != nil && p.TCPSocket.Host != ""), "probe hosts")
		}
	}
	return out
}

// TestPodsAreRestricted allows what host networking itself needs and nothing
// else, for every golden pod.
func TestPodsAreRestricted(t *testing.T) {
	for _, input := range inputs(t) {
		set := desired.Build(read(t, input)).StatefulSet
		if set == nil {
			continue
		}
		if diff := cmp.Diff([]string{"hostNetwork", "hostPorts"}, violations(&set.Spec.Template.Spec)); diff != "" {
			t.Errorf("%s (-allowed +broken):\n%s", input, diff)
		}
		in := read(t, input)
		if broken := violations(&desired.Trial(in.Tenant, &set.Spec.Template, "node-1").Spec); len(broken) > 0 {
			t.Errorf("%s: a trial breaks %s", input, broken)
		}
	}
}

// TestViolationsAreSeen proves that the test above could fail.
func TestViolationsAreSeen(t *testing.T) {
	for _, tc := range []struct {
		rule  string
		spoil func(*corev1.PodSpec, *corev1.Container)
	}{
		{"host namespaces", func(p *corev1.PodSpec, _ *corev1.Container) { p.HostPID = true }},
		{"sysctls", func(p *corev1.PodSpec, _ *corev1.Container) { p.SecurityContext.Sysctls = []corev1.Sysctl{{Name: "a"}} }},
		{"volume types", func(p *corev1.PodSpec, _ *corev1.Container) {
			p.Volumes[0].VolumeSource = corev1.VolumeSource{HostPath: &corev1.HostPathVolumeSource{}}
		}},
		{"privileged", func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.Privileged = ptr.To(true) }},
		{"allowPrivilegeEscalation", func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.AllowPrivilegeEscalation = nil }},
		{"capabilities dropped", func(_ *corev1.PodSpec, c *corev1.Container) { c.SecurityContext.Capabilities = nil }},
		{"capabilities added", func(_ *corev1.PodSpec, c *corev1.Container) {
			c.SecurityContext.Capabilities.Add = []corev1.Capability{"NET_ADMIN"}
		}},
		{"runAsNonRoot", func(p *corev1.PodSpec, c *corev1.Container) {
			p.SecurityContext.RunAsNonRoot, c.SecurityContext.RunAsNonRoot = nil, nil
		}},
		{"runAsUser", func(p *corev1.PodSpec, _ *corev1.Container) { p.SecurityContext.RunAsUser = ptr.To(int64(0)) }},
		{"seccomp", func(p *corev1.PodSpec, _ *corev1.Container) { p.SecurityContext.SeccompProfile = nil }},
		{"probe hosts", func(_ *corev1.PodSpec, c *corev1.Container) { c.LivenessProbe.HTTPGet.Host = "127.0.0.1" }},
	} {
		spec := desired.Build(read(t, "testdata/defaults.in.yaml")).StatefulSet.Spec.Template.Spec
		tc.spoil(&spec, &spec.Containers[0])
		if !slices.Contains(violations(&spec), tc.rule) {
			t.Errorf("a pod that breaks %q is passed", tc.rule)
		}
	}
}

// TestPodKeepsItsPromises checks what other parts of the product rely on.
func TestPodKeepsItsPromises(t *testing.T) {
	spec := desired.Build(read(t, "testdata/class-options.in.yaml")).StatefulSet.Spec.Template.Spec
	pbx := spec.Containers[0]
	if *spec.TerminationGracePeriodSeconds != 90*60+60 {
		t.Errorf("grace period %d s, want the longest drain and a minute", *spec.TerminationGracePeriodSeconds)
	}
	if !slices.Contains(pbx.Args, "1h30m0s") || pbx.Lifecycle != nil {
		t.Errorf("args %v, hooks %v; want a drain of 1h30m and no hook", pbx.Args, pbx.Lifecycle)
	}
	for _, m := range pbx.VolumeMounts {
		if m.SubPath != "" || m.SubPathExpr != "" {
			t.Errorf("mount %s below a path of its volume: it would never be refreshed", m.Name)
		}
	}
	if *spec.AutomountServiceAccountToken || *spec.EnableServiceLinks || !*pbx.SecurityContext.ReadOnlyRootFilesystem {
		t.Error("the pod has a token, service links or a writable root")
	}
	for _, p := range pbx.Ports {
		if p.HostPort != p.ContainerPort {
			t.Errorf("port %s: host port %d, container port %d; they are one on the host's network", p.Name, p.HostPort, p.ContainerPort)
		}
	}
}
