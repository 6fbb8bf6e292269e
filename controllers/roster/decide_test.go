package roster_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/roster"
	"github.com/dipcast/dipcast/pbx/works"
)

func person(id, number string) roster.Person {
	return roster.Person{ID: "id-" + id, Email: id + "@acme.example", Name: strings.ToUpper(id), Number: number}
}

func extension(id, number string) v1alpha1.DirectoryExtension {
	return v1alpha1.DirectoryExtension{Number: number, DisplayName: strings.ToUpper(id), WorksUser: "id-" + id}
}

// many are n people with the numbers from first on.
func many(n, first int) (people []roster.Person, extensions []v1alpha1.DirectoryExtension) {
	for i := range n {
		id, number := fmt.Sprintf("p%03d", i), fmt.Sprint(first+i)
		people, extensions = append(people, person(id, number)), append(extensions, extension(id, number))
	}
	return people, extensions
}

func claims(plans ...v1alpha1.ExtensionPlan) roster.Claims {
	return roster.NewClaims(&v1alpha1.PBXTenant{}, plans, nil, "own")
}

func text(list []v1alpha1.DirectoryExtension) string {
	var out []string
	for _, e := range list {
		out = append(out, e.Number+"="+strings.TrimPrefix(e.WorksUser, "id-"))
	}
	return strings.Join(out, " ")
}

// decision is one case of Decide in which nothing is held back.
type decision struct {
	name  string
	in    roster.Input
	want  string // extensions in force
	notes []string
}

func testDecide(t *testing.T, rows []decision) {
	t.Helper()
	for _, tc := range rows {
		t.Run(tc.name, func(t *testing.T) {
			if tc.in.Room == 0 {
				tc.in.Room = 300
			}
			got := roster.Decide(tc.in)
			if text(got.Extensions) != tc.want || got.Held || got.Pending != nil {
				t.Errorf("%q held %t pending %v, want %q", text(got.Extensions), got.Held, got.Pending, tc.want)
			}
			if diff := cmp.Diff(tc.notes, got.Notes); diff != "" {
				t.Errorf("notes (-want +got):\n%s", diff)
			}
			slices.Reverse(tc.in.People)
			if diff := cmp.Diff(got, roster.Decide(tc.in)); diff != "" {
				t.Errorf("the order of the people matters:\n%s", diff)
			}
			// What was decided stays when it is decided again.
			tc.in.Current = got.Extensions
			if diff := cmp.Diff(got.Extensions, roster.Decide(tc.in).Extensions); diff != "" {
				t.Errorf("deciding twice changes it:\n%s", diff)
			}
		})
	}
}

func planOf(name string, spec v1alpha1.ExtensionPlanSpec) v1alpha1.ExtensionPlan {
	return v1alpha1.ExtensionPlan{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: spec}
}

// What the directory alone says.
func TestDecideByTheDirectory(t *testing.T) {
	testDecide(t, []decision{
		{name: "nobody"},
		{
			name: "first sync",
			in:   roster.Input{People: []roster.Person{person("lee", "02-555-0102 (내선 102)"), person("kim", "101")}},
			want: "101=kim 102=lee",
		},
		{
			name: "no extension in the field",
			in:   roster.Input{People: []roster.Person{person("kim", "02-555-0101")}},
			notes: []string{
				`KIM (kim@acme.example): telephone "02-555-0101" names no extension: write it there as 2 to 8 digits, or as "내선 101" behind another number`,
			},
		},
		{
			name:  "several extensions in the field",
			in:    roster.Input{People: []roster.Person{person("kim", "101, 102")}},
			want:  "101=kim",
			notes: []string{"KIM (kim@acme.example): telephone names several extensions, 101 is taken: leave only one there"},
		},
		{
			name: "numbers that nobody could dial",
			in:   roster.Input{People: []roster.Person{person("kim", "119"), person("lee", "901")}, Claims: claims()},
			notes: []string{
				"KIM (kim@acme.example): is not given 119: it is an emergency number; choose another number in the directory",
				"LEE (lee@acme.example): is not given 901: it begins with the outside prefix 9; choose another number in the directory",
			},
		},
		{
			name: "no more room: who has an extension keeps it",
			in: roster.Input{
				Room: 2, People: []roster.Person{person("kim", "101"), person("lee", "102"), person("han", "103"), person("choi", "104")},
				Current: []v1alpha1.DirectoryExtension{extension("choi", "104")},
			},
			want:  "101=kim 104=choi",
			notes: []string{"2 more people have an extension in the directory than the class or the plan has room for, the first is 102: choose a larger class or name an orgUnit"},
		},
		{
			name: "a name changes, a number moves",
			in: roster.Input{
				People:  []roster.Person{{ID: "id-kim", Name: "Kim", Number: "101"}, person("lee", "152")},
				Current: []v1alpha1.DirectoryExtension{extension("kim", "101"), extension("lee", "102")},
			},
			want: "101=kim 152=lee",
		},
	})
}

