package desired

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
	"k8s.io/utils/ptr"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/hostport"
)

// ContainerPBX is the name of the pod's one container.
const ContainerPBX = "pbx"

// The names of the pod's ports, which Service and PodMonitor refer to: while a
// tenant waits to be moved to other ports its pod still listens on the old.
const (
	PortSIPUDP = "sip-udp"
	PortSIPTCP = "sip-tcp"
	PortSIPS   = "sips"
	PortWSS    = "wss"
	PortHTTP   = "http"
	PortAdmin  = "admin"
)

const (
	user = 65532 // of the image

	volumeDocument = "document"

	documentDir = "/etc/dipcast"
	dataDir     = "/var/lib/dipcast"

	// graceBeyond is what a pod gets after the longest drain to write the last
	// records and close.
	graceBeyond = time.Minute
	// awayAfter is how long a node may be silent before its tenants give it up;
	// Kubernetes' own 300 s are long for a telephone.
	awayAfter = 30
)

// MaxWait is the longest wait of a class's drain.
func MaxWait(class *v1alpha1.PBXClass) time.Duration {
	if d, err := time.ParseDuration(string(class.Spec.Update.MaxWait)); err == nil && d > 0 {
		return d
	}
	return 2 * time.Hour
}

// IdleWait is how long a change of a class's tenants waits for a moment without
// calls that can go on over it.
func IdleWait(class *v1alpha1.PBXClass) time.Duration {
	if d, err := time.ParseDuration(string(class.Spec.Update.IdleWait)); err == nil && d >= 0 {
		return d
	}
	return 2 * time.Minute
}

// Image is what the tenants of class run: the class's image, or else the
// operator's.
func Image(class *v1alpha1.PBXClass, operators string) string {
	return cmp.Or(class.Spec.Image, operators)
}

// RTPRange is the value of v1alpha1.AnnotationRTP.
func RTPRange(p hostport.Ports) string { return fmt.Sprintf("%d-%d", p.RTPFrom, p.RTPTo) }

// podTemplate makes the pod. What is in it and not the image is in its hash:
// a change here restarts every PBX of the fleet, one drained tenant after the
// other.
func podTemplate(in Input) corev1.PodTemplateSpec {
	grace := MaxWait(in.Class) + graceBeyond
	t := corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: Labels(in.Tenant.Name, ComponentPBX)},
		Spec: corev1.PodSpec{
			HostNetwork:                   true,
			DNSPolicy:                     corev1.DNSClusterFirstWithHostNet,
			AutomountServiceAccountToken:  ptr.To(false),
			EnableServiceLinks:            ptr.To(false),
			ShareProcessNamespace:         ptr.To(false),
			TerminationGracePeriodSeconds: ptr.To(int64(grace / time.Second)),
			NodeSelector:                  in.Class.Spec.Scheduling.NodeSelector,
			Tolerations:                   tolerations(in.Class.Spec.Scheduling.Tolerations),
			SecurityContext: &corev1.PodSecurityContext{
				RunAsNonRoot: ptr.To(true), RunAsUser: ptr.To(int64(user)), RunAsGroup: ptr.To(int64(user)),
				FSGroup: ptr.To(int64(user)), FSGroupChangePolicy: ptr.To(corev1.FSGroupChangeOnRootMismatch),
				SeccompProfile: &corev1.SeccompProfile{Type: corev1.SeccompProfileTypeRuntimeDefault},
			},
			Affinity:   near(in.Node.Name),
			Containers: []corev1.Container{container(in)},
			Volumes:    volumes(in.Tenant.Name),
		},
	}
	for _, name := range in.ImagePullSecrets {
		t.Spec.ImagePullSecrets = append(t.Spec.ImagePullSecrets, corev1.LocalObjectReference{Name: name})
	}
	t.Annotations = map[string]string{v1alpha1.AnnotationRTP: RTPRange(in.Ports)}
	t.Annotations[v1alpha1.AnnotationTemplate] = TemplateHash(&t)
	return t
}

// near prefers the node that the pod was on last: there its calls go on without
// that a phone must follow them to another address.
func near(node string) *corev1.Affinity {
	if node == "" {
		return nil
	}
	return &corev1.Affinity{NodeAffinity: &corev1.NodeAffinity{
		PreferredDuringSchedulingIgnoredDuringExecution: []corev1.PreferredSchedulingTerm{{
			Weight: 100,
			Preference: corev1.NodeSelectorTerm{MatchFields: []corev1.NodeSelectorRequirement{{
				Key: metav1.ObjectNameField, Operator: corev1.NodeSelectorOpIn, Values: []string{node},
			}}},
		}},
	}}
}

// resources of the container. What is no amount is left out: the API server has
// refused it already.
func resources(r v1alpha1.Resources) corev1.ResourceRequirements {
	list := func(a v1alpha1.ResourceAmounts) corev1.ResourceList {
		var out corev1.ResourceList
		for name, written := range map[corev1.ResourceName]*intstr.IntOrString{corev1.ResourceCPU: a.CPU, corev1.ResourceMemory: a.Memory} {
			if written == nil {
				continue
			}
			if amount, err := resource.ParseQuantity(written.String()); err == nil && amount.Sign() > 0 {
				if out == nil {
					out = corev1.ResourceList{}
				}
				out[name] = amount
			}
		}
		return out
	}
	return corev1.ResourceRequirements{Requests: list(r.Requests), Limits: list(r.Limits)}
}

