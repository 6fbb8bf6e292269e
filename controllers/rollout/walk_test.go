package rollout_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/dipcast/dipcast/api/v1alpha1"
	"github.com/dipcast/dipcast/controllers/rollout"
	"github.com/dipcast/dipcast/pbx/conf"
)

// world is one tenant: its process, what the caches show of it, and the
// operator that follows the decisions.
type world struct {
	t   *rapid.T
	now time.Time
	in  rollout.Input

	process  int       // number of the process
	image    string    // that it runs
	template string    //
	calls    int       //
	drained  time.Time // until then it takes no calls
	ended    time.Time // then its calls end; zero: they may go on
	pod      int       // number of the pod
	coming   int       // steps until the new process is up
	reprobed bool      // the kubelet began anew and has not probed the process again
	stale    *rollout.Pod
	changed  time.Time // when what is wanted last differed
	trial    string    // image that was tried last; "": none
	trying   int       // steps until it is known
	actions  []rollout.Action
}

func (w *world) draining() bool { return w.now.Before(w.drained) }

// pass is the time going on.
func (w *world) pass(d time.Duration) {
	w.now, w.reprobed = w.now.Add(d), false
	if !w.ended.IsZero() && !w.now.Before(w.ended) {
		w.calls, w.ended = 0, time.Time{}
	}
	if w.coming > 0 {
		w.coming--
	}
	if w.trying > 0 {
		w.trying--
	}
}

// tried is what the operator sees of the trial.
func (w *world) tried() *rollout.Trial {
	t := &rollout.Trial{Image: w.trial, Node: w.in.Pod.Node.Name, Made: w.now}
	switch {
	case w.trial == "":
		return nil
	case w.trying > 0:
	case w.bad(w.trial):
		t.State, t.Reason, t.Cause, t.Cure = rollout.TrialFailed, v1alpha1.ReasonImagePull, "cannot be had", "push it"
	default:
		t.State, t.Journal = rollout.TrialPassed, w.journal(w.trial)
	}
	return t
}

// journal is that of an image: those with a ~ know none.
func (w *world) journal(image string) int {
	if strings.Contains(image, "~") {
		return 0
	}
	return conf.JournalVersion
}

// carries reports whether the calls go on over the change that is wanted.
func (w *world) carries() bool { return w.journal(w.image) > 0 && w.journal(w.in.Wanted.Image) > 0 }

func (w *world) bad(image string) bool { return strings.HasSuffix(image, "!") }

// look is what the operator sees now.
func (w *world) look() rollout.Input {
	in := w.in
	in.Now = w.now
	up := w.coming == 0
	in.Pod = &rollout.Pod{
		Template: w.template, Image: w.image, Generation: "g1", Up: up && !w.reprobed, Running: up, Ready: up && !w.reprobed && !w.draining(),
		Instance: strconv.Itoa(w.pod) + "/" + strconv.Itoa(w.process), Node: w.in.Pod.Node,
	}
	if w.stale != nil {
		in.Pod = w.stale
	}
	in.Report, in.Silent, in.Trial = nil, !up, w.tried()
	if up {
		in.Report = &conf.Report{Generation: "g1", ActiveCalls: w.calls, Draining: w.draining(), Journal: w.journal(w.image)}
	}
	return in
}

// reconcile is the operator's loop of one pass.
func (w *world) reconcile() rollout.Decision {
	in := w.look()
	shown := in.Pod
	w.stale = nil
	for range 4 {
		d := rollout.Decide(in)
		switch d.Action {
		case rollout.TakeTurn:
			in.Turn = rapid.SampledFrom([]rollout.Turn{rollout.TurnGranted, rollout.TurnGranted, rollout.TurnBusy}).Draw(w.t, "turn")
			continue
		case rollout.Quiesce:
			in.Quiet = rollout.QuietRefused
			if w.coming == 0 && w.calls == 0 {
				in.Quiet, w.drained = rollout.QuietGranted, w.now.Add(d.Drain.Hold.D())
			}
			continue
		}
		if pod := d.Action == rollout.PatchImage || d.Action == rollout.DeletePod; pod && w.other(shown) {
			w.drained = time.Time{} // the API server refuses it, as the pod is another one now; calls are taken again
			return d
		}
		w.in.Update = d.Update
		if d.Action != rollout.None {
			w.actions = append(w.actions, d.Action)
			w.do(d)
			if rapid.Bool().Draw(w.t, "the cache is behind") {
				w.stale = shown
			}
		}
		return d
	}
	w.t.Fatalf("the decision about %+v does not come to an end", in)
	return rollout.Decision{}
}

// other reports whether the pod changed since the cache showed it. That it is
// not ready while it drains is seen later.
func (w *world) other(shown *rollout.Pod) bool {
	is := *w.look().Pod
	is.Ready = shown.Ready
	return is != *shown
}

