package bench

// Result is what a scenario found out about a broker: in one round, or the
// medians of all. Parts that the scenario does not measure are nil.
type Result struct {
	Scenario string `json:"scenario"`
	Broker   string `json:"broker"`
	// Error says why there is nothing else.
	Error     string     `json:"error,omitempty"`
	Traffic   *Traffic   `json:"traffic,omitempty"`
	RoundTrip *RoundTrip `json:"round_trip,omitempty"`
	Growth    *Growth    `json:"growth,omitempty"`
	Stuck     *Stuck     `json:"stuck,omitempty"`
	Memory    *Memory    `json:"memory,omitempty"`
	// Notes say what limits the figures.
	Notes []string `json:"notes,omitempty"`
}

// Traffic is what became of the messages.
type Traffic struct {
	// Rate is in deliveries a second.
	Rate float64 `json:"deliveries_per_second"`
	// BrokerCPU and OwnCPU are microseconds of CPU time per delivery, of the broker
	// and of the generator; 0 if they are not known.
	BrokerCPU float64 `json:"broker_cpu_us,omitempty"`
	OwnCPU    float64 `json:"own_cpu_us,omitempty"`
	// Expected is how many deliveries there should have been, the warm-up
	// included, and Lost how many of them there were not; less than zero if there
	// were too many.
	Expected int64 `json:"expected"`
	Lost     int64 `json:"lost"`
}

// RoundTrip has the percentiles of the time from when a message was due to when
// it came, in microseconds.
type RoundTrip struct {
	P50  float64 `json:"p50_us"`
	P90  float64 `json:"p90_us"`
	P99  float64 `json:"p99_us"`
	P999 float64 `json:"p99_9_us"`
	Max  float64 `json:"max_us"`
	// Late is the median of how long after its time a message was sent.
	Late float64 `json:"sent_late_us"`
}

// Growth is what things cost the broker in resident memory.
type Growth struct {
	Items int64 `json:"items"`
	// Bytes is all of it, Each what is left of it for an item after what it had to
	// take (the payloads of retained messages).
	Bytes int64   `json:"bytes"`
	Each  float64 `json:"bytes_each"`
}

// Stuck is what a subscriber that never reads does to the others.
type Stuck struct {
	// Healthy is the rate of the same number of healthy subscribers when all are
	// healthy, and Kept the part of it that is left to them.
	Healthy float64 `json:"healthy_deliveries_per_second"`
	Kept    float64 `json:"kept"`
	// Bytes is how much the broker's resident memory has grown more.
	Bytes int64 `json:"bytes"`
}

// Memory is the resident memory of the broker in bytes: at the end of the
// traffic, and the most it was.
type Memory struct {
	Resident int64 `json:"resident"`
	Peak     int64 `json:"peak"`
}
