package bus_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"omnibus/bus"
	"omnibus/payload"
)

// memoKey is the key of what the receivers of these tests leave on messages.
type memoKey struct{}

// maker makes a form of a message once for all who want it.
type maker struct {
	made, reused int
	refused      int // not being routed
}

type made struct{ of string }

func (k *maker) form(m *bus.Message) string {
	memo, current := m.Memo(memoKey{})
	x, _ := memo.(*made)
	if current {
		return x.of
	}
	k.made++
	if x != nil {
		k.reused++
	} else {
		x = new(made)
	}
	text, _ := m.Payload.As(payload.Text)
	x.of = string(text)
	if !m.SetMemo(memoKey{}, x) {
		k.refused++
	}
	return x.of
}

func TestWhatIsMadeOfAMessageIsMadeOnceForAllReceivers(t *testing.T) {
	b := newBus(t, bus.Options{})
	k := new(maker)
	var got []string
	for range 3 {
		attach(t, b, "a", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) { got = append(got, k.form(m)) })
	}
	attach(t, b, "a", bus.AttachOptions{Group: "g"}, func(m *bus.Message, _ *bus.Subscription) { got = append(got, k.form(m)) })
	m := new(bus.Message)
	for i := range 3 { // the same message again and again
		m.Reset()
		m.Topic = "a"
		m.Payload.Set(payload.Text, []byte(fmt.Sprint(i)))
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	if want := "0 0 0 0 1 1 1 1 2 2 2 2"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
	if k.made != 3 || k.reused != 2 || k.refused != 0 {
		t.Errorf("made %d times, with memory used again %d times, refused %d times", k.made, k.reused, k.refused)
	}
	publish(t, b, "a", "typed")
	if last := got[len(got)-4:]; !slices.Equal(last, []string{"typed", "typed", "typed", "typed"}) || k.made != 4 {
		t.Errorf("of a typed publish came %v, made %d times", last, k.made)
	}
}

func TestAPublisherPreparesWhatReceiversWouldMake(t *testing.T) {
	b := newBus(t, bus.Options{})
	k := new(maker)
	var got []string
	attach(t, b, "a", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) { got = append(got, k.form(m)) })
	m := message("a", payload.Text, "1")
	m.Prepare(memoKey{}, &made{"prepared"})
	if _, current := m.Memo(memoKey{}); current {
		t.Error("it is current before the message is routed")
	}
	for range 2 { // it is good for one publication
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
	}
	// What was prepared for a message that is refused is not for the next one.
	m.Prepare(memoKey{}, &made{"prepared in vain"})
	m.Topic = "not a topic\x00"
	if _, err := b.Publish(m); err == nil {
		t.Fatal("the topic was accepted")
	}
	m.Reset()
	m.Topic = "a"
	m.Payload.Set(payload.Text, []byte("2"))
	if _, err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	if want := []string{"prepared", "1", "2"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// A kept message is read by many: nothing is left on it.
func TestNothingIsLeftOnAMessageThatIsNotRouted(t *testing.T) {
	b := newBus(t, bus.Options{})
	k := new(maker)
	var copies []*bus.Message
	s := attach(t, b, "a", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
		k.form(m)
		copies = append(copies, m.Keep())
	})
	m := message("a", payload.Text, "1")
	if _, err := b.Publish(m); err != nil {
		t.Fatal(err)
	}
	kept := copies[0]
	for _, m := range []*bus.Message{m, kept} {
		if _, current := m.Memo(memoKey{}); current || m.SetMemo(memoKey{}, 1) || m.After(finisher(nil)) {
			t.Error("something can be left on a message that is not being routed")
		}
	}
	s.Deliver(kept)
	if k.made != 2 || k.refused != 1 {
		t.Errorf("made %d times, of which %d could not be left there", k.made, k.refused)
	}
	// A kept message that is published is read by others at the same time.
	if _, err := b.Publish(kept); err != nil || k.refused != 2 {
		t.Errorf("publishing it: %v, refused %d times", err, k.refused)
	}
	for _, k := range copies[1:] {
		if k != kept {
			t.Error("a kept message was copied again")
		}
	}
}

// finisher is a Finisher.
type finisher func(m *bus.Message)

func (f finisher) Routed(m *bus.Message) { f(m) }

func TestAReceiverActsOnceWhenAllItsSubscriptionsHaveAMessage(t *testing.T) {
	b := newBus(t, bus.Options{})
	var log []string
	note := func(s string) { log = append(log, s) }
	for _, pattern := range []string{"a", "+", "#"} {
		attach(t, b, pattern, bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
			note("got")
			if !m.After(finisher(func(m *bus.Message) {
				note("routed")
				if !m.SetMemo(memoKey{}, 1) {
					note("too late for a memo")
				}
				// One that finishes may ask for more of it.
				if len(log) == 4 && !m.After(finisher(func(*bus.Message) { note("and more") })) {
					note("too late for more")
				}
			})) {
				note("never")
			}
		})
	}
	m := message("a", payload.Text, "1")
	want := "got got got routed routed routed and more"
	for range 2 {
		log = nil
		if _, err := b.Publish(m); err != nil {
			t.Fatal(err)
		}
		if got := strings.Join(log, " "); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	log = nil
	if err := bus.Publish(context.Background(), b, "a", "typed"); err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(log, " "); got != want {
		t.Errorf("of a typed publish: %q, want %q", got, want)
	}
}

// A message that a receiver publishes meanwhile has its own routing.
func TestRoutingsDoNotMix(t *testing.T) {
	b := newBus(t, bus.Options{})
	var log []string
	attach(t, b, "outer", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
		m.After(finisher(func(m *bus.Message) { log = append(log, "outer routed") }))
		m.SetMemo(memoKey{}, "outer")
		if _, err := b.Publish(message("inner", payload.Text, "1")); err != nil {
			t.Error(err)
		}
		memo, current := m.Memo(memoKey{})
		log = append(log, fmt.Sprint(memo, " ", current))
	})
	attach(t, b, "inner", bus.AttachOptions{}, func(m *bus.Message, _ *bus.Subscription) {
		memo, current := m.Memo(memoKey{})
		log = append(log, fmt.Sprint(memo, " ", current))
		m.After(finisher(func(m *bus.Message) { log = append(log, "inner routed") }))
	})
	if _, err := b.Publish(message("outer", payload.Text, "1")); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(log, ", "), "<nil> false, inner routed, outer true, outer routed"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// kicks counts.
type kicks struct {
	name string
	log  *[]string
	then func()
}

func (k kicks) Kick() {
	*k.log = append(*k.log, k.name)
	if k.then != nil {
		k.then()
	}
}

func TestABatchKicksInTheEnd(t *testing.T) {
	var log []string
	var none *bus.Batch
	none.Add(kicks{name: "at once", log: &log})
	b := new(bus.Batch)
	b.Flush()
	for _, name := range []string{"one", "two", "one"} {
		b.Add(kicks{name: name, log: &log})
	}
	if len(log) != 1 {
		t.Errorf("before the flush: %q", log)
	}
	b.Flush()
	b.Flush()
	b.Add(kicks{name: "three", log: &log})
	b.Flush()
	if want := []string{"at once", "one", "two", "one", "three"}; !slices.Equal(log, want) {
		t.Errorf("kicked were %q, want %q", log, want)
	}
}
