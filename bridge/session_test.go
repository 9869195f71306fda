package bridge_test

import (
	"fmt"
	"slices"
	"testing"

	"omnibus/bridge"
)

func TestTheOtherBrokerKeepsWhatIsToComeInIfItKeepsTheSession(t *testing.T) {
	for _, v := range []string{"5", "3.1.1"} {
		t.Run(v, func(t *testing.T) {
			there := start(t, "there", "127.0.0.1:0")
			keep := func(c *bridge.Config) { c.ClientID, c.CleanSession = "home", false }
			first := start(t, "first", "127.0.0.1:0")
			first.bridgeTo(there, everything, version(v), keep)
			first.close()
			var want []string
			for i := range 5 {
				there.publish("a", fmt.Sprint(i), qos(uint8(i%3)))
				if i%3 > 0 {
					want = append(want, fmt.Sprintf("a=%d", i))
				}
			}
			second := start(t, "second", "127.0.0.1:0")
			second.bridgeTo(there, everything, version(v), keep)
			second.eventually("it has what was kept", func() bool { return len(second.seen()) >= len(want) })
			if got := second.seen(); !slices.Equal(got, want) {
				t.Errorf("there came %q, want %q", got, want)
			}
		})
	}
}

func TestTheOtherBrokerMayRestart(t *testing.T) {
	for _, v := range []string{"5", "3.1.1"} {
		t.Run(v, func(t *testing.T) {
			here, there := start(t, "here", "127.0.0.1:0"), start(t, "there", "127.0.0.1:0")
			here.bridgeTo(there, everything, version(v))
			here.publish("first", "x")
			there.eventually("it has the first", func() bool { return len(there.seen()) > 0 })
			there.close()
			here.eventually("the connection is lost", func() bool { return here.count("there", "connections_lost") > 0 })
			want := []string{}
			for i := range 9 {
				here.publish("away", fmt.Sprint(i), qos(uint8(i%3)))
				if i%3 > 0 {
					want = append(want, fmt.Sprintf("away=%d", i))
				}
			}
			again := start(t, "again", there.port)
			again.eventually("it has what was stored", func() bool { return len(again.seen()) >= len(want) })
			here.eventually("it knows that", func() bool { return here.count("there", "messages_waiting") == 0 })
			if got := again.seen(); !slices.Equal(got, want) {
				t.Errorf("there came %q, want %q", got, want)
			}
			if got := here.count("there", "messages_stored"); got != int64(len(want)) {
				t.Errorf("%d were stored, want %d", got, len(want))
			}
		})
	}
}
