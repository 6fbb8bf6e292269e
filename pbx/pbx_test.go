package pbx

import (
	"errors"
	"fmt"
	"testing"
)

func TestDigitsKeepsDigitsAlone(t *testing.T) {
	for in, want := range map[string]string{
		"":                 "",
		"101":              "101",
		"02-555-0101":      "025550101",
		"+82 (2) 555.0101": "8225550101",
		"*21#":             "21",
		"０１０":              "", // digits of other scripts are none that a carrier sends
		"anonymous":        "",
	} {
		if got := Digits(in); got != want {
			t.Errorf("Digits(%q) = %q, want %q", in, got, want)
		}
	}
}

func TestErrorsAreAlikeByTheirCode(t *testing.T) {
	err := fmt.Errorf("pull: %w", Errorf(CodeGone, "call %s is over", "c1"))
	if !errors.Is(err, ErrGone) {
		t.Errorf("%v is not ErrGone", err)
	}
	if errors.Is(Errorf(CodeBusy, "busy"), ErrGone) {
		t.Error("another code is ErrGone")
	}
	if got := CodeOf(err); got != CodeGone {
		t.Errorf("code %q, want %q", got, CodeGone)
	}
	if got := CodeOf(errors.New("disk full")); got != CodeFailed {
		t.Errorf("code %q of a foreign error, want %q", got, CodeFailed)
	}
	if got := (&Error{Code: CodeLimit}).Error(); got != "limit" {
		t.Errorf("text %q of an error without one", got)
	}
}

func TestLegIsFoundByItsID(t *testing.T) {
	c := Call{Legs: []Leg{{ID: "a"}, {ID: "b", Role: RoleDesk}}}
	if l, ok := c.Leg("b"); !ok || l.Role != RoleDesk {
		t.Errorf("leg %+v, %t", l, ok)
	}
	if l, ok := c.Leg("c"); ok {
		t.Errorf("found %+v", l)
	}
}
