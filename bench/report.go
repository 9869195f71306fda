package bench

import (
	"fmt"
	"slices"
)

// Report is what was found.
type Report struct {
	Brokers   []string  `json:"brokers"`
	Rounds    int       `json:"rounds"`
	Scenarios []Finding `json:"scenarios"`
}

// Finding is what a scenario found out about the brokers, in their order.
type Finding struct {
	Name    string     `json:"name"`
	About   string     `json:"about"`
	Brokers []Contrast `json:"brokers"`
}

// Contrast is a broker in a scenario: its medians, how they compare with those of
// the first broker, and what each round found.
type Contrast struct {
	Median Result   `json:"median"`
	Ratios Ratios   `json:"ratios"`
	Rounds []Result `json:"rounds"`
}

// Ratios are figures of a broker divided by those of the first; 0 if one of the
// two is not known.
type Ratios struct {
	Rate float64 `json:"rate,omitempty"`
	CPU  float64 `json:"broker_cpu,omitempty"`
	P50  float64 `json:"p50,omitempty"`
	P99  float64 `json:"p99,omitempty"`
	Each float64 `json:"bytes_each,omitempty"`
}

// Failed reports whether any measurement did.
func (r *Report) Failed() bool {
	for _, s := range r.Scenarios {
		for _, b := range s.Brokers {
			for _, one := range b.Rounds {
				if one.Error != "" {
					return true
				}
			}
		}
	}
	return false
}

// add adds the rounds of a scenario, a list for each broker.
func (r *Report) add(s *Scenario, rounds [][]Result) {
	f := Finding{Name: s.Name, About: s.About}
	for _, of := range rounds {
		c := Contrast{Median: middle(of), Rounds: of}
		first := c.Median
		if len(f.Brokers) > 0 {
			first = f.Brokers[0].Median
		}
		c.Ratios = compare(&first, &c.Median)
		f.Brokers = append(f.Brokers, c)
	}
	r.Scenarios = append(r.Scenarios, f)
}

// compare divides the figures of b by those of a.
func compare(a, b *Result) (r Ratios) {
	if a.Traffic != nil && b.Traffic != nil {
		r.Rate = ratio(a.Traffic.Rate, b.Traffic.Rate)
		r.CPU = ratio(a.Traffic.BrokerCPU, b.Traffic.BrokerCPU)
	}
	if a.RoundTrip != nil && b.RoundTrip != nil {
		r.P50 = ratio(a.RoundTrip.P50, b.RoundTrip.P50)
		r.P99 = ratio(a.RoundTrip.P99, b.RoundTrip.P99)
	}
	if a.Growth != nil && b.Growth != nil {
		r.Each = ratio(a.Growth.Each, b.Growth.Each)
	}
	return r
}

// middle is the median of each figure of the rounds that did not fail, and the
// sum of what they lost; if all failed, it is the last.
func middle(rounds []Result) Result {
	m := rounds[len(rounds)-1]
	m.Notes = nil
	var good []Result
	for _, r := range rounds {
		if r.Error == "" {
			good = append(good, r)
		}
		for _, n := range r.Notes {
			if !slices.Contains(m.Notes, n) {
				m.Notes = append(m.Notes, n)
			}
		}
	}
	if len(good) == 0 {
		return m
	}
	if n := len(rounds) - len(good); n > 0 {
		m.Notes = append(m.Notes, fmt.Sprintf("%d of %d rounds failed", n, len(rounds)))
	}
	m.Error = ""
	m.Traffic = medians(good, func(r *Result) *Traffic { return r.Traffic }, (*Traffic).figures)
	m.RoundTrip = medians(good, func(r *Result) *RoundTrip { return r.RoundTrip }, (*RoundTrip).figures)
	m.Stuck = medians(good, func(r *Result) *Stuck { return r.Stuck }, (*Stuck).figures)
	m.Memory = medians(good, func(r *Result) *Memory { return r.Memory }, (*Memory).figures)
	m.Growth = most(good)
	if m.Traffic != nil {
		for _, r := range good {
			m.Traffic.Expected += r.Traffic.Expected
			m.Traffic.Lost += r.Traffic.Lost
		}
	}
	return m
}

// medians makes a part of the medians of its figures, nil if a round is without.
func medians[T any](rounds []Result, part func(*Result) *T, figures func(*T) []figure) *T {
	var columns [][]float64
	for i := range rounds {
		p := part(&rounds[i])
		if p == nil {
			return nil
		}
		for j, f := range figures(p) {
			if j == len(columns) {
				columns = append(columns, nil)
			}
			columns[j] = append(columns[j], f.get())
		}
	}
	m := new(T)
	for j, f := range figures(m) {
		f.set(median(columns[j]))
	}
	return m
}

// most is the round in which the memory grew most: memory that a broker keeps
// from one round to the next shows in the first of them alone.
func most(rounds []Result) (g *Growth) {
	for i := range rounds {
		if one := rounds[i].Growth; one != nil && (g == nil || one.Bytes > g.Bytes) {
			g = one
		}
	}
	return g
}

// figure is a number of a result.
type figure struct {
	real  *float64
	whole *int64 // if real is nil
}

func (f figure) get() float64 {
	if f.real != nil {
		return *f.real
	}
	return float64(*f.whole)
}

func (f figure) set(v float64) {
	if f.real != nil {
		*f.real = v
	} else {
		*f.whole = int64(v)
	}
}

func (t *Traffic) figures() []figure {
	return []figure{{real: &t.Rate}, {real: &t.BrokerCPU}, {real: &t.OwnCPU}}
}

func (r *RoundTrip) figures() []figure {
	return []figure{{real: &r.P50}, {real: &r.P90}, {real: &r.P99}, {real: &r.P999}, {real: &r.Max}, {real: &r.Late}}
}

func (s *Stuck) figures() []figure {
	return []figure{{real: &s.Healthy}, {real: &s.Kept}, {whole: &s.Bytes}}
}

func (m *Memory) figures() []figure {
	return []figure{{whole: &m.Resident}, {whole: &m.Peak}}
}
