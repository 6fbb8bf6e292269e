package doctor

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/api/meta"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/hostport"
)

const (
	subjectCluster = "cluster"
	labelVersion   = "app.kubernetes.io/version"
	// unknownVersion is what a program says that was built without a version.
	unknownVersion = "unknown"
)

func definitions(s *Snapshot) []Finding {
	const check = "definitions"
	const cure = "upgrade the chart with crds.install=true, or kubectl apply --server-side -f config/crd of the operator's version"
	if err := s.unreadable(ReadCRDs); err != nil {
		return about(subjectCluster, []Finding{notRead(check, ReadCRDs, err)})
	}
	var found []Finding
	for i := range s.Wanted {
		wanted := &s.Wanted[i]
		at := slices.IndexFunc(s.CRDs, func(c apiextensionsv1.CustomResourceDefinition) bool { return c.Name == wanted.Name })
		switch {
		case at < 0:
			found = append(found, fail(check, cure, "CRD %s is missing: the cluster does not know the kind %s", wanted.Name, wanted.Spec.Names.Kind))
		case !established(&s.CRDs[at]):
			found = append(found, fail(check, "kubectl describe crd "+wanted.Name+" tells why", "CRD %s is not established: its kind %s is not served", wanted.Name, wanted.Spec.Names.Kind))
		case !sameVersions(wanted, &s.CRDs[at]):
			found = append(found, warn(check, cure+"; or use the kubectl-dipcast of that version",
				"CRD %s is of another version than this program: fields may be missing", wanted.Name))
		}
	}
	if len(found) == 0 {
		found = []Finding{fine(check, "%s, as this program knows them", many(len(s.Wanted), "kind"))}
	}
	return about(subjectCluster, found)
}

func established(c *apiextensionsv1.CustomResourceDefinition) bool {
	return slices.ContainsFunc(c.Status.Conditions, func(c apiextensionsv1.CustomResourceDefinitionCondition) bool {
		return c.Type == apiextensionsv1.Established && c.Status == apiextensionsv1.ConditionTrue
	})
}

// sameVersions compares schemas as JSON: the server keeps defaults as raw
// text, which may be written in more than one way.
func sameVersions(a, b *apiextensionsv1.CustomResourceDefinition) bool {
	plain := func(c *apiextensionsv1.CustomResourceDefinition) (v any) {
		raw, err := json.Marshal(c.Spec.Versions)
		if err != nil || json.Unmarshal(raw, &v) != nil {
			return nil
		}
		return v
	}
	return reflect.DeepEqual(plain(a), plain(b))
}

func operator(s *Snapshot) []Finding {
	const check = "operator"
	if err := s.unreadable(ReadOperator); err != nil {
		return about(subjectCluster, []Finding{notRead(check, ReadOperator, err)})
	}
	if len(s.Operators) == 0 {
		return about(subjectCluster, []Finding{fail(check, "install the chart: helm install dipcast charts/dipcast -n dipcast-system --create-namespace",
			"no Deployment of the operator: nothing makes PBXs of the manifests")})
	}
	var found []Finding
	for i := range s.Operators {
		found = append(found, oneOperator(s, &s.Operators[i]))
	}
	if len(s.Operators) > 1 {
		found = append(found, warn(check, "uninstall all but one, unless each watches other namespaces",
			"%d Deployments of the operator", len(s.Operators)))
	}
	return about(subjectCluster, found)
}

func oneOperator(s *Snapshot, d *appsv1.Deployment) Finding {
	const check = "operator"
	name, running := d.Namespace+"/"+d.Name, operatorVersion(d)
	if d.Status.AvailableReplicas == 0 {
		return fail(check, fmt.Sprintf("kubectl -n %s describe deployment %s; kubectl -n %s logs deployment/%s", d.Namespace, d.Name, d.Namespace, d.Name),
			"Deployment %s has no available replica: changes of manifests do nothing; running PBXs go on", name)
	}
	if differ(running, s.Version) {
		return warn(check, "use the kubectl-dipcast of the operator's version, or upgrade the chart",
			"Deployment %s is of version %s, this program of %s", name, running, s.Version)
	}
	return fine(check, "Deployment %s is available, version %s", name, running)
}

// operatorVersion is the Deployment's label, else the tag of its image.
func operatorVersion(d *appsv1.Deployment) string {
	if v := d.Labels[labelVersion]; v != "" {
		return v
	}
	for i := range d.Spec.Template.Spec.Containers {
		if tag := imageTag(d.Spec.Template.Spec.Containers[i].Image); tag != "" {
			return tag
		}
	}
	return unknownVersion
}

