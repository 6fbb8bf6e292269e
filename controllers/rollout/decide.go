package rollout

// Decide says what is done about a tenant's update now.
func Decide(in Input) Decision {
	return Decision{Update: in.Update}
}
