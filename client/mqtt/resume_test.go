package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

// A message of QoS 2 whose handler still runs when the connection is lost, and which the broker sends again, is handled
// once, and acknowledged on the connection on which it came again.
func TestHandlerThatOutlivesItsConnection(t *testing.T) {
	for _, v := range []mqtt.Version{mqtt.V5, mqtt.V311} {
		bubble(t, func(t *testing.T) {
			s := newStation(t)
			c := s.dial(mqtt.Options{ClientID: "me", Version: v, SessionExpiry: time.Hour, Reconnect: true})
			n := 0
			subscribe(t, c, "#", func(*mqtt.Message) {
				n++
				time.Sleep(time.Minute)
			})
			s.publish(packet.Publish{Topic: "a", QoS: 2})
			synctest.Wait()
			for range 3 {
				s.hangUp()
				time.Sleep(10 * time.Second)
			}
			time.Sleep(time.Minute)
			synctest.Wait()
			s.mu.Lock()
			defer s.mu.Unlock()
			if n != 1 || len(s.out) != 0 || c.Stats().Reconnects != 3 {
				t.Errorf("handled %d times, %d are not acknowledged, %+v", n, len(s.out), c.Stats())
			}
		})
	}
}

// A handler of a session that the broker has lost acknowledges nothing of the next one.
func TestHandlerThatOutlivesItsSession(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		c := s.dial(mqtt.Options{Reconnect: true})
		var h heard
		subscribe(t, c, "#", func(m *mqtt.Message) {
			h.note(m)
			time.Sleep(time.Minute)
		})
		s.publish(packet.Publish{Topic: "a", QoS: 2, Payload: []byte("old")})
		synctest.Wait()
		s.hangUp()
		time.Sleep(10 * time.Second)
		s.mu.Lock()
		s.lastID = 0 // the same identifier, in another session
		s.mu.Unlock()
		s.publish(packet.Publish{Topic: "a", QoS: 2, Payload: []byte("new")})
		time.Sleep(55 * time.Second) // the old handler has ended, the new one has not
		synctest.Wait()
		s.mu.Lock()
		if len(s.out) != 1 || s.out[0].released {
			t.Error("the new message is acknowledged before its handler has returned")
		}
		s.mu.Unlock()
		time.Sleep(time.Minute)
		h.is(t, "a=old", "a=new")
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.out) != 0 {
			t.Error("the new message is not acknowledged")
		}
	})
}

// When a handler waits for the broker, and the broker sends more than there is room for, nothing with a QoS is lost.
func TestFloodWhileAHandlerWaits(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var w withheld
		s.rude = w.rude
		var lost []error
		c := s.dial(mqtt.Options{
			ClientID: "me", Version: mqtt.V311, SessionExpiry: time.Hour, Reconnect: true, MaxQueued: 3, Timeout: -1,
			OnDisconnect: func(_ *mqtt.Client, err error) { lost = append(lost, err) },
		})
		var seen []string
		subscribe(t, c, "#", func(m *mqtt.Message) {
			if len(seen) == 0 {
				if err := c.Publish(t.Context(), mqtt.Message{Topic: "out", QoS: 1}); err != nil {
					t.Error(err)
				}
			}
			seen = append(seen, m.Topic)
		})
		for i := range 20 {
			s.publish(packet.Publish{Topic: fmt.Sprintf("in/%02d", i), QoS: byte(1 + i%2)})
		}
		synctest.Wait()
		w.answer(s, 1)
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(seen) != 20 || len(lost) != 1 || !slices.IsSorted(seen) {
			t.Errorf("%d of 20 messages arrived: %q; connections were lost by %v", len(seen), seen, lost)
		}
		if st := c.Stats(); st.Dropped != 0 || st.Queued != 0 || st.Deferred != 13 {
			t.Errorf("%+v", st)
		}
	})
}

func TestGiveUpDecides(t *testing.T) {
	bubble(t, func(t *testing.T) {
		why := errors.New("no such host, and never will be")
		attempts := 0
		c, err := mqtt.Start(url, mqtt.Options{
			GiveUp: func(err error) bool { return errors.Is(err, why) && attempts == 3 },
			Dial: func(context.Context, string, string) (net.Conn, error) {
				attempts++
				return nil, why
			},
		})
		noError(t, err)
		<-c.Done()
		if attempts != 3 || !errors.Is(c.Err(), why) {
			t.Errorf("after %d attempts it ended with %v", attempts, c.Err())
		}
		noError(t, c.Close())
	})
}
