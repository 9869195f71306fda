package broker_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
)

// lasting introduces a session that may outlive its connection.
func lasting(name string, clean bool) *dialect.Hello {
	h := named(name)
	h.Duplicate, h.Session = dialect.TakeOver, &dialect.SessionTerms{Clean: clean}
	return h
}

// as is who logs in, with the authenticator that takes user names as they are.
func as(who string, h *dialect.Hello) *dialect.Hello {
	h.Username = who
	return h
}

var byName = logins(func(c *auth.Credentials) (auth.Conversation, error) {
	return auth.Admitted(auth.Principal{Name: c.Username}), nil
})

func suspend(t *testing.T, s *session) {
	t.Helper()
	if err := s.Suspend(); err != nil {
		t.Fatalf("suspending: %v", err)
	}
}

func TestASuspendedSessionStaysAndIsContinued(t *testing.T) {
	b := newBroker(t, broker.Options{})
	first := join(t, b, lasting("c", false))
	if first.Resumed() != nil {
		t.Error("a new session continues another")
	}
	first.subscribe(t, "x", dialect.Terms{})
	suspend(t, first)
	suspend(t, first) // once more changes nothing
	publish(t, b.Bus(""), plain("x", "1"))
	first.expect(t, "x=1")
	if s := b.Status(); s.Peers["test"] != 0 || s.Sessions["test"] != 1 {
		t.Errorf("while it is away: %d peers, %d sessions", s.Peers["test"], s.Sessions["test"])
	}
	second := join(t, b, lasting("c", false))
	if second.Resumed() != first {
		t.Fatalf("it continues %v", second.Resumed())
	}
	if !second.Resume() {
		t.Fatal("it cannot resume")
	}
	if s := b.Status(); s.Peers["test"] != 1 || s.Sessions["test"] != 0 {
		t.Errorf("when it is back: %d peers, %d sessions", s.Peers["test"], s.Sessions["test"])
	}
	publish(t, second, plain("x", "own")) // its link is the same
	publish(t, b.Bus(""), plain("x", "2"))
	first.expect(t, "x=2")
	second.expect(t)
	if why := first.why(); len(why) != 0 {
		t.Errorf("the session was told %v", why)
	}
	second.Leave()
	if second.Resume() {
		t.Error("a session that has ended resumes")
	}
	if err := first.Suspend(); bus.KindOf(err) != bus.Closed {
		t.Errorf("a session that has ended is suspended: %v", err)
	}
}

func TestWhoMayContinueASession(t *testing.T) {
	for _, test := range []struct {
		name          string
		first, second *dialect.Hello
		want          bool
	}{
		{"the same principal", as("ann", lasting("c", false)), as("ann", lasting("c", false)), true},
		{"another principal", as("ann", lasting("c", false)), as("bob", lasting("c", false)), false},
		{"one that wants a new session", as("ann", lasting("c", false)), as("ann", lasting("c", true)), false},
		{"a session that began clean", as("ann", lasting("c", true)), as("ann", lasting("c", false)), true},
		{"one that is no session", as("ann", lasting("c", false)), as("ann", takingOver("c")), false},
		{"a peer that is no session", as("ann", takingOver("c")), as("ann", lasting("c", false)), false},
		{"another name", as("ann", lasting("c", false)), as("ann", lasting("d", false)), false},
	} {
		t.Run(test.name, func(t *testing.T) {
			b := newBroker(t, broker.Options{Auth: byName})
			first := join(t, b, test.first)
			second := join(t, b, test.second)
			if got := second.Resumed() == dialect.Subscriber(first); got != test.want {
				t.Errorf("it is continued: %v", got)
			}
			expelled := slices.ContainsFunc(first.why(), func(err error) bool { return errors.Is(err, dialect.ErrTakenOver) })
			if want := !test.want && test.first.Name == test.second.Name; expelled != want {
				t.Errorf("the first was expelled: %v, want %v", expelled, want)
			}
		})
	}
}

func takingOver(name string) *dialect.Hello {
	h := named(name)
	h.Duplicate = dialect.TakeOver
	return h
}

func TestWhatIsNoSessionCannotBeSuspended(t *testing.T) {
	b := newBroker(t, broker.Options{})
	for name, h := range map[string]*dialect.Hello{"no session": takingOver("c"), "no name": lasting("", false)} {
		s := join(t, b, h)
		refused(t, s.Suspend(), bus.Invalid)
		if _, err := s.Publish(plain("x", "1")); bus.KindOf(err) != bus.Closed {
			t.Errorf("%s: it has not ended: %v", name, err)
		}
	}
}

func TestSuspendedSessionsAreLimited(t *testing.T) {
	b := newBroker(t, broker.Options{Limits: broker.Limits{Sessions: 1, Peers: 2}})
	first, second := join(t, b, lasting("1", false)), join(t, b, lasting("2", false))
	suspend(t, first)
	counts(t, b, "limits_reached", 1, func() { refused(t, second.Suspend(), bus.Full, "broker.limits.sessions") })
	if join(t, b, lasting("2", false)).Resumed() != nil {
		t.Error("the session that was too many is still there")
	}
	// Who is away takes no place of those who are connected.
	third := join(t, b, lasting("3", false))
	counts(t, b, "limits_reached", 1, func() {
		_, err := tryJoin(b, lasting("4", false))
		refused(t, err, bus.Full, "broker.limits.peers")
	})
	// A return needs one, and finds none.
	_, err := tryJoin(b, lasting("1", false))
	refused(t, err, bus.Full, "broker.limits.peers")
	third.Leave()
	again := join(t, b, lasting("1", false))
	if again.Resumed() != dialect.Subscriber(first) || !again.Resume() {
		t.Error("it does not continue its session")
	}
	suspend(t, again) // and its place among the absent is free again
}