// Nobody wins in silence.
func TestDecideBetweenTwo(t *testing.T) {
	testDecide(t, []decision{
		{
			name:  "two with one number, new",
			in:    roster.Input{People: []roster.Person{person("kim", "101"), person("lee", "101"), person("han", "103")}},
			want:  "103=han",
			notes: []string{"101: is the number of KIM (kim@acme.example), LEE (lee@acme.example) in the directory: nobody gets it, correct all but one"},
		},
		{
			name: "two with one number, one has it",
			in: roster.Input{
				People:  []roster.Person{person("kim", "101"), person("lee", "101")},
				Current: []v1alpha1.DirectoryExtension{extension("lee", "101")},
			},
			want:  "101=lee",
			notes: []string{"101: is the number of KIM (kim@acme.example), LEE (lee@acme.example) in the directory: LEE (lee@acme.example) keeps it, correct the others"},
		},
		{
			name: "two with one number, a third one has it",
			in: roster.Input{
				People:  []roster.Person{person("kim", "101"), person("lee", "101"), person("han", "103")},
				Current: []v1alpha1.DirectoryExtension{extension("han", "101"), extension("han", "103")},
			},
			want:  "103=han",
			notes: []string{"101: is the number of KIM (kim@acme.example), LEE (lee@acme.example) in the directory: nobody gets it, correct all but one"},
		},
		{
			name: "seven with one number",
			in: roster.Input{People: []roster.Person{
				person("a", "101"), person("b", "101"), person("c", "101"), person("d", "101"), person("e", "101"), person("f", "101"), person("g", "101"),
			}},
			notes: []string{"101: is the number of A (a@acme.example), B (b@acme.example), C (c@acme.example), D (d@acme.example), E (e@acme.example), 2 more in the directory: nobody gets it, correct all but one"},
		},
		{
			name: "the same person twice on two pages",
			in:   roster.Input{People: []roster.Person{person("kim", "101"), person("kim", "101")}},
			want: "101=kim",
		},
	})
}

// What a manifest says wins.
func TestDecideBesideManifests(t *testing.T) {
	testDecide(t, []decision{
		{
			name: "the manifest has the number",
			in: roster.Input{
				People:  []roster.Person{person("kim", "101"), person("lee", "205"), person("han", "600"), person("choi", "700"), person("yoon", "800")},
				Current: []v1alpha1.DirectoryExtension{extension("kim", "101"), extension("lee", "205"), extension("han", "600")},
				Claims: claims(planOf("seoul", v1alpha1.ExtensionPlanSpec{
					Extensions:  []v1alpha1.Extension{{Number: "101"}},
					Ranges:      []v1alpha1.ExtensionRange{{From: "200", To: "249"}},
					Groups:      []v1alpha1.RingGroup{{Number: "600"}},
					Conferences: []v1alpha1.Conference{{Number: "700"}},
					Pages:       []v1alpha1.Page{{Number: "800"}},
				})),
			},
			notes: []string{
				"CHOI (choi@acme.example): is not given 700: spec.conferences of ExtensionPlan seoul has this number; choose another number in the directory",
				"HAN (han@acme.example): is not given 600: spec.groups of ExtensionPlan seoul has this number; choose another number in the directory",
				"KIM (kim@acme.example): is not given 101: spec.extensions of ExtensionPlan seoul has this number; choose another number in the directory",
				"LEE (lee@acme.example): is not given 205: spec.ranges of ExtensionPlan seoul has this number; choose another number in the directory",
				"YOON (yoon@acme.example): is not given 800: spec.pages of ExtensionPlan seoul has this number; choose another number in the directory",
			},
		},
		{
			name: "the manifest has the person",
			in: roster.Input{
				People:  []roster.Person{person("kim", "101"), person("lee", "102"), person("han", "103")},
				Current: []v1alpha1.DirectoryExtension{extension("kim", "101"), extension("lee", "102"), extension("han", "103")},
				Claims: claims(planOf("seoul", v1alpha1.ExtensionPlanSpec{Extensions: []v1alpha1.Extension{
					{Number: "301", WorksUser: " Kim@acme.example"}, {Number: "302", WorksUser: "ID-lee"}, {Number: "103", WorksUser: "id-han"},
				}})),
			},
			notes: []string{
				"KIM (kim@acme.example): has the extension 301 by spec.extensions of ExtensionPlan seoul, not 101: the manifest wins, remove it there or correct the directory",
				"LEE (lee@acme.example): has the extension 302 by spec.extensions of ExtensionPlan seoul, not 102: the manifest wins, remove it there or correct the directory",
			},
		},
		{
			name: "another plan's directory has the number and the person",
			in: roster.Input{
				People: []roster.Person{person("kim", "101"), person("lee", "102")},
				Claims: claims(v1alpha1.ExtensionPlan{
					ObjectMeta: metav1.ObjectMeta{Name: "busan"}, Spec: v1alpha1.ExtensionPlanSpec{Directory: &v1alpha1.Directory{}},
					Status: v1alpha1.ExtensionPlanStatus{Directory: &v1alpha1.DirectoryStatus{Extensions: []v1alpha1.DirectoryExtension{
						extension("han", "101"), extension("lee", "152"),
					}}},
				}),
			},
			notes: []string{
				"KIM (kim@acme.example): is not given 101: the directory of ExtensionPlan busan has this number; choose another number in the directory",
				"LEE (lee@acme.example): has the extension 152 by the directory of ExtensionPlan busan, not 102: the manifest wins, remove it there or correct the directory",
			},
		},
	})
}

