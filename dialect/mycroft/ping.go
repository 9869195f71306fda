package mycroft

import (
	"errors"
	"sync"
	"time"
)

// errSilent ends a client that has not answered a ping.
var errSilent = errors.New("nothing was heard of it, not even the answer to a ping")

// watch pings a client that is quiet and tells when it is gone. It looks at when
// bytes last arrived, so that nothing is to be done when some do.
type watch struct {
	session *session
	quiet   time.Duration // before it is pinged
	answer  time.Duration // that the ping is given

	mu     sync.Mutex
	timer  *time.Timer // nil when it has ended
	last   time.Time   // when something had arrived at the last look
	pinged bool        // since then
}

// start begins to watch; stop ends it.
func (w *watch) start() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.quiet, w.look)
}

// stop returns when look does not run and will not run any more.
func (w *watch) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
}

func (w *watch) look() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.timer == nil {
		return
	}
	last := w.session.ws.LastActivity()
	if w.pinged && last.Equal(w.last) {
		w.session.fail(errSilent)
		return
	}
	w.pinged, w.last = false, last
	if rest := w.quiet - time.Since(last); rest > 0 {
		w.timer.Reset(min(rest, w.quiet)) // the clock may have been set back
		return
	}
	w.pinged = true
	_ = w.session.ws.Ping() // a client whose queue is full is slow, which is told elsewhere
	w.timer.Reset(w.answer)
}