func TestAWillIsPublishedOnceWhenAPeerEnds(t *testing.T) {
	ends := map[string]func(t *testing.T, b *broker.Broker, s *session){
		"it leaves":        func(_ *testing.T, _ *broker.Broker, s *session) { s.Leave() },
		"it leaves twice":  func(_ *testing.T, _ *broker.Broker, s *session) { s.Leave(); s.Leave() },
		"it is taken over": func(t *testing.T, b *broker.Broker, _ *session) { join(t, b, lasting("c", true)) },
		"it is published before": func(_ *testing.T, _ *broker.Broker, s *session) {
			s.PublishWill()
			s.PublishWill()
			s.Leave()
		},
		"it was suspended": func(t *testing.T, _ *broker.Broker, s *session) { suspend(t, s); s.Leave() },
	}
	for name, end := range ends {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t, broker.Options{})
			watcher := join(t, b, hello())
			watcher.subscribe(t, "w", dialect.Terms{})
			s := join(t, b, lasting("c", false))
			s.subscribe(t, "w", dialect.Terms{})
			s.Will(plain("w", "old"), 0)
			s.Will(plain("w", "gone"), 0)
			watcher.expect(t)
			end(t, b, s)
			watcher.expect(t, "w=gone")
			s.expect(t) // nobody gets his own
		})
	}
	t.Run("not if it was taken back", func(t *testing.T) {
		b := newBroker(t, broker.Options{})
		watcher := join(t, b, hello())
		watcher.subscribe(t, "w", dialect.Terms{})
		s := join(t, b, hello())
		s.Will(plain("w", "gone"), 0)
		s.Will(nil, 0)
		s.Leave()
		watcher.expect(t)
	})
}

func TestAWillIsUnderTheRulesOfItsPublisher(t *testing.T) {
	b := newBroker(t, broker.Options{Access: rules(func(_ string, a auth.Action, name string) bool {
		return a != auth.Publish || name != "denied"
	})})
	watcher := join(t, b, hello())
	watcher.subscribe(t, "#", dialect.Terms{})
	for _, name := range []string{"denied", "allowed"} {
		s := join(t, b, hello())
		s.Will(plain(name, "gone"), 0)
		s.Leave()
	}
	watcher.expect(t, "allowed=gone")
}

func TestTheLifeOfAWillBeginsWithItsPublication(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Options{})
		s := join(t, b, hello())
		s.Will(kept("w", "gone"), time.Minute)
		time.Sleep(time.Hour)
		s.Leave()
		time.Sleep(59 * time.Second)
		early := join(t, b, hello())
		early.subscribe(t, "w", dialect.Terms{})
		early.expect(t, "w=gone*")
		time.Sleep(2 * time.Second)
		late := join(t, b, hello())
		late.subscribe(t, "w", dialect.Terms{})
		late.expect(t)
	})
}

// riddle asks once, and admits who knows the answer as who is in it.
type riddle struct{}

func (riddle) Next(_ context.Context, proof []byte) ([]byte, *auth.Principal, error) {
	switch string(proof) {
	case "":
		return []byte("who?"), nil, nil
	case "ann", "bob":
		return []byte("welcome"), &auth.Principal{Name: string(proof), Groups: []string{"again"}}, nil
	}
	return nil, nil, auth.ErrDenied
}

func TestAPeerShowsAgainWhoItIs(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: logins(func(c *auth.Credentials) (auth.Conversation, error) {
		switch c.Method {
		case "":
			return auth.Admitted(auth.Principal{Name: c.Username}), nil
		case "riddle":
			return riddle{}, nil
		}
		return nil, auth.ErrMethod
	})})
	s := join(t, b, as("ann", lasting("c", false)))
	if _, err := s.Reauthenticate(t.Context(), &auth.Credentials{Method: "other"}); !errors.Is(err, auth.ErrMethod) {
		t.Errorf("an unknown method: %v", err)
	}
	for _, test := range []struct {
		proof  string
		denied bool
	}{{"nobody", true}, {"bob", true}, {"ann", false}} {
		before := s.Principal()
		talk, err := s.Reauthenticate(t.Context(), &auth.Credentials{Method: "riddle"})
		if err != nil {
			t.Fatal(err)
		}
		if challenge, p, err := talk.Next(t.Context(), nil); string(challenge) != "who?" || p != nil || err != nil {
			t.Fatalf("the first step: %q, %v, %v", challenge, p, err)
		}
		last, p, err := talk.Next(t.Context(), []byte(test.proof))
		switch {
		case test.denied && (!errors.Is(err, auth.ErrDenied) || p != nil || s.Principal() != before):
			t.Errorf("%s: %v, %v; it is now %v", test.proof, p, err, s.Principal())
		case !test.denied && (err != nil || p != s.Peer || string(last) != "welcome" || s.Principal() == before):
			t.Errorf("%s: %q, %v, %v; it is now %v", test.proof, last, p, err, s.Principal())
		}
	}
	publish(t, s, plain("x", "1"))
}
