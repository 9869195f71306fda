package broker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/payload"
)

// secrets asks everybody for the answer to a challenge.
type secrets map[string]string

func (s secrets) Begin(_ context.Context, c *auth.Credentials) (auth.Conversation, error) {
	secret, ok := s[c.Name]
	if !ok {
		return nil, fmt.Errorf("no account %q: %w", c.Name, auth.ErrDenied)
	}
	return &challenge{name: c.Name, secret: secret}, nil
}

type challenge struct {
	name, secret string
	steps        int
}

func (c *challenge) Next(_ context.Context, proof []byte) ([]byte, *auth.Principal, error) {
	c.steps++
	switch {
	case c.steps == 1:
		return []byte("nonce"), nil, nil
	case !bytes.Equal(proof, []byte("nonce+"+c.secret)):
		return nil, nil, fmt.Errorf("wrong proof: %w", auth.ErrDenied)
	default:
		return nil, &auth.Principal{Name: c.name, Groups: []string{"staff"}}, nil
	}
}

func TestALoginIsAConversation(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: secrets{"ada": "x"}})
	j, err := b.Hello(t.Context(), named("ada"))
	if err != nil {
		t.Fatal(err)
	}
	asked, p, err := j.Next(t.Context(), nil)
	if err != nil || p != nil || string(asked) != "nonce" {
		t.Fatalf("first step: challenge %q, peer %v, %v", asked, p, err)
	}
	if n := b.Status().Peers["test"]; n != 0 {
		t.Errorf("%d peers before the proof", n)
	}
	asked, p, err = j.Next(t.Context(), []byte("nonce+x"))
	if err != nil || p == nil || asked != nil {
		t.Fatalf("second step: challenge %q, peer %v, %v", asked, p, err)
	}
	defer p.Leave()
	if who := p.Principal(); who.Name != "ada" || len(who.Groups) != 1 {
		t.Errorf("admitted as %+v", who)
	}
	if n := b.Status().Peers["test"]; n != 1 {
		t.Errorf("%d peers, want 1", n)
	}
	if _, p, err := j.Next(t.Context(), []byte("nonce+x")); err == nil || p != nil {
		t.Error("a conversation that is over admitted another peer")
	}
}

func TestAWrongProofIsRefusedAndCounted(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: secrets{"ada": "x"}})
	counts(t, b, "logins_refused", 1, func() {
		j, err := b.Hello(t.Context(), named("ada"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := j.Next(t.Context(), nil); err != nil {
			t.Fatal(err)
		}
		_, p, err := j.Next(t.Context(), []byte("guess"))
		if p != nil || !errors.Is(err, auth.ErrDenied) {
			t.Errorf("peer %v, %v; want it denied", p, err)
		}
		refused(t, err, bus.Refused)
		_, p, err = j.Next(t.Context(), []byte("nonce+x"))
		if p != nil || !errors.Is(err, auth.ErrDenied) {
			t.Errorf("after a wrong proof the right one gave peer %v, %v; want the conversation ended", p, err)
		}
	})
	if n := len(b.Status().Peers); n != 0 {
		t.Errorf("%d dialects have peers", n)
	}
}

func TestUnknownAccountsAreRefusedAtOnce(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: secrets{}})
	counts(t, b, "logins_refused", 1, func() {
		_, err := b.Hello(t.Context(), named("eve"))
		refused(t, err, bus.Refused, "eve")
		if !errors.Is(err, auth.ErrDenied) {
			t.Errorf("%v does not wrap ErrDenied", err)
		}
	})
}

func TestAFaultOfTheAuthenticatorIsNoDenial(t *testing.T) {
	down := errors.New("the directory is down")
	b := newBroker(t, broker.Options{Auth: logins(func(*auth.Credentials) (auth.Conversation, error) { return nil, down })})
	_, err := b.Hello(t.Context(), hello())
	if !errors.Is(err, down) || errors.Is(err, auth.ErrDenied) || bus.KindOf(err) != bus.Failed {
		t.Errorf("got %v", err)
	}
}

func TestJoinIsRefusedWhereAChallengeIsAsked(t *testing.T) {
	b := newBroker(t, broker.Options{Auth: secrets{"ada": "x"}})
	if _, err := dialect.Join(t.Context(), b, named("ada")); !errors.Is(err, auth.ErrDenied) {
		t.Errorf("got %v, want it denied", err)
	}
	if n := len(b.Status().Peers); n != 0 {
		t.Error("it is a peer all the same")
	}
}

