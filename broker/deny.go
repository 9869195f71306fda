package broker

import (
	"errors"
	"fmt"
	"strings"

	"omnibus/auth"
	"omnibus/topic"
)

// Deny is the simplest access rules: what nobody may do. Everything else is
// allowed. Whoever subscribes to a pattern that covers a denied one gets what else
// it covers: deny "receive" for that, too.
type Deny struct {
	rules map[auth.Action][]topic.Pattern
}

// NewDeny reads rules of the form "ACTION PATTERN": publish, subscribe, receive,
// call or expose, and a pattern as topic.Parse takes it. The error names every one
// that is wrong.
func NewDeny(rules []string) (*Deny, error) {
	d := &Deny{rules: make(map[auth.Action][]topic.Pattern)}
	var errs []error
	for _, text := range rules {
		action, pattern, err := parseRule(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%q: %w", text, err))
			continue
		}
		d.rules[action] = append(d.rules[action], pattern)
	}
	return d, errors.Join(errs...)
}

func parseRule(text string) (auth.Action, topic.Pattern, error) {
	verb, rest, _ := strings.Cut(strings.TrimSpace(text), " ")
	for _, a := range []auth.Action{auth.Publish, auth.Subscribe, auth.Receive, auth.Call, auth.Expose} {
		if verb == a.String() {
			p, err := topic.Parse(strings.TrimSpace(rest))
			return a, p, err
		}
	}
	return 0, topic.Pattern{}, errors.New(`want ACTION PATTERN, such as "publish secret/#", where the action is publish, subscribe, receive, call or expose`)
}

// Allow reports whether no rule denies it; see auth.Authorizer.
func (d *Deny) Allow(_ *auth.Principal, a auth.Action, name string) bool {
	for _, p := range d.rules[a] {
		if p.Match(name) || p.Text() == name {
			return false
		}
	}
	return true
}
