package mqtt_test

import (
	"testing"

	"omnibus/dialect/mqtt/mapping"
	"omnibus/dialect/mqtt/packet"
)

// bridging makes a client one that is a bridge.
func bridging(c *packet.Connect) {
	c.Properties.User = c.Properties.User.Append(mapping.PropertyLink, "test")
	c.Properties.Present.Add(packet.UserProperty)
}

func with(pairs ...string) func(*packet.Publish) {
	return func(p *packet.Publish) {
		for i := 0; i < len(pairs); i += 2 {
			p.Properties.User = p.Properties.User.Append(pairs[i], pairs[i+1])
		}
		p.Properties.Present.Add(packet.UserProperty)
	}
}

func TestABridgeIsSentIdentitiesAndOthersAreNot(t *testing.T) {
	p := serve(t, options{})
	b, c, old, sender := p.connect(packet.V5, "bridge", bridging), p.connect(packet.V5, "c"), p.connect(packet.V311, "old"), p.connect(packet.V5, "sender")
	for _, x := range []*client{b, c, old} {
		x.subscribe(0, "#")
	}
	for _, pairs := range [][]string{{}, {"k", "v"}, {mapping.PropertyIdentity, "mine"}, {"k", "v", mapping.PropertyIdentity, "mine", "l", "w"}} {
		sender.put(0, 0, "a", "x", with(pairs...))
		got := b.publish()
		id, rest := mapping.Identity(got.Properties.User)
		if id == "" || id == "mine" {
			t.Errorf("%q: the bridge is sent the identity %q", pairs, id)
		}
		others := c.publish()
		if string(others.Properties.User) != string(rest) {
			t.Errorf("%q: the bridge is sent %q, the others %q", pairs, got.Properties.User, others.Properties.User)
		}
		if _, ok := others.Properties.User.Get("k"); ok != (len(pairs) > 0 && pairs[0] == "k") {
			t.Errorf("%q: others are sent %q", pairs, others.Properties.User)
		}
		if m := old.publish(); string(m.Payload) != "x" {
			t.Errorf("version 3.1.1 is sent %q", m.Payload)
		}
	}
}

func TestAMessageOfABridgeKeepsItsIdentityAndComesOnce(t *testing.T) {
	p := serve(t, options{})
	one, two, c := p.connect(packet.V5, "one", bridging), p.connect(packet.V5, "two", bridging), p.connect(packet.V5, "c")
	two.subscribe(0, "#")
	c.subscribe(0, "#")
	one.put(1, 1, "a", "x", with("k", "v", mapping.PropertyIdentity, "theirs"))
	if a := one.ack(packet.PUBACK); a.Reason != packet.Success {
		t.Errorf("acknowledged with %v", a.Reason)
	}
	got := two.publish()
	if id, rest := mapping.Identity(got.Properties.User); id != "theirs" || string(rest) != string(packet.UserProperties(nil).Append("k", "v")) {
		t.Errorf("the other bridge is sent %q", got.Properties.User)
	}
	if got := c.publish(); string(got.Properties.User) != string(packet.UserProperties(nil).Append("k", "v")) {
		t.Errorf("a client is sent %q", got.Properties.User)
	}
	two.put(1, 1, "a", "x", with(mapping.PropertyIdentity, "theirs"))
	if a := two.ack(packet.PUBACK); a.Reason != packet.Success {
		t.Errorf("what is known is acknowledged with %v", a.Reason)
	}
	two.put(2, 2, "b", "y", with(mapping.PropertyIdentity, "theirs"))
	if a := two.ack(packet.PUBREC); a.Reason != packet.Success {
		t.Errorf("what is known is acknowledged with %v", a.Reason)
	}
	c.silent()
	one.silent()
}
