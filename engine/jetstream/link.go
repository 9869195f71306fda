package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// patience bounds every single request to the server. A cluster that has lost
// its leader takes up to nine seconds to find another.
const patience = 10 * time.Second

// link is a connection and, when it is embedded, its server.
type link struct {
	ns   *server.Server // nil when external
	says *serverLog
	nc   *nats.Conn
	js   jetstream.JetStream
}

func (l *link) dial(url string, opts []nats.Option) (err error) {
	if l.nc, err = nats.Connect(url, opts...); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	if l.js, err = jetstream.New(l.nc); err != nil {
		return fmt.Errorf("connecting: %w", err)
	}
	return nil
}

func (l *link) close() {
	if l.nc != nil {
		l.nc.Close()
	}
	if l.ns != nil {
		stopServer(l.ns)
	}
}

// maxMessage is the largest body that the server takes, with room for headers.
func (l *link) maxMessage() int { return int(l.nc.MaxPayload()) - 1024 }

// errMoved says that a stream does not end where it was expected to.
var errMoved = errors.New("the stream does not end where it should")

// wrongLastSequence is the server's code for errMoved.
const wrongLastSequence = 10071

// ack is the server's answer to a message for a stream.
type ack struct {
	Sequence uint64 `json:"seq"`
	Error    *struct {
		Code        uint16 `json:"err_code"`
		Description string `json:"description"`
	} `json:"error"`
}

func parseAck(m *nats.Msg) (seq uint64, err error) {
	if len(m.Data) == 0 {
		return 0, fmt.Errorf("storing: the server answers %q", m.Header.Get("Status"))
	}
	var a ack
	if err := json.Unmarshal(m.Data, &a); err != nil {
		return 0, fmt.Errorf("storing: reading the server's answer: %w", err)
	}
	switch {
	case a.Error == nil:
		return a.Sequence, nil
	case a.Error.Code == wrongLastSequence:
		return 0, fmt.Errorf("storing: %w: %s", errMoved, a.Error.Description)
	default:
		return 0, fmt.Errorf("storing: %s", a.Error.Description)
	}
}

// store puts a message into a stream whose last one is the given one, and
// waits until the server has it.
func (l *link) store(subject string, last uint64, data []byte) (seq uint64, err error) {
	m := &nats.Msg{
		Subject: subject, Data: data,
		Header: nats.Header{"Nats-Expected-Last-Sequence": {strconv.FormatUint(last, 10)}},
	}
	a, err := l.ask()
	if err != nil {
		return 0, fmt.Errorf("storing: %w", err)
	}
	defer a.end()
	if err := a.send(m, 0); err != nil {
		return 0, fmt.Errorf("storing: %w", err)
	}
	answer, _, err := a.next()
	if err != nil {
		return 0, fmt.Errorf("storing: %w", err)
	}
	return parseAck(answer)
}

// asked counts the answers to some messages that the server is to store.
type asked struct {
	l     *link
	sub   *nats.Subscription
	error *string // the server's last one before
}

func (l *link) ask() (asked, error) {
	sub, err := l.nc.SubscribeSync(l.nc.NewInbox() + ".*")
	return asked{l, sub, l.says.lastError()}, err
}

func (a asked) end() { _ = a.sub.Unsubscribe() } // it fails only when the connection is gone, and the subscription with it

// send publishes a message, whose answer will have its number.
func (a asked) send(m *nats.Msg, n int) error {
	m.Reply = a.sub.Subject[:len(a.sub.Subject)-1] + strconv.Itoa(n)
	return a.l.nc.PublishMsg(m)
}

