package server

import (
	"context"
	"os"
	"sync/atomic"
	"time"

	"github.com/dipcast/dipcast/pbx/conf"
	"github.com/dipcast/dipcast/pbx/load"
)

// overload keeps new calls away when there is more than the machine can carry.
type overload struct {
	sample atomic.Pointer[load.Sample]
	state  atomic.Pointer[loadState]
}

// loadState is the level in force and what it is due to.
type loadState struct {
	level load.Level
	cause load.Cause
}

// text says for the report what is refused and why; empty if nothing is.
func (o *overload) text() string {
	s := o.state.Load()
	if s == nil || s.level == load.Normal {
		return ""
	}
	return s.level.String() + ": " + string(s.cause)
}

// scarce says for the report what there is too little of; empty: nothing.
func (o *overload) scarce() conf.Scarce {
	s := o.state.Load()
	if s == nil || s.level == load.Normal {
		return ""
	}
	switch s.cause {
	case load.Processor:
		return conf.ScarceProcessor
	case load.Memory:
		return conf.ScarceMemory
	case load.Media:
		return conf.ScarceMedia
	case load.Transactions:
		return conf.ScarceTransactions
	}
	return ""
}

// last is the newest sample.
func (o *overload) last() load.Sample {
	if s := o.sample.Load(); s != nil {
		return *s
	}
	return load.Sample{}
}

// watchLoad takes a sample each Interval until ctx ends.
func (s *Server) watchLoad(ctx context.Context) error {
	meter := load.NewMeter(load.Sources{
		Root: os.DirFS("/"), Late: s.pool.Lateness, Transactions: s.agent.Full, Strangers: s.agent.Counters().Unproven, Now: time.Now,
	})
	judge := load.NewJudge()
	tick := time.NewTicker(load.Interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			s.judge(judge, meter.Read())
		}
	}
}

// judge puts the level in force that a sample leads to.
func (s *Server) judge(judge *load.Judge, sample load.Sample) {
	level, cause := judge.Next(sample)
	s.load.sample.Store(&sample)
	before := s.load.state.Swap(&loadState{level, cause})
	switch {
	case before == nil && level == load.Normal || before != nil && before.level == level:
		return
	case level == load.Normal:
		s.log.Info("the load is over: calls are taken again", "load", sample)
	default:
		s.log.Warn("overload: new calls are refused", "level", level, "cause", cause, "load", sample)
	}
	s.agent.SetLoad(level)
}
