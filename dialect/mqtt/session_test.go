package mqtt_test

import (
	"context"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// will is one, after so many seconds of delay.
func will(topic, text string, delay uint32, change ...func(*packet.Will)) func(*packet.Connect) {
	return func(c *packet.Connect) {
		c.HasWill = true
		c.Will = packet.Will{Topic: topic, Payload: []byte(text)}
		c.Will.Properties.DelayInterval = delay
		for _, f := range change {
			f(&c.Will)
		}
	}
}

// sessions are how many clients are away whose sessions are kept.
func (p *place) sessions() int64 { return int64(p.broker.Status().Sessions["mqtt"]) }

func TestSessionsWaitNoLongerThanTheServerAllows(t *testing.T) {
	for _, test := range []struct {
		name       string
		v          packet.Version
		asked      uint32
		onLeaving  uint32 // the expiry in DISCONNECT, if it is not 0
		told, kept time.Duration
	}{
		{"as long as it asks for", packet.V5, 20, 0, 0, 20 * time.Second},
		{"less than it asks for", packet.V5, 1000, 0, time.Minute, time.Minute},
		{"for ever", packet.V5, 0xFFFFFFFF, 0, time.Minute, time.Minute},
		{"for ever before version 5", packet.V311, 0, 0, 0, time.Minute},
		{"more when it leaves", packet.V5, 10, 1000, 0, time.Minute},
		{"less when it leaves", packet.V5, 30, 10, 0, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{config: func(c *mqtt.Config) { c.MaxSessionExpiry = time.Minute + 500*time.Millisecond }})
				c := p.dial(test.v)
				in := packet.Connect{Version: test.v, ClientID: "c"}
				in.Properties.SessionExpiryInterval = test.asked
				c.send(in.Append(nil))
				if ack := c.connack(); time.Duration(ack.Properties.SessionExpiryInterval)*time.Second != test.told {
					t.Errorf("it is told %d s", ack.Properties.SessionExpiryInterval)
				}
				d := packet.Disconnect{}
				d.Properties.SessionExpiryInterval = test.onLeaving
				c.send(d.Append(nil, test.v))
				c.closed()
				synctest.Wait()
				time.Sleep(test.kept - time.Millisecond)
				if p.sessions() != 1 {
					t.Fatal("the session has ended before its time")
				}
				time.Sleep(time.Second) // max_session_expiry is cut to seconds for who is told, not for who changes it
				synctest.Wait()
				if p.sessions() != 0 {
					t.Error("the session has not ended")
				}
			})
		})
	}
}

func TestASessionWithoutExpiryEndsWithItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		c := p.connect(packet.V5, "c", persistent(0))
		c.subscribe(1, "a")
		c.cut()
		synctest.Wait()
		if s := p.broker.Status(); s.Peers["mqtt"] != 0 || s.Sessions["mqtt"] != 0 || s.Subscriptions != 0 {
			t.Errorf("what is left: %+v", s)
		}
	})
}

func TestSessionsBeyondTheLimitEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		p := serve(t, options{log: j, broker: broker.Options{Limits: broker.Limits{Sessions: 2}}})
		watcher := p.connect(packet.V5, "watcher")
		watcher.subscribe(0, "will/#")
		for _, id := range []string{"1", "2", "3"} {
			c := p.connect(packet.V5, id, persistent(100), will("will/"+id, "gone", 50))
			c.subscribe(1, "a")
			c.cut()
			synctest.Wait()
		}
		watcher.wants("will/3=gone") // its session ends at once, and so does the delay
		if lines := j.take(); len(lines) != 1 || !strings.Contains(lines[0], "broker.limits.sessions") {
			t.Errorf("logged %q", lines)
		}
		if p.sessions() != 2 {
			t.Errorf("%d sessions are kept, want 2", p.sessions())
		}
		for id, want := range map[string]bool{"1": true, "2": true, "3": false} {
			c := p.dial(packet.V5)
			c.send((&packet.Connect{Version: packet.V5, ClientID: id}).Append(nil))
			if got := c.connack().SessionPresent; got != want {
				t.Errorf("%s finds its session: %v", id, got)
			}
		}
	})
}

// names takes who says that they are somebody at their word.
type names struct{}

func (names) Begin(_ context.Context, c *auth.Credentials) (auth.Conversation, error) {
	return auth.Admitted(auth.Principal{Name: c.Username}), nil
}