// imageTag is the tag of an image reference, empty if it has none.
func imageTag(image string) string {
	image, _, _ = strings.Cut(image, "@")
	slash, colon := strings.LastIndexByte(image, '/'), strings.LastIndexByte(image, ':')
	if colon <= slash {
		return ""
	}
	return image[colon+1:]
}

// differ reports whether two known versions are not the same; a leading v
// does not count.
func differ(a, b string) bool {
	a, b = strings.TrimPrefix(a, "v"), strings.TrimPrefix(b, "v")
	return a != b && a != unknownVersion && b != unknownVersion && a != "" && b != ""
}

func classes(s *Snapshot) []Finding {
	const check = "ports"
	if err := s.unreadable(ReadClasses); err != nil {
		return about(subjectCluster, []Finding{notRead("class", ReadClasses, err)})
	}
	if len(s.Classes) == 0 {
		return about(subjectCluster, []Finding{fail("class", "apply a PBXClass, e.g. config/samples/classes.yaml",
			"no PBXClass: tenants find no limits and no ports")})
	}
	var found []Finding
	for i := range s.Classes {
		c := &s.Classes[i]
		var own []Finding
		for j := range s.Classes[:i] {
			if o := &s.Classes[j]; pool(c).Overlaps(pool(o)) {
				own = append(own, fail(check, fmt.Sprintf("kubectl edit pbxclass %s: choose another portPool", c.Name),
					"portPool %s overlaps %s of PBXClass %s: tenants of both could get the same ports", pool(c), pool(o), o.Name))
			}
		}
		own = append(own, oneClass(c)...)
		found = append(found, about("class "+c.Name, own)...)
	}
	return append(found, defaults(s.Classes)...)
}

func pool(c *v1alpha1.PBXClass) hostport.Pool {
	return hostport.Pool{From: int(c.Spec.Network.PortPool.From), To: int(c.Spec.Network.PortPool.To)}
}

func oneClass(c *v1alpha1.PBXClass) []Finding {
	if a := meta.FindStatusCondition(c.Status.Conditions, v1alpha1.ConditionAccepted); a != nil && a.Status == "False" {
		return []Finding{fail("class", "correct the manifest and apply it again", "not accepted: %s: %s", a.Reason, a.Message)}
	}
	st := c.Status
	switch {
	case len(st.Conditions) == 0:
		return []Finding{warn("class", "see the operator's log", "the operator has not looked at it yet")}
	case st.Nodes == 0:
		return []Finding{fail("ports", "label a node as scheduling.nodeSelector asks, tolerate its taints, or give the nodes the address that network.advertise asks",
			"no node may run its tenants")}
	case st.Free == 0:
		return []Finding{warn("ports", fmt.Sprintf("kubectl edit pbxclass %s: widen portPool %s; or add a node", c.Name, pool(c)),
			"no free slot: %s have all %s of portPool %s on %s; the next tenant gets no ports",
			many(int(st.Tenants), "tenant"), many(int(st.Slots), "slot"), pool(c), many(int(st.Nodes), "node"))}
	}
	return []Finding{fine("ports", "portPool %s: %s on %s, %s, %d free",
		pool(c), many(int(st.Slots), "slot"), many(int(st.Nodes), "node"), many(int(st.Tenants), "tenant"), st.Free)}
}

func defaults(list []v1alpha1.PBXClass) []Finding {
	var names []string
	for i := range list {
		if list[i].Spec.Default {
			names = append(names, list[i].Name)
		}
	}
	if len(names) < 2 {
		return nil
	}
	return about(subjectCluster, []Finding{fail("class", "set spec.default: false in all but one",
		"%d classes are the default: %s", len(names), strings.Join(names, ", "))})
}

func tenantsFound(s *Snapshot) []Finding {
	if err := s.unreadable(ReadTenants); err != nil {
		if meta.IsNoMatchError(err) {
			return nil // the missing definitions say it
		}
		return about(subjectCluster, []Finding{notRead("tenants", ReadTenants, err)})
	}
	if len(s.Tenants) == 0 {
		return about(subjectCluster, []Finding{warn("tenants", "-A looks in all namespaces; kubectl apply -f config/samples/demo makes one",
			"no PBXTenant here: only the cluster was checked")})
	}
	return nil
}
