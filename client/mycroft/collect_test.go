package mycroft_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"omnibus/client/mycroft"
)

// step is what a handler tells some time after the request.
type step struct {
	at      time.Duration
	handler string
	tells   string // "handling SECONDS", "succeeds DATA" or "fails"
}

func ms(n int) time.Duration { return time.Duration(n) * time.Millisecond }

// play has handlers of the original kind answer the next request.
func play(t *testing.T, h *hub, steps []step) {
	t.Helper()
	request, err := mycroft.ParseMessage([]byte(<-h.frames))
	if err != nil {
		t.Error(err)
		return
	}
	var c struct {
		ID string `json:"__collect_id__"`
	}
	if err := request.DecodeContext(&c); err != nil || len(c.ID) != 36 {
		t.Errorf("the id of the query is %q (%v)", c.ID, err)
	}
	begin := time.Now()
	for _, s := range steps {
		time.Sleep(time.Until(begin.Add(s.at)))
		verb, rest, _ := strings.Cut(s.tells, " ")
		switch verb {
		case "handling":
			h.send(frame(t, request.Reply(request.Type+".handling",
				json.RawMessage(fmt.Sprintf(`{"query":%q,"handler":%q,"timeout":%s}`, c.ID, s.handler, rest)), nil)))
		case "succeeds":
			h.send(frame(t, request.Response(json.RawMessage(fmt.Sprintf(`{"answer":%s,"query":%q,"handler":%q,"succeeded":true}`, rest, c.ID, s.handler)))))
		case "fails":
			h.send(frame(t, request.Response(json.RawMessage(fmt.Sprintf(`{"query":%q,"handler":%q,"succeeded":false}`, c.ID, s.handler)))))
		case "raw":
			h.send(rest)
		}
	}
}

func TestResponsesAreCollected(t *testing.T) {
	early := func(*mycroft.Answer) bool { return true }
	for _, x := range []struct {
		name    string
		steps   []step
		until   func(*mycroft.Answer) bool
		after   time.Duration
		answers string
	}{
		// The cases that were observed with the original libraries.
		{"no ack, no response", nil, nil, ms(200), ""},
		{"ack and response at once", []step{{0, "h1", "handling 2"}, {0, "h1", "succeeds 1"}}, nil, ms(200), "h1 true 1"},
		{"response without any ack", []step{{0, "h1", "succeeds 1"}}, nil, ms(200), "h1 true 1"},
		{
			"h1 takes 2 s, h2 0.6 s, h1 answers at 0.4 s",
			[]step{{0, "h1", "handling 2"}, {0, "h2", "handling 0.6"}, {ms(400), "h1", "succeeds 1"}},
			nil, ms(600), "h1 true 1",
		},
		{"enough at 0.5 s", []step{{0, "h1", "handling 2"}, {0, "h2", "handling 2"}, {ms(500), "h1", "succeeds 1"}}, early, ms(500), "h1 true 1"},
		{"ack of 60 s, silent", []step{{0, "h1", "handling 60"}}, nil, 3 * time.Second, ""},
		// Where the originals have defects.
		{
			"extended by 5 s, answer at 1 s",
			[]step{{0, "h1", "handling 0.5"}, {ms(400), "h1", "handling 5"}, {time.Second, "h1", "succeeds 1"}},
			nil, time.Second, "h1 true 1",
		},
		{
			"enough before the first wait is over",
			[]step{{0, "h1", "handling 2"}, {0, "h2", "handling 2"}, {ms(100), "h1", "succeeds 1"}},
			early, ms(100), "h1 true 1",
		},
		// More.
		{"an extension cannot pass the end", []step{{0, "h1", "handling 2"}, {time.Second, "h1", "handling 60"}}, nil, 3 * time.Second, ""},
		{
			"the last answer of a handler counts",
			[]step{{0, "h1", "handling 2"}, {0, "h2", "handling 1"}, {ms(10), "h1", "succeeds 1"}, {ms(20), "h2", "fails"}, {ms(30), "h1", "succeeds 2"}},
			nil, ms(200), "h1 true 2, h2 false null",
		},
		{
			"acks that come late count when somebody is waited for",
			[]step{{0, "h1", "handling 1"}, {ms(500), "h2", "handling 1"}, {ms(600), "h1", "succeeds 1"}, {ms(1400), "h2", "succeeds 2"}},
			nil, ms(1400), "h1 true 1, h2 true 2",
		},
		{"an ack after the answer is none", []step{{0, "h1", "succeeds 1"}, {ms(10), "h1", "handling 2"}}, nil, ms(200), "h1 true 1"},
		{"answers to other queries do not count", []step{
			{0, "h1", `raw {"type":"question:query.response","data":{"query":"another","handler":"h9","succeeded":true}}`},
			{0, "h1", `raw {"type":"question:query.handling","data":{"query":"another","handler":"h9","timeout":2}}`},
			{0, "h1", `raw {"type":"question:query.response","data":{"query":7}}`},
			{0, "h1", `raw {"type":"question:query.response"}`},
		}, nil, ms(200), ""},
		{"a time that makes no sense", []step{{0, "h1", "handling -1e300"}, {0, "h2", "handling 1e300"}, {ms(700), "h2", "fails"}}, nil, ms(700), "h2 false null"},
	} {
		synctest.Test(t, func(t *testing.T) {
			h := newHub(t)
			c := h.start(mycroft.Options{})
			go play(t, h, x.steps)
			begin := time.Now()
			got, err := c.CollectResponses(t.Context(), mycroft.NewMessage("question:query", map[string]string{"phrase": "how tall"}),
				mycroft.CollectOptions{Until: x.until})
			noError(t, err)
			if after := time.Since(begin); after != x.after {
				t.Errorf("%s: it returned after %s, want %s", x.name, after, x.after)
			}
			var all []string
			for _, a := range got {
				var data struct{ Answer json.RawMessage }
				noError(t, a.Decode(&data))
				if data.Answer == nil {
					data.Answer = json.RawMessage("null")
				}
				all = append(all, fmt.Sprintf("%s %v %s", a.Handler, a.Succeeded, data.Answer))
			}
			same(t, x.name, strings.Join(all, ", "), x.answers)
			time.Sleep(5 * time.Second) // the handlers of the test end
		})
	}
}

func TestCollectingEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		go play(t, h, []step{{0, "h1", "handling 2"}, {0, "h2", "handling 2"}, {ms(300), "h1", "succeeds 1"}})
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := c.CollectResponses(ctx, mycroft.NewMessage("x", nil), mycroft.CollectOptions{})
		if !errors.Is(err, context.DeadlineExceeded) || len(got) != 1 {
			t.Errorf("%d answers, %v", len(got), err)
		}
	})
}

func TestCollectHandlersAnswer(t *testing.T) {
	v := readVectors(t).Collect
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		c.OnCollect("question:query", 0, func(ctx context.Context, q *mycroft.Query) {
			noError(t, q.Extend(ctx, 5*time.Second))
			noError(t, q.Succeed(ctx, map[string]string{"answer": "828 m"}))
			noError(t, q.Fail(ctx))
		})
		h.send(v.Sequence[0].Wire)
		handler := ""
		for _, want := range []string{v.Sequence[1].Wire, v.Extend, v.Sequence[2].Wire, v.Failure} {
			got := <-h.frames
			m, err := mycroft.ParseMessage([]byte(got))
			noError(t, err)
			if id := m.Text("handler"); len(id) != 36 || handler != "" && id != handler {
				t.Errorf("the id of the handler is %q after %q", id, handler)
			}
			handler = m.Text("handler")
			same(t, "frame", strings.Replace(got, handler, "b3a0c7d2-1111-4222-8333-444455556666", 1), compact(t, want))
		}
	})
}

func TestBothHalvesOfCollectingWorkTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		caller := h.start(mycroft.Options{})
		for i, takes := range []time.Duration{ms(100), ms(700), ms(2500)} {
			h.start(mycroft.Options{}).OnCollect("question:query", ms(500), func(ctx context.Context, q *mycroft.Query) {
				for left := takes; left > 0; left -= ms(400) {
					noError(t, q.Extend(ctx, ms(500)))
					time.Sleep(min(left, ms(400)))
				}
				noError(t, q.Succeed(ctx, map[string]int{"n": i}))
			})
		}
		h.start(mycroft.Options{}).OnCollect("question:query", 0, func(ctx context.Context, q *mycroft.Query) { noError(t, q.Fail(ctx)) })
		begin := time.Now()
		got, err := caller.CollectResponses(t.Context(), mycroft.NewMessage("question:query", nil), mycroft.CollectOptions{})
		noError(t, err)
		if time.Since(begin) != ms(2500) || len(got) != 4 {
			t.Fatalf("%d answers after %s", len(got), time.Since(begin))
		}
		for i, a := range got[1:] {
			if want := fmt.Sprintf(`"n":%d`, i); !a.Succeeded || !strings.Contains(string(a.Data), want) {
				t.Errorf("answer %d: %s, want %s", i, a.Data, want)
			}
		}
		if got[0].Succeeded {
			t.Error("the one that failed did not")
		}
	})
}

func TestAHandlerThatPanicsHasFailed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		c.OnCollect("x", 0, func(context.Context, *mycroft.Query) { panic("ouch") })
		got, err := c.CollectResponses(t.Context(), mycroft.NewMessage("x", nil), mycroft.CollectOptions{})
		noError(t, err)
		if len(got) != 1 || got[0].Succeeded || c.Stats().Panics != 1 {
			t.Errorf("%d answers, %+v", len(got), c.Stats())
		}
	})
}

func TestThatAHandlerIsAtWorkIsToldWhileAnotherRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		c := h.start(mycroft.Options{})
		release := make(chan struct{})
		c.OnCollect("x", 0, func(context.Context, *mycroft.Query) { <-release })
		h.send(`{"type":"x","context":{"__collect_id__":"1"}}`)
		h.send(`{"type":"x","context":{"__collect_id__":"2"}}`)
		for _, id := range []string{"1", "2"} {
			m, err := mycroft.ParseMessage([]byte(<-h.frames))
			noError(t, err)
			same(t, "type", m.Type, "x.handling")
			same(t, "query", m.Text("query"), id)
		}
		close(release)
	})
}

func TestARequestThatNobodyCollectsIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(t)
		d := new(diary)
		c := h.start(mycroft.Options{Events: d.events()})
		c.OnCollect("x", 0, func(context.Context, *mycroft.Query) { t.Error("it was handled") })
		h.send(`{"type":"x"}`)
		synctest.Wait()
		if d.count("has no __collect_id__") != 1 {
			t.Errorf("told:\n%s", d.text())
		}
	})
}