// next returns the next answer and the number of its message. A server whose
// disk fails does not answer, but an embedded one says so in its log.
func (a asked) next() (m *nats.Msg, n int, err error) {
	const glance = 200 * time.Millisecond
	for waited := time.Duration(0); ; waited += glance {
		m, err = a.sub.NextMsg(glance)
		switch {
		case err == nil:
			n, err = strconv.Atoi(m.Subject[len(a.sub.Subject)-1:])
			return m, n, err
		case !errors.Is(err, nats.ErrTimeout) || waited >= patience:
			return nil, 0, err
		}
		if said := a.l.says.lastError(); said != a.error {
			return nil, 0, fmt.Errorf("the embedded server does not answer, but says: %s", *said)
		}
	}
}

// getRequest asks for stored messages.
type getRequest struct {
	Sequence  uint64 `json:"seq"`
	Batch     int    `json:"batch,omitempty"`
	MaxBytes  int    `json:"max_bytes,omitempty"`
	NoHeaders bool   `json:"no_hdr,omitempty"`
}

// errGone says that a stream does not have a message, or none any more.
var errGone = errors.New("the stream does not have it")

// get returns one message of a stream, and when it was stored.
func (l *link) get(stream string, seq uint64) (data []byte, at time.Time, err error) {
	body, err := json.Marshal(getRequest{Sequence: seq})
	if err != nil {
		return nil, at, err
	}
	m, err := l.nc.Request("$JS.API.DIRECT.GET."+stream, body, patience)
	if err != nil {
		return nil, at, fmt.Errorf("reading message %d of %s: %w", seq, stream, err)
	}
	if status := m.Header.Get("Status"); status != "" {
		if l.ns == nil && status == "404" {
			return l.getOfLeader(stream, seq) // a replica that lags behind does not have it yet
		}
		return nil, at, fmt.Errorf("reading message %d of %s: %w: %s", seq, stream, errGone, status)
	}
	at, err = time.Parse(time.RFC3339Nano, m.Header.Get("Nats-Time-Stamp"))
	if err != nil {
		return nil, at, fmt.Errorf("reading message %d of %s: its time: %w", seq, stream, err)
	}
	return m.Data, at, nil
}

func (l *link) getOfLeader(stream string, seq uint64) (data []byte, at time.Time, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	s, err := l.js.Stream(ctx, stream)
	if err == nil {
		var m *jetstream.RawStreamMsg
		if m, err = s.GetMsg(ctx, seq); err == nil {
			return m.Data, m.Time, nil
		}
	}
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		err = errGone
	}
	return nil, at, fmt.Errorf("reading message %d of %s: %w", seq, stream, err)
}

// batch calls each for up to n messages of a stream from one on, but for no
// more once they are larger than maxBytes together. It returns the sequence
// number of the last one, and how many there were: none at the end.
func (l *link) batch(ctx context.Context, stream string, from uint64, n, maxBytes int, each func(data []byte) error) (last uint64, count int, err error) {
	body, err := json.Marshal(getRequest{Sequence: max(from, 1), Batch: n, MaxBytes: maxBytes, NoHeaders: true})
	if err != nil {
		return 0, 0, err
	}
	sub, err := l.nc.SubscribeSync(l.nc.NewInbox())
	if err != nil {
		return 0, 0, fmt.Errorf("reading %s: %w", stream, err)
	}
	defer func() { _ = sub.Unsubscribe() }() // it fails only when the connection is gone, and the subscription with it
	if err := l.nc.PublishRequest("$JS.API.DIRECT.GET."+stream, sub.Subject, body); err != nil {
		return 0, 0, fmt.Errorf("reading %s: %w", stream, err)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			return 0, count, fmt.Errorf("reading %s: %w", stream, err)
		}
		switch status := m.Header.Get("Status"); status {
		case "":
			if err := each(m.Data); err != nil {
				return 0, count, err
			}
			count++
		case "204":
			last, err = strconv.ParseUint(m.Header.Get("Nats-Last-Sequence"), 10, 64)
			if err != nil {
				return 0, count, fmt.Errorf("reading %s: the end of the batch: %w", stream, err)
			}
			return last, count, nil
		case "404":
			return 0, count, nil
		default:
			return 0, count, fmt.Errorf("reading %s: the server answers %s", stream, status)
		}
	}
}