// do what was decided, and see that it was right.
func (w *world) do(d rollout.Decision) {
	overdue := !w.changed.IsZero() && w.now.Sub(w.changed) >= w.in.MaxWait
	switch d.Action {
	case rollout.ForceDrain:
		if w.coming == 0 && w.calls > 0 && w.carries() && w.trial == w.in.Wanted.Image {
			w.t.Fatalf("%d calls are ended that could go on", w.calls)
		}
		if !overdue && w.calls > 0 {
			w.t.Fatalf("%d calls are ended %s after the change, before maxWait", w.calls, w.now.Sub(w.changed))
		}
		if w.coming == 0 {
			w.ended, w.drained = w.now.Add(d.Drain.EndCallsAfter.D()), w.now.Add(d.Drain.Hold.D())
		}
	case rollout.StartTrial:
		w.trial, w.trying = w.in.Wanted.Image, 2
	case rollout.EndTrial:
		w.trial = ""
	case rollout.Resume:
		w.drained, w.ended = time.Time{}, time.Time{}
	case rollout.PatchImage, rollout.DeletePod:
		carried := w.carries() && w.now.Sub(w.changed) >= w.in.IdleWait
		if w.coming == 0 && (w.calls > 0 || !w.draining()) && !carried {
			w.t.Fatalf("%s with %d calls, draining %t, %s after the change", d.Action, w.calls, w.draining(), w.now.Sub(w.changed))
		}
		if d.Action == rollout.DeletePod {
			w.pod++
			w.template = w.in.Wanted.Template
		}
		if w.coming == 0 && w.image != w.in.Wanted.Image && (w.trial != w.in.Wanted.Image || w.trying > 0 || w.bad(w.trial)) {
			w.t.Fatalf("%s to %s, and the trial was of %q", d.Action, w.in.Wanted.Image, w.trial)
		}
		w.image = w.in.Wanted.Image
		w.process++
		w.coming, w.drained, w.ended = 3, time.Time{}, time.Time{}
		if !carried {
			w.calls = 0
		}
	}
}

func (w *world) want() {
	switch {
	case w.in.Wanted.Image == w.image && w.in.Wanted.Template == w.template:
		w.changed = time.Time{}
	case w.changed.IsZero():
		w.changed = w.now
	}
}

// TestWalk lets a tenant live: calls come and go, what is wanted changes and
// changes back, caches lag. No call may be cut before maxWait, no process may
// be replaced without its word, and in the end all is as wanted.
func TestWalk(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := &world{t: t, now: now, in: healthy(), process: 1, pod: 1, image: "pbx:1", template: "t1"}
		w.in.Policy = rapid.SampledFrom([]v1alpha1.UpdatePolicy{v1alpha1.UpdateCarry, v1alpha1.UpdateDrain}).Draw(t, "policy")
		w.in.IdleWait = 2 * time.Minute
		steps := rapid.SliceOfN(rapid.SampledFrom([]string{
			"tick", "tick", "tick", "minutes", "hour", "call", "call", "hang up", "image", "bad image", "old image", "template", "back", "kubelet",
		}), 1, 80).Draw(t, "steps")
		for _, step := range steps {
			switch step {
			case "tick":
				w.pass(time.Second)
			case "minutes":
				w.pass(5 * time.Minute)
			case "hour":
				w.pass(time.Hour)
			case "call":
				if w.coming == 0 && !w.draining() {
					w.calls++
				}
			case "hang up":
				w.calls = max(0, w.calls-1)
			case "kubelet":
				w.reprobed = true
			case "image":
				w.in.Wanted.Image = strings.TrimSuffix(w.in.Wanted.Image, "!") + "'"
			case "bad image":
				w.in.Wanted.Image += "!"
			case "old image":
				w.in.Wanted.Image = "pbx:0~"
			case "template":
				w.in.Wanted.Template += "'"
			case "back":
				w.in.Wanted.Image, w.in.Wanted.Template = w.image, w.template
			}
			w.want()
			w.reconcile()
			w.want()
		}
		w.settle()
	})
}

// settle lets the calls end; then everything must come to rest.
func (w *world) settle() {
	w.in.Wanted.Image = strings.TrimRight(w.in.Wanted.Image, "!")
	var d rollout.Decision
	for range 400 {
		w.calls = 0
		w.pass(time.Second)
		w.reconcile()
	}
	w.actions = nil
	if d = w.reconcile(); d.Update != nil || d.Condition.Reason != v1alpha1.ReasonUpToDate {
		w.t.Fatalf("it does not come to rest: %s", show(d))
	}
	if w.trial != "" {
		w.t.Fatalf("the trial of %s is left over", w.trial)
	}
	if w.image != w.in.Wanted.Image || w.template != w.in.Wanted.Template || w.draining() {
		w.t.Fatalf("runs %s of %s, draining %t; wanted %+v", w.image, w.template, w.draining(), w.in.Wanted)
	}
	if slices.ContainsFunc(w.actions, func(a rollout.Action) bool { return a != rollout.None }) {
		w.t.Fatalf("at rest it still does %v", w.actions)
	}
}
