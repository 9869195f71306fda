package mqtt_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mqtt"
	"omnibus/dialect/mqtt/packet"
)

func TestReconnectionSubscribesAndSendsAgain(t *testing.T) {
	for _, kept := range []bool{true, false} {
		t.Run(fmt.Sprint("kept ", kept), func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				s := newStation(t)
				var w withheld
				s.rude = w.rude
				var events []string
				o := mqtt.Options{
					ClientID: "me", Reconnect: true,
					OnConnect: func(_ *mqtt.Client, s mqtt.Server) { events = append(events, fmt.Sprint("up ", s.SessionPresent)) },
					OnDisconnect: func(_ *mqtt.Client, err error) {
						events = append(events, fmt.Sprint("down ", errors.Is(err, mqtt.ErrDisconnected)))
					},
				}
				if kept {
					o.SessionExpiry = time.Hour
				}
				c := s.dial(o)
				var h heard
				subscribe(t, c, "in/#", h.note)
				one, err := c.Post(t.Context(), mqtt.Message{Topic: "out", QoS: 1})
				noError(t, err)
				two, err := c.Post(t.Context(), mqtt.Message{Topic: "out", QoS: 2})
				noError(t, err)
				synctest.Wait()
				s.mu.Lock()
				s.rude = nil
				s.mu.Unlock()
				s.hangUp()
				synctest.Wait()
				if err := c.Publish(t.Context(), mqtt.Message{Topic: "now"}); !errors.Is(err, mqtt.ErrDisconnected) {
					t.Errorf("publishing with QoS 0 meanwhile: %v", err)
				}
				noError(t, c.Publish(t.Context(), mqtt.Message{Topic: "out", QoS: 1, Payload: []byte("meanwhile")}))
				noError(t, one.Wait(t.Context()))
				err = two.Wait(t.Context())
				want := []bool{true, true, false}
				if kept && err != nil || !kept && !errors.Is(err, mqtt.ErrUncertain) {
					t.Errorf("QoS 2: %v", err)
				}
				if !kept {
					want = []bool{false, false}
				}
				var dups []bool
				for _, x := range s.got("out") {
					dups = append(dups, x.Dup)
				}
				if !slices.Equal(dups, want) {
					t.Errorf("duplicates are %v, want %v", dups, want)
				}
				s.publish(packet.Publish{Topic: "in/1"})
				h.is(t, "in/1=")
				n := 0
				for _, p := range s.packets() {
					if p == "SUBSCRIBE" {
						n++
					}
				}
				if kept && n != 1 || !kept && n != 2 {
					t.Errorf("%d SUBSCRIBE", n)
				}
				if want := []string{"up false", "down true", fmt.Sprint("up ", kept)}; !slices.Equal(events, want) {
					t.Errorf("told %q, want %q", events, want)
				}
				if got := c.Stats().Reconnects; got != 1 {
					t.Errorf("%d reconnections", got)
				}
			})
		})
	}
}

func TestBackoffGrowsAndVaries(t *testing.T) {
	bubble(t, func(t *testing.T) {
		var at []time.Time
		reported := 0
		c, err := mqtt.Start(url, mqtt.Options{
			Backoff: mqtt.Backoff{Min: time.Second, Max: 10 * time.Second, Attempts: 30},
			OnError: func(error) { reported++ },
			Dial: func(context.Context, string, string) (net.Conn, error) {
				at = append(at, time.Now())
				return nil, errors.New("nobody is there")
			},
		})
		noError(t, err)
		posted := make(chan error, 1)
		go func() { posted <- c.Publish(t.Context(), mqtt.Message{Topic: "a", QoS: 1}) }()
		if err := c.AwaitConnection(t.Context()); !errors.Is(err, mqtt.ErrDisconnected) {
			t.Errorf("waiting for a connection: %v", err)
		}
		<-c.Done()
		if err := <-posted; err == nil {
			t.Error("what was published is lost without an error")
		}
		if len(at) != 30 || reported != 29 {
			t.Fatalf("%d attempts, %d reported", len(at), reported)
		}
		var sum time.Duration
		for i := range 29 {
			gap, most := at[i+1].Sub(at[i]), min(time.Second<<i, 10*time.Second)
			if gap > most || gap < most/2 {
				t.Errorf("pause %d is %s, want between %s and %s", i, gap, most/2, most)
			}
			sum += gap % time.Second
		}
		if sum == 0 {
			t.Error("the pauses do not vary")
		}
	})
}

func TestRefusedResubscriptionIsReported(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var reported []error
		c := s.dial(mqtt.Options{Reconnect: true, OnError: func(err error) { reported = append(reported, err) }})
		var h heard
		subscribe(t, c, "a", h.note)
		subscribe(t, c, "b", h.note)
		s.mu.Lock()
		s.suback = func(f packet.Subscription) packet.ReasonCode {
			if f.Filter == "a" {
				return packet.NotAuthorized
			}
			return 0
		}
		s.mu.Unlock()
		s.hangUp()
		synctest.Wait()
		noError(t, c.AwaitConnection(t.Context()))
		synctest.Wait()
		if len(reported) != 1 || fmt.Sprint(reported[0]) != "the broker refuses the subscription of a: not authorized" {
			t.Errorf("reported are %v", reported)
		}
		s.publish(packet.Publish{Topic: "a"})
		s.publish(packet.Publish{Topic: "b"})
		h.is(t, "b=")
	})
}