func TestPassedOn(t *testing.T) {
	got := roster.Decide(roster.Input{
		Room:    9,
		People:  []roster.Person{person("lee", "101"), person("kim", "102"), person("han", "103")},
		Current: []v1alpha1.DirectoryExtension{extension("kim", "101"), extension("lee", "102"), extension("han", "103")},
	})
	if text(got.Extensions) != "101=lee 102=kim 103=han" || !slices.Equal(got.PassedOn, []string{"101", "102"}) {
		t.Errorf("%q, passed on %q", text(got.Extensions), got.PassedOn)
	}
}

func TestMassRemoval(t *testing.T) {
	percent := func(n int32) *int32 { return &n }
	for _, tc := range []struct {
		name       string
		had, gone  int
		maxRemoval *int32
		held       bool
	}{
		{"one of one", 1, 1, nil, false},
		{"one of two", 2, 1, nil, false},
		{"two of two: all of them", 2, 2, nil, true},
		{"two of three", 3, 2, nil, false},
		{"three of three", 3, 3, nil, true},
		{"three of ten is more than a fifth", 10, 3, nil, true},
		{"two of ten", 10, 2, nil, false},
		{"three of fifteen is a fifth", 15, 3, nil, false},
		{"four of fifteen", 15, 4, nil, true},
		{"twenty of a hundred", 100, 20, nil, false},
		{"twenty-one of a hundred", 100, 21, nil, true},
		{"none is allowed, two go", 100, 2, percent(0), false},
		{"none is allowed, three go", 100, 3, percent(0), true},
		{"half is allowed", 100, 50, percent(50), false},
		{"more than half", 100, 51, percent(50), true},
		{"nobody is asked", 100, 100, percent(100), false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			people, current := many(tc.had, 1000)
			in := roster.Input{
				Room: 300, Current: current, People: people[tc.gone:], Directory: v1alpha1.Directory{MaxRemoval: tc.maxRemoval},
			}
			got := roster.Decide(in)
			if got.Held != tc.held {
				t.Fatalf("held %t, want %t", got.Held, tc.held)
			}
			if !tc.held {
				if len(got.Extensions) != tc.had-tc.gone || got.Pending != nil {
					t.Errorf("%d extensions, pending %v", len(got.Extensions), got.Pending)
				}
				return
			}
			p := got.Pending
			if diff := cmp.Diff(current, got.Extensions); diff != "" {
				t.Errorf("something was removed:\n%s", diff)
			}
			if p == nil || int(p.Remove) != tc.gone || p.Add != 0 || len(p.Hash) != 12 || len(p.Examples) != min(tc.gone, 20) || p.Examples[0].Change != "Remove" {
				t.Fatalf("pending %+v", p)
			}
			in.Approved = p.Hash
			if got := roster.Decide(in); got.Held || len(got.Extensions) != tc.had-tc.gone || got.Pending != nil {
				t.Errorf("approved, and %d extensions are left, pending %v", len(got.Extensions), got.Pending)
			}
			if tc.gone < tc.had {
				in.People = people[tc.gone+1:] // one more has left since
				if again := roster.Decide(in); !again.Held || again.Pending.Hash == p.Hash {
					t.Errorf("an approval of %s holds for %s", p.Hash, again.Pending.Hash)
				}
			}
		})
	}
}

