package worksync_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/kubetest"
	"github.com/dipcast/dipcast/controllers/roster"
	"github.com/dipcast/dipcast/pbx/works"
	"github.com/dipcast/dipcast/pbx/works/sim"
)

// member is somebody of the directory, whose ID is id-NAME.
func member(name, telephone string) works.User {
	return works.User{
		UserID: "id-" + name, Email: name + "@acme.example", Name: works.PersonName{Last: strings.ToUpper(name)}, DomainID: domainID, Telephone: telephone,
	}
}

func (b *bench) plan(name string, d v1alpha1.Directory) *v1alpha1.ExtensionPlan {
	b.t.Helper()
	p := kubetest.Plan(b.namespace, name, "acme")
	p.Spec.Directory = &d
	cluster.Create(b.t, p)
	return p
}

// has is what a plan's directory has in force.
func has(p *v1alpha1.ExtensionPlan) string {
	if p.Status.Directory == nil {
		return "nothing"
	}
	var out []string
	for _, e := range p.Status.Directory.Extensions {
		out = append(out, e.Number+"="+strings.TrimPrefix(e.WorksUser, "id-"))
	}
	return strings.Join(out, " ")
}

func (b *bench) wantPlan(p *v1alpha1.ExtensionPlan, extensions string, status metav1.ConditionStatus, reason, words string) {
	b.t.Helper()
	if got := has(p); got != extensions {
		b.t.Errorf("%s has %q, want %q", p.Name, got, extensions)
	}
	b.want(p.Status.Conditions, "DirectorySynced", status, reason, words)
}

func TestDirectory(t *testing.T) {
	t.Parallel()
	kim := member("kim", "02-555-0101 (내선 101)")
	kim.CellPhone = "+82 10-1234-5678"
	gone := member("gone", "109")
	gone.Suspended = true
	b := newBench(t, kim, member("lee", "102"), gone, member("han", "02-555-0103"))
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim 102=lee", "True", "Synced", "see status.directory.notes")
	d := plan.Status.Directory
	if e := d.Extensions[0]; e.DisplayName != "KIM" || e.Mobile != "010-1234-5678" || d.Count != 2 || len(d.Notes) != 1 || !strings.Contains(d.Notes[0], "HAN") {
		t.Errorf("%+v", d)
	}
	b.wantTold("DirectoryApplied")

	version, calls := plan.ResourceVersion, b.calls()
	if got := b.reconcileDirectory(plan); got.RequeueAfter <= 0 || got.RequeueAfter > 11*time.Minute || plan.ResourceVersion != version || b.calls() != calls {
		t.Errorf("again after %s, version %s to %s, calls %d to %d", got.RequeueAfter, version, plan.ResourceVersion, calls, b.calls())
	}
	b.later(11 * time.Minute)
	if b.reconcileDirectory(plan); plan.ResourceVersion != version || b.works.Calls("user.list") != 2 {
		t.Errorf("version %s to %s, %d reads", version, plan.ResourceVersion, b.works.Calls("user.list"))
	}
	b.wantTold("")

	b.works.RemoveUser("id-lee")
	b.works.SetUser(member("choi", "ext. 104"))
	b.later(11 * time.Minute)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim 104=choi", "True", "Synced", "")
	b.wantTold("DirectoryApplied")

	// A plan that takes nothing from the directory any more has nothing of it.
	kubetest.Update(t, cluster, plan, func(p *v1alpha1.ExtensionPlan) { p.Spec.Directory = nil })
	b.reconcileDirectory(plan)
	if has(plan) != "nothing" || len(plan.Status.Conditions) > 0 {
		t.Errorf("%+v", plan.Status)
	}
	b.wantTold("DirectoryApplied")
}

