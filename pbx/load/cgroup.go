package load

import (
	"io/fs"
	"path"
	"strconv"
	"strings"
)

// group is the control group of this process, of version 1 or 2; without one
// every field is zero.
type group struct {
	root  fs.FS
	cpus  float64 // processors that may be used; 0 = no limit
	limit uint64  // of memory in bytes; 0 = none
	usage string  // file with the memory in use
	stat  string  // file that says how much of it can be given back at once
	field string  // there
}

// unlimited is what version 1 says for no limit: any number as large.
const unlimited = 1 << 60

// findGroup looks for limits on the way from the process's own group up: those
// of the parents hold, too. In a container's name space the own group is the
// root of what can be seen.
func findGroup(root fs.FS) *group {
	g := &group{root: root}
	if root == nil {
		return g
	}
	text, _ := fs.ReadFile(root, "proc/self/cgroup") // without it only the roots are looked at
	of := make(map[string]string)                    // controller → path; "" is version 2
	for line := range strings.Lines(string(text)) {
		f := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(f) == 3 {
			for controller := range strings.SplitSeq(f[1], ",") {
				of[controller] = f[2]
			}
		}
	}
	for dir := range up("sys/fs/cgroup", of[""]) {
		g.takeMemory(dir, "memory.max", "memory.current", "inactive_file")
		if quota, period, ok := strings.Cut(g.text(path.Join(dir, "cpu.max")), " "); ok {
			g.takeCPU(quota, period)
		}
	}
	for dir := range up("sys/fs/cgroup/memory", of["memory"]) {
		g.takeMemory(dir, "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
	}
	for dir := range up("sys/fs/cgroup/cpu", of["cpu"]) {
		g.takeCPU(g.text(path.Join(dir, "cpu.cfs_quota_us")), g.text(path.Join(dir, "cpu.cfs_period_us")))
	}
	return g
}

// up yields the folder of a group and those of its parents.
func up(mount, own string) func(func(string) bool) {
	return func(yield func(string) bool) {
		for p := path.Clean("/" + own); ; p = path.Dir(p) {
			if !yield(path.Join(mount, p)) || p == "/" {
				return
			}
		}
	}
}

func (g *group) takeMemory(dir, limit, usage, field string) {
	n, err := strconv.ParseUint(g.text(path.Join(dir, limit)), 10, 64)
	if err != nil || n == 0 || n >= unlimited || g.limit > 0 && n >= g.limit {
		return
	}
	g.limit, g.field = n, field
	g.usage, g.stat = path.Join(dir, usage), path.Join(dir, "memory.stat")
}

func (g *group) takeCPU(quota, period string) {
	q, err := strconv.ParseFloat(quota, 64)
	p, err2 := strconv.ParseFloat(period, 64)
	if err != nil || err2 != nil || q <= 0 || p <= 0 {
		return
	}
	if n := q / p; g.cpus == 0 || n < g.cpus {
		g.cpus = n
	}
}

// memory is the used share of the limit, without pages of files that the
// kernel takes back when it needs them.
func (g *group) memory() float64 {
	if g.limit == 0 {
		return 0
	}
	used, err := strconv.ParseUint(g.text(g.usage), 10, 64)
	if err != nil {
		return 0
	}
	for line := range strings.Lines(g.text(g.stat)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if name != g.field {
			continue
		}
		if idle, err := strconv.ParseUint(value, 10, 64); err == nil {
			used -= min(used, idle)
		}
	}
	return float64(used) / float64(g.limit)
}

func (g *group) text(name string) string {
	b, err := fs.ReadFile(g.root, name)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}
