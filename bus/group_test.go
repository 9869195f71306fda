package bus_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
	"omnibus/topic"
)

// worker is a Receiver that can be a member of a group.
type worker struct {
	name    string
	waiting int
	away    bool
	refuses string // a topic
	log     *[]string
	asked   int // how often Load was
}

func (w *worker) Deliver(m *bus.Message, s *bus.Subscription) {
	if s.Options().Tag != w.name {
		panic(fmt.Sprintf("%s got a message for %v", w.name, s.Options().Tag))
	}
	*w.log = append(*w.log, w.name)
}

func (w *worker) Load() (waiting int, present bool) {
	w.asked++
	return w.waiting, !w.away
}

func (w *worker) Admits(name string) bool { return name != w.refuses }

// team is a bus with one group of workers named by letters.
type team struct {
	bus     *bus.Bus
	workers map[string]*worker
	subs    map[string]*bus.Subscription
	log     []string
}

func newTeam(t *testing.T, names string) *team {
	x := &team{bus: newBus(t, bus.Options{}), workers: make(map[string]*worker), subs: make(map[string]*bus.Subscription)}
	for name := range strings.SplitSeq(names, "") {
		x.add(t, name, "job/+", bus.AttachOptions{Group: "team"})
	}
	return x
}

func (x *team) add(t *testing.T, name, p string, o bus.AttachOptions) *worker {
	t.Helper()
	w := &worker{name: name, log: &x.log}
	o.Tag = name
	s, err := x.bus.Attach(pattern(t, p), w, o)
	if err != nil {
		t.Fatal(err)
	}
	x.workers[name], x.subs[name] = w, s
	return w
}

// publish sends n messages and returns who got them, in order.
func (x *team) publish(t *testing.T, n int, m *bus.Message) string {
	t.Helper()
	for range n {
		before := len(x.log)
		r, err := x.bus.Publish(m)
		if err != nil {
			t.Fatal(err)
		}
		if got := len(x.log) - before; got != r.Receivers {
			t.Errorf("%d receivers were told, %d got the message", r.Receivers, got)
		}
	}
	return x.seen()
}

func (x *team) seen() string {
	got := strings.Join(x.log, "")
	x.log = nil
	return got
}

func job() *bus.Message { return message("job/1", payload.Text, "x") }