func taking(name string) *dialect.Hello {
	h := named(name)
	h.Duplicate = dialect.TakeOver
	return h
}

func TestANameIsTakenOver(t *testing.T) {
	b := newBroker(t, broker.Options{})
	old := join(t, b, taking("sensor"))
	old.subscribe(t, "#", dialect.Terms{})
	publish(t, b.Bus(""), plain("a", "1"))
	old.expect(t, "a=1")
	if _, err := old.Expose("svc", answering("old")); err != nil {
		t.Fatal(err)
	}
	var young *session
	counts(t, b, "peers_expelled", 1, func() { young = join(t, b, taking("sensor")) })
	if why := old.why(); len(why) != 1 || !errors.Is(why[0], dialect.ErrTakenOver) {
		t.Errorf("the old one was told %v, want ErrTakenOver once", why)
	}
	young.subscribe(t, "#", dialect.Terms{})
	publish(t, b.Bus(""), plain("a", "2"))
	old.expect(t)
	young.expect(t, "a=2")
	if b.Bus("").Exposed("svc", nil) {
		t.Error("the old one still exposes its service")
	}
	_, err := old.Publish(plain("a", "3"))
	refused(t, err, bus.Closed)
	old.Leave() // as its session does when the link ends: the name is the young one's
	if n := b.Status().Peers["test"]; n != 1 {
		t.Errorf("%d peers, want 1", n)
	}
	_ = join(t, b, taking("sensor"))
	if len(young.why()) != 1 || len(old.why()) != 1 {
		t.Errorf("told %v and %v, want each once", old.why(), young.why())
	}
}

func TestTheOldOneIsGoneBeforeTheNewOneIsAdmitted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBroker(t, broker.Options{})
		told, release := make(chan struct{}), make(chan struct{})
		old := &leaving{told: told, release: release}
		h := taking("sensor")
		h.Subscriber = old
		if _, err := dialect.Join(t.Context(), b, h); err != nil {
			t.Fatal(err)
		}
		var admitted atomic.Int32
		var running sync.WaitGroup
		for range 3 {
			running.Go(func() {
				if _, err := tryJoin(b, taking("sensor")); err != nil {
					t.Error(err)
				}
				admitted.Add(1)
			})
		}
		<-told
		synctest.Wait()
		if n := admitted.Load(); n > 0 {
			t.Errorf("%d were admitted while the old one was being expelled", n)
		}
		close(release)
		running.Wait()
		if got := counted(b, "peers_expelled"); got != 3 {
			t.Errorf("counted %d expelled, want 3", got)
		}
		if n := b.Status().Peers["test"]; n != 1 {
			t.Errorf("%d peers are left, want 1", n)
		}
	})
}

// leaving takes its time when it is expelled.
type leaving struct {
	session
	told, release chan struct{}
}

func (l *leaving) Expelled(error) {
	close(l.told)
	<-l.release
}

func TestOfManyWhoTakeOverOneIsLeft(t *testing.T) {
	b := newBroker(t, broker.Options{})
	const n = 100
	var all [n]*session
	var running sync.WaitGroup
	for i := range n {
		running.Go(func() {
			s, err := tryJoin(b, taking("sensor"))
			if err != nil {
				t.Error(err)
			}
			all[i] = s
		})
	}
	running.Wait()
	left := 0
	for _, s := range all {
		switch len(s.why()) {
		case 0:
			left++
		case 1:
		default:
			t.Errorf("expelled %d times", len(s.why()))
		}
	}
	if left != 1 || b.Status().Peers["test"] != 1 || counted(b, "peers_expelled") != n-1 {
		t.Errorf("%d sessions left, %d peers, %d expelled; want 1, 1, %d",
			left, b.Status().Peers["test"], counted(b, "peers_expelled"), n-1)
	}
}

func TestASecondOfTheNameIsRefused(t *testing.T) {
	b := newBroker(t, broker.Options{})
	only := named("comp")
	only.Duplicate = dialect.RefuseDuplicate
	first := join(t, b, only)
	counts(t, b, "logins_refused", 1, func() {
		again := *only
		_, err := tryJoin(b, &again)
		refused(t, err, bus.Refused, `"comp"`)
		if !errors.Is(err, dialect.ErrDuplicate) {
			t.Errorf("%v does not wrap ErrDuplicate", err)
		}
	})
	first.Leave()
	again := *only
	_ = join(t, b, &again)
}

