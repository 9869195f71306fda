package mycroft_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mycroft"
)

// result is what a wait brought.
type result struct {
	m   *mycroft.Message
	err error
}

// ask begins a WaitForResponse, and returns when the request has reached the hub.
func ask(t *testing.T, h *hub, c *mycroft.Client, m *mycroft.Message, types ...string) (request *mycroft.Message, answer <-chan result) {
	t.Helper()
	got := make(chan result, 1)
	go func() {
		m, err := c.WaitForResponse(t.Context(), m, types...)
		got <- result{m, err}
	}()
	request, err := mycroft.ParseMessage([]byte(<-h.frames))
	noError(t, err)
	synctest.Wait()
	return request, got
}

func (r result) is(t *testing.T, data string) {
	t.Helper()
	noError(t, r.err)
	same(t, "answer", string(r.m.Data), data)
}

func timedOut(t *testing.T, err error, skipped int) {
	t.Helper()
	e, ok := errors.AsType[*mycroft.TimeoutError](err)
	if !ok || !errors.Is(err, context.DeadlineExceeded) || e.Skipped != skipped {
		t.Errorf("got %v, want a timeout after %d skipped answers", err, skipped)
	}
}

func TestWaitForMessage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		go func() {
			time.Sleep(time.Second)
			h.send(`{"type":"other"}`)
			h.send(`{"type":"two","data":{"n":1}}`)
			h.send(`{"type":"one","data":{"n":2}}`)
		}()
		m, err := c.WaitForMessage(t.Context(), "one", "two")
		result{m, err}.is(t, `{"n":1}`)
		_, err = c.WaitForMessage(t.Context(), "one", "two")
		timedOut(t, err, 0)
		mentions(t, err, "no one or two within 3s")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		begin := time.Now()
		_, err = c.WaitForMessage(ctx, "never")
		timedOut(t, err, 0)
		if time.Since(begin) != time.Minute {
			t.Errorf("it waited %s", time.Since(begin))
		}
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err = c.WaitForMessage(cancelled, "never"); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
	})
}

func TestAnAnswerGoesToWhoAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c, other := h.start(mycroft.Options{}), h.start(mycroft.Options{})
		var requests []*mycroft.Message
		var answers []<-chan result
		for i := range 4 { // two of each client, all at the same time
			asker := c
			if i%2 == 1 {
				asker = other
			}
			request, answer := ask(t, h, asker, mycroft.NewMessage("volume.get", map[string]int{"n": i}))
			requests, answers = append(requests, request), append(answers, answer)
		}
		h.send(`{"type":"volume.get.response","data":{"n":-1},"context":{"omnibus_request":"somebody"}}`)
		for i := range requests { // answered in another order, as the original libraries do
			j := len(requests) - 1 - i
			h.send(frame(t, requests[j].Response(map[string]int{"n": j})))
		}
		for i, answer := range answers {
			(<-answer).is(t, fmt.Sprintf(`{"n":%d}`, i))
		}
	})
}

func TestOfSeveralTypesTheFirstAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		request, answer := ask(t, h, c, mycroft.NewMessage("x.get", nil), "x.yes", "x.no")
		h.send(frame(t, request.Response(nil)))
		h.send(frame(t, request.Reply("x.no", map[string]int{"n": 1}, nil)))
		h.send(frame(t, request.Reply("x.yes", map[string]int{"n": 2}, nil)))
		(<-answer).is(t, `{"n":1}`)
		if n := c.RemoveAll("x.yes"); n != 0 {
			t.Error("listeners are left")
		}
	})
}

func TestTheRequestIsNotChanged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		m := mycroft.NewMessage("x.get", nil).WithContext("source", "me")
		before := frame(t, m)
		request, answer := ask(t, h, c, m)
		h.send(frame(t, request.Response(nil)))
		noError(t, (<-answer).err)
		same(t, "request", frame(t, m), before)
	})
}

const uncorrelated = `{"type":"x.get.response","data":{"n":1},"context":{}}`