// While a removal waits everything else goes on, and nobody gets two numbers.
func TestHeldBesideOtherChanges(t *testing.T) {
	people, current := many(10, 1000)
	in := roster.Input{Room: 300, Current: current, People: people[4:]}
	in.People = append(in.People,
		person("new", "2000"),
		roster.Person{ID: "id-p000", Name: "P000", Number: "2001"}, // would leave 1000
		roster.Person{ID: "id-p001", Name: "P001", Number: "1009"}, // would leave 1001 for that of p009
	)
	in.People[5].Number = "" // p009
	got := roster.Decide(in)
	want := "1000=p000 1001=p001 1002=p002 1003=p003 1004=p004 1005=p005 1006=p006 1007=p007 1008=p008 1009=p009 2000=new"
	if !got.Held || text(got.Extensions) != want || len(got.PassedOn) > 0 {
		t.Errorf("held %t, passed on %q\n%s\nwant\n%s", got.Held, got.PassedOn, text(got.Extensions), want)
	}
	if got.Pending.Remove != 4 || got.Pending.Add != 0 {
		t.Errorf("pending %+v", got.Pending)
	}
}

func TestDryRun(t *testing.T) {
	in := roster.Input{
		Room: 300, Directory: v1alpha1.Directory{Apply: v1alpha1.DirectoryDryRun},
		People:  []roster.Person{person("kim", "101"), person("han", "20"), {ID: "id-lee", Name: "Lee", Number: "102"}},
		Current: []v1alpha1.DirectoryExtension{extension("lee", "102"), extension("choi", "104")},
	}
	got := roster.Decide(in)
	if text(got.Extensions) != "102=lee 104=choi" || got.Extensions[0].DisplayName != "LEE" || got.Held {
		t.Errorf("%+v", got)
	}
	want := &v1alpha1.DirectoryPending{Add: 2, Change: 1, Remove: 1, Examples: []v1alpha1.DirectoryChange{
		{Number: "20", Change: "Add", DisplayName: "HAN"},
		{Number: "101", Change: "Add", DisplayName: "KIM"},
		{Number: "102", Change: "Change", DisplayName: "Lee"},
		{Number: "104", Change: "Remove", DisplayName: "CHOI"},
	}}
	if diff := cmp.Diff(want, got.Pending); diff != "" {
		t.Error(diff)
	}
	people, _ := many(30, 1000)
	in.People = people
	if got := roster.Decide(in); len(got.Pending.Examples) != 20 || got.Pending.Add != 30 {
		t.Errorf("%+v", got.Pending)
	}
}

func TestMobile(t *testing.T) {
	for _, tc := range []struct{ in, want string }{
		{"010-1234-5678", "010-1234-5678"},
		{"01012345678", "010-1234-5678"},
		{"010 1234 5678", "010-1234-5678"},
		{"010.1234.5678", "010-1234-5678"},
		{"+82 10-1234-5678", "010-1234-5678"},
		{"+82 010-1234-5678", "010-1234-5678"},
		{"+821012345678", "010-1234-5678"},
		{"82-10-1234-5678", "010-1234-5678"},
		{"０１０－１２３４－５６７８", "010-1234-5678"},
		{"(010) 1234-5678", "010-1234-5678"},
		{"011-123-4567", "011-123-4567"},
		{"HP 010-1234-5678", "010-1234-5678"},
		{"02-555-0101, 010-1234-5678", "010-1234-5678"},
		{"010-1234-5678 / 010-8765-4321", "010-1234-5678"},
		{"02-555-0101", ""},
		{"+1 202 555 0100", ""},
		{"1234-5678", ""},
		{"010", ""},
		{"012-1234-5678", ""},
		{"없음", ""},
	} {
		p := person("kim", "101")
		p.Mobile = tc.in
		got := roster.Decide(roster.Input{Room: 1, People: []roster.Person{p}})
		if got.Extensions[0].Mobile != tc.want || (len(got.Notes) == 0) != (tc.want != "") {
			t.Errorf("%q: %q, notes %q; want %q", tc.in, got.Extensions[0].Mobile, got.Notes, tc.want)
		}
	}
}