func TestWhoseNamesAreNoDuplicates(t *testing.T) {
	for name, change := range map[string]func(h *dialect.Hello){
		"anonymous":       func(h *dialect.Hello) { h.Name = "" },
		"another dialect": func(h *dialect.Hello) { h.Dialect = "other" },
		"another tenant":  func(h *dialect.Hello) { h.Username = "other" },
		"names that are no identities": func(h *dialect.Hello) {
			h.Duplicate = dialect.AllowDuplicate
		},
	} {
		for _, rule := range []dialect.Duplicate{dialect.TakeOver, dialect.RefuseDuplicate} {
			t.Run(fmt.Sprint(name, rule), func(t *testing.T) {
				b := newBroker(t, broker.Options{Auth: tenants})
				a, z := named("x"), named("x")
				a.Duplicate, z.Duplicate = rule, rule
				if name == "anonymous" {
					a.Name = ""
				}
				change(z)
				first, second := join(t, b, a), join(t, b, z)
				if len(first.why())+len(second.why()) > 0 {
					t.Errorf("told %v and %v", first.why(), second.why())
				}
			})
		}
	}
}

func TestWhoLeavesTakesEverythingAlong(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p := join(t, b, hello())
	sub := p.subscribe(t, "#", dialect.Terms{})
	called := make(chan struct{})
	if _, err := p.Expose("slow", func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
		close(called)
		<-ctx.Done()
		return nil, ctx.Err()
	}); err != nil {
		t.Fatal(err)
	}
	caller := join(t, b, hello())
	failed := make(chan error, 1)
	go func() {
		_, err := caller.call(t.Context(), "slow")
		failed <- err
	}()
	within(t, called, "the call")
	p.Leave()
	p.Leave()
	refused(t, within(t, failed, "the end of the call"), bus.Unavailable)
	publish(t, b.Bus(""), plain("a", "1"))
	p.expect(t)
	if len(b.Bus("").Subscriptions()) != 0 || p.Unsubscribe(sub) || sub.Unsubscribe() {
		t.Error("its subscription is still there")
	}
	if len(p.why()) > 0 {
		t.Errorf("it left by itself and was told %v", p.why())
	}
	_, err := caller.call(t.Context(), "slow")
	refused(t, err, bus.Unknown)

	_, err = p.Publish(plain("a", "1"))
	refused(t, err, bus.Closed)
	_, err = p.Subscribe(pattern(t, "a"), dialect.Terms{})
	refused(t, err, bus.Closed)
	_, err = p.Expose("x", answering(""))
	refused(t, err, bus.Closed)
	_, err = p.call(t.Context(), "omnibus.status")
	refused(t, err, bus.Closed)
}

func TestTheCallsOfWhoLeavesEnd(t *testing.T) {
	b := newBroker(t, broker.Options{})
	called, gone, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	if _, err := b.Bus("").Register("slow", func(ctx context.Context, _ *bus.Request) (*payload.Value, error) {
		close(called)
		<-ctx.Done()
		close(gone)
		<-release
		return nil, ctx.Err()
	}, nil); err != nil {
		t.Fatal(err)
	}
	p := join(t, b, hello())
	failed := make(chan error, 1)
	go func() {
		_, err := p.call(t.Context(), "slow")
		failed <- err
	}()
	within(t, called, "the call")
	p.Leave()
	refused(t, within(t, failed, "the end of the call"), bus.Closed)
	within(t, gone, "the end of the service's context")
	close(release)
}

func TestOnlyOnesOwnSubscriptionsCanBeEnded(t *testing.T) {
	b := newBroker(t, broker.Options{})
	p, q := join(t, b, hello()), join(t, b, hello())
	sub := p.subscribe(t, "a", dialect.Terms{})
	if q.Unsubscribe(sub) {
		t.Error("another peer could end it")
	}
	publish(t, b.Bus(""), plain("a", "1"))
	p.expect(t, "a=1")
	if !p.Unsubscribe(sub) || p.Unsubscribe(sub) {
		t.Error("want it ended once")
	}
	publish(t, b.Bus(""), plain("a", "2"))
	p.expect(t)
}