func TestASessionIsContinuedByTheSamePrincipalOnly(t *testing.T) {
	as := func(name string) func(*packet.Connect) {
		return func(c *packet.Connect) { c.HasUsername, c.Username = true, name }
	}
	for _, test := range []struct {
		name   string
		away   bool
		second string
		want   bool
	}{
		{"the same while the first is away", true, "ann", true},
		{"the same while the first is there", false, "ann", true},
		{"another while the first is away", true, "bob", false},
		{"another while the first is there", false, "bob", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{broker: broker.Options{Auth: names{}}})
				first := p.connect(packet.V5, "c", persistent(100), as("ann"))
				first.subscribe(1, "a")
				if test.away {
					first.cut()
					synctest.Wait()
					p.say("a", "for ann", ofQoS(1))
				}
				c := p.dial(packet.V5)
				in := packet.Connect{Version: packet.V5, ClientID: "c"}
				as(test.second)(&in)
				c.send(in.Append(nil))
				if got := c.connack().SessionPresent; got != test.want {
					t.Errorf("the session is present: %v", got)
				}
				if !test.away {
					if d := first.disconnect(); d.Reason != packet.SessionTakenOver {
						t.Errorf("the first is told %v", d.Reason)
					}
					p.say("a", "for ann", ofQoS(1))
				}
				if test.want {
					c.wants("a=for ann")
				}
				c.silent()
				synctest.Wait()
				if n := p.sessions(); n != 0 {
					t.Errorf("%d sessions wait", n)
				}
			})
		})
	}
}

func TestWillsThatMayNotBePublishedAreLogged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := new(journal)
		deny, err := broker.NewDeny([]string{"publish denied/#"})
		if err != nil {
			t.Fatal(err)
		}
		b := new(journal)
		p := serve(t, options{log: j, broker: broker.Options{Access: deny, Log: slog.New(b)}})
		watcher := p.connect(packet.V5, "watcher")
		watcher.subscribe(0, "#")
		p.connect(packet.V5, "c", will("denied/a", "gone", 0)).cut()
		p.connect(packet.V5, "d", will("allowed/a", "gone", 0)).cut()
		watcher.wants("allowed/a=gone")
		watcher.silent()
		synctest.Wait()
		if lines := b.take(); len(lines) != 1 || !strings.Contains(lines[0], "denied/a") || !strings.Contains(lines[0], "name=c") {
			t.Errorf("logged %q", lines)
		}
	})
}

// What is left of a will's life counts from its publication, not from CONNECT.
func TestTheLifeOfAWillBeginsWhenItIsPublished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		c := p.connect(packet.V5, "c", persistent(1000), will("w", "gone", 100, func(w *packet.Will) {
			w.Retain = true
			w.Properties.MessageExpiryInterval = 30
		}))
		time.Sleep(time.Hour)
		c.silent()
		c.cut()
		time.Sleep(100*time.Second + time.Millisecond)
		for _, left := range []uint32{30, 20, 0} {
			reader := p.connect(packet.V5, "")
			reader.subscribe(0, "w")
			if left == 0 {
				reader.silent()
				break
			}
			if m := reader.publish(); m.Properties.MessageExpiryInterval != left {
				t.Errorf("%d s are left, want %d", m.Properties.MessageExpiryInterval, left)
			}
			time.Sleep(10 * time.Second)
			if left == 20 {
				time.Sleep(10 * time.Second)
			}
		}
	})
}

// A session that a clean start ends has a will that is due then, whatever its delay
// (3.1.2.5); one that is continued in time has not.
func TestWhatAReturnDoesToAWillThatWaits(t *testing.T) {
	for _, test := range []struct {
		name  string
		clean bool
		delay uint32
		cut   bool // the connection is gone before the next one comes
		want  bool
	}{
		{"a clean start publishes it", true, 50, true, true},
		{"a clean start that takes over publishes it", true, 50, false, true},
		{"a return in time discards it", false, 50, true, false},
		{"a take-over discards it", false, 50, false, false},
		{"a take-over publishes it if it had no delay", false, 0, false, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := serve(t, options{})
				watcher := p.connect(packet.V5, "watcher")
				watcher.subscribe(0, "w")
				first := p.connect(packet.V5, "c", persistent(100), will("w", "gone", test.delay))
				if test.cut {
					first.cut()
					synctest.Wait()
				}
				c := p.connect(packet.V5, "c", persistent(100), func(c *packet.Connect) { c.CleanStart = test.clean })
				synctest.Wait()
				if test.want {
					watcher.wants("w=gone")
				}
				time.Sleep(10 * time.Minute)
				watcher.silent()
				c.silent()
			})
		})
	}
}

// Shutdown ends connections without a goodbye of the clients: their wills are
// published, to whoever is still there, such as functions of this process.
func TestWillsArePublishedAtShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		var mu sync.Mutex
		var got []string
		p.listenTo("w/#", func(topic string) {
			mu.Lock()
			defer mu.Unlock()
			got = append(got, topic)
		})
		p.connect(packet.V5, "1", will("w/1", "gone", 0))
		p.connect(packet.V5, "2", persistent(100), will("w/2", "gone", 0))
		p.connect(packet.V5, "3", persistent(100), will("w/3", "gone", 50)) // its session ends with the broker
		c := p.connect(packet.V5, "4", will("w/4", "gone", 0))
		c.leave()
		p.close()
		for _, want := range []string{"w/1", "w/2", "w/3"} {
			n := 0
			for _, topic := range got {
				if topic == want {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%s was published %d times; all: %q", want, n, got)
			}
		}
		if len(got) != 3 {
			t.Errorf("published were %q", got)
		}
	})
}
