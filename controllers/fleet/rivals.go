package fleet

import (
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/compile"
)

// bot is what the fleet knows of one bot.
type bot struct {
	api     string
	id      int64
	tenant  types.NamespacedName
	created time.Time
	proven  bool // NAVER WORKS takes its credentials
}

// SameDomain returns t and the other tenants that want a name in the DNS which t
// wants, each with no more than compile.CheckFleet reads.
func (f *Fleet) SameDomain(t *v1alpha1.PBXTenant) []v1alpha1.PBXTenant {
	self := types.NamespacedName{Namespace: t.Namespace, Name: t.Name}
	out := []v1alpha1.PBXTenant{rival(self, member{domain: t.Spec.Domain, held: t.Status.Domain, created: t.CreationTimestamp.Time})}
	seen := map[types.NamespacedName]bool{self: true}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, host := range compile.Hosts(t.Spec.Domain) {
		for name := range f.hosts[host] {
			if !seen[name] {
				seen[name] = true
				out = append(out, rival(name, f.members[name]))
			}
		}
	}
	return out
}

func rival(name types.NamespacedName, m member) v1alpha1.PBXTenant {
	return v1alpha1.PBXTenant{
		ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, CreationTimestamp: metav1.NewTime(m.created)},
		Spec:       v1alpha1.PBXTenantSpec{Domain: m.domain},
		Status:     v1alpha1.PBXTenantStatus{Domain: m.held},
	}
}

// PutBot remembers a bot as an event tells it.
func (f *Fleet) PutBot(b *v1alpha1.NaverWorksBot) {
	name := types.NamespacedName{Namespace: b.Namespace, Name: b.Name}
	now := bot{
		api: b.Spec.Endpoints.API, id: b.Spec.BotID, created: b.CreationTimestamp.Time,
		tenant: types.NamespacedName{Namespace: b.Namespace, Name: b.Spec.TenantRef.Name},
		proven: meta.IsStatusConditionTrue(b.Status.Conditions, v1alpha1.ConditionCredentialsValid),
	}
	f.mu.Lock()
	before, known := f.bots[name]
	f.bots[name] = now
	woken := map[types.NamespacedName]bool{}
	if known && before != now {
		f.sameBot(name, before.id, woken)
	}
	if !known || before != now {
		f.sameBot(name, now.id, woken)
	}
	f.mu.Unlock()
	except := now.tenant
	if known && before.proven != now.proven && len(woken) > 0 {
		// Its own tenant is told of its spec by other ways, and not of this.
		woken[now.tenant], except = true, types.NamespacedName{}
	}
	f.wakeAll(except, woken)
}

// DeleteBot forgets a bot.
func (f *Fleet) DeleteBot(name types.NamespacedName) {
	f.mu.Lock()
	before := f.bots[name]
	delete(f.bots, name)
	woken := map[types.NamespacedName]bool{}
	f.sameBot(name, before.id, woken)
	f.mu.Unlock()
	f.wakeAll(before.tenant, woken)
}

// SameBots returns the bots of other tenants that have a bot ID of these, each
// with no more than compile.CheckFleet reads.
func (f *Fleet) SameBots(bots []v1alpha1.NaverWorksBot) []v1alpha1.NaverWorksBot {
	if len(bots) == 0 {
		return nil
	}
	wanted, own := map[int64]bool{}, map[types.NamespacedName]bool{}
	for i := range bots {
		wanted[bots[i].Spec.BotID] = true
		own[types.NamespacedName{Namespace: bots[i].Namespace, Name: bots[i].Name}] = true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []v1alpha1.NaverWorksBot
	for name, b := range f.bots {
		if !wanted[b.id] || own[name] {
			continue
		}
		out = append(out, v1alpha1.NaverWorksBot{
			ObjectMeta: metav1.ObjectMeta{Namespace: name.Namespace, Name: name.Name, CreationTimestamp: metav1.NewTime(b.created)},
			Spec: v1alpha1.NaverWorksBotSpec{
				TenantRef: v1alpha1.LocalRef{Name: b.tenant.Name}, BotID: b.id, Endpoints: v1alpha1.BotEndpoints{API: b.api},
			},
			Status: v1alpha1.NaverWorksBotStatus{Conditions: proof(b.proven)},
		})
	}
	return out
}

func proof(proven bool) []metav1.Condition {
	if !proven {
		return nil
	}
	return []metav1.Condition{{Type: v1alpha1.ConditionCredentialsValid, Status: metav1.ConditionTrue}}
}

// sameBot notes the tenants of the other bots with this ID. The lock is held.
func (f *Fleet) sameBot(except types.NamespacedName, id int64, woken map[types.NamespacedName]bool) {
	for name, b := range f.bots {
		if name != except && b.id == id {
			woken[b.tenant] = true
		}
	}
}

// enterHosts and leaveHosts keep the index of names in the DNS and note the
// rivals. The lock is held.
func (f *Fleet) enterHosts(name types.NamespacedName, m member, woken map[types.NamespacedName]bool) {
	for _, host := range compile.Hosts(m.domain, m.held) {
		if f.hosts[host] == nil {
			f.hosts[host] = map[types.NamespacedName]bool{}
		}
		for rival := range f.hosts[host] {
			woken[rival] = true
		}
		f.hosts[host][name] = true
	}
}

func (f *Fleet) leaveHosts(name types.NamespacedName, m member, woken map[types.NamespacedName]bool) {
	for _, host := range compile.Hosts(m.domain, m.held) {
		delete(f.hosts[host], name)
		for rival := range f.hosts[host] {
			woken[rival] = true
		}
		if len(f.hosts[host]) == 0 {
			delete(f.hosts, host)
		}
	}
}
