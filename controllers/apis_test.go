package controllers_test

import (
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers"
	"github.com/dipcast/dipcast/controllers/desired"
	"github.com/dipcast/dipcast/controllers/kubetest"
)

// TestAnOptionalAPIComesAndGoes installs cert-manager's kind under a running
// operator.
func TestAnOptionalAPIComesAndGoes(t *testing.T) {
	t.Parallel()
	at := place(t, 4)
	operate(t, controllers.Options{Namespaces: []string{at.namespace}})
	tenant := kubetest.Tenant(at.namespace, "acme", at.class)
	tenant.Spec.Web.TLS = &v1alpha1.SIPTLS{IssuerRef: &v1alpha1.IssuerRef{Name: "letsencrypt", Kind: "ClusterIssuer"}}
	ready(t, tenant)
	c := cluster.Condition(t, tenant, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNotFound)
	if !strings.Contains(c.Message, "cert-manager") {
		t.Errorf("the tenant is told: %s", c.Message)
	}
	certificates := &apiextensionsv1.CustomResourceDefinition{
		ObjectMeta: metav1.ObjectMeta{Name: "certificates.cert-manager.io"},
		Spec: apiextensionsv1.CustomResourceDefinitionSpec{
			Group: "cert-manager.io", Scope: apiextensionsv1.NamespaceScoped,
			Names: apiextensionsv1.CustomResourceDefinitionNames{Kind: "Certificate", ListKind: "CertificateList", Plural: "certificates", Singular: "certificate"},
			Versions: []apiextensionsv1.CustomResourceDefinitionVersion{{
				Name: "v1", Served: true, Storage: true,
				Subresources: &apiextensionsv1.CustomResourceSubresources{Status: &apiextensionsv1.CustomResourceSubresourceStatus{}},
				Schema: &apiextensionsv1.CustomResourceValidation{OpenAPIV3Schema: &apiextensionsv1.JSONSchemaProps{
					Type: "object", XPreserveUnknownFields: ptr.To(true),
				}},
			}},
		},
	}
	cluster.Create(t, certificates)
	cluster.Condition(t, tenant, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonWaiting)
	certificate := &unstructured.Unstructured{}
	certificate.SetGroupVersionKind(desired.CertificateKind())
	certificate.SetNamespace(at.namespace)
	certificate.SetName(desired.WebTLSName("acme"))
	if err := cluster.Client.Get(t.Context(), client.ObjectKeyFromObject(certificate), certificate); err != nil {
		t.Fatal(err)
	}
	certificate.Object["status"] = map[string]any{"conditions": []any{map[string]any{"type": "Ready", "status": "True", "message": "issued"}}}
	if err := cluster.Client.Status().Update(t.Context(), certificate); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonReady)

	// A certificate that is not asked for any more goes.
	kubetest.Update(t, cluster, tenant, func(x *v1alpha1.PBXTenant) { x.Spec.Web.TLS = nil })
	cluster.Gone(t, certificate)
	kubetest.Update(t, cluster, tenant, func(x *v1alpha1.PBXTenant) {
		x.Spec.Web.TLS = &v1alpha1.SIPTLS{IssuerRef: &v1alpha1.IssuerRef{Name: "letsencrypt"}}
	})
	cluster.Condition(t, tenant, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonWaiting)
	if err := cluster.Client.Delete(t.Context(), certificates); err != nil {
		t.Fatal(err)
	}
	cluster.Condition(t, tenant, v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonNotFound)
	cluster.Condition(t, tenant, v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonReady)
}
