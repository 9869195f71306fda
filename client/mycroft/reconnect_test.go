package mycroft_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mycroft"
)

func TestReconnectsWithTheBackOffOfTheOriginals(t *testing.T) {
	want := readVectors(t).Backoff
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := new(diary)
		c := h.start(mycroft.Options{Jitter: -1, Events: d.events()})
		h.down()
		lines := []string{"0s open", "0s close: the connection to ws://hub:8181/core was lost: "}
		at := time.Duration(0)
		for i, wait := range want {
			synctest.Wait()
			last := i == len(want)-1
			if last {
				h.up()
			}
			time.Sleep(time.Duration(wait) * time.Second)
			at += time.Duration(wait) * time.Second
			lines = append(lines, fmt.Sprintf("%s reconnecting %d", at, i+1))
			if !last {
				lines = append(lines, fmt.Sprintf("%s error: dialing ws://hub:8181/core: ", at))
			}
		}
		lines = append(lines, fmt.Sprintf("%s open", at))
		synctest.Wait()
		told := strings.Split(d.text(), "\n")
		for i, line := range told {
			if len(told) != len(lines) || !strings.HasPrefix(line, lines[i]) {
				t.Errorf("told:\n%s\nwant:\n%s", d.text(), strings.Join(lines, "\n"))
				break
			}
		}

		// A connection that was made begins the waits anew.
		h.drop(true)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if !c.Connected() || c.Stats().Connections != 3 {
			t.Errorf("not connected again after 5 s: %+v", c.Stats())
		}
	})
}

func TestWaitsAreLeftToChanceInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		seen := make(map[time.Duration]bool)
		for range 20 {
			var d diary
			gap := make(chan time.Duration, 1)
			begin := time.Now()
			dials := 0
			c, err := mycroft.New(mycroft.Options{Dial: func(context.Context, string, string) (net.Conn, error) {
				if dials++; dials == 2 {
					gap <- time.Since(begin)
				}
				return nil, errors.New("nobody is there")
			}, Events: d.events()})
			noError(t, err)
			go func() { _ = c.Run(t.Context()) }()
			wait := <-gap
			if wait < 4*time.Second || wait > 6*time.Second {
				t.Errorf("it waited %s", wait)
			}
			seen[wait] = true
			noError(t, c.Close(t.Context()))
		}
		if len(seen) < 10 {
			t.Errorf("all waits are alike: %v", seen)
		}
	})
}

func TestHandlersAndEmitGoOnAfterAReconnect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		got := make(chan string, 10)
		c.On("a.b", func(_ context.Context, m *mycroft.Message) { got <- string(m.Data) })
		for i := range 3 {
			noError(t, c.Emit(t.Context(), mycroft.NewMessage("a.b", map[string]int{"n": i})))
			same(t, "data", <-got, fmt.Sprintf(`{"n":%d}`, i))
			h.drop(i == 1)
			synctest.Wait() // Emit waits for the next connection
		}
	})
}

func TestEmitWithoutConnectionWaitsForItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		h.down()
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := c.Emit(ctx, mycroft.NewMessage("a.b", nil))
		mentions(t, err, "a.b", "connection to ws://hub:8181/core")
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		_, err = c.WaitForResponse(t.Context(), mycroft.NewMessage("a.b", nil))
		if e, ok := errors.AsType[*mycroft.TimeoutError](err); !ok || e.After != 3*time.Second {
			t.Errorf("got %v", err)
		}
	})
}

func TestStartToldOfTheFirstConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		h.down()
		c := h.client(mycroft.Options{NoReconnect: true})
		mentions(t, c.Start(t.Context()), "hub:8181")

		c = h.client(mycroft.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Start(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		h.up() // it goes on trying
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if !c.Connected() {
			t.Error("it is not connected")
		}
	})
}

func TestAClientThatDoesNotReconnectEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.client(mycroft.Options{NoReconnect: true})
		ended := make(chan error, 1)
		go func() { ended <- c.Run(t.Context()) }()
		synctest.Wait()
		waited := make(chan error, 1)
		go func() {
			_, err := c.WaitForMessage(t.Context(), "never")
			waited <- err
		}()
		synctest.Wait()
		h.drop(true)
		for _, err := range []error{<-ended, <-waited, c.Emit(t.Context(), mycroft.NewMessage("x", nil))} {
			mentions(t, err, "connection to ws://hub:8181/core was lost", "restarting")
		}
		<-c.Done()
		mentions(t, c.Err(), "restarting")
	})
}

func TestASilentHubIsTakenForDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := new(diary)
		c := h.start(mycroft.Options{Events: d.events(), Jitter: -1})
		time.Sleep(10 * time.Minute) // it answers pings
		if got := c.Stats().Connections; got != 1 {
			t.Errorf("there were %d connections to a hub that lives", got)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		dials := 0
		d := new(diary)
		c, err := mycroft.New(mycroft.Options{Events: d.events(), Jitter: -1, Dial: func(context.Context, string, string) (net.Conn, error) {
			if dials++; dials == 1 {
				return near, nil
			}
			return nil, errors.New("the end of the test")
		}})
		noError(t, err)
		go shake(t, far)
		noError(t, c.Start(t.Context()))
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if !strings.Contains(d.text(), "close: the connection to ws://127.0.0.1:8181/core was lost: the hub did not answer for 1m0s") {
			t.Errorf("told:\n%s", d.text())
		}
		noError(t, c.Close(t.Context()))
		_ = far.Close()
	})
}

func TestTheOfflineQueueIsSentInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.client(mycroft.Options{Offline: 3})
		emit := func(n int) error { return c.Emit(t.Context(), mycroft.NewMessage("a.b", map[string]int{"n": n})) }
		for i := range 3 { // it may even not be started
			noError(t, emit(i))
		}
		if err := emit(3); !errors.Is(err, mycroft.ErrOfflineFull) || c.Stats().Refused != 1 {
			t.Errorf("got %v, %+v", err, c.Stats())
		}
		noError(t, c.Start(t.Context()))
		noError(t, emit(4))
		for _, n := range []int{0, 1, 2, 4} {
			same(t, "frame", <-h.frames, fmt.Sprintf(`{"type":"a.b","data":{"n":%d},"context":{}}`, n))
		}
		h.down()
		synctest.Wait()
		noError(t, emit(5))
		h.up()
		time.Sleep(10 * time.Second)
		same(t, "frame", <-h.frames, `{"type":"a.b","data":{"n":5},"context":{}}`)
		if s := c.Stats(); s.Sent != 5 || s.Lost != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestTheOfflineQueueIsBoundedInBytes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.client(mycroft.Options{Offline: 1000, OfflineBytes: 1 << 20, SendBuffer: 1})
		big := mycroft.NewMessage("a.b", map[string]string{"x": strings.Repeat("x", 100<<10)})
		n := 0
		for c.Emit(t.Context(), big) == nil {
			n++
		}
		if n != 10 {
			t.Errorf("%d messages of 100 KiB fit into a MiB", n)
		}
		noError(t, c.Start(t.Context())) // all of it fits into the send buffer, small as that is
		for range n {
			<-h.frames
		}
		if s := c.Stats(); s.Lost != 0 {
			t.Errorf("%+v", s)
		}
		h.down()
		synctest.Wait()
		noError(t, c.Emit(t.Context(), big))
		noError(t, c.Close(t.Context()))
		if s := c.Stats(); s.Lost != 1 {
			t.Errorf("what waited at the end is not counted: %+v", s)
		}
	})
}
