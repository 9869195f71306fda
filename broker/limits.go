package broker

import "math"

// Limits bound what peers may take. Zero is the default, a negative number no
// limit. Each has a counter that shows when it bites.
type Limits struct {
	Peers         int   // connected at a time
	Sessions      int   // whose connection is gone
	Subscriptions int   // of one peer
	Services      int   // of one peer
	Calls         int   // of one peer, under way at a time
	MessageBytes  int   // payload of one message
	Retained      int   // retained values of one tenant
	RetainedBytes int64 // what they take together: payloads, names, headers and about 512 bytes each
}

// DefaultLimits are those of a broker that was given none.
func DefaultLimits() Limits {
	return Limits{
		Peers:         100_000,
		Sessions:      100_000,
		Subscriptions: 100_000,
		Services:      1_000,
		Calls:         1_000,
		MessageBytes:  32 << 20,
		Retained:      1_000_000,
		RetainedBytes: 1 << 30,
	}
}

func (l *Limits) defaults() {
	d := DefaultLimits()
	limit(&l.Peers, d.Peers)
	limit(&l.Sessions, d.Sessions)
	limit(&l.Subscriptions, d.Subscriptions)
	limit(&l.Services, d.Services)
	limit(&l.Calls, d.Calls)
	limit(&l.MessageBytes, d.MessageBytes)
	limit(&l.Retained, d.Retained)
	limit(&l.RetainedBytes, d.RetainedBytes)
}

func limit[N int | int64](n *N, value N) {
	switch {
	case *n == 0:
		*n = value
	case *n < 0:
		*n = math.MaxInt
	}
}
