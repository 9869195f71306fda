package carrier_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"omnibus/carrier"
)

// TestOutboxTellsRoomOnce holds back the writes and looks at what waits when OnRoom is called.
func TestOutboxTellsRoomOnce(t *testing.T) {
	tests := []struct {
		name string
		o    carrier.OutboxOptions
	}{
		{"bytes", carrier.OutboxOptions{MaxBytes: 128 << 10}},
		{"messages", carrier.OutboxOptions{MaxBytes: 10 << 20, MaxMessages: 128}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newGate()
				var o *carrier.Outbox
				told := 0
				tt.o.OnRoom = func() { told++ }
				o = carrier.NewOutbox(g, tt.o)
				fill := func() {
					for o.Append(make([]byte, 1<<10)) == nil {
					}
					synctest.Wait()
				}
				for round := 1; round <= 2; round++ {
					fill()
					fill() // a second refusal changes nothing
					if told != round-1 {
						t.Fatalf("told %d times when it was full", told)
					}
					for waiting := true; waiting; {
						g.open <- struct{}{}
						synctest.Wait()
						b, m := o.Pending()
						waiting = m > 0
						half := b <= 64<<10 && m <= 64
						if want := round - 1; half && told != want+1 || !half && told != want {
							t.Fatalf("%d bytes, %d messages wait; told %d times, in round %d", b, m, told, round)
						}
					}
				}
				noError(t, o.Append([]byte("x")))
				g.open <- struct{}{}
				synctest.Wait()
				if told != 2 {
					t.Errorf("told %d times in the end, without another refusal", told)
				}
				noError(t, o.Close())
			})
		})
	}
}

func TestNeedRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate()
		var told atomic.Int32
		o := carrier.NewOutbox(g, carrier.OutboxOptions{MaxBytes: 10, OnRoom: func() { told.Add(1) }})
		check := func(want int32, when string) {
			t.Helper()
			synctest.Wait()
			if n := told.Load(); n != want {
				t.Errorf("told %d times, want %d: %s", n, want, when)
			}
		}
		o.NeedRoom()
		check(1, "there is room and nobody writes")
		noError(t, o.Append(make([]byte, 5)))
		synctest.Wait() // the write is under way
		o.NeedRoom()
		check(1, "there is room, but who writes is to tell")
		g.open <- struct{}{}
		check(2, "it is written")
		later(t, o, "123456")
		o.NeedRoom()
		check(2, "more than half waits for a kick")
		o.Kick()
		g.open <- struct{}{}
		check(3, "it is written after a kick")
		later(t, o, "123")
		o.NeedRoom()
		check(4, "less than half waits for a kick, and there is room")
		noError(t, o.Append(make([]byte, 6)))
		o.NeedRoom()
		g.err = errors.New("cable pulled")
		close(g.open)
		o.Kick()
		check(4, "writing failed")
		o.NeedRoom()
		check(4, "writing has failed")
		noError(t, o.Close())
		o.NeedRoom()
		check(4, "it is closed")
		carrier.NewOutbox(g, carrier.OutboxOptions{}).NeedRoom() // without OnRoom: nothing to call
	})
}

// TestOnRoomRefills lets OnRoom append the rest, as a session does that keeps messages elsewhere: each append in OnRoom
// is written without a further word, whoever calls it.
func TestOnRoomRefills(t *testing.T) {
	const count = 3000
	for name, add := range map[string]func(o *carrier.Outbox, p []byte) error{
		"Append": (*carrier.Outbox).Append,
		"CommitLater and Kick": func(o *carrier.Outbox, p []byte) error {
			kick, err := o.CommitLater(append(o.Begin(), p...))
			if kick {
				o.Kick()
			}
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, client := tcpPair(t, false)
			next := 0
			var o *carrier.Outbox
			refill := func() {
				for ; next < count; next++ {
					p := make([]byte, 1000)
					p[0], p[1] = byte(next), byte(next>>8)
					if err := add(o, p); err != nil {
						if !errors.Is(err, carrier.ErrFull) {
							t.Error(err)
						}
						return
					}
				}
			}
			o = carrier.NewOutbox(server, carrier.OutboxOptions{MaxBytes: 10 << 10, OnRoom: refill})
			o.NeedRoom()
			got := make([]byte, 1000)
			for n := range count {
				readFull(t, client, got)
				if m := int(got[0]) | int(got[1])<<8; m != n {
					t.Fatalf("message %d arrived when %d was due", m, n)
				}
			}
			noError(t, o.Flush(t.Context()))
			noError(t, o.Close())
		})
	}
}

// TestOnRoomMayPanicInKick holds that who recovers from it can still use and close the outbox.
func TestOnRoomMayPanicInKick(t *testing.T) {
	server, client := tcpPair(t, false)
	o := carrier.NewOutbox(server, carrier.OutboxOptions{MaxBytes: 10, OnRoom: func() { panic("no room for me") }})
	later(t, o, "1234567")
	o.NeedRoom()
	func() {
		defer func() {
			if recover() == nil {
				t.Error("OnRoom was not called by Kick")
			}
		}()
		o.Kick()
	}()
	noError(t, o.Append([]byte("89")))
	got := make([]byte, 9)
	readFull(t, client, got)
	if string(got) != "123456789" {
		t.Errorf("got %q", got)
	}
	noError(t, o.Close())
}