func TestFromUser(t *testing.T) {
	unit := func(id string) []works.UserOrganization {
		return []works.UserOrganization{{OrgUnits: []works.UserOrgUnit{{ID: "other"}, {ID: id}}}}
	}
	kim := works.User{
		UserID: "id-kim", Email: "kim@acme.example", Name: works.PersonName{Last: "김", First: "하늘"},
		Telephone: " 101 ", CellPhone: "010-1234-5678", EmployeeNo: "2001", Location: "내선 3001", Organization: unit("sales"),
	}
	for _, tc := range []struct {
		name  string
		spoil func(*works.User, *v1alpha1.Directory)
		want  string // name and number; empty: is not taken
	}{
		{"as it is", func(*works.User, *v1alpha1.Directory) {}, "김하늘 101"},
		{"pending", func(u *works.User, _ *v1alpha1.Directory) { u.Pending = true }, ""},
		{"suspended", func(u *works.User, _ *v1alpha1.Directory) { u.Suspended = true }, ""},
		{"deleted", func(u *works.User, _ *v1alpha1.Directory) { u.Deleted = true }, ""},
		{"awaiting", func(u *works.User, _ *v1alpha1.Directory) { u.Awaiting = true }, ""},
		{"without an ID", func(u *works.User, _ *v1alpha1.Directory) { u.UserID = "" }, ""},
		{"without a number", func(u *works.User, _ *v1alpha1.Directory) { u.Telephone = " " }, ""},
		{"of the unit", func(_ *works.User, d *v1alpha1.Directory) { d.OrgUnit = "sales" }, "김하늘 101"},
		{"of another unit", func(_ *works.User, d *v1alpha1.Directory) { d.OrgUnit = "sale" }, ""},
		{"employee number", func(_ *works.User, d *v1alpha1.Directory) { d.NumberField = "employeeNumber" }, "김하늘 2001"},
		{"location", func(_ *works.User, d *v1alpha1.Directory) { d.NumberField = "location" }, "김하늘 내선 3001"},
		{"by nickname", func(u *works.User, _ *v1alpha1.Directory) { u.Name, u.NickName = works.PersonName{}, "Sky" }, "Sky 101"},
		{"by login", func(u *works.User, _ *v1alpha1.Directory) { u.Name = works.PersonName{} }, "kim@acme.example 101"},
		{"control characters", func(u *works.User, _ *v1alpha1.Directory) {
			u.Name = works.PersonName{Last: "K\x00im\n\u202e", First: "\tA"}
		}, "A Kim 101"},
		{"a long name", func(u *works.User, _ *v1alpha1.Directory) {
			u.Name = works.PersonName{Last: strings.Repeat("하", 90)}
		}, strings.Repeat("하", 40) + " 101"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			u, d := kim, v1alpha1.Directory{}
			tc.spoil(&u, &d)
			got, ok := roster.FromUser(u, d)
			if ok != (tc.want != "") || ok && got.Name+" "+got.Number != tc.want {
				t.Errorf("%+v %t, want %q", got, ok, tc.want)
			}
			if ok && (got.ID != "id-kim" || got.Mobile != "010-1234-5678") {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestBounds(t *testing.T) {
	people, _ := many(6000, 10000)
	for i := range 40 {
		people = append(people, person(fmt.Sprintf("x%d", i), "없음"))
	}
	got := roster.Decide(roster.Input{People: people, Room: 9000})
	if len(got.Extensions) != roster.MaxExtensions {
		t.Errorf("%d extensions", len(got.Extensions))
	}
	if n := len(got.Notes); n != roster.MaxNotes+1 || got.Notes[n-1] != "and 21 more" {
		t.Errorf("%d notes, the last is %q", n, got.Notes[n-1])
	}
}

func TestClaimsCount(t *testing.T) {
	directory := v1alpha1.ExtensionPlanStatus{Directory: &v1alpha1.DirectoryStatus{Extensions: []v1alpha1.DirectoryExtension{extension("kim", "101")}}}
	c := claims(
		v1alpha1.ExtensionPlan{ObjectMeta: metav1.ObjectMeta{Name: "own"}, Spec: v1alpha1.ExtensionPlanSpec{
			Directory: &v1alpha1.Directory{}, Extensions: []v1alpha1.Extension{{Number: "300"}},
			Ranges: []v1alpha1.ExtensionRange{{From: "200", To: "249"}, {From: "9", To: "10"}},
		}, Status: directory},
		v1alpha1.ExtensionPlan{ObjectMeta: metav1.ObjectMeta{Name: "other"}, Spec: v1alpha1.ExtensionPlanSpec{Directory: &v1alpha1.Directory{}}, Status: directory},
		v1alpha1.ExtensionPlan{ObjectMeta: metav1.ObjectMeta{Name: "no longer"}, Status: directory},
	)
	if c.Extensions() != 52 {
		t.Errorf("%d extensions, want 1 + 50 + 1", c.Extensions())
	}
}