func TestPlansOfOneTenantShareARead(t *testing.T) {
	t.Parallel()
	unit := func(u works.User, id string) works.User {
		u.Organization = []works.UserOrganization{{OrgUnits: []works.UserOrgUnit{{ID: id}}}}
		return u
	}
	var users []works.User
	for i := range 230 {
		users = append(users, member(fmt.Sprintf("p%03d", i), "없음"))
	}
	users = append(users, unit(member("kim", "101"), "seoul"), unit(member("lee", "201"), "busan"), unit(member("han", "301"), "busan"))
	b := newBench(t, users...)
	seoul, busan := b.plan("seoul", v1alpha1.Directory{OrgUnit: "seoul"}), b.plan("busan", v1alpha1.Directory{OrgUnit: "busan"})
	all, wrong := b.plan("whole", v1alpha1.Directory{}), b.plan("typo", v1alpha1.Directory{OrgUnit: "bussan"})
	written := kubetest.Plan(b.namespace, "written", "acme", "301")
	other := kubetest.Plan(b.namespace, "elsewhere", "another")
	other.Spec.Directory = &v1alpha1.Directory{}
	cluster.Create(t, written, other)
	b.reconcileDirectory(seoul, busan, all, wrong, other)
	if n := b.works.Calls("user.list"); n != 3 {
		t.Errorf("%d pages for 233 members", n)
	}
	b.wantPlan(seoul, "101=kim", "True", "Synced", "")
	b.wantPlan(busan, "201=lee", "True", "Synced", "see status.directory.notes")
	b.wantPlan(all, "", "True", "Synced", "see status.directory.notes") // the others were first
	b.wantPlan(wrong, "nothing", "False", "NotFound", "nobody belongs to spec.directory.orgUnit bussan")
	if has(other) != "nothing" {
		t.Error("another tenant's plan was served")
	}
}

func TestMassRemovalWaits(t *testing.T) {
	t.Parallel()
	var users []works.User
	for i := range 10 {
		users = append(users, member(fmt.Sprintf("p%d", i), fmt.Sprint(100+i)))
	}
	b := newBench(t, users...)
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	b.told()
	for i := range 4 {
		b.works.RemoveUser(fmt.Sprintf("id-p%d", i))
	}
	b.later(11 * time.Minute)
	b.reconcileDirectory(plan)
	hash := plan.Status.Directory.Pending.Hash
	b.want(plan.Status.Conditions, "DirectorySynced", "False", "MassRemoval",
		"4 of 10 extensions would vanish at once and stay: see status.directory.pending; if that is right: kubectl annotate extensionplan -n "+b.namespace+" seoul --overwrite pbx.dipcast.io/approve-removal="+hash)
	if plan.Status.Directory.Count != 10 || hash == "" || plan.Status.Directory.Pending.Remove != 4 {
		t.Errorf("%+v", plan.Status.Directory)
	}
	b.wantTold("MassRemoval")
	b.later(11 * time.Minute)
	b.reconcileDirectory(plan)
	b.wantTold("")
	kubetest.Update(t, cluster, plan, func(p *v1alpha1.ExtensionPlan) {
		p.Annotations = map[string]string{v1alpha1.AnnotationApproveRemoval: hash}
	})
	if wait := b.reconcileDirectory(plan).RequeueAfter; wait > 5*time.Second {
		t.Errorf("an approval waits %s", wait)
	}
	b.later(5 * time.Second) // between two reads
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "104=p4 105=p5 106=p6 107=p7 108=p8 109=p9", "True", "Synced", "")
	if plan.Status.Directory.Pending != nil {
		t.Errorf("%+v", plan.Status.Directory.Pending)
	}
}

func TestDryRunChangesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(t, member("kim", "101"))
	plan := b.plan("seoul", v1alpha1.Directory{Apply: v1alpha1.DirectoryDryRun})
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "", "False", "DryRun", "see status.directory.pending")
	if p := plan.Status.Directory.Pending; p == nil || p.Add != 1 || p.Examples[0].Number != "101" {
		t.Errorf("%+v", p)
	}
	kubetest.Update(t, cluster, plan, func(p *v1alpha1.ExtensionPlan) { p.Spec.Directory.Apply = v1alpha1.DirectoryAutomatic })
	b.later(5 * time.Second)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "True", "Synced", "")
}

func TestAPasswordDoesNotPassOn(t *testing.T) {
	t.Parallel()
	b := newBench(t, member("kim", "101"), member("lee", "102"), member("han", "103"))
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	password := func(number string, labels map[string]string) *corev1.Secret {
		s := kubetest.Secret(b.namespace, "acme-ext-"+number, map[string]string{"password": "of the one before"})
		s.Labels = labels
		cluster.Create(t, s)
		return s
	}
	generated := map[string]string{v1alpha1.LabelGenerated: "true", v1alpha1.LabelTenant: "acme"}
	first, second, third := password("101", generated), password("102", nil), password("103", generated)
	b.works.SetUser(member("kim", "102"))
	b.works.SetUser(member("lee", "101"))
	b.later(11 * time.Minute)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=lee 102=kim 103=han", "True", "Synced", "")
	if !b.gone(first) || b.gone(second) || b.gone(third) {
		t.Error("a number passed on with its password, or another Secret was deleted")
	}
}

