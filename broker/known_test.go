package broker_test

import (
	"context"
	"fmt"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
)

// link introduces a session that is another broker.
func link() *dialect.Hello {
	h := hello()
	h.Link = true
	return h
}

func identified(name, value, id string) *bus.Message {
	m := plain(name, value)
	m.ID = id
	return m
}

// ids takes the identities of what was delivered.
func (s *session) ids() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.got {
		all = append(all, m.ID)
	}
	s.got = nil
	return all
}

func TestMessagesHaveAnIdentityWhileThereIsALink(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p, q := join(t, b, hello()), join(t, b, hello())
	q.subscribe(t, "#", dialect.Terms{})
	send := func() []string {
		publish(t, p, identified("a", "1", "its own"))
		if err := bus.Publish(t.Context(), b.Bus(""), "b", "2"); err != nil {
			t.Fatal(err)
		}
		m := plain("c", "3")
		m.Origin = &bus.Origin{}
		publish(t, b.Bus(""), m)
		return q.ids()
	}
	if got := send(); len(got) != 3 || got[0]+got[1]+got[2] != "" {
		t.Errorf("without a link: identities %q", got)
	}
	l := join(t, b, link())
	seen := make(map[string]bool)
	for range 2 {
		for _, id := range send() {
			if id == "" || id == "its own" || seen[id] {
				t.Errorf("with a link: identity %q after %v", id, seen)
			}
			seen[id] = true
		}
	}
	publish(t, l, plain("d", "4"))
	if got := q.ids(); len(got) != 1 || got[0] == "" {
		t.Errorf("of a link that gave none: identity %q", got)
	}
	l.Leave()
	if got := send(); got[0]+got[1]+got[2] != "" {
		t.Errorf("after the link: identities %q", got)
	}
}

func TestWhatComesBackIsNotRoutedAgain(t *testing.T) {
	b := newBroker(t, broker.Options{})
	one, two, p, q := join(t, b, link()), join(t, b, link()), join(t, b, hello()), join(t, b, hello())
	q.subscribe(t, "#", dialect.Terms{})
	publish(t, p, plain("a", "1"))
	id := q.ids()[0]
	counts(t, b, "messages_known", 4, func() {
		for _, l := range []*session{one, two} { // our own, under whatever name
			r, err := l.Publish(identified("b/a", "1", id))
			if err != nil || !r.Known || r.Receivers != 0 {
				t.Errorf("receipt %+v, %v", r, err)
			}
		}
		publish(t, one, identified("c", "2", "theirs"))
		publish(t, one, identified("c", "2", "theirs"))
		publish(t, two, identified("c", "2", "theirs"))
		publish(t, two, identified("c", "2", "another"))
	})
	q.expect(t, "c=2", "c=2")
	publish(t, p, identified("c", "2", "theirs")) // who is no link says what it likes
	q.expect(t, "c=2")
}

func TestAnIdentityOfARefusedMessageMayComeAgain(t *testing.T) {
	allowed := false
	access := rules(func(_ string, a auth.Action, _ string) bool { return a != auth.Publish || allowed })
	b := newBroker(t, broker.Options{Access: access})
	l, q := join(t, b, link()), join(t, b, hello())
	q.subscribe(t, "#", dialect.Terms{})
	_, err := l.Publish(identified("a", "1", "x"))
	refused(t, err, bus.Refused)
	allowed = true
	_, err = l.Publish(identified("a/\x00", "1", "x"))
	refused(t, err, bus.Invalid)
	publish(t, l, identified("a", "1", "x"))
	q.expect(t, "a=1")
}

func TestIdentitiesAreForgottenAfterManyOthers(t *testing.T) {
	b := newBroker(t, broker.Options{})
	l := join(t, b, link())
	n := 0
	more := func(many int) {
		for range many {
			n++
			publish(t, l, identified("a", "", fmt.Sprint(n)))
		}
	}
	again := func(id string) bool {
		r, err := l.Publish(identified("a", "", id))
		if err != nil {
			t.Fatal(err)
		}
		return r.Known
	}
	more(1 << 16)
	more(1<<16 - 1)
	if !again("1") {
		t.Error("forgotten too early")
	}
	more(1 << 16)
	if again("1") {
		t.Error("never forgotten")
	}
}

func TestTenantsHaveIdentitiesOfTheirOwn(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: tenants})
	for _, tenant := range []string{"red", "blue"} {
		h := of(tenant)
		h.Link = true
		l, q := join(t, b, h), join(t, b, of(tenant))
		q.subscribe(t, "#", dialect.Terms{})
		publish(t, l, identified("a", tenant, "x"))
		q.expect(t, "a="+tenant)
	}
	q := join(t, b, of("green"))
	q.subscribe(t, "#", dialect.Terms{})
	if err := bus.Publish(context.Background(), b.Bus("green"), "a", "1"); err != nil {
		t.Fatal(err)
	}
	if got := q.ids(); len(got) != 1 || got[0] != "" {
		t.Errorf("identities %q in a tenant without a link", got)
	}
}
