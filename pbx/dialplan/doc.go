// Package dialplan says where a dialled number leads: Resolve takes the
// tenant's document, the number, the caller and the time, and returns a Plan,
// the ordered stages that the engine tries one after another, with a trace
// that explains the choice to an administrator.
//
// Resolve is pure. It knows the document and nothing of registrations, trunk
// health or running calls: a plan names extensions and trunks, and the engine
// asks at each stage who is reachable.
//
// The rules, in the order of their trial:
//
//   - An extension that dials an emergency number, with or without the outside
//     prefix, gets a line on any trunk, whatever the policy says.
//   - A number inside the company: a flow first (business hours), then an
//     extension, then a group. A call from a trunk matches flows and DIDs in
//     every form that carriers use; it reaches an extension's or a group's
//     short number only if the trunk's own number list names it.
//   - An outside number, only for extensions and for forwards that were set up
//     for them: a call from a trunk never reaches a trunk by what it dials.
//   - What does not answer is forwarded as the document says, at most maxHops
//     times and never to the same place twice.
//
// Tap is the guard against toll fraud that a single plan cannot be: how many
// outside calls a minute and how many minutes a day.
package dialplan
