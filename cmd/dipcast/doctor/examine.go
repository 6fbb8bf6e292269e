package doctor

import (
	"fmt"
	"strings"
)

// Examine runs every check over the snapshot, causes before effects.
func Examine(s *Snapshot) []Finding {
	var all []Finding
	for _, check := range []func(*Snapshot) []Finding{definitions, operator, tenantsFound, classes} {
		all = append(all, check(s)...)
	}
	for i := range s.Tenants {
		t := &s.Tenants[i]
		for _, check := range []func(*Snapshot, *Tenant) []Finding{
			podSecurity, conditions, objects, ports, pod, advertise, signalling, records,
			certificate, report, trunks, bots, callback, budget, volume, version,
		} {
			for _, f := range check(s, t) {
				f.Subject = t.name()
				all = append(all, f)
			}
		}
	}
	return all
}

// Worst returns the highest level among findings.
func Worst(all []Finding) Level {
	worst := OK
	for _, f := range all {
		if f.Level == Fail || worst == OK {
			worst = f.Level
		}
	}
	return worst
}

func fine(check, format string, args ...any) Finding {
	return Finding{Check: check, Level: OK, Message: fmt.Sprintf(format, args...)}
}

func warn(check, cure, format string, args ...any) Finding {
	return Finding{Check: check, Level: Warn, Message: fmt.Sprintf(format, args...), Cure: cure}
}

func fail(check, cure, format string, args ...any) Finding {
	return Finding{Check: check, Level: Fail, Message: fmt.Sprintf(format, args...), Cure: cure}
}

// notRead is the finding for a check whose subject could not be read.
func notRead(check, what string, err error) Finding {
	return warn(check, "ask the cluster's administrator for the right to list "+what+", or use another --context",
		"not checked: %s cannot be read: %v", what, err)
}

func about(subject string, all []Finding) []Finding {
	for i := range all {
		all[i].Subject = subject
	}
	return all
}

func many(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func join[T fmt.Stringer](list []T) string {
	words := make([]string, len(list))
	for i, v := range list {
		words[i] = v.String()
	}
	return strings.Join(words, ", ")
}
