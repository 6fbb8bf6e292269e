package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// origin is the commit that is built.
type origin struct {
	revision string
	created  time.Time
}

// readOrigin asks git; SOURCE_DATE_EPOCH is taken before it, as by other
// builders, and stands alone where there is no repository.
func readOrigin(ctx context.Context, source string) (origin, error) {
	from := origin{revision: "unknown", created: time.Unix(0, 0)}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if out, err := git(ctx, source, "log", "-1", "--format=%H %ct"); err == nil {
		revision, commit, _ := strings.Cut(out, " ")
		from.revision = revision
		if seconds == "" {
			seconds = commit
		}
	}
	if seconds == "" {
		return from, nil
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return origin{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: %w: it is a number of seconds since 1970", seconds, err)
	}
	from.created = time.Unix(n, 0)
	return from, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// compile builds one program so that the same source gives the same bytes on
// every machine.
func compile(ctx context.Context, source, program, arch, version, output string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+version, "-o", output, "./cmd/"+program)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s: %w\n%s", program, arch, err, out)
	}
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
