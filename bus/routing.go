package bus

// routing is what receivers leave on a message while it is routed.
type routing struct {
	memos []memo
	after []Finisher
}

// memo is what the receivers of one kind made of a message. It is current until
// the routing ends; the value stays, to be used again for the next message.
type memo struct {
	key, value any
	current    bool
}

// Finisher is a receiver that acts on a message when all its subscriptions that
// match have been handed it.
type Finisher interface {
	// Routed runs on the publisher's goroutine under the rules of Deliver.
	Routed(m *Message)
}

// begin makes m one that is being routed.
func (m *Message) begin() {
	if m.own == nil {
		m.own = new(routing)
	}
	m.route = m.own
}

// finish ends the routing.
func (m *Message) finish() {
	r := m.route
	for i := 0; i < len(r.after); i++ {
		f := r.after[i]
		r.after[i] = nil
		f.Routed(m)
	}
	r.after = r.after[:0]
	r.outdate()
	m.route = nil
}

// outdate makes all memos left-overs.
func (r *routing) outdate() {
	for i := range r.memos {
		r.memos[i].current = false
	}
}

// Memo returns what SetMemo was given for the key. current tells that it was
// made of this very message while it is being routed; otherwise it is a left-over
// whose memory may be used again, or nil. Only Deliver and Routed may call it.
func (m *Message) Memo(key any) (value any, current bool) {
	if m.route == nil {
		return nil, false
	}
	for i := range m.route.memos {
		if x := &m.route.memos[i]; x.key == key {
			return x.value, x.current
		}
	}
	return nil, false
}

// SetMemo leaves on a message what receivers of one kind make of it, so that it
// is made once for all of them. It reports false, and does nothing, for a message
// that is not being routed, such as a retained value, which several goroutines may
// read.
func (m *Message) SetMemo(key, value any) bool {
	if m.route == nil {
		return false
	}
	m.route.set(key, value)
	return true
}

// Prepare is SetMemo by who publishes the message next.
func (m *Message) Prepare(key, value any) {
	if m.own == nil {
		m.own = new(routing)
	}
	m.own.set(key, value)
}

func (r *routing) set(key, value any) {
	for i := range r.memos {
		if x := &r.memos[i]; x.key == key {
			x.value, x.current = value, true
			return
		}
	}
	r.memos = append(r.memos, memo{key, value, true})
}

// After has f called when m has been handed to all its receivers, so that one
// with several subscriptions can act once. It reports false, and f is not called,
// for a message that is not being routed.
func (m *Message) After(f Finisher) bool {
	if m.route == nil {
		return false
	}
	m.route.after = append(m.route.after, f)
	return true
}

// Kicker has something to write, queued by messages of a Batch.
type Kicker interface {
	// Kick writes it, or sees to it that it is written. It does not block.
	Kick()
}

// Batch gathers the receivers that have something to write until a publisher has
// handled all that it has read: many messages to one receiver are then written at
// once, and none waits for a timer. It belongs to one goroutine.
type Batch struct {
	waiting []Kicker
}

// Add has k kicked at the next Flush. A nil Batch kicks it at once.
func (b *Batch) Add(k Kicker) {
	if b == nil {
		k.Kick()
		return
	}
	b.waiting = append(b.waiting, k)
}

// Flush kicks all that were added since the last Flush, in their order.
func (b *Batch) Flush() {
	for i, k := range b.waiting {
		b.waiting[i] = nil
		k.Kick()
	}
	b.waiting = b.waiting[:0]
}
