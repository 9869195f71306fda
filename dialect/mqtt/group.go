package mqtt

// What a session that leaves owes to the groups it is a member of (4.8.2).

// shared returns the messages of groups that another member can complete: those
// that were not sent, and those of QoS 1 that were not acknowledged. One of QoS 2
// that was sent is this client's alone. The caller holds mu.
func (s *session) shared() []delivery {
	var all []delivery
	s.flight.all(func(_ uint16, u *under) {
		if u.others() {
			all = append(all, u.delivery)
		}
	})
	for i := range s.backlog.n {
		if d := s.backlog.at(i); d.shared != nil {
			all = append(all, *d)
		}
	}
	return all
}

// others tells whether another member of the group may complete the message.
func (u *under) others() bool { return u.shared != nil && u.qos == 1 && u.m != nil }

// handOver gives messages of groups to other members, and tells which were taken.
func handOver(all []delivery) (taken []bool) {
	for _, d := range all {
		taken = append(taken, !expired(d.m) && d.shared.Redeliver(d.m)) // MQTT-3.3.2-5
	}
	return taken
}

// dropShared forgets the messages that others have taken, in the order in which
// shared returned them. What has come since, came behind them.
func (s *session) dropShared(taken []bool) {
	if len(taken) == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	i, gone := 0, []uint16(nil)
	s.flight.all(func(id uint16, u *under) {
		if u.others() {
			if taken[i] {
				gone = append(gone, id)
			}
			i++
		}
	})
	for _, id := range gone {
		s.flight.end(s.flight.find(id))
	}
	waiting, j := taken[i:], 0
	s.backlog.drop(func(d *delivery) bool {
		if d.shared == nil || j >= len(waiting) {
			return false
		}
		j++
		return waiting[j-1]
	})
}

// Load tells groups how ready the client is; see dialect.Member.
func (s *session) Load() (waiting int, present bool) {
	c := s.conn.Load()
	if c == nil {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.backlog.n, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	waiting = s.backlog.n
	if bytes, _ := c.out.Pending(); bytes > int(s.server.config.MaxQueue)/2 {
		waiting++
	}
	return waiting, true
}
