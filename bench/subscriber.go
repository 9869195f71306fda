package bench

import (
	"encoding/binary"
	"errors"
	"fmt"

	"omnibus/dialect/mqtt/packet"
)

// subscriber counts the messages it gets and acknowledges them.
type subscriber struct {
	*client
	// lanes are those of the publishers, by their numbers; if there is but one,
	// every message counts on it.
	lanes []*lane
	came  []uint64 // since the last time it was told to the lanes
	acks  []byte

	// each, if not nil, is given the payload of every message.
	each func(payload []byte)
}

func newSubscriber(c *client, lanes []*lane) *subscriber {
	c.grow()
	return &subscriber{client: c, lanes: lanes, came: make([]uint64, len(lanes))}
}

// run reads until the connection fails.
func (s *subscriber) run() error {
	return fmt.Errorf("a subscriber: %w", s.feed(s.batch))
}

// batch takes what has been read, acknowledges it and tells the publishers.
func (s *subscriber) batch() error {
	if err := s.take(); err != nil {
		return err
	}
	if len(s.acks) > 0 {
		if _, err := s.write(s.acks); err != nil {
			return fmt.Errorf("acknowledging: %w", err)
		}
		s.acks = s.acks[:0]
	}
	for i, n := range s.came {
		if n > 0 {
			s.lanes[i].add(n)
			s.came[i] = 0
		}
	}
	return nil
}

// take takes all whole packets of what has been read.
func (s *subscriber) take() error {
	for {
		h, body, ok, err := s.next()
		if err != nil {
			return err
		}
		if !ok {
			return nil
		}
		switch h.Type {
		case packet.PUBLISH:
			if err := s.message(h, body); err != nil {
				return err
			}
		case packet.PUBREL:
			if len(body) >= 2 {
				s.acks = packet.AppendAck(s.acks, packet.PUBCOMP, binary.BigEndian.Uint16(body), packet.Success, packet.V311)
			}
		}
	}
}

var (
	errShort   = errors.New("a PUBLISH is cut off")
	errForeign = errors.New("a message came that nobody here has sent")
)

// message counts one. Of the packet it reads what it must.
func (s *subscriber) message(h packet.Header, body []byte) error {
	if len(body) < 2 {
		return errShort
	}
	at := 2 + int(binary.BigEndian.Uint16(body)) // behind the topic name
	if qos := h.Flags >> 1 & 3; qos > 0 {
		if len(body) < at+2 {
			return errShort
		}
		answer := packet.PUBACK
		if qos == 2 {
			answer = packet.PUBREC
		}
		s.acks = packet.AppendAck(s.acks, answer, binary.BigEndian.Uint16(body[at:]), packet.Success, packet.V311)
		at += 2
	}
	if at > len(body) {
		return errShort
	}
	if s.each != nil {
		s.each(body[at:])
	}
	from := 0
	if len(s.lanes) > 1 {
		if len(body) < at+2 {
			return errShort
		}
		if from = int(binary.BigEndian.Uint16(body[at:])); from >= len(s.lanes) {
			return errForeign
		}
	}
	s.came[from]++
	return nil
}
