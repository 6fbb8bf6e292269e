package repeat

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

// Origin is the commit that is built.
type Origin struct {
	Revision string    // its hash; "unknown" outside of a repository
	Created  time.Time // when it was made: the time in everything that is built of it
}

// Read asks git for the commit; SOURCE_DATE_EPOCH is taken before it, as by
// other builders, and stands alone where there is no repository.
func Read(ctx context.Context, source string) (Origin, error) {
	from := Origin{Revision: "unknown", Created: time.Unix(0, 0)}
	seconds := os.Getenv("SOURCE_DATE_EPOCH")
	if out, err := git(ctx, source, "log", "-1", "--format=%H %ct"); err == nil {
		revision, commit, _ := strings.Cut(out, " ")
		from.Revision = revision
		if seconds == "" {
			seconds = commit
		}
	}
	if seconds == "" {
		return from, nil
	}
	n, err := strconv.ParseInt(seconds, 10, 64)
	if err != nil {
		return Origin{}, fmt.Errorf("SOURCE_DATE_EPOCH %q: %w: it is a number of seconds since 1970", seconds, err)
	}
	from.Created = time.Unix(n, 0)
	return from, nil
}

func git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir = dir
	out, err := cmd.Output()
	return strings.TrimSpace(string(out)), err
}

// Compile builds one program of cmd/, static, for Linux.
func Compile(ctx context.Context, source, program, arch, version, output string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", "-s -w -X main.version="+version, "-o", output, "./cmd/"+program)
	cmd.Dir = source
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s for %s: %w\n%s", program, arch, err, out)
	}
	return nil
}
