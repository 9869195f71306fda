package broker

import "math"

// Limits bound what peers may take. Zero is the default, a negative number no
// limit. Each has a counter that shows when it bites.
type Limits struct {
	Peers         int   // connected at a time; default 100,000
	Subscriptions int   // of one peer; default 10,000
	Services      int   // of one peer; default 1,000
	Calls         int   // of one peer, under way at a time; default 1,000
	MessageBytes  int   // payload of one message; default 32 MiB
	Retained      int   // retained values of one tenant; default 1,000,000
	RetainedBytes int64 // their payloads together; default 1 GiB
}

func (l *Limits) defaults() {
	limit(&l.Peers, 100_000)
	limit(&l.Subscriptions, 10_000)
	limit(&l.Services, 1_000)
	limit(&l.Calls, 1_000)
	limit(&l.MessageBytes, 32<<20)
	limit(&l.Retained, 1_000_000)
	limit(&l.RetainedBytes, 1<<30)
}

func limit[N int | int64](n *N, value N) {
	switch {
	case *n == 0:
		*n = value
	case *n < 0:
		*n = math.MaxInt
	}
}