// container has no preStop hook. SIGTERM alone begins the end, and hands the
// calls over or drains them as the PBX was told before; the grace period would
// count a hook's time too, and a hook over HTTP fails on the host's network,
// where the kubelet finds no address of the pod: the process would get its
// signal at once.
func container(in Input) corev1.Container {
	return corev1.Container{
		Name:  ContainerPBX,
		Image: Image(in.Class, in.Image),
		Args: []string{
			"--document", documentDir + "/" + v1alpha1.KeyDocument,
			"--data", dataDir,
			"--drain", MaxWait(in.Class).String(),
		},
		Env: []corev1.EnvVar{
			fieldEnv("NODE_NAME", "spec.nodeName"),
			fieldEnv("NODE_IP", "status.hostIP"),
		},
		Ports:          ports(in),
		Resources:      resources(in.Class.Spec.Resources),
		StartupProbe:   probe("/healthz", 1, 3, 120), // a database may be migrated first
		ReadinessProbe: probe("/readyz", 5, 3, 2),
		LivenessProbe:  probe("/healthz", 10, 5, 6), // a restart ends calls: be sure
		// The last line of the log is what the condition tells of a crash.
		TerminationMessagePolicy: corev1.TerminationMessageFallbackToLogsOnError,
		SecurityContext: &corev1.SecurityContext{
			AllowPrivilegeEscalation: ptr.To(false),
			ReadOnlyRootFilesystem:   ptr.To(true),
			RunAsNonRoot:             ptr.To(true),
			Capabilities:             &corev1.Capabilities{Drop: []corev1.Capability{"ALL"}},
		},
		VolumeMounts: []corev1.VolumeMount{
			// The folder, never a subPath: the kubelet refreshes no file below one.
			{Name: volumeDocument, MountPath: documentDir, ReadOnly: true},
			{Name: "data", MountPath: dataDir},
			{Name: "tmp", MountPath: "/tmp"},
		},
	}
}

func fieldEnv(name, path string) corev1.EnvVar {
	return corev1.EnvVar{Name: name, ValueFrom: &corev1.EnvVarSource{
		FieldRef: &corev1.ObjectFieldSelector{APIVersion: "v1", FieldPath: path},
	}}
}

// ports declares what the pod listens on, so that the scheduler keeps two pods
// of one slot off one node. RTP is not declared: a range would be a hundred
// entries, and it belongs to the same slot.
func ports(in Input) []corev1.ContainerPort {
	port := func(name string, n int, protocol corev1.Protocol) corev1.ContainerPort {
		return corev1.ContainerPort{Name: name, ContainerPort: int32(n), HostPort: int32(n), Protocol: protocol}
	}
	p := in.Ports
	return []corev1.ContainerPort{
		port(PortSIPUDP, p.SIP, corev1.ProtocolUDP),
		port(PortSIPTCP, p.SIP, corev1.ProtocolTCP),
		port(PortSIPS, p.SIPS, corev1.ProtocolTCP),
		port(PortWSS, p.WSS, corev1.ProtocolTCP),
		port(PortHTTP, p.HTTP, corev1.ProtocolTCP),
		port(PortAdmin, p.Admin, corev1.ProtocolTCP),
	}
}

// probe asks the admin listener, at the pod's address, which is the node's.
func probe(path string, period, timeout, failures int32) *corev1.Probe {
	return &corev1.Probe{
		ProbeHandler: corev1.ProbeHandler{HTTPGet: &corev1.HTTPGetAction{
			Path: path, Port: intstr.FromString(PortAdmin), Scheme: corev1.URISchemeHTTP,
		}},
		PeriodSeconds: period, TimeoutSeconds: timeout, FailureThreshold: failures, SuccessThreshold: 1,
	}
}

// DeclaredPort is the port of that name that the PBX in a pod declares; 0: it
// declares none. While a tenant waits to be moved that is not the status's.
func DeclaredPort(pod *corev1.Pod, name string) int32 {
	if pod == nil {
		return 0
	}
	for i := range pod.Spec.Containers {
		if pod.Spec.Containers[i].Name != ContainerPBX {
			continue
		}
		for _, p := range pod.Spec.Containers[i].Ports {
			if p.Name == name {
				return p.ContainerPort
			}
		}
	}
	return 0
}

// tolerations are the class's, and a short patience with a node that is gone,
// unless the class says something else about that.
func tolerations(class []corev1.Toleration) []corev1.Toleration {
	out := slices.Clone(class)
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		told := slices.ContainsFunc(class, func(t corev1.Toleration) bool {
			return (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "")
		})
		if !told {
			out = append(out, corev1.Toleration{
				Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute,
				TolerationSeconds: ptr.To(int64(awayAfter)),
			})
		}
	}
	return out
}

func volumes(tenant string) []corev1.Volume {
	return []corev1.Volume{
		{Name: volumeDocument, VolumeSource: corev1.VolumeSource{Secret: &corev1.SecretVolumeSource{
			SecretName: ConfigName(tenant), DefaultMode: ptr.To(int32(0o440)),
		}}},
		{Name: "data", VolumeSource: corev1.VolumeSource{PersistentVolumeClaim: &corev1.PersistentVolumeClaimVolumeSource{
			ClaimName: DataName(tenant),
		}}},
		{Name: "tmp", VolumeSource: corev1.VolumeSource{EmptyDir: &corev1.EmptyDirVolumeSource{}}},
	}
}