func TestMembersOfAGroupTakeTurns(t *testing.T) {
	for _, c := range []struct {
		name  string
		state func(w map[string]*worker)
		want  string // of eight messages
	}{
		{"all ready", func(map[string]*worker) {}, "ABCDABCD"},
		{"a busy member is passed over, and its turn is nobody's", func(w map[string]*worker) { w["B"].waiting = 1 }, "ACDACDAC"},
		{"an absent member is passed over", func(w map[string]*worker) { w["A"].away = true }, "BCDBCDBC"},
		{"all busy: the least waiting", func(w map[string]*worker) {
			w["A"].waiting, w["B"].waiting, w["C"].waiting, w["D"].waiting = 9, 3, 2, 4
		}, "CCCCCCCC"},
		{"ties take turns", func(w map[string]*worker) {
			w["A"].waiting, w["B"].waiting, w["C"].waiting, w["D"].waiting = 2, 3, 2, 2
		}, "ACDACDAC"},
		{"busy and present goes before idle and absent", func(w map[string]*worker) {
			w["A"].waiting, w["B"].away, w["C"].away, w["D"].away = 1_000_000, true, true, true
		}, "AAAAAAAA"},
		{"all absent: the least waiting, in turn", func(w map[string]*worker) {
			for _, x := range w {
				x.away, x.waiting = true, 5
			}
			w["D"].waiting, w["B"].waiting = 4, 4
		}, "BDBDBDBD"},
		{"all absent with nothing waiting take turns", func(w map[string]*worker) {
			for _, x := range w {
				x.away = true
			}
		}, "ABCDABCD"},
		{"who may not have the topic is passed over", func(w map[string]*worker) { w["C"].refuses = "job/1" }, "ABDABDAB"},
		{"a busy member that may goes before an idle one that may not", func(w map[string]*worker) {
			w["A"].refuses, w["B"].refuses, w["C"].refuses, w["D"].waiting = "job/1", "job/1", "job/1", 7
		}, "DDDDDDDD"},
		{"nobody may have it", func(w map[string]*worker) {
			for _, x := range w {
				x.refuses = "job/1"
			}
		}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			x := newTeam(t, "ABCD")
			c.state(x.workers)
			if got := x.publish(t, 8, job()); got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func TestOnlyOneMemberIsAskedWhenItIsReady(t *testing.T) {
	x := newTeam(t, "ABCDEFGH")
	x.publish(t, 80, job())
	for name, w := range x.workers {
		if w.asked != 10 {
			t.Errorf("%s was asked %d times over 80 messages, want 10", name, w.asked)
		}
	}
}

func TestReceiversThatTellNothingCountAsReady(t *testing.T) {
	b := newBus(t, bus.Options{})
	var got [3]int
	for i := range got {
		attach(t, b, "x", bus.AttachOptions{Group: "g"}, func(*bus.Message, *bus.Subscription) { got[i]++ })
	}
	m := message("x", payload.Text, "")
	for range 30 {
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	if got != [3]int{10, 10, 10} {
		t.Errorf("the members got %v of 30", got)
	}
}

func TestAMemberDoesNotGetWhatItsOwnLinkPublishes(t *testing.T) {
	x := newTeam(t, "A")
	own, other := &bus.Origin{}, &bus.Origin{}
	x.add(t, "B", "job/+", bus.AttachOptions{Group: "team", Origin: own})
	x.add(t, "C", "job/+", bus.AttachOptions{Group: "team", Origin: own, Echo: true})
	m := job()
	m.Origin = own
	if got := x.publish(t, 6, m); got != "ACACAC" {
		t.Errorf("its own messages went to %q", got)
	}
	m.Origin = other
	if got := x.publish(t, 6, m); got != "ABCABC" {
		t.Errorf("messages of another link went to %q", got)
	}
	x.subs["A"].Unsubscribe()
	x.subs["C"].Unsubscribe()
	m.Origin = own
	if got := x.publish(t, 2, m); got != "" {
		t.Errorf("only B is left, and its own messages went to %q", got)
	}
}

func TestGroupsAndOrdinarySubscriptionsAreIndependent(t *testing.T) {
	x := newTeam(t, "AB")
	x.add(t, "o", "job/+", bus.AttachOptions{})
	x.add(t, "x", "job/+", bus.AttachOptions{Group: "another"})
	x.add(t, "y", "job/1", bus.AttachOptions{Group: "team"})        // another pattern
	x.add(t, "z", "regex:job/.*", bus.AttachOptions{Group: "team"}) // another kind
	for n, want := range []string{"Aoxyz", "Boxyz", "Aoxyz"} {
		got := strings.Split(x.publish(t, 1, job()), "")
		slices.Sort(got)
		if strings.Join(got, "") != want {
			t.Errorf("message %d went to %q, want %q", n, got, want)
		}
	}
	// Patterns of one text and two kinds are not Equal.
	exact, err := topic.NewExact("job/1")
	if err != nil {
		t.Fatal(err)
	}
	filter, err := topic.NewFilter("job/1")
	if err != nil {
		t.Fatal(err)
	}
	b := newBus(t, bus.Options{})
	n := 0
	for _, p := range []topic.Pattern{exact, filter} {
		if _, err := b.Attach(p, receiverFunc(func(*bus.Message, *bus.Subscription) { n++ }), bus.AttachOptions{Group: "g"}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := b.Publish(job()); err != nil || r.Receivers != 2 || n != 2 {
		t.Errorf("%+v, %d delivered, %v; want 2", r, n, err)
	}
}

func TestRedeliverHandsAMessageToAnotherMember(t *testing.T) {
	x := newTeam(t, "ABC")
	a, b, c := x.subs["A"], x.subs["B"], x.subs["C"]
	own := &bus.Origin{}
	ordinary := x.add(t, "o", "other", bus.AttachOptions{Origin: own})
	for _, m := range []*bus.Message{job(), job().Keep(), job().Clone()} {
		for range 4 {
			if !a.Redeliver(m) {
				t.Error("there were others")
			}
		}
		if got := x.seen(); strings.Contains(got, "A") || strings.Count(got, "B") != 2 || len(got) != 4 {
			t.Errorf("redelivered to %q, want B and C in turn", got)
		}
	}
	a.Unsubscribe()
	x.workers["B"].waiting = 3
	if !a.Redeliver(job()) || x.seen() != "C" {
		t.Error("a member that has ended hands on to the one that is ready")
	}
	b.Unsubscribe()
	if c.Redeliver(job()) || x.seen() != "" {
		t.Error("the only member has nobody to hand on to")
	}
	if !b.Redeliver(job()) || x.seen() != "C" {
		t.Error("C is left")
	}
	c.Unsubscribe()
	if c.Redeliver(job()) {
		t.Error("nobody is left")
	}
	if x.subs["o"].Redeliver(message("other", payload.Text, "")) || ordinary.asked != 0 {
		t.Error("an ordinary subscription has no group")
	}
	x.add(t, "D", "job/+", bus.AttachOptions{Group: "team", Origin: own})
	m := job()
	m.Origin = own
	if c.Redeliver(m) {
		t.Error("it went back to its own link")
	}
	if m.Origin = nil; !c.Redeliver(m) || x.seen() != "D" {
		t.Error("a group that has begun anew is the same group")
	}
	if err := x.bus.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.Redeliver(m) || x.seen() != "" {
		t.Error("the bus is closed")
	}
}

func TestGroupsComeAndGoWithTheirMembers(t *testing.T) {
	x := newTeam(t, "ABC")
	x.add(t, "o", "job/+", bus.AttachOptions{})
	list := func() string {
		var names []string
		for _, s := range x.bus.Subscriptions() {
			names = append(names, s.Options().Tag.(string)+s.Options().Group)
		}
		slices.Sort(names)
		return strings.Join(names, " ")
	}
	if got := list(); x.bus.SubscriptionCount() != 4 || got != "Ateam Bteam Cteam o" {
		t.Errorf("%d subscriptions, listed %q", x.bus.SubscriptionCount(), got)
	}
	x.subs["o"].Unsubscribe()
	for _, step := range []struct {
		ends, left string
		count      int
		next       string
	}{{"B", "Ateam Cteam", 2, "ACAC"}, {"A", "Cteam", 1, "CCCC"}, {"C", "", 0, ""}} {
		if !x.subs[step.ends].Unsubscribe() || x.subs[step.ends].Unsubscribe() {
			t.Errorf("%s was to be ended once", step.ends)
		}
		if got := list(); got != step.left || x.bus.SubscriptionCount() != step.count {
			t.Errorf("%d subscriptions are left: %q, want %q", x.bus.SubscriptionCount(), got, step.left)
		}
		if got := x.publish(t, 4, job()); got != step.next {
			t.Errorf("after %s ended messages went to %q, want %q", step.ends, got, step.next)
		}
	}
	if x.bus.Wanted("job/1") || x.bus.SubscriptionCount() != 0 {
		t.Error("something is left in the index")
	}
	x.add(t, "D", "job/+", bus.AttachOptions{Group: "team"})
	if got := x.publish(t, 2, job()); got != "DD" || !x.bus.Wanted("job/1") {
		t.Errorf("a group that began anew got %q", got)
	}
}

// memory is a Keeper with one value for whoever wants it.
type memory struct{ attached, detached []string }

func (k *memory) Keep(*bus.Message) (bus.Position, error) { return 0, nil }

func (k *memory) Attached(s *bus.Subscription) {
	k.attached = append(k.attached, s.Options().Group)
	if !s.Options().SkipRetained {
		s.Deliver(message("job/1", payload.Text, "kept"))
	}
}

func (k *memory) Detached(s *bus.Subscription) { k.detached = append(k.detached, s.Options().Group) }

func TestKeepersAreToldOfMembers(t *testing.T) {
	k := new(memory)
	b := newBus(t, bus.Options{Keeper: k})
	n := 0
	var subs []*bus.Subscription
	for _, group := range []string{"g", "g", ""} {
		subs = append(subs, attach(t, b, "job/1", bus.AttachOptions{Group: group}, func(*bus.Message, *bus.Subscription) { n++ }))
	}
	for _, s := range append(subs, subs...) {
		s.Unsubscribe()
	}
	if want := []string{"g", "g", ""}; !slices.Equal(k.attached, want) || !slices.Equal(k.detached, want) {
		t.Errorf("attached %q, detached %q, want %q each", k.attached, k.detached, want)
	}
	if n != 1 {
		t.Errorf("%d values were delivered to new subscribers; only the ordinary one gets it", n)
	}
}
