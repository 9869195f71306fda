package mqtt_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"testing/synctest"

	"omnibus/dialect/mqtt"
	"omnibus/dialect/mqtt/packet"
)

const shared = "$share/g/a/#"

func window(n uint16) func(*packet.Connect) {
	return func(c *packet.Connect) { c.Properties.ReceiveMaximum = n }
}

// What a member has not completed when it goes is another's: what waited, and what
// it had of QoS 1. A message of QoS 2 that was sent is its own for good.
func TestWhatAMemberLeavesBehindIsAnothers(t *testing.T) {
	leaving := map[string]func(p *place, c *client){
		"it breaks":              func(_ *place, c *client) { c.cut() },
		"it says goodbye":        func(_ *place, c *client) { c.leave() },
		"a clean start ends it":  func(p *place, _ *client) { p.connect(packet.V5, "first") },
		"it makes a mistake":     func(_ *place, c *client) { c.send([]byte{0}); c.disconnect(); c.closed() },
		"it has a session":       func(_ *place, c *client) { c.cut() },
		"a session is for later": func(_ *place, c *client) { c.leave() },
	}
	for _, name := range []string{"it breaks", "it says goodbye", "a clean start ends it", "it makes a mistake", "it has a session", "a session is for later"} {
		for _, qos := range []byte{1, 2} {
			t.Run(fmt.Sprintf("%s, QoS %d", name, qos), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					p := serve(t, options{})
					expiry := uint32(0)
					if name == "it has a session" || name == "a session is for later" {
						expiry = 100
					}
					first := p.connect(packet.V5, "first", persistent(expiry), window(2))
					first.subscribe(qos, shared)
					for i := range 5 {
						p.say("a/x", strconv.Itoa(i), ofQoS(qos))
					}
					first.wants("a/x=0", "a/x=1") // and 2, 3 and 4 wait
					second := p.connect(packet.V5, "second")
					second.subscribe(qos, shared)
					leaving[name](p, first)
					synctest.Wait()
					if qos == 1 {
						second.wants("a/x=0", "a/x=1")
					}
					second.wants("a/x=2", "a/x=3", "a/x=4")
					second.silent()
					if expiry > 0 {
						first = p.connect(packet.V5, "first", persistent(expiry))
						if qos == 2 {
							first.wants("a/x=0", "a/x=1")
						}
						first.silent()
					}
				})
			})
		}
	}
}

// With nobody else there is nobody to hand it to: it stays with the session.
func TestTheLastMemberKeepsWhatItHas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		c := p.connect(packet.V5, "c", persistent(100), window(2))
		c.subscribe(1, shared)
		for i := range 4 {
			p.say("a/x", strconv.Itoa(i), ofQoS(1))
		}
		c.wants("a/x=0", "a/x=1")
		c.cut()
		synctest.Wait()
		p.say("a/x", "4", ofQoS(1))
		c = p.connect(packet.V5, "c", persistent(100))
		c.wants("a/x=0", "a/x=1", "a/x=2", "a/x=3", "a/x=4")
		c.silent()
	})
}

func TestAMemberThatIsAwayGetsAMessageOnlyWhenNobodyIsThere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		away := p.connect(packet.V5, "away", persistent(100))
		away.subscribe(1, shared)
		there := p.connect(packet.V5, "there")
		there.subscribe(1, shared)
		away.cut()
		synctest.Wait()
		for i := range 6 {
			p.say("a/x", strconv.Itoa(i), ofQoS(1))
			there.wants("a/x=" + strconv.Itoa(i))
		}
		for id := range uint16(6) {
			there.acknowledge(packet.PUBACK, id+1)
		}
		there.leave()
		synctest.Wait()
		p.say("a/x", "6", ofQoS(1))
		p.say("a/x", "lost, for nobody is there", ofQoS(0))
		away = p.connect(packet.V5, "away", persistent(100))
		away.wants("a/x=6")
		away.silent()
	})
}

func TestAMemberThatIsBehindIsPassedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := serve(t, options{})
		busy := p.connect(packet.V5, "busy", window(1))
		idle := p.connect(packet.V5, "idle")
		busy.subscribe(1, shared)
		idle.subscribe(1, shared)
		for i := range 20 {
			p.say("a/x", strconv.Itoa(i), ofQoS(1))
		}
		// It has one under way, and got one more before that was known.
		busy.publish()
		busy.silent()
		for range 18 {
			idle.publish()
		}
		idle.silent()
		busy.acknowledge(packet.PUBACK, 1)
		busy.publish()
		busy.silent()
	})
}

// Members come and go while one with a session stays, as far as its connections
// last: of QoS 1 every message is acknowledged by somebody in the end.
func TestNothingOfAGroupIsLost(t *testing.T) {
	for seed := range uint64(10) {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 600
				random := rand.New(rand.NewPCG(seed, 3))
				p := serve(t, options{config: func(c *mqtt.Config) { c.MaxInflight = 1 + random.IntN(10) }})
				seen := make(map[string]int)
				stays := party{p: p, v: packet.V5, id: "stays", random: random}
				var there *client
				for there == nil {
					if there = stays.join(true); there != nil {
						there.subscribe(1, shared)
					}
				}
				guests := make(map[*client]bool)
				said := 0
				// read takes what has arrived at one, and acknowledges some of it.
				read := func(c *client, all bool) (got int) {
					synctest.Wait()
					c.send(packet.AppendPingreq(nil))
					for {
						h, body, err := c.read()
						if err != nil {
							t.Fatal(err)
						}
						if h.Type == packet.PINGRESP {
							return got
						}
						var m packet.Publish
						if h.Type != packet.PUBLISH || m.Decode(h, body, c.v) != nil {
							continue
						}
						got++
						if all || random.IntN(3) > 0 {
							seen[string(m.Payload)]++
							c.acknowledge(packet.PUBACK, m.PacketID)
						}
					}
				}
				for said < n {
					switch random.IntN(8) {
					default:
						for range random.IntN(10) {
							p.say("a/x", strconv.Itoa(said), ofQoS(1))
							said++
						}
					case 0:
						c := p.connect([]packet.Version{packet.V311, packet.V5}[random.IntN(2)], "")
						synctest.Wait() // nobody who goes hands it something before SUBACK
						c.subscribe(byte(1+random.IntN(2)), shared)
						guests[c] = true
					case 1, 2:
						for c := range guests {
							if read(c, false); random.IntN(2) == 0 {
								delete(guests, c)
								c.cut()
							}
							break
						}
					case 3:
						read(there, false)
					case 4:
						there.cut()
						if random.IntN(2) == 0 {
							synctest.Wait() // otherwise the next one takes over
						}
						there = stays.join(true)
					}
				}
				for c := range guests {
					c.cut()
				}
				synctest.Wait()
				there.cut()
				synctest.Wait()
				there = stays.join(true)
				for read(there, true) > 0 {
					continue
				}
				if lost := p.counter("messages_dropped_session_full"); lost != 0 {
					t.Errorf("%d are counted as lost", lost)
				}
				var missing []int
				for i := range said {
					if seen[strconv.Itoa(i)] == 0 {
						missing = append(missing, i)
					}
				}
				if len(missing) > 0 {
					t.Errorf("of %d messages %v never came", said, slices.Compact(missing))
				}
			})
		})
	}
}