func TestAnAnswerWithoutIDIsTakenWhenItCanBeNobodyElses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		_, answer := ask(t, h, c, mycroft.NewMessage("x.get", nil))
		h.send(`{"type":"x.get.response","data":{"n":0},"context":{"omnibus_request":"another"}}`)
		h.send(uncorrelated)
		(<-answer).is(t, `{"n":1}`)
	})
}

func TestAnAnswerWithoutIDIsNotTakenWhenItMayBeSomebodyElses(t *testing.T) {
	for name, before := range map[string]func(h *hub, c *mycroft.Client){
		"a request of an original client": func(h *hub, _ *mycroft.Client) { h.send(`{"type":"x.get"}`) },
		"a request of our own, by Emit":   func(_ *hub, c *mycroft.Client) { _ = c.Emit(context.Background(), mycroft.NewMessage("x.get", nil)) },
		"a request of a client like this": func(h *hub, _ *mycroft.Client) { h.send(`{"type":"x.get","context":{"omnibus_request":"y"}}`) },
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			c := h.start(mycroft.Options{})
			before(h, c)
			synctest.Wait()
			for len(h.frames) > 0 {
				<-h.frames
			}
			_, answer := ask(t, h, c, mycroft.NewMessage("x.get", nil))
			h.send(uncorrelated)
			h.send(uncorrelated)
			r := <-answer
			if r.err == nil {
				t.Fatalf("%s: it was taken", name)
			}
			timedOut(t, r.err, 2)
			mentions(t, r.err, "2 came that do not say whom they are for")

			// One that says so is taken all the same.
			var request *mycroft.Message
			request, answer = ask(t, h, c, mycroft.NewMessage("x.get", nil))
			h.send(uncorrelated)
			h.send(frame(t, request.Response(map[string]int{"n": 2})))
			(<-answer).is(t, `{"n":2}`)

			// After a while nobody waits for an old answer any more.
			time.Sleep(11 * time.Second)
			_, answer = ask(t, h, c, mycroft.NewMessage("x.get", nil))
			h.send(uncorrelated)
			(<-answer).is(t, `{"n":1}`)
		})
	}
}

func TestAnAnswerWithoutIDIsNotTakenWhileTwoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		_, one := ask(t, h, c, mycroft.NewMessage("x.get", nil))
		_, two := ask(t, h, c, mycroft.NewMessage("y.get", nil), "x.get.response")
		h.send(uncorrelated)
		timedOut(t, (<-one).err, 1)
		timedOut(t, (<-two).err, 1)
	})
}

func TestManyForeignTypesAreRememberedWithinABound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		h.send(`{"type":"x.get"}`)
		for i := range 3000 {
			h.send(fmt.Sprintf(`{"type":"t%d"}`, i))
		}
		_, answer := ask(t, h, c, mycroft.NewMessage("x.get", nil))
		h.send(uncorrelated)
		timedOut(t, (<-answer).err, 1) // it was forgotten, and that is known
	})
}

func TestAHandlerMayWaitForAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		c.On("inner.get", func(ctx context.Context, m *mycroft.Message) { _ = c.Emit(ctx, m.Response(map[string]int{"n": 1})) })
		c.On("outer.get", func(ctx context.Context, m *mycroft.Message) {
			inner, err := c.WaitForResponse(ctx, m.Forward("inner.get", nil))
			if err != nil {
				t.Error(err)
				return
			}
			_ = c.Emit(ctx, m.Response(inner.Data))
		})
		m, err := c.WaitForResponse(t.Context(), mycroft.NewMessage("outer.get", nil))
		result{m, err}.is(t, `{"n":1}`)
	})
}

func TestCloseEndsWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		_, answer := ask(t, h, c, mycroft.NewMessage("x.get", nil))
		noError(t, c.Close(t.Context()))
		if r := <-answer; !errors.Is(r.err, mycroft.ErrClosed) {
			t.Errorf("got %v", r.err)
		}
	})
}