func TestWhatWasTakenStaysInForce(t *testing.T) {
	t.Parallel()
	b := newBench(t, member("kim", "101"))
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	b.works.Bar("acme", true)
	b.works.RevokeTokens()
	b.later(11 * time.Minute)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "False", "Unauthorized", "the last list stays in force")
	b.works.Bar("acme", false)
	b.later(8 * time.Second)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "True", "Synced", "")

	// One answer that says that there is nobody is not believed.
	b.works.RemoveUser("id-kim")
	b.later(11 * time.Minute)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "False", "NotFound", "domain 40029600 has no member: see spec.domainID of NaverWorksBot acme-bot; the last list stays in force")

	b.delete(b.secret)
	if wait := b.reconcileDirectory(plan).RequeueAfter; wait <= 0 || wait > 15*time.Second {
		t.Errorf("a missing Secret is looked for after %s", wait)
	}
	b.wantPlan(plan, "101=kim", "False", "SecretMissing", "create it with the keys")
	b.delete(b.bot)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "False", "NotFound", "no NaverWorksBot names PBXTenant acme, whose app reads the directory: create one")
	b.delete(b.tenant)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "False", "NotFound", "there is no PBXTenant acme")
}

func TestOneFailedReadIsNotTold(t *testing.T) {
	t.Parallel()
	b := newBench(t, member("kim", "101"))
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	version := plan.ResourceVersion
	b.later(11 * time.Minute)
	// The client itself asks four times.
	b.works.SetFault(sim.Fault{Operation: "user.list", Status: 500, Times: 4})
	if wait := b.reconcileDirectory(plan).RequeueAfter; wait > 10*time.Second || plan.ResourceVersion != version {
		t.Errorf("again after %s, version %s to %s", wait, version, plan.ResourceVersion)
	}
	b.later(10 * time.Second)
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "True", "Synced", "")
}

// A thousand tenants must not ask at once when the operator begins anew.
func TestANewOperatorTakesItsTime(t *testing.T) {
	t.Parallel()
	b := newBench(t, member("kim", "101"))
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	b.restart()
	if wait := b.reconcileDirectory(plan).RequeueAfter; wait < 4*time.Minute || wait > 6*time.Minute || b.works.Calls("user.list") != 1 {
		t.Errorf("again after %s, %d reads", wait, b.works.Calls("user.list"))
	}
	b.later(6 * time.Minute)
	if b.reconcileDirectory(plan); b.works.Calls("user.list") != 2 {
		t.Errorf("%d reads", b.works.Calls("user.list"))
	}
	// What has changed meanwhile is looked at at once.
	b.restart()
	kubetest.Update(t, cluster, plan, func(p *v1alpha1.ExtensionPlan) { p.Spec.Directory.OrgUnit = "seoul" })
	b.reconcileDirectory(plan)
	b.wantPlan(plan, "101=kim", "False", "NotFound", "nobody belongs to spec.directory.orgUnit seoul")
}

// The largest directory that a plan may have fits into one object of a real API
// server, with the longest names.
func TestFiveThousandPeopleFit(t *testing.T) {
	t.Parallel()
	var users []works.User
	for i := range roster.MaxExtensions + 10 {
		u := member(fmt.Sprintf("7c1d3c5e-0000-4000-8000-%09d", i), fmt.Sprint(10000000+i))
		u.Name, u.CellPhone = works.PersonName{Last: strings.Repeat("하", 60)}, "010-1234-5678"
		users = append(users, u)
	}
	b := newBench(t, users...)
	plan := b.plan("seoul", v1alpha1.Directory{})
	b.reconcileDirectory(plan)
	if d := plan.Status.Directory; d == nil || d.Count != roster.MaxExtensions || len(d.Extensions) != roster.MaxExtensions {
		t.Fatalf("%+v", plan.Status.Conditions)
	}
	b.want(plan.Status.Conditions, "DirectorySynced", "True", "Synced", "see status.directory.notes")
}