func TestCallbacksMayUseTheClientWhileItReconnects(t *testing.T) {
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		var results []error
		c := s.dial(mqtt.Options{
			Reconnect: true, NoResubscribe: true,
			OnConnect: func(c *mqtt.Client, _ mqtt.Server) {
				_, err := c.Subscribe(t.Context(), mqtt.Subscription{Filter: "a"})
				results = append(results, err, c.Publish(t.Context(), mqtt.Message{Topic: "b", QoS: 2}))
			},
			OnDisconnect: func(c *mqtt.Client, _ error) {
				results = append(results, c.AwaitConnection(t.Context()))
			},
		})
		synctest.Wait()
		s.hangUp()
		synctest.Wait()
		noError(t, c.AwaitConnection(t.Context()))
		synctest.Wait()
		if len(results) != 5 || errors.Join(results...) != nil {
			t.Errorf("results are %v", results)
		}
	})
}

func TestCloseEndsAReconnection(t *testing.T) {
	bubble(t, func(t *testing.T) {
		c, err := mqtt.Start(url, mqtt.Options{Dial: saying(nil, true)})
		noError(t, err)
		synctest.Wait()
		start := time.Now()
		noError(t, c.Close())
		if took := time.Since(start); took > 0 || !errors.Is(c.Err(), mqtt.ErrClosed) {
			t.Errorf("after %s it ended with %v", took, c.Err())
		}
	})
}

// What a process leaves in the file, the next one delivers, and what was received is not received again.
func TestFileOutlivesTheProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	bubble(t, func(t *testing.T) {
		s := newStation(t)
		o := mqtt.Options{ClientID: "me", SessionExpiry: time.Hour, Timeout: time.Second}
		process := func(do func(c *mqtt.Client)) {
			file, err := mqtt.OpenFile(path, true)
			noError(t, err)
			o := o
			o.Store = file
			c, err := mqtt.Dial(t.Context(), url, s.options(o))
			noError(t, err)
			do(c)
			noError(t, c.Close())
			noError(t, file.Close())
		}
		deaf := func(types ...packet.Type) {
			s.mu.Lock()
			defer s.mu.Unlock()
			s.rude = func(_ *peer, h packet.Header, _ []byte) bool { return slices.Contains(types, h.Type) }
		}
		n := 0
		deaf(packet.PUBLISH, packet.PUBREC)
		process(func(c *mqtt.Client) {
			subscribe(t, c, "in", func(*mqtt.Message) { n++ })
			for qos := byte(1); qos <= 2; qos++ {
				if err := c.Publish(t.Context(), mqtt.Message{Topic: "out", QoS: qos}); !errors.Is(err, mqtt.ErrNoAnswer) {
					t.Error(err)
				}
			}
			s.publish(packet.Publish{Topic: "in", QoS: 2})
			synctest.Wait()
		})
		deaf(packet.PUBREL)
		process(func(*mqtt.Client) { synctest.Wait() })
		deaf()
		process(func(c *mqtt.Client) {
			synctest.Wait()
			if in := c.Stats().InFlight; in != 0 {
				t.Errorf("%d are in flight", in)
			}
			noError(t, c.Publish(t.Context(), mqtt.Message{Topic: "out", QoS: 2}))
		})
		if got := len(s.got("out")); got != 3 || n != 1 {
			t.Errorf("%d of 3 messages arrived, and one came %d times", got, n)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if len(s.out) != 0 || len(s.open) != 0 {
			t.Errorf("left over: %v %v", s.out, s.open)
		}
	})
}

// What was published while there was no broker at all is sent by the next process, QoS 2 too.
func TestFileKeepsWhatWasNeverSent(t *testing.T) {
	path := filepath.Join(t.TempDir(), "session")
	bubble(t, func(t *testing.T) {
		file, err := mqtt.OpenFile(path, false)
		noError(t, err)
		c, err := mqtt.Start(url, mqtt.Options{ClientID: "me", Store: file, Dial: func(context.Context, string, string) (net.Conn, error) {
			return nil, errors.New("nobody is there")
		}})
		noError(t, err)
		for qos := byte(1); qos <= 2; qos++ {
			_, err = c.Post(t.Context(), mqtt.Message{Topic: "out", QoS: qos, ContentType: "x"})
			noError(t, err)
		}
		noError(t, c.Close())
		noError(t, file.Close())
		file, err = mqtt.OpenFile(path, false)
		noError(t, err)
		s := newStation(t)
		c = s.dial(mqtt.Options{ClientID: "me", Store: file, Version: mqtt.V311}) // which is another version
		synctest.Wait()
		if n := len(s.got("out")); n != 2 {
			t.Errorf("%d of 2 messages arrived", n)
		}
		noError(t, c.Close())
		noError(t, file.Close())
	})
}
