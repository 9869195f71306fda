package broker_test

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
)

// share subscribes to topics below job as a member of a group.
func (s *session) share(t testing.TB) *bus.Subscription {
	t.Helper()
	return s.subscribe(t, "job/+", dialect.Terms{Group: "team"})
}

// loaded is a session that tells how busy it is.
type loaded struct {
	session
	load func() (waiting int, present bool)
}

func (s *loaded) Load() (waiting int, present bool) { return s.load() }

func joinLoaded(t testing.TB, b *broker.Broker, load func() (int, bool)) *loaded {
	t.Helper()
	s := &loaded{load: load}
	h := hello()
	h.Subscriber = s
	p, err := dialect.Join(t.Context(), b, h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Leave)
	s.Peer = p
	return s
}

func TestPeersShareTheMessagesOfAGroup(t *testing.T) {
	b := newBroker(t, broker.Options{})
	a, c, all, sender := join(t, b, hello()), join(t, b, hello()), join(t, b, hello()), join(t, b, hello())
	publish(t, sender, kept("job/0", "old"))
	a.share(t)
	c.share(t)
	all.subscribe(t, "job/+", dialect.Terms{NewsOnly: true})
	a.expect(t) // nothing that was kept
	for _, value := range []string{"1", "2", "3"} {
		publish(t, sender, plain("job/x", value))
	}
	a.expect(t, "job/x=1", "job/x=3")
	c.expect(t, "job/x=2")
	all.expect(t, "job/x=1", "job/x=2", "job/x=3")
}

func TestAPeerThatIsBusyOrAwayIsPassedOver(t *testing.T) {
	b := newBroker(t, broker.Options{})
	waiting, present := 5, true
	a := joinLoaded(t, b, func() (int, bool) { return waiting, present })
	c, sender := join(t, b, hello()), join(t, b, hello())
	a.share(t)
	c.share(t)
	publish(t, sender, plain("job/x", "busy"))
	waiting, present = 0, false
	publish(t, sender, plain("job/x", "away"))
	c.expect(t, "job/x=busy", "job/x=away")
	c.Leave()
	publish(t, sender, plain("job/x", "alone"))
	a.expect(t, "job/x=alone")
}

func TestASessionThatPanicsOverItsLoadIsExpelledAlone(t *testing.T) {
	b := newBroker(t, broker.Options{})
	a := joinLoaded(t, b, func() (int, bool) { panic("no") })
	c, sender := join(t, b, hello()), join(t, b, hello())
	a.share(t)
	c.share(t)
	counts(t, b, "handler_panics", 1, func() {
		publish(t, sender, plain("job/x", "1"))
		publish(t, sender, plain("job/x", "2"))
	})
	if len(a.why()) != 1 {
		t.Errorf("it was expelled with %v", a.why())
	}
	a.expect(t)
	c.expect(t, "job/x=1", "job/x=2")
}

func TestAMemberThatMayNotReceiveATopicIsPassedOver(t *testing.T) {
	access := rules(func(who string, a auth.Action, name string) bool {
		return a != auth.Receive || who != "a" || !strings.HasSuffix(name, "secret")
	})
	b := newBroker(t, broker.Options{Access: access, Auth: tenants})
	a, c, sender := join(t, b, named("a")), join(t, b, named("c")), join(t, b, named("sender"))
	a.share(t)
	c.share(t)
	counts(t, b, "access_denied", 4, func() {
		for range 4 {
			publish(t, sender, plain("job/secret", "1"))
		}
	})
	c.expect(t, "job/secret=1", "job/secret=1", "job/secret=1", "job/secret=1")
	a.expect(t)
	publish(t, sender, plain("job/plain", "1"))
	publish(t, sender, plain("job/plain", "2"))
	a.expect(t, "job/plain=1")
	c.expect(t, "job/plain=2")
	c.Leave()
	r, err := sender.Publish(plain("job/secret", "1"))
	if err != nil || r.Receivers != 0 {
		t.Errorf("%+v, %v: nobody may have it", r, err)
	}
	a.expect(t)
}

func TestAPeerThatLeavesHandsOnWhatItWasChosenFor(t *testing.T) {
	leave := func() {}
	access := rules(func(who string, a auth.Action, _ string) bool {
		if a == auth.Receive && who == "a" {
			leave() // between the choice and the delivery
		}
		return true
	})
	b := newBroker(t, broker.Options{Access: access, Auth: tenants})
	a, c, sender := join(t, b, named("a")), join(t, b, named("c")), join(t, b, named("sender"))
	leave = a.Leave
	sub := a.share(t)
	c.share(t)
	r, err := sender.Publish(plain("job/x", "1"))
	if err != nil || r.Receivers != 1 {
		t.Errorf("%+v, %v", r, err)
	}
	publish(t, sender, plain("job/x", "2"))
	a.expect(t)
	c.expect(t, "job/x=1", "job/x=2")
	if sub.Unsubscribe() {
		t.Error("its subscription has not ended with it")
	}
}

func TestPeersAndFunctionsAreMembersOfOneGroup(t *testing.T) {
	b := newBroker(t, broker.Options{})
	a, sender := join(t, b, hello()), join(t, b, hello())
	a.share(t)
	var got []string
	s, err := bus.Subscribe(b.Bus(""), "job/+", func(_ context.Context, e bus.Event[string]) {
		got = append(got, e.Value)
	}, bus.Direct(), bus.Group("team"))
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range []string{"1", "2", "3", "4"} {
		publish(t, sender, plain("job/x", value))
	}
	a.expect(t, "job/x=1", "job/x=3")
	if strings.Join(got, " ") != "2 4" {
		t.Errorf("the function got %q", got)
	}
	s.Unsubscribe()
}

// TestMessagesUnderWayWhenPeersLeaveReachOthers publishes while peers of a group
// come and go, one of which stays.
func TestMessagesUnderWayWhenPeersLeaveReachOthers(t *testing.T) {
	const n = 3000
	b := newBroker(t, broker.Options{})
	var got atomic.Int64
	stays, sender := join(t, b, hello()), join(t, b, hello())
	stays.hook = func(*bus.Message) { got.Add(1) }
	stays.share(t)
	stop := make(chan struct{})
	var churn sync.WaitGroup
	for range 2 {
		churn.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				s, err := tryJoin(b, hello())
				if err != nil {
					t.Error(err)
					return
				}
				s.hook = func(*bus.Message) { got.Add(1) }
				if _, err := s.Subscribe(pattern(t, "job/+"), dialect.Terms{Group: "team"}); err != nil {
					t.Error(err)
				}
				s.Leave()
			}
		})
	}
	for range n {
		publish(t, sender, plain("job/x", "1"))
	}
	close(stop)
	churn.Wait()
	if got.Load() != n {
		t.Errorf("%d messages arrived, want %d", got.Load(), n)
	}
}
