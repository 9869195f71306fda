package mqtt_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/auth"
	"omnibus/broker"
	"omnibus/bus"
	"omnibus/dialect"
	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// door is a port whose peers tests have a hand in.
type door struct {
	dialect.Port
	admitted func(dialect.Peer)   // called before the dialect has the peer
	publish  func(m *bus.Message) // called before a peer publishes
}

type doorTalk struct {
	dialect.Joining
	door *door
}

type doorPeer struct {
	dialect.Peer
	door *door
}

func (d *door) Hello(ctx context.Context, h *dialect.Hello) (dialect.Joining, error) {
	j, err := d.Port.Hello(ctx, h)
	return &doorTalk{j, d}, err
}

func (t *doorTalk) Next(ctx context.Context, proof []byte) ([]byte, dialect.Peer, error) {
	challenge, p, err := t.Joining.Next(ctx, proof)
	if p == nil {
		return challenge, nil, err
	}
	if t.door.admitted != nil {
		t.door.admitted(p)
	}
	return challenge, &doorPeer{p, t.door}, err
}

func (p *doorPeer) Publish(m *bus.Message) (bus.Receipt, error) {
	if p.door.publish != nil {
		p.door.publish(m)
	}
	return p.Peer.Publish(m)
}

// stays is a session that outlives its connection.
func stays(c *packet.Connect) {
	c.CleanStart = false
	c.Properties.SessionExpiryInterval = 3600
}

func (p *place) connecting(id string) *client {
	c := p.dial(packet.V5)
	in := packet.Connect{Version: packet.V5, ClientID: id}
	stays(&in)
	c.send(in.Append(nil))
	return c
}

func TestASessionThatIsBeingMadeIsNotContinuedBeforeItIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var first atomic.Bool
		release := make(chan struct{})
		p := serve(t, options{port: func(b dialect.Port) dialect.Port {
			return &door{Port: b, admitted: func(dialect.Peer) {
				if first.CompareAndSwap(false, true) {
					<-release // the broker lists it, the dialect does not know yet
				}
			}}
		}})
		a := p.connecting("x")
		synctest.Wait()
		b := p.connecting("x")
		synctest.Wait()
		close(release)
		if ack := a.connack(); ack.Reason != packet.Success || ack.SessionPresent {
			t.Errorf("the first gets %+v", ack)
		}
		if ack := b.connack(); ack.Reason != packet.Success || !ack.SessionPresent {
			t.Errorf("the second gets %+v", ack)
		}
		b.silent()
	})
}

func TestAConnectionThatPanicsLeavesNobodyWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{port: func(b dialect.Port) dialect.Port {
			return &door{Port: b, publish: func(m *bus.Message) {
				if m.Topic == "boom" {
					panic("boom")
				}
			}}
		}})
		watcher := p.connect(packet.V5, "watcher")
		watcher.subscribe(0, "news")
		a := p.connect(packet.V5, "x", stays)
		news := packet.Publish{Topic: "news", Payload: []byte("1")}
		boom := packet.Publish{Topic: "boom"}
		a.send(boom.Append(news.Append(nil, packet.V5), packet.V5))
		if got := watcher.publish(); got.Topic != "news" {
			t.Errorf("got %v", got)
		}
		b := p.connecting("x")
		if ack := b.connack(); !ack.SessionPresent {
			t.Errorf("the next connection gets %+v", ack)
		}
	})
}

func TestAPanicOfALoginEndsItsConnectionAlone(t *testing.T) {
	var first atomic.Bool
	p := serve(t, options{port: func(b dialect.Port) dialect.Port {
		return &door{Port: b, admitted: func(dialect.Peer) {
			if first.CompareAndSwap(false, true) {
				panic("boom")
			}
		}}
	}})
	p.connecting("").closed()
	p.connect(packet.V5, "y").silent()
}

// explosive is a value that cannot be encoded.
type explosive struct{}

func (explosive) MarshalJSON() ([]byte, error) { panic("boom") }

func TestAValueThatPanicsEndsTheSessionAndNotThePublisher(t *testing.T) {
	p := serve(t, options{})
	c := p.connect(packet.V5, "x")
	c.subscribe(1, "a")
	m := &bus.Message{Topic: "a", QoS: 1}
	m.Payload.SetGo(explosive{})
	published := make(chan error, 1)
	go func() {
		_, err := p.broker.Bus("").Publish(m)
		published <- err
	}()
	select {
	case err := <-published:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(patience):
		t.Fatal("the publisher is stuck")
	}
	var d packet.Disconnect
	c.expect(packet.DISCONNECT, &d)
}

// receiving is access rules that see every question whether a peer may receive.
type receiving func()

func (f receiving) Allow(_ *auth.Principal, a auth.Action, _ string) bool {
	if a == auth.Receive {
		f()
	}
	return true
}

func TestAMemberThatLeavesBeforeItGetsItsMessageLosesItToAnother(t *testing.T) {
	var asked atomic.Int64
	var leave func()
	p := serve(t, options{broker: broker.Options{Access: receiving(func() {
		if asked.Add(1) == 2 { // it has been chosen, and is about to be handed the message
			leave()
		}
	})}})
	a, b := p.connect(packet.V5, "a"), p.connect(packet.V5, "b")
	a.subscribe(1, "$share/g/t")
	b.subscribe(1, "$share/g/t")
	leave = func() {
		_ = a.c.Close()
		for p.broker.Status().Peers["mqtt"] > 1 {
			time.Sleep(time.Millisecond) // real time: the broker tells nobody that a peer has gone
		}
	}
	m := &bus.Message{Topic: "t", QoS: 1}
	m.Payload.SetGo("hello")
	if _, err := p.broker.Bus("").Publish(m); err != nil {
		t.Fatal(err)
	}
	if got := b.publish(); got.Topic != "t" {
		t.Errorf("got %v", got)
	}
}

func TestAClientThatDoesNotReadIsTakenOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{config: func(c *mqtt.Config) { c.MaxQueue = 1 << 10 }})
		a := p.connect(packet.V5, "x", stays)
		pings := make([]byte, 0, 1<<20)
		for len(pings) < cap(pings) {
			pings = packet.AppendPingreq(pings)
		}
		go func() { _, _ = a.c.Write(pings) }() // until the connection ends
		synctest.Wait()
		since := time.Now()
		b := p.connecting("x")
		if ack := b.connack(); !ack.SessionPresent {
			t.Errorf("it gets %+v", ack)
		}
		if waited := time.Since(since); waited > time.Second {
			t.Errorf("that took %v", waited)
		}
		_ = a.c.Close()
	})
}

func TestAWillComesOnceToAClientWithSeveralFilters(t *testing.T) {
	p := serve(t, options{})
	heir := p.connect(packet.V5, "heir")
	heir.subscribe(0, "last/#", "last/+")
	c := p.connect(packet.V5, "x", func(c *packet.Connect) {
		c.HasWill, c.Will = true, packet.Will{Topic: "last/will", Payload: []byte("all")}
	})
	_ = c.c.Close()
	if got := heir.publish(); string(got.Payload) != "all" {
		t.Errorf("got %v", got)
	}
	heir.silent()
}
